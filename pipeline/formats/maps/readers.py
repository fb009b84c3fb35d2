"""How a map's lines are taken apart: on a delimiter, by a regular expression, as JSON.

A reader gives raw columns for wanted names; what they mean is not its business. Each line is in one of
`rows`, `malformed` and `header`, and is read the same whatever stands beside it.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pipeline.blocks import Lines
from pipeline.columns import Mask, Rows
from pipeline.formats.contract import NO_ROWS
from pipeline.formats.delimited import split_fields
from pipeline.formats.json_lines import PLAIN, Dialect, Path, read_json_lines

Wanted = Mapping[str, Path]
"""For each name where its value stands: a path in JSON, else one column's name or its place from 1."""

_HARDLY_REPEATS = ("timestamp.", "time.", "ip.", "cookie", "request_id.")
_CODED = pa.dictionary(pa.int32(), pa.binary())
_BOM = b"\xef\xbb\xbf"
_HEADER_START = r'^"?[A-Za-z_]'
_NAME = re.compile(r"[A-Za-z_][^\x00-\x1f]*")


@dataclass(frozen=True)
class Found:
    """Some lines' values: `values` has a binary column (plain or dictionary) for each wanted name."""

    rows: Rows
    values: Mapping[str, pa.Array]
    malformed: Rows = field(default_factory=lambda: NO_ROWS)
    header: Rows = field(default_factory=lambda: NO_ROWS)


class Reader(Protocol):
    """Takes lines apart. `header` is the line that names the columns, where one is needed and known."""

    @property
    def needs_header(self) -> bool:
        """Whether the log's own first line names the columns."""

    @property
    def header(self) -> str | None:
        """That line."""

    def bound(self, lines: Sequence[bytes]) -> Reader:
        """The reader as a log's first lines have it."""

    def after(self, headers: Sequence[bytes]) -> Reader:
        """The reader behind lines that speak of the file."""

    def read(self, lines: Lines, wanted: Wanted) -> list[Found]:
        """The lines in parts."""


_Same = TypeVar("_Same", bound="_WithoutHeader")


class _WithoutHeader:
    needs_header = False
    header = None

    def bound(self: _Same, lines: Sequence[bytes]) -> _Same:  # noqa: ARG002 - as the protocol says
        """The same."""
        return self

    def after(self: _Same, headers: Sequence[bytes]) -> _Same:  # noqa: ARG002 - as the protocol says
        """The same."""
        return self


@dataclass(frozen=True)
class Json(_WithoutHeader):
    """One object a line."""

    dialect: Dialect = PLAIN

    def read(self, lines: Lines, wanted: Wanted) -> list[Found]:
        """The values at paths."""
        paths = {name: [path] for name, path in wanted.items()}
        records = read_json_lines(lines, paths, self.dialect)
        return [Found(records.rows, records.values, records.malformed)]


@dataclass(frozen=True)
class Pattern(_WithoutHeader):
    """A regular expression of RE2 with named groups, which must fit the whole line.

    It is the sum of its `parts`; `labels` name some of them to people.
    """

    parts: tuple[str, ...]
    labels: tuple[str, ...] = ()

    @property
    def expression(self) -> str:
        """The whole expression."""
        return "".join(self.parts)

    def read(self, lines: Lines, wanted: Wanted) -> list[Found]:
        """The groups of all lines at once, in time that grows with their bytes alone."""
        raw = lines.raw(np.arange(len(lines)))
        parts = pc.extract_regex(raw, f"^(?:{self.expression})$")
        is_fit = parts.is_valid().to_numpy(zero_copy_only=False) & ~_is_odd(lines)
        parts = parts.filter(pa.array(is_fit))
        values = {name: pc.struct_field(parts, str(path[0])) for name, path in wanted.items()}
        return [Found(np.flatnonzero(is_fit), values, np.flatnonzero(~is_fit))]


