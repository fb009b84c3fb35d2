"""JSON lines as columns: what the formats of JSON logs stand on.

Most lines are read at once as templates filled in (`json_template`); those that fit none are cut into
tokens (`json_tokens`); what is left, damage above all, goes singly through Python's parser
(`json_object`, which also says what an object is). All three ways give the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import Rows, none_where_absent, offsets_and_bytes
from pipeline.formats.json_escapes import escapes, undo_escapes, unsound
from pipeline.formats.json_object import (
    PLAIN,
    Dialect,
    Path,
    first_value,
    read_object,
    value_at,
)
from pipeline.formats.json_template import NOTHING, Filled, Kind, Template, Texts, learn
from pipeline.formats.json_tokens import Reader, cut

__all__ = ["PLAIN", "Dialect", "Path", "Records", "read_json_lines", "read_object", "value_at"]

_MOST_TEMPLATES = 48
_LINES_AT_ONCE = 1 << 11
"""So many lines' tokens stay in the processor's cache."""
_WORTH = 16
"""A template that fits fewer than one in so many lines of its width is the last for them."""
_FEWEST_LINES = 2
"""Fewer lines of one width are not worth a template."""

_Wanted = Mapping[str, Sequence[Path]]
_Columns = dict[str, pa.Array]


@dataclass(frozen=True)
class Records:
    """What stands in some lines. Each line is in one of `rows` and `malformed`, in no certain order.

    `values` has a plain binary column for each wanted name: true and false by those words, numbers
    by their own text; null for what is missing, null, "", "-", an array or an object.
    """

    rows: Rows
    values: Mapping[str, pa.Array]
    malformed: Rows


def read_json_lines(lines: Lines, wanted: _Wanted, dialect: Dialect = PLAIN) -> Records:
    """Takes for each wanted name the first of its paths that holds a value."""
    wanted = {name: [dialect.path(path) for path in paths] for name, paths in wanted.items()}
    texts, width = _texts(lines, dialect)
    is_unread = np.ones(len(lines), np.bool_)
    parts = []
    for rows, columns in _by_templates(lines, texts, width, (wanted, dialect)):
        is_unread[rows] = False
        parts.append((rows, columns))
    others = np.flatnonzero(is_unread & (width > 0) & (width % 2 == 0))
    for start in range(0, len(others), _LINES_AT_ONCE):
        some = others[start : start + _LINES_AT_ONCE]
        rows, columns = _by_tokens(lines.take(some), wanted, dialect)
        is_unread[some[rows]] = False
        parts.append((some[rows], columns))
    unread = np.flatnonzero(is_unread)
    if len(unread) or not parts:
        objects = [read_object(line, dialect) for line in lines.raw(unread).to_pylist()]
        is_object = np.array([each is not None for each in objects], np.bool_)
        sound = [each for each in objects if each is not None]
        columns = {
            name: pa.array([first_value(each, paths, dialect) for each in sound], pa.binary())
            for name, paths in wanted.items()
        }
        parts.append((unread[is_object], columns))
        unread = unread[~is_object]
    if len(parts) == 1:
        return Records(*parts[0], unread)
    values = {name: pa.concat_arrays([columns[name] for _, columns in parts]) for name in wanted}
    return Records(np.concatenate([rows for rows, _ in parts]), values, unread)


def _by_tokens(lines: Lines, wanted: _Wanted, dialect: Dialect) -> tuple[Rows, _Columns]:
    """Which lines are objects, by their tokens, and their values."""
    tokens, are_objects = cut(lines.data, _quotes(lines.data)[0])
    rows = np.flatnonzero(are_objects)
    paths = [path for paths in wanted.values() for path in paths]
    reader = Reader(tokens, rows, paths, dialect)
    columns = {}
    for name, ways in wanted.items():
        is_open, column = np.ones(len(rows), np.bool_), pa.nulls(len(rows), pa.binary())
        for path in ways:
            is_there, values = reader.column(path)
            column = pc.if_else(pa.array(is_open), values, column)
            is_open &= (
                ~is_there if dialect.nginx else column.is_null().to_numpy(zero_copy_only=False)
            )
        columns[name] = column
    return rows, columns


def _by_templates(
    lines: Lines, texts: Texts, width: Rows, wish: tuple[_Wanted, Dialect]
) -> Iterator[tuple[Rows, _Columns]]:
    """The lines that fill in templates learnt from others of them, and their values."""
    wanted, dialect = wish
    paths = frozenset(path for paths in wanted.values() for path in paths)
    widths, counts = np.unique(width[width > 0], return_counts=True)
    tries_left = _MOST_TEMPLATES
    for place in np.argsort(-counts, kind="stable"):
        rows = np.flatnonzero(width == widths[place])
        while len(rows) >= _FEWEST_LINES and tries_left:
            tries_left -= 1
            template = learn(lines.raw(rows[:1])[0].as_py(), dialect, paths)
            if template is None:
                rows = rows[1:]
                continue
            filled = template.fill(texts if len(rows) == len(lines) else texts.rows(rows))
            columns = {
                name: _column(template, filled, paths, dialect) for name, paths in wanted.items()
            }
            yield rows[filled.rows], columns
            if _WORTH * len(filled.rows) < len(rows):
                break
            rows = np.delete(rows, filled.rows)


def _texts(lines: Lines, dialect: Dialect) -> tuple[Texts, Rows]:
    """The lines' text and quotes; and how many quotes each has, 0 for those to be read singly."""
    data = np.frombuffer(lines.data, np.uint8)
    quotes, at = _quotes(lines.data)
    is_odd = lines.holding(b"\0") | lines.holding(b"\r")
    odd = unsound(data, at, hex_bytes=dialect.nginx)
    is_odd[np.searchsorted(lines.ends, odd, side="right")] = True
    past = np.searchsorted(quotes, lines.ends)
    width = np.diff(past, prepend=0)
    ends = (lines.ends - 1).astype(np.int32)
    starts = ends - lines.lengths.astype(np.int32)
    first = (past - width).astype(np.int32)
    texts = Texts(lines.data, quotes.astype(np.int32), first, starts, ends)
    return texts, np.where(is_odd, 0, width)


