"""JSON lines as a template filled in: many lines read at once that differ in their values alone.

A writer of logs gives its objects the same keys in the same order. So a template is learnt from one
line: the pieces of text between its values are fixed. Another line fills it in if all its pieces
between values are the same, each string ends at the next quote that is not escaped, and what stands
in the place of a number is one. Then it is an object of the same shape, and its values are cut out
by their places alone.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Mask, Rows, encode, offsets_and_bytes
from pipeline.formats.json_escapes import Bytes, undo_escapes
from pipeline.formats.json_object import SCALAR, Dialect, Path, read_object

Places = npt.NDArray[np.int32]

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^ \t{}\[\],:"]+', re.DOTALL)
_SCALARS_TEXT = rf"\[[ \t]*(?:{SCALAR}[ \t]*(?:,[ \t]*{SCALAR}[ \t]*)*)?\]"
_SCALARS = re.compile(_SCALARS_TEXT.encode())
MOST_QUOTES = 1000
"""Lines with more are read by their tokens."""
_NOTHING = (b"null", b"-", b"")
_KIND_OF_BYTE = np.full(256, 2, np.uint8)
_KIND_OF_BYTE[list(b"0123456789")] = 0
_KIND_OF_BYTE[ord(".")] = 1


class Kind(str, Enum):
    """What fills a slot; that of all but strings is checked by the expression."""

    STRING = ""
    SCALAR = f"^{SCALAR}$"
    SCALAR_OR_NOTHING = f"^(?:{SCALAR}|-|)$"
    SCALARS = f"^{_SCALARS_TEXT}$"


@dataclass(frozen=True)
class Texts:
    """The text that lines stand in, and quotes of it.

    `quotes` are the places of all that no backslash escapes; `first` says which of them is each
    line's first, `starts` and `ends` where each line starts and ends, its newline not counted.
    """

    data: bytes
    quotes: Places
    first: Places
    starts: Places
    ends: Places

    def __len__(self) -> int:
        return len(self.first)

    def line(self, row: int) -> bytes:
        """One of the lines."""
        return self.data[self.starts[row] : self.ends[row]]

    def rows(self, rows: Rows) -> Texts:
        """Some of the lines, which ascend."""
        if len(rows) == len(self):
            return self
        return Texts(self.data, self.quotes, self.first[rows], self.starts[rows], self.ends[rows])


@dataclass(frozen=True)
class Slot:
    """Where a value stands: `lead` bytes after one quote of the line, `trail` bytes before the next.

    `quote` counts the line's quotes from 0; after the last of them the line's end is the next.
    """

    kind: Kind
    quote: int
    lead: int
    trail: int


@dataclass(frozen=True)
class Filled:
    """The lines that fill a template in, and their wanted values by its slots.

    `rows` counts the lines that were given.
    """

    rows: Rows
    values: Mapping[int, pa.Array]


@dataclass(frozen=True, eq=False)
class Template:
    """The shape of lines with `width` quotes: `fixed` are the pieces before, between and after slots.

    `values` says for each wanted path that leads somewhere which slot it leads to; or gives its text,
    where that is part of what is fixed; or None for an array or an object.
    """

    width: int
    fixed: tuple[bytes, ...]
    slots: tuple[Slot, ...]
    values: Mapping[Path, int | bytes | None]

    def fill(self, texts: Texts) -> Filled:
        """Finds the lines that fill the template in; all have its number of quotes."""
        edges = self._edges(texts)
        is_fit = self._are_long_enough(edges)
        rows = np.flatnonzero(is_fit)
        pieces = Pieces(texts.data, edges if len(rows) == len(texts) else edges[rows])
        is_same = pieces.are_fixed(b"".join(self.fixed))
        for kind, slots in self._bare.items():
            is_same &= _match(pieces.columns(slots), kind).reshape(len(slots), -1).all(axis=0)
        if not is_same.all():
            rows = rows[is_same]
            pieces = Pieces(texts.data, edges[rows])
        return Filled(rows, self._values(pieces, len(rows)))

    def _values(self, pieces: Pieces, count: int) -> dict[int, pa.Array]:
        strings, bare = self._wanted
        column = undo_escapes(pieces.columns([*strings, *bare]))
        column = _less_absent(column, len(strings) * count)
        return {slot: column.slice(at * count, count) for at, slot in enumerate([*strings, *bare])}

    def _edges(self, texts: Texts) -> Places:
        """Where each line's pieces start and end, a row a line: its start, slots and end."""
        quotes, shifts = self._layout
        edges = np.empty((len(texts), len(quotes) + 2), np.int32)
        np.take(texts.quotes, texts.first[:, None] + quotes, out=edges[:, 1:-1], mode="clip")
        edges[:, 1:-1] += shifts
        edges[:, 0], edges[:, -1] = texts.starts, texts.ends
        if self.slots and self.slots[-1].quote + 1 == self.width:
            edges[:, -2] = texts.ends - self.slots[-1].trail
        return edges

    def _are_long_enough(self, edges: Places) -> Mask:
        """Which lines have fixed pieces of the right lengths, and no value that ends before it starts."""
        lengths = edges[:, 1::2] - edges[:, ::2]
        is_fit: Mask = (lengths == np.array([len(piece) for piece in self.fixed])).all(axis=1)
        for place in itertools.chain(*self._bare.values()):
            is_fit &= edges[:, 2 * place + 2] >= edges[:, 2 * place + 1]
        return is_fit

    @cached_property
    def _bare(self) -> Mapping[Kind, Sequence[int]]:
        """The slots of all but strings."""
        by_kind: dict[Kind, list[int]] = {}
        for at, slot in enumerate(self.slots):
            if slot.kind is not Kind.STRING:
                by_kind.setdefault(slot.kind, []).append(at)
        return by_kind

    @cached_property
    def _wanted(self) -> tuple[Sequence[int], Sequence[int]]:
        """The slots whose values are wanted: those of strings, and of single values without quotes."""
        slots = sorted({value for value in self.values.values() if isinstance(value, int)})
        kinds = {slot: self.slots[slot].kind for slot in slots}
        strings = [slot for slot in slots if kinds[slot] is Kind.STRING]
        others = [slot for slot in slots if kinds[slot] not in (Kind.STRING, Kind.SCALARS)]
        return strings, others

    @cached_property
    def _layout(self) -> tuple[Places, Places]:
        """For the start and the end of each slot the quote it is reckoned from, and how far it is."""
        last = self.width - 1
        quotes = [(slot.quote, min(slot.quote + 1, last)) for slot in self.slots]
        shifts = [(1 + slot.lead, -slot.trail) for slot in self.slots]
        flat = [np.array(each, np.int32).reshape(-1) for each in (quotes, shifts)]
        return flat[0], flat[1]


