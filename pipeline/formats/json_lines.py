"""JSON lines as columns: what the formats of JSON logs stand on.

Most lines are read at once as templates filled in (`json_template`); those that fit none are cut into
tokens (`json_tokens`); what is left, damage above all, goes singly through Python's parser
(`json_object`, which also says what an object is). All three ways give the same. A block is read in
pieces, so that what is made on the way stays small, whatever the lines hold.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import Rows
from pipeline.formats.json_escapes import escapes, unsound
from pipeline.formats.json_object import (
    PLAIN,
    Dialect,
    Path,
    first_value,
    read_object,
    value_at,
)
from pipeline.formats.json_template import MOST_QUOTES, Filled, Places, Template, Texts, learn
from pipeline.formats.json_tokens import Reader, cut

__all__ = ["PLAIN", "Dialect", "Path", "Records", "read_json_lines", "read_object", "value_at"]

_PIECE_BYTES = 1 << 21
"""So much of a block is read at once: it stays in the processor's cache with what is made of it."""
_TOKENS_BYTES = 1 << 19
"""The same where lines are cut into tokens: there may be as many as bytes."""
_MOST_TEMPLATES = 48
_WORTH = 16
"""A template that fits fewer than one in so many lines of its width is not kept."""
_FEWEST_LINES = 2
_FEWEST_SHARE = 64
"""Fewer lines of one width, or one in so many of a piece, are not worth a template."""
_EMPTY = r"^[ \t]*\{[ \t]*\}[ \t]*$"
"""The one object that holds no quote."""

_Wanted = Mapping[str, Sequence[Path]]
_Columns = dict[str, pa.Array]
_Part = tuple[Rows, _Columns]


@dataclass(frozen=True)
class Records:
    """What stands in some lines. Each line is in one of `rows` and `malformed`, in no certain order.

    `values` has a plain binary column for each wanted name: true and false by those words, numbers
    by their own text; null for what is missing, null, "", "-", an array or an object.
    """

    rows: Rows
    values: Mapping[str, pa.Array]
    malformed: Rows


class _Fate(IntEnum):
    """What is known of a line: `OPEN` ones are for templates and tokens, `SINGLE` for Python's parser."""

    OPEN, READ, MALFORMED, WITHOUT_QUOTES, SINGLE = range(5)


_Fates = npt.NDArray[np.int8]


def read_json_lines(lines: Lines, wanted: _Wanted, dialect: Dialect = PLAIN) -> Records:
    """Takes for each wanted name the first of its paths that holds a value."""
    wanted = {name: [dialect.path(path) for path in paths] for name, paths in wanted.items()}
    is_lost = lines.holding(b"\0") | lines.holding(b"\r")
    fates = np.where(is_lost, np.int8(_Fate.MALFORMED), np.int8(_Fate.OPEN))
    parts: list[_Part] = []
    for way in (_by_templates, _by_tokens, _without_quotes, _singly):
        for rows, columns in way(lines, fates, wanted, dialect):
            fates[rows] = _Fate.READ
            parts.append((rows, columns))
    malformed = np.flatnonzero(fates != _Fate.READ)
    values = {name: pa.concat_arrays([columns[name] for _, columns in parts]) for name in wanted}
    return Records(np.concatenate([rows for rows, _ in parts]), values, malformed)


def _pieces(lengths: Rows, most_bytes: int) -> Iterator[slice]:
    """Stretches of lines that are together no longer than that, or of one line that is."""
    ends = np.cumsum(lengths + 1)
    start = past = 0
    while start < len(ends):
        end = max(start + 1, int(np.searchsorted(ends, past + most_bytes, side="right")))
        yield slice(start, end)
        start, past = end, int(ends[end - 1])