@dataclass(frozen=True)
class Delimited:
    """Fields between one-byte delimiters; where `is_quoted`, in double quotes or not (RFC 4180).

    `columns` are their names, empty where the log itself names them: in the line that starts with
    `header_mark`, or where that is empty in its first. A header is taken for one only if it has, for
    each group of `needed`, one of its names. Lines that start with `comment` speak of the file.
    """

    columns: tuple[str, ...]
    delimiter: bytes
    is_quoted: bool = False
    header_mark: bytes | None = None
    comment: bytes = b""
    needed: tuple[tuple[str, ...], ...] = ()
    header: str | None = None

    @property
    def needs_header(self) -> bool:
        """Whether the log names its columns."""
        return self.header_mark is not None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of lines that stand before any other header."""
        return self._names(self.header.encode()) if self.header is not None else self.columns

    def bound(self, lines: Sequence[bytes]) -> Delimited:
        """The reader with the first header among the lines; as it is where there is none."""
        if not self.needs_header:
            return self
        found = next((line for line in lines if self._names(line)), None)
        return self if found is None else replace(self, header=found.decode("utf-8", "replace"))

    def after(self, headers: Sequence[bytes]) -> Delimited:
        """The reader with the last of the headers; one that names no sound columns leaves none."""
        for line in reversed(headers) if self.needs_header else ():
            is_marked = bool(self.header_mark) and line.startswith(self.header_mark or b"")
            if is_marked or self._names(line):
                return replace(self, header=line.decode("utf-8", "replace"))
        return self

    def read(self, lines: Lines, wanted: Wanted) -> list[Found]:
        """The fields of the lines; after each header by its names."""
        aside = self._comments(lines)
        if not self.needs_header:
            return self._read_aside(lines, aside, lambda rows: [(self.columns, rows)], wanted)
        headers = self._headers(lines, aside)
        aside |= np.isin(np.arange(len(lines)), list(headers))
        return self._read_aside(lines, aside, lambda rows: self._by_header(headers, rows), wanted)

    def _read_aside(
        self,
        lines: Lines,
        aside: Mask,
        parts: Callable[[Rows], Sequence[tuple[tuple[str, ...], Rows]]],
        wanted: Wanted,
    ) -> list[Found]:
        none = pa.array([], pa.binary())
        found = [Found(NO_ROWS, dict.fromkeys(wanted, none), header=np.flatnonzero(aside))]
        for columns, rows in parts(np.flatnonzero(~aside)):
            chosen = lines if len(rows) == len(lines) else lines.take(rows)
            for part in self._split(chosen, columns, wanted) if len(rows) else ():
                found.append(Found(rows[part.rows], part.values, rows[part.malformed]))
        return found

    def _comments(self, lines: Lines) -> Mask:
        if not self.comment or self.comment not in lines.data:
            return np.zeros(len(lines), np.bool_)
        raw = lines.raw(np.arange(len(lines)))
        return pc.starts_with(raw, self.comment).to_numpy(zero_copy_only=False).copy()

    def _headers(self, lines: Lines, comments: Mask) -> dict[int, tuple[str, ...]]:
        """The lines that name columns, and the names.

        A comment that is marked as a header and names no sound columns has none: what stands behind
        it cannot be read, and is not taken for what an earlier header said.
        """
        groups = [[name.encode() for name in group] for group in self.needed]
        is_named = all(any(name in lines.data for name in group) for group in groups)
        if not is_named and not (self.header_mark and comments.any()):
            return {}
        raw = lines.raw(np.arange(len(lines)))
        may_be = pc.match_substring_regex(raw, _HEADER_START)
        if self.header_mark:
            may_be = pc.starts_with(raw, self.header_mark)
        is_marked = may_be.to_numpy(zero_copy_only=False) & bool(self.header_mark)
        for group in groups:
            hits = [pc.match_substring(raw, name) for name in group]
            may_be = pc.and_(may_be, functools.reduce(pc.or_, hits))
        is_header = may_be.to_numpy(zero_copy_only=False) | (is_marked & comments)
        rows = np.flatnonzero(is_header)
        found = ((int(row), self._names(raw[row].as_py())) for row in rows)
        return {row: names for row, names in found if names or comments[row]}

    def _by_header(
        self, headers: dict[int, tuple[str, ...]], rows: Rows
    ) -> list[tuple[tuple[str, ...], Rows]]:
        """The lines of each header's names together."""
        every = [self.names, *headers.values()]
        distinct = {names: at for at, names in enumerate(dict.fromkeys(every))}
        number = np.array([distinct[names] for names in every])
        own = number[np.searchsorted(list(headers), rows)]
        return [(names, rows[own == at]) for names, at in distinct.items()]

    def _names(self, line: bytes) -> tuple[str, ...]:
        """The columns that a line names; none if it is no header."""
        mark = self.header_mark or b""
        if not line.startswith(mark) or b"\0" in line or b"\r" in line:
            return ()
        text = line[len(mark) :].decode("utf-8", "replace")
        delimiter = self.delimiter.decode()
        if self.is_quoted:
            names = next(csv.reader([text], delimiter=delimiter), [])
        else:
            names = text.strip(" ").split(delimiter)
        columns = tuple(name.strip(" ") for name in names)
        if mark:  # such as `#Fields: date time`
            columns = tuple(name for name in columns if name)
        is_named = all(any(name in columns for name in group) for group in self.needed)
        is_sound = bool(mark) or all(_NAME.fullmatch(name) for name in columns)
        return columns if is_named and is_sound else ()

    def _split(self, lines: Lines, columns: tuple[str, ...], wanted: Wanted) -> list[Found]:
        width = len(columns)
        place = {name: _place(path[0], columns) for name, path in wanted.items()}
        types = {
            at: pa.binary() if name.startswith(_HARDLY_REPEATS) else _CODED
            for name, at in place.items()
            if at is not None
        }
        if not width:
            none = pa.array([], pa.binary())
            return [Found(NO_ROWS, dict.fromkeys(wanted, none), np.arange(len(lines)))]
        quoted = lines.holding(b'"') if self.is_quoted else np.zeros(len(lines), np.bool_)
        found = []
        if not quoted.all():
            some = lines.take(np.flatnonzero(~quoted)) if quoted.any() else lines
            fields = split_fields(some, self.delimiter, width, types)
            own = np.flatnonzero(~quoted)
            values = {
                name: _nothing(len(fields.regular)) if at is None else fields.column(at)
                for name, at in place.items()
            }
            found.append(Found(own[fields.regular], values, own[fields.irregular]))
        if quoted.any():
            found.append(self._split_quoted(lines, np.flatnonzero(quoted), width, place))
        return found

    def _split_quoted(
        self, lines: Lines, rows: Rows, width: int, place: Mapping[str, int | None]
    ) -> Found:
        """Lines with quotes: only those that are sound through and through go to the reader."""
        mark = re.escape(self.delimiter.decode())
        one = f'(?:"(?:[^"]|"")*"|[^"{mark}]*)'
        shape = f"^{one}(?:{mark}{one}){{{width - 1}}}$" if width > 1 else f"^{one}$"
        sound = pc.match_substring_regex(lines.raw(rows), shape).to_numpy(zero_copy_only=False)
        sound = sound & ~_is_odd(lines)[rows]
        table = _read_quoted(lines.take(rows[sound]).data, self.delimiter, width)
        values = {
            name: _nothing(int(sound.sum())) if at is None else table[at].combine_chunks()
            for name, at in place.items()
        }
        return Found(rows[sound], values, rows[~sound])


def _read_quoted(data: bytes, delimiter: bytes, width: int) -> pa.Table:
    names = [str(place) for place in range(width)]
    if not data:
        return pa.table({name: pa.array([], pa.binary()) for name in names})
    if data.startswith(_BOM):
        data = _BOM + data  # the reader takes one away, which would change a line
    return pyarrow.csv.read_csv(
        pa.BufferReader(data),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False, block_size=len(data) + 1, column_names=names
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=delimiter.decode(), double_quote=True, ignore_empty_lines=False
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            check_utf8=False,
            column_types=dict.fromkeys(names, pa.binary()),
            strings_can_be_null=False,
        ),
    )


def _place(column: str | int, columns: tuple[str, ...]) -> int | None:
    """Where a column stands, from 0; None where the log has none of that name."""
    if isinstance(column, int):
        return column - 1
    return columns.index(column) if column in columns else None


def _nothing(count: int) -> pa.Array:
    return pa.nulls(count, pa.binary())


def _is_odd(lines: Lines) -> Mask:
    """Lines with bytes that no server writes raw."""
    return lines.holding(b"\0") | lines.holding(b"\r")
