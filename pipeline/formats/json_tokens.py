"""JSON lines of any shape, many read at once: for writers that keep no order of their keys.

All lines are cut into tokens: marks outside strings, strings, and what stands between. A line is an
object if each token may follow the one before it, and each bracket closes one of its kind. Which
array or object a token stands in is found by sorting: among the tokens of one depth, in the order
of their places, those of one container stand together, its opening bracket first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Mask, Rows, encode, none_where_absent
from pipeline.formats.json_escapes import undo_escapes
from pipeline.formats.json_object import MOST_NESTED, SCALAR, Dialect, Path, read_object

Kinds = npt.NDArray[np.int8]
Places = npt.NDArray[np.int32]

_END, _OBJECT, _ARRAY, _OBJECT_END, _ARRAY_END, _COLON, _COMMA, _STRING, _KEY, _BARE = range(10)
_VALUES = (_STRING, _BARE, _OBJECT, _ARRAY)
_KIND = np.full(256, -1, np.int8)
_KIND[list(b'\n{[}]:,"')] = (
    _END, _OBJECT, _ARRAY, _OBJECT_END, _ARRAY_END, _COLON, _COMMA, _STRING,
)  # fmt: skip
_MARKS = b"\n{[}]:,"
_BARE_VALUE = f"^ ?{SCALAR} ?$"


def _may_follow() -> npt.NDArray[np.bool_]:
    """By the kind of a token, whether it stands in an array, and the kind of the next, in a row."""
    table = np.zeros((10, 2, 10), np.bool_)
    after = {
        _END: (_OBJECT,),
        _OBJECT: (_KEY, _OBJECT_END),
        _ARRAY: (*_VALUES, _ARRAY_END),
        _COLON: _VALUES,
        _KEY: (_COLON,),
        _STRING: (_COMMA, _OBJECT_END, _ARRAY_END),
        _BARE: (_COMMA, _OBJECT_END, _ARRAY_END),
        _OBJECT_END: (_COMMA, _OBJECT_END, _ARRAY_END, _END),
        _ARRAY_END: (_COMMA, _OBJECT_END, _ARRAY_END),
    }
    for kind, nexts in after.items():
        table[kind, :, list(nexts)] = True
    table[_COMMA, 0, _KEY] = True
    table[_COMMA, 1, list(_VALUES)] = True
    return table.ravel()


_MAY_FOLLOW = _may_follow()


@dataclass(frozen=True)
class Tokens:
    """The tokens of whole lines, in their order; the newline that ends a line is its last.

    `start` and `end` are their places in the text, a string's without its quotes; `line` is the
    number of the line, `owner` the number of the token that opens the container around, for an
    opening bracket itself.
    """

    data: bytes
    kind: Kinds
    start: Places
    end: Places
    line: Places
    owner: Places

    def texts(self, tokens: Rows) -> pa.BinaryArray:
        """The text of some tokens, which ascend."""
        return _spans(self.data, self.start[tokens], self.end[tokens])

    def are_objects(self, depth: Places) -> Mask:
        """Which lines follow the grammar, and nest no deeper than is read."""
        is_array = self.kind[self.owner] == _ARRAY
        before = np.append(np.uint8(_END), self.kind[:-1].astype(np.uint8))
        was_array = np.append(False, is_array[:-1])
        pair = before * np.uint8(20) + was_array * np.uint8(10) + self.kind.astype(np.uint8)
        is_right = _MAY_FOLLOW[pair]
        is_right &= (self.kind != _OBJECT_END) | ~is_array
        is_right &= (self.kind != _ARRAY_END) | is_array
        is_end = self.kind == _END
        is_right &= np.where(is_end, depth == 0, (depth >= 1) & (depth <= MOST_NESTED))
        are_objects = np.ones(int(is_end.sum()), np.bool_)
        are_objects[self.line[~is_right]] = False
        return are_objects


def cut(data: bytes, quotes: Places) -> tuple[Tokens, Mask]:
    """Lines as tokens, and which of them are objects; of the others some may be so all the same.

    Each line holds an even number of quotes that no backslash escapes, at the places `quotes`.
    """
    data, quotes = b"\n" + data, quotes + 1
    text = np.frombuffer(data, np.uint8)
    is_mark = np.zeros(len(data), np.bool_)
    for mark in _MARKS:
        is_mark |= text == mark
    is_mark[quotes] = True
    marks = np.flatnonzero(is_mark).astype(np.int32)
    kind = _KIND[text[marks]]
    is_quote = kind == _STRING
    is_inside = np.cumsum(is_quote, dtype=np.uint8) % 2 == 1  # up to the closing quote
    closing = marks[is_quote & ~is_inside]
    is_token = is_quote == is_inside
    start, kind = marks[is_token], kind[is_token]
    end = start + np.int32(1)
    end[kind == _STRING] = closing + 1
    at, is_wrong, (bare_start, bare_end) = _between(data, end, start)
    is_new = np.zeros(len(kind) + len(at), np.bool_)
    is_new[at + np.arange(len(at))] = True
    kind = _woven(is_new, kind, np.int8(_BARE))
    start, end = _woven(is_new, start, bare_start), _woven(is_new, end, bare_end)
    is_string = kind == _STRING
    start[is_string] += 1
    end[is_string] -= 1
    kind[:-1][is_string[:-1] & (kind[1:] == _COLON)] = _KEY
    is_end = kind == _END
    line = np.cumsum(is_end, dtype=np.int32) - is_end
    depth = _depths(kind, line)
    tokens = Tokens(data, kind, start, end, line, _owners(kind, depth))
    wrong_at = np.searchsorted(end, is_wrong, side="right")
    is_sound = tokens.are_objects(depth)
    is_sound[line[wrong_at]] = False
    return tokens, is_sound


def _woven(is_new: Mask, old: npt.NDArray[Any], new: Any) -> npt.NDArray[Any]:
    """Two sequences as one, less its first: the new where the mask holds, the old between."""
    woven = np.empty(len(is_new), old.dtype)
    woven[~is_new] = old
    woven[is_new] = new
    return woven[1:]


def _between(data: bytes, end: Places, start: Places) -> tuple[Rows, Places, tuple[Places, Places]]:
    """What stands between tokens: the bare values, as numbers of the tokens after them and places.

    Besides, the places of what is neither a bare value nor blank, or has blanks around it in plenty.
    """
    gaps = np.flatnonzero(start[1:] > end[:-1])
    gap_start, gap_end = end[gaps], start[gaps + 1]
    coded = encode(_spans(data, gap_start, gap_end))
    found = [
        coded.look_up(
            pc.match_substring_regex(coded.values, shape).to_numpy(zero_copy_only=False), False
        ).astype(np.bool_)
        for shape in (_BARE_VALUE, r"^[ \t]+$")
    ]
    is_bare, is_blank = found
    text = np.frombuffer(data, np.uint8)
    gap_start, is_wrong_at = gap_start[is_bare], gap_start[~is_bare & ~is_blank]
    gap_end = gap_end[is_bare]
    places = gap_start + (text[gap_start] == ord(" ")), gap_end - (text[gap_end - 1] == ord(" "))
    return gaps[is_bare] + 1, is_wrong_at, places


def _spans(data: bytes, start: Places, end: Places) -> pa.BinaryArray:
    """What stands between places that ascend."""
    edges = np.ascontiguousarray(np.column_stack((start, end)), np.int32)
    buffers = [None, pa.py_buffer(edges), pa.py_buffer(data)]
    pieces = pa.Array.from_buffers(pa.binary(), max(edges.size - 1, 0), buffers)
    return pieces.take(pa.array(2 * np.arange(len(start))))


def _depths(kind: Kinds, line: Places) -> Places:
    """How many containers are open where a token stands, a bracket counted into its own."""
    is_open = (kind == _OBJECT) | (kind == _ARRAY)
    is_close = (kind == _OBJECT_END) | (kind == _ARRAY_END)
    depth = np.cumsum(is_open.astype(np.int32) - is_close, dtype=np.int32)
    at_ends = np.append(np.int32(0), depth[kind == _END])
    return depth - at_ends[line] + is_close


def _owners(kind: Kinds, depth: Places) -> Places:
    """For each token the one that opens the container around it."""
    levels = np.clip(depth, 0, MOST_NESTED + 1).astype(np.int8)
    each = [np.flatnonzero(levels == level) for level in range(levels.max() + 1)]
    order = np.concatenate(each).astype(np.int32)
    is_open = (kind == _OBJECT) | (kind == _ARRAY)
    latest = np.maximum.accumulate(
        np.where(is_open[order], np.arange(len(order), dtype=np.int32), 0)
    )
    owner = np.empty(len(kind), np.int32)
    owner[order] = order[latest]
    return owner


class Reader:
    """Finds values in tokens by their paths."""

    def __init__(
        self, tokens: Tokens, rows: Rows, wanted: Iterable[Path], dialect: Dialect
    ) -> None:
        self._tokens, self._rows = tokens, rows
        self._dialect = dialect
        steps = {step for path in wanted for step in path if isinstance(step, str)}
        keys = np.flatnonzero(tokens.kind == _KEY)
        coded = encode(tokens.texts(keys))
        numbers = {step: number for number, step in enumerate(steps)}
        number = [numbers.get(self._name(key), -1) for key in coded.values.to_pylist()]
        of_key = np.array([*number, -1], np.int16)[coded.codes]
        self._keys = {step: keys[of_key == number] for step, number in numbers.items()}
        self._reached: dict[Path, Places] = {(): self._roots()}

    def column(self, path: Path) -> tuple[Mask, pa.Array]:
        """For each row whether the path leads anywhere, and the value there."""
        tokens, at = self._tokens, self._reach(path)[self._rows]
        is_null = tokens.kind[at] == _BARE
        is_null &= np.frombuffer(tokens.data, np.uint8)[tokens.start[at]] == ord("n")
        holds = (at >= 0) & ~is_null & ((tokens.kind[at] == _STRING) | (tokens.kind[at] == _BARE))
        values = none_where_absent(undo_escapes(tokens.texts(at[holds])))
        if not holds.all():
            values = values.take(pa.array(np.cumsum(holds) - 1, mask=~holds))
        return at >= 0, values

    def _name(self, key: bytes) -> str:
        if b"\\" not in key and key.isascii():
            return self._dialect.key(key.decode())
        return next(iter(read_object(b'{"%s":0}' % key, self._dialect) or [""]))

    def _roots(self) -> Places:
        ends = np.flatnonzero(self._tokens.kind == _END)
        return np.append(0, ends[:-1] + 1).astype(np.int32)

    def _reach(self, path: Path) -> Places:
        """For each line the token of the value that a path leads to, -1 where it leads nowhere."""
        if path not in self._reached:
            tokens, step, around = self._tokens, path[-1], self._reach(path[:-1])
            if isinstance(step, str):
                at = self._keys[step]
                is_right = tokens.owner[at] == around[tokens.line[at]]
                at = at[is_right & (tokens.kind[tokens.owner[at]] == _OBJECT)]
                place = 2
            else:
                at, place = self._elements(around, step), 1
            found = np.full(len(around), -1, np.int32)
            found[tokens.line[at]] = at + place
            self._reached[path] = found
        return self._reached[path]

    def _elements(self, around: Places, place: int) -> Rows:
        """The tokens before the elements at a place of arrays."""
        tokens = self._tokens
        arrays = around[around >= 0]
        arrays = arrays[tokens.kind[arrays] == _ARRAY]
        if place == 0:
            return arrays[tokens.kind[arrays + 1] != _ARRAY_END]
        commas = np.flatnonzero(tokens.kind == _COMMA)
        commas = commas[tokens.owner[commas] == around[tokens.line[commas]]]
        commas = commas[tokens.kind[tokens.owner[commas]] == _ARRAY]
        owners = tokens.owner[commas]
        rank = np.arange(len(commas)) - np.searchsorted(owners, owners)
        return commas[rank == place - 1]