def _quotes(data: bytes) -> tuple[Rows, Rows]:
    """Where the quotes are that no backslash escapes, and where escapes start."""
    text = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(text == ord('"'))
    if b"\\" not in data:
        return quotes, quotes[:0]
    at = escapes(text)
    escaped = at[text[at + 1] == ord('"')] + 1
    return np.delete(quotes, np.searchsorted(quotes, escaped)), at


def _column(
    template: Template, filled: Filled, paths: Sequence[Path], dialect: Dialect
) -> pa.Array:
    """The values of the first path that holds one."""
    column = None
    for path in paths:
        if path in template.values:
            values = _values(template, filled, template.values[path])
            column = values if column is None else pc.coalesce(column, values)
            if dialect.nginx or not column.null_count:
                return column
    return pa.nulls(len(filled.rows), pa.binary()) if column is None else column


def _values(template: Template, filled: Filled, value: int | bytes | None) -> pa.Array:
    if not isinstance(value, int):
        return pa.repeat(pa.scalar(value, pa.binary()), len(filled.rows))
    kind, column = template.slots[value].kind, filled.column(value)
    if kind is Kind.STRING:
        return _less_absent(undo_escapes(column), (b"", b"-"))
    if kind is Kind.SCALARS:
        return pa.nulls(len(column), pa.binary())
    return _less_absent(column, NOTHING)


def _less_absent(column: pa.Array, absent: Sequence[bytes]) -> pa.Array:
    """The same as `none_where_absent`; quicker where no value is as short as those."""
    lengths = np.diff(offsets_and_bytes(column)[0])
    if not any((lengths == len(word)).any() for word in absent):
        return column
    return none_where_absent(column, absent)