def _by_templates(
    lines: Lines, fates: _Fates, wanted: _Wanted, dialect: Dialect
) -> Iterator[_Part]:
    """The lines that fill in templates learnt from others of them, and their values.

    Besides, finds out about the lines that no template reads.
    """
    shapes = _Shapes(wanted, dialect)
    for piece in _pieces(lines.lengths, _PIECE_BYTES):
        texts, width, is_odd = _texts(lines, piece, dialect)
        fate = fates[piece]
        is_open = fate == _Fate.OPEN
        fate[is_open & is_odd] = _Fate.SINGLE
        fate[is_open & (width == 0)] = _Fate.WITHOUT_QUOTES
        fate[is_open & (width % 2 == 1)] = _Fate.MALFORMED
        for rows, columns in shapes.read(texts, np.where(fate == _Fate.OPEN, width, 0)):
            yield rows + piece.start, columns


class _Shapes:
    """The templates learnt so far, by their lines' number of quotes, those with most lines first."""

    def __init__(self, wanted: _Wanted, dialect: Dialect) -> None:
        self._wanted, self._dialect = wanted, dialect
        self._paths = frozenset(path for paths in wanted.values() for path in paths)
        self._known: dict[int, list[Template]] = {}
        self._tries_left = _MOST_TEMPLATES

    def read(self, texts: Texts, width: Rows) -> Iterator[_Part]:
        """The lines that fill templates in, and their values; none of those whose width is 0."""
        fewest = max(_FEWEST_LINES, len(texts) // _FEWEST_SHARE)
        widths, counts = np.unique(width, return_counts=True)
        for place in np.argsort(-counts, kind="stable"):
            if 0 < widths[place] <= MOST_QUOTES and counts[place] >= fewest:
                rows = np.flatnonzero(width == widths[place])
                yield from self._read_alike(texts, rows, int(widths[place]), fewest)

    def _read_alike(self, texts: Texts, rows: Rows, width: int, fewest: int) -> Iterator[_Part]:
        """The same for lines of one width: by the templates known, then by new ones."""
        known, found = self._known.get(width, []), {}
        is_worth_it = True
        while len(rows) >= fewest and (known or (self._tries_left and is_worth_it)):
            is_new = not known
            template = self._learnt(texts.line(rows[0])) if is_new else known[0]
            known = known[1:]
            if template is None:
                rows = rows[1:]
                continue
            count = len(rows)
            rows = yield from self._filled(template, texts, rows)
            if _WORTH * (count - len(rows)) >= count:
                found[template] = count - len(rows)
            elif is_new:
                is_worth_it = False
        self._known[width] = [*sorted(found, key=lambda each: -found[each]), *known]

    def _learnt(self, line: bytes) -> Template | None:
        self._tries_left -= 1
        return learn(line, self._dialect, self._paths)

    def _filled(self, template: Template, texts: Texts, rows: Rows) -> Generator[_Part, None, Rows]:
        """Those of the lines that fill a template in; gives back the others."""
        filled = template.fill(texts.rows(rows))
        if len(filled.rows):
            columns = {
                name: _column(template, filled, paths, self._dialect)
                for name, paths in self._wanted.items()
            }
            yield rows[filled.rows], columns
        return np.delete(rows, filled.rows)


def _texts(
    lines: Lines, piece: slice, dialect: Dialect
) -> tuple[Texts, Rows, npt.NDArray[np.bool_]]:
    """The text and quotes of a piece; how many quotes each line has; which have unsound escapes."""
    ends = lines.ends[piece]
    low = int(ends[0] - lines.lengths[piece.start] - 1)
    quotes, at = _quotes(lines.data, low, int(ends[-1]))
    past = np.searchsorted(quotes, ends.astype(np.int32))
    width = np.diff(past, prepend=0)
    is_odd = np.zeros(len(ends), np.bool_)
    if len(at):
        text = np.frombuffer(lines.data, np.uint8)[low : int(ends[-1])]
        odd = unsound(text, at - low, hex_bytes=dialect.nginx) + low
        is_odd[np.searchsorted(ends, odd, side="right")] = True
    last = (ends - 1).astype(np.int32)
    starts = last - lines.lengths[piece].astype(np.int32)
    first = (past - width).astype(np.int32)
    return Texts(lines.data, quotes, first, starts, last), width, is_odd


def _quotes(data: bytes, start: int, end: int) -> tuple[Places, Rows]:
    """Where from `start` to `end` the quotes are that no backslash escapes, and where escapes start."""
    text = np.frombuffer(data, np.uint8)[start:end]
    quotes = np.flatnonzero(text == ord('"')).astype(np.int32)
    at = np.empty(0, np.int64)
    if data.find(b"\\", start, end) >= 0:
        at = escapes(text)
        escaped = at[text[at + 1] == ord('"')] + 1
        if len(escaped):
            quotes = np.delete(quotes, np.searchsorted(quotes, escaped.astype(np.int32)))
    quotes += np.int32(start)
    return quotes, at + start


def _by_tokens(lines: Lines, fates: _Fates, wanted: _Wanted, dialect: Dialect) -> Iterator[_Part]:
    """Those open lines that are objects by their tokens, and their values; the others go singly."""
    still = np.flatnonzero(fates == _Fate.OPEN)
    fates[still] = _Fate.SINGLE
    paths = [path for paths in wanted.values() for path in paths]
    for piece in _pieces(lines.lengths[still], _TOKENS_BYTES):
        some = lines.take(still[piece])
        tokens, are_objects = cut(some.data, _quotes(some.data, 0, len(some.data))[0])
        rows = np.flatnonzero(are_objects)
        reader = Reader(tokens, rows, paths, dialect)
        columns = {name: _first_of(ways, reader, dialect) for name, ways in wanted.items()}
        yield still[piece][rows], columns


def _first_of(ways: Sequence[Path], reader: Reader, dialect: Dialect) -> pa.Array:
    """The values of the first path that holds one, for a reader's rows."""
    is_open, column = None, None
    for path in ways:
        is_there, values = reader.column(path)
        if is_open is None or column is None:
            is_open, column = np.ones(len(is_there), np.bool_), values
        else:
            column = pc.if_else(pa.array(is_open), values, column)
        is_open &= ~is_there if dialect.nginx else column.is_null().to_numpy(zero_copy_only=False)
        if not is_open.any():
            break
    return column


def _without_quotes(
    lines: Lines,
    fates: _Fates,
    wanted: _Wanted,
    dialect: Dialect,  # noqa: ARG001 - called as the other ways are
) -> Iterator[_Part]:
    """The empty objects: in any dialect all others hold quotes."""
    rows = np.flatnonzero(fates == _Fate.WITHOUT_QUOTES)
    is_empty = pc.match_substring_regex(lines.raw(rows), _EMPTY).to_numpy(zero_copy_only=False)
    rows = rows[is_empty.astype(np.bool_)]
    yield rows, dict.fromkeys(wanted, pa.nulls(len(rows), pa.binary()))


def _singly(lines: Lines, fates: _Fates, wanted: _Wanted, dialect: Dialect) -> Iterator[_Part]:
    """What Python's parser makes of lines, one by one."""
    rows = np.flatnonzero(fates == _Fate.SINGLE)
    objects = [read_object(line, dialect) for line in lines.raw(rows).to_pylist()]
    is_object = np.array([each is not None for each in objects], np.bool_)
    sound = [each for each in objects if each is not None]
    columns = {
        name: pa.array([first_value(each, paths, dialect) for each in sound], pa.binary())
        for name, paths in wanted.items()
    }
    yield rows[is_object], columns


def _column(
    template: Template, filled: Filled, paths: Sequence[Path], dialect: Dialect
) -> pa.Array:
    """The values of the first path that holds one."""
    column = None
    for path in paths:
        if path in template.values:
            values = _values(filled, template.values[path])
            column = values if column is None else pc.coalesce(column, values)
            if dialect.nginx or not column.null_count:
                return column
    return pa.nulls(len(filled.rows), pa.binary()) if column is None else column


def _values(filled: Filled, value: int | bytes | None) -> pa.Array:
    if isinstance(value, int):
        return filled.values.get(value, pa.nulls(len(filled.rows), pa.binary()))
    return pa.repeat(pa.scalar(value, pa.binary()), len(filled.rows))
