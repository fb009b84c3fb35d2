"""Lists that commands are given: CSV files with a line of column names.

What is in a list is never in a message, for it may be people's addresses: lines are numbered.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SetupError


@dataclass(frozen=True)
class CsvList:
    """A list: its file, its columns, and its rows with the numbers of their lines."""

    file: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def has(self, name: str) -> bool:
        """Whether there is a column of the name, in lower or upper case."""
        return name.lower() in map(str.lower, self.columns)

    def column(self, name: str, how: str = "name the columns in the first line") -> list[str]:
        """A column's values, none of them blank; raises SetupError."""
        if not self.has(name):
            raise SetupError(f"{self.file} has no column {name}: {how}.")
        values = self.values(name)
        for value, line in zip(values, self.lines, strict=True):
            if not value:
                raise SetupError(f"Line {line} of {self.file} has nothing in the column {name}.")
        return values

    def values(self, name: str) -> list[str]:
        """A column's values without blanks around them; "" where there is no such column."""
        names = list(map(str.lower, self.columns))
        if name.lower() not in names:
            return [""] * len(self.rows)
        at = names.index(name.lower())
        return [row[at].strip() for row in self.rows]


def read_list(file: Path) -> CsvList:
    """A list; raises SetupError where it is none, or empty."""
    rows, lines = _rows_of(_text_of(file), file)
    if len(rows) < 2:
        raise SetupError(f"{file} is empty: it needs a line of column names, and a line for each.")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(rows[0]):
            raise SetupError(
                f"Line {line} of {file} has {len(row)} fields, the first line {len(rows[0])}: "
                "separate them by commas, and quote a field that holds one."
            )
    columns = tuple(name.strip() for name in rows[0])
    if len({name.lower() for name in columns}) < len(columns):
        raise SetupError(f"Two columns of {file} have one name: rename one.")
    return CsvList(file, columns, tuple(rows[1:]), tuple(lines[1:]))


def _text_of(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise SetupError(f"No list is at {file}: check the path.") from None
    except OSError as error:
        raise SetupError(f"The list {file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SetupError(f"{file} is not UTF-8: save it as CSV in UTF-8.") from None


def _rows_of(text: str, file: Path) -> tuple[list[tuple[str, ...]], list[int]]:
    """The rows that are not blank, and the numbers of their lines."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    try:
        for row in reader:
            if row:
                rows.append(tuple(row))
                lines.append(reader.line_num)
    except csv.Error:
        raise SetupError(f"Line {reader.line_num} of {file} is no CSV: check its quotes.") from None
    return rows, lines


def with_columns(given: CsvList, added: Mapping[str, Sequence[str]]) -> str:
    """The list as CSV, with columns added at the end."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*given.columns, *added))
    for row, *more in zip(given.rows, *added.values(), strict=True):
        writer.writerow((*row, *more))
    return text.getvalue()