def learn(line: bytes, dialect: Dialect, wanted: frozenset[Path]) -> Template | None:
    """The template that a line fills in; None if it is no object, or holds no quotes or very many."""
    if not 0 < line.count(b'"') <= MOST_QUOTES or read_object(line, dialect) is None:
        return None
    walk = _Walk(line, dialect, wanted)
    walk.read()
    in_gap = Counter(value.quote for value in walk.found if value.kind is not Kind.STRING)
    edges = [0]
    slots: list[Slot] = []
    texts: dict[_Found | None, int | bytes | None] = {None: None}
    for value in walk.found:
        if value.kind is Kind.STRING or in_gap[value.quote] == 1:
            texts[value] = len(slots)
            slots.append(value.slot(walk.quotes, len(line)))
            edges += [value.start, value.end]
        else:
            texts[value] = value.text(line)
    edges.append(len(line))
    pieces = tuple(line[edges[place] : edges[place + 1]] for place in range(0, len(edges), 2))
    values = {path: texts[value] for path, value in walk.values.items() if path in wanted}
    return Template(len(walk.quotes), pieces, tuple(slots), values)


@dataclass(frozen=True)
class _Found:
    """A value in the line that is learnt from; `quote` counts the quotes up to it, from 0."""

    kind: Kind
    quote: int
    start: int
    end: int

    def slot(self, quotes: Sequence[int], line_bytes: int) -> Slot:
        after = [*quotes[self.quote + 1 : self.quote + 2], line_bytes][0]
        return Slot(self.kind, self.quote, self.start - quotes[self.quote] - 1, after - self.end)

    def text(self, line: bytes) -> bytes | None:
        is_nothing = self.kind is Kind.SCALARS or line[self.start : self.end] in _NOTHING
        return None if is_nothing else line[self.start : self.end]


class _Walk:
    """Goes through a line that is an object, token by token; `read` fills in what is found.

    `values` has the place of each value by its path, None for arrays and objects.
    """

    def __init__(self, line: bytes, dialect: Dialect, wanted: frozenset[Path]) -> None:
        self.quotes: list[int] = []
        self.found: list[_Found] = []
        self.values: dict[Path, _Found | None] = {}
        self._line, self._dialect, self._wanted = line, dialect, wanted
        self._path: list[str | int] = []
        """For each object and array around: the key or the place in it."""

    def read(self) -> None:
        """Reads the whole line."""
        at, before = 0, b""
        while token := self._token(at):
            text, at = token[0], token.end()
            mark = text[:1]
            if mark == b'"':
                self.quotes += [token.start(), at - 1]
                if before in (b"{", b",") and isinstance(self._path[-1], str):
                    self._enter(text)
                else:
                    self._add(Kind.STRING, token.start() + 1, at - 1)
            elif mark in b"{[" and len(text) == 1:
                self.values[tuple(self._path)] = None
                self._path.append("" if mark == b"{" else 0)
            elif mark in b",]}":
                if before == b":":
                    self._add(Kind.SCALAR_OR_NOTHING, token.start(), token.start())
                self._leave(mark)
            elif mark == b"[":
                self._add(Kind.SCALARS, token.start(), at)
            elif mark != b":":
                may_lack = self._dialect.nginx and isinstance(self._path[-1], str)
                kind = Kind.SCALAR_OR_NOTHING if may_lack else Kind.SCALAR
                self._add(kind, token.start(), at)
            before = mark

    def _token(self, at: int) -> re.Match[bytes] | None:
        token = _TOKEN.search(self._line, at)
        if token and token[0] == b"[":
            path = tuple(self._path)
            if not any(way[: len(path)] == path and way != path for way in self._wanted):
                return _SCALARS.match(self._line, token.start()) or token
        return token

    def _enter(self, key: bytes) -> None:
        self._path[-1] = next(iter(read_object(b"{%s:0}" % key, self._dialect) or {}))
        path = tuple(self._path)
        if path in self.values:  # of two values for a key the last counts
            for other in [way for way in self.values if way[: len(path)] == path]:
                del self.values[other]

    def _leave(self, mark: bytes) -> None:
        if mark != b",":
            self._path.pop()
        elif isinstance(self._path[-1], int):
            self._path[-1] += 1

    def _add(self, kind: Kind, start: int, end: int) -> None:
        quote = len(self.quotes) - (2 if kind is Kind.STRING else 1)
        self.found.append(_Found(kind, quote, start, end))
        self.values[tuple(self._path)] = self.found[-1]


