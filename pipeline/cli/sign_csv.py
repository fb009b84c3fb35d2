"""`pixelship sign --csv`: signs each row of a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import StringIO
from itertools import islice
from pathlib import Path

import click

from pipeline.cli.sign import Maker, View
from pipeline.errors import SetupError

_ROWS_AT_ONCE = 10_000
_OWN = {"key": "key", "canonical": "canonical", "to": "destination"}


def sign_csv(path: Path, default: View, taken: Sequence[str], maker: Maker) -> None:
    """Prints the file with a column `url` (`html` for tags) behind the others; raises SetupError.

    A cell of another column than `key`, `canonical` and `to` is a signed parameter under the
    column's name; an empty one is none. What the file lacks comes from the options (`default`).
    """
    added = "html" if maker.is_html else "url"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = list(reader.fieldnames or ())
            _check(path, columns, (*taken, added))
            _print([*columns, added])
            rows = _rows(path, reader)
            while some := list(islice(rows, _ROWS_AT_ONCE)):
                urls = _make(path, some, default, maker)
                for (_, row), url in zip(some, urls, strict=True):
                    _print([*(row[column] for column in columns), url])
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SetupError(f"{path} is not UTF-8: save it as CSV in UTF-8.") from None
    except csv.Error as error:
        raise SetupError(f"{path} is no CSV file ({error}).") from None


def _check(path: Path, columns: list[str], taken: Sequence[str]) -> None:
    for column in columns:
        if columns.count(column) > 1 or column in taken:
            raise SetupError(f"The column {column!r} of {path} stands there twice or is reserved: rename it.")  # fmt: skip
    if not columns:
        raise SetupError(f"{path} is empty: give it a line of column names.")


def _rows(path: Path, reader: csv.DictReader[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row with the number of its last line."""
    for row in reader:
        if None in row or None in row.values():
            raise SetupError(f"Line {reader.line_num} of {path} has more or fewer cells than the first line: mend it.")  # fmt: skip
        yield reader.line_num, row


def _make(
    path: Path, rows: list[tuple[int, dict[str, str]]], default: View, maker: Maker
) -> list[str]:
    views = [_view(row, default) for _, row in rows]
    try:
        return maker.make(views)
    except SetupError:
        for (number, _), view in zip(rows, views, strict=True):
            try:
                maker.make([view])
            except SetupError as error:
                raise SetupError(f"Line {number} of {path}: {error}") from None
        raise


def _view(row: dict[str, str], default: View) -> View:
    own = {_OWN[column]: cell for column, cell in row.items() if column in _OWN}
    params = {column: cell for column, cell in row.items() if column not in _OWN and cell}
    return replace(default, params={**default.params, **params}, **own)


def _print(cells: list[str]) -> None:
    line = StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    click.echo(line.getvalue())
