"""JSON lines as a template filled in: many lines read at once that differ in their values alone.

A writer of logs gives its objects the same keys in the same order. So a template is learnt from one
line: the pieces of text between its values are fixed. Another line fills it in if all its pieces
between values are the same, each string ends at the next quote that is not escaped, and what stands
in the place of a number is one. Then it is an object of the same shape, and its values are cut out
by their places alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Mask, Rows, encode
from pipeline.formats.json_object import SCALAR, Dialect, Path, read_object

Places = npt.NDArray[np.int32]

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^ \t{}\[\],:"]+', re.DOTALL)
_SCALARS_TEXT = rf"\[[ \t]*(?:{SCALAR}[ \t]*(?:,[ \t]*{SCALAR}[ \t]*)*)?\]"
_SCALARS = re.compile(_SCALARS_TEXT.encode())
_MOST_QUOTES = 1000
NOTHING = (b"null", b"-", b"")


class Kind(str, Enum):
    """What fills a slot; that of all but strings is checked by the expression."""

    STRING = ""
    SCALAR = f"^{SCALAR}$"
    SCALAR_OR_NOTHING = f"^(?:{SCALAR}|-|)$"
    SCALARS = f"^{_SCALARS_TEXT}$"


@dataclass(frozen=True)
class Texts:
    """The text that lines stand in, and its quotes.

    `quotes` are the places of all that no backslash escapes; `first` says which of them is each
    line's first, `starts` and `ends` where each line starts and ends, its newline not counted.
    """

    data: bytes
    quotes: Places
    first: Places
    starts: Places
    ends: Places

    def rows(self, rows: Rows) -> Texts:
        """Some of the lines."""
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
    """The lines that fill a template in, and their values by its slots.

    `rows` counts the lines that were given.
    """

    rows: Rows
    column: Callable[[int], pa.Array]


@dataclass(frozen=True)
class Template:
    """The shape of lines with `width` quotes: `fixed` are the pieces before, between and after slots.

    `values` says for each path that leads somewhere which slot it leads to; or gives its text, where
    that is part of what is fixed; or None for an array or an object.
    """

    width: int
    fixed: tuple[bytes, ...]
    slots: tuple[Slot, ...]
    values: Mapping[Path, int | bytes | None]

    def fill(self, texts: Texts) -> Filled:
        """Finds the lines that fill the template in; all have its number of quotes."""
        edges = self._edges(texts)
        is_fit = (edges[1:] >= edges[:-1]).all(axis=0)
        for place, piece in enumerate(self.fixed):
            is_fit &= edges[2 * place + 1] - edges[2 * place] == len(piece)
        rows = np.flatnonzero(is_fit)
        pieces = Pieces.of(texts.data, edges if is_fit.all() else edges[:, rows])
        is_same = pieces.are_fixed(b"".join(self.fixed))
        for place, slot in enumerate(self.slots):
            if slot.kind is not Kind.STRING:
                is_same &= _matches(pieces.column(place), slot.kind.value)
        if not is_same.all():
            rows = rows[is_same]
            pieces = Pieces.of(texts.data, edges[:, rows])
        return Filled(rows, pieces.column)

    def _edges(self, texts: Texts) -> Places:
        """Where each line's pieces start and end, by place in the line: its start, slots and end."""
        edges = np.empty((2 * len(self.slots) + 2, len(texts.first)), np.int32)
        edges[0], edges[-1] = texts.starts, texts.ends
        for place, slot in enumerate(self.slots):
            is_last = slot.quote + 1 == self.width
            after = texts.ends if is_last else texts.quotes[texts.first + (slot.quote + 1)]
            edges[2 * place + 1] = texts.quotes[texts.first + slot.quote] + (1 + slot.lead)
            edges[2 * place + 2] = after - slot.trail
        return edges


def learn(line: bytes, dialect: Dialect, wanted: frozenset[Path]) -> Template | None:
    """The template that a line fills in; None if it is no object, or holds no quotes or very many."""
    if not 0 < line.count(b'"') <= _MOST_QUOTES or read_object(line, dialect) is None:
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
    values = {path: texts[value] for path, value in walk.values.items()}
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
        is_nothing = self.kind is Kind.SCALARS or line[self.start : self.end] in NOTHING
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

    def __init__(self, array: pa.BinaryArray, count: int, width: int) -> None:
        self._array, self._width = array, width
        self._first = np.arange(count) * width
        self.column = cache(self._column)

    @classmethod
    def of(cls, data: bytes, edges: Places) -> Pieces:
        """The pieces between edges that ascend along each line."""
        width, count = edges.shape
        offsets = np.ascontiguousarray(edges.T)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        array = pa.Array.from_buffers(pa.binary(), max(offsets.size - 1, 0), buffers)
        return cls(array, count, width)

    def are_fixed(self, text: bytes) -> Mask:
        """Of which lines the fixed pieces, all of the right length, are together a text."""
        each = (self._first[:, None] + np.arange(0, self._width, 2)).ravel()
        taken = self._array.take(pa.array(each)).buffers()[2]
        found = np.frombuffer(taken or b"", np.uint8)[: len(text) * len(self._first)]
        wanted = np.frombuffer(text, np.uint8)
        is_same: Mask = (found.reshape(-1, len(text)) == wanted).all(axis=1)
        return is_same

    def _column(self, slot: int) -> pa.Array:
        """The value of each line at one slot."""
        return self._array.take(pa.array(self._first + (2 * slot + 1)))


def _matches(column: pa.Array, shape: str) -> Mask:
    coded = encode(column)
    hit = pc.match_substring_regex(coded.values, shape).to_numpy(zero_copy_only=False)
    return coded.look_up(hit, False).astype(np.bool_)