class Pieces:
    """Lines cut at their edges: fixed pieces and values by turns, as an Arrow array over the text."""

    def __init__(self, data: bytes, edges: Places) -> None:
        count, self._width = edges.shape
        buffers = [None, pa.py_buffer(np.ascontiguousarray(edges)), pa.py_buffer(data)]
        self._array = pa.Array.from_buffers(pa.binary(), max(edges.size - 1, 0), buffers)
        self._first = np.arange(0, count * self._width, self._width)

    def are_fixed(self, text: bytes) -> Mask:
        """Of which lines the fixed pieces, all of the right length, are together a text."""
        each = (self._first[:, None] + np.arange(0, self._width, 2)).ravel()
        taken = self._array.take(pa.array(each)).buffers()[2]
        found = np.frombuffer(taken or b"", np.uint8)[: len(text) * len(self._first)]
        wanted = np.frombuffer(text, np.uint8)
        is_same: Mask = (found.reshape(-1, len(text)) == wanted).all(axis=1)
        return is_same

    def columns(self, slots: Sequence[int]) -> pa.Array:
        """The values of all lines at one slot, then those at the next, and so on."""
        each = (2 * np.array(slots, np.int64) + 1)[:, None] + self._first
        return self._array.take(pa.array(each.ravel()))


def _match(column: pa.Array, kind: Kind) -> Mask:
    """Which values may fill slots of a kind."""
    offsets, data = offsets_and_bytes(column)
    if kind is Kind.SCALARS:
        is_fit = np.zeros(len(column), np.bool_)
    else:
        is_fit = _are_plain_numbers(offsets, data)
        for word in (b"true", b"false", b"null"):
            is_fit[_holding(word, np.flatnonzero(~is_fit), offsets, data)] = True
    if not is_fit.all():
        others = np.flatnonzero(~is_fit)
        coded = encode(column.take(pa.array(others)))
        hit = pc.match_substring_regex(coded.values, kind.value).to_numpy(zero_copy_only=False)
        is_fit[others] = coded.look_up(hit, False)
    return is_fit


def _are_plain_numbers(offsets: Rows, data: Bytes) -> Mask:
    """Which values are numbers such as 0, 200 or 0.123: without sign or exponent."""
    lengths = np.diff(offsets)
    if not lengths.all():
        return np.zeros(len(lengths), np.bool_)
    first, last = offsets[:-1], offsets[1:] - 1
    kinds = _KIND_OF_BYTE[data]
    total = np.add.reduceat(kinds, first, dtype=np.int32)  # digits count 0, a dot 1, others 2
    second = data[np.minimum(first + 1, last)]
    has_lead = (data[first] == ord("0")) & (lengths > 1) & (second != ord("."))
    is_plain: Mask = (total <= 1) & ~has_lead & (kinds[first] == 0) & (kinds[last] == 0)
    return is_plain


def _holding(word: bytes, rows: Rows, offsets: Rows, data: Bytes) -> Rows:
    """Those of the values that are a word."""
    at = offsets[rows]
    rows = rows[offsets[rows + 1] - at == len(word)]
    for place, byte in enumerate(word):
        rows = rows[data[offsets[rows] + place] == byte]
    return rows


def _less_absent(column: pa.Array, strings: int) -> pa.Array:
    """The values with words for nothing masked; the first so many of them are strings.

    Nothing is copied, unlike by `none_where_absent`.
    """
    offsets, data = offsets_and_bytes(column)
    lengths = np.diff(offsets)
    is_absent = lengths == 0
    is_absent[_holding(b"-", np.flatnonzero(lengths == 1), offsets, data)] = True
    is_absent[_holding(b"null", np.arange(strings, len(lengths)), offsets, data)] = True
    if not is_absent.any():
        return column
    is_valid = pa.py_buffer(np.packbits(~is_absent, bitorder="little"))
    return pa.Array.from_buffers(column.type, len(column), [is_valid, *column.buffers()[1:]])
