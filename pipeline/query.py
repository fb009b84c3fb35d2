"""Query strings to parameters, columnar: all distinct query strings of a block at once.

The rules (the URL Standard's form decoding, with the doubts settled):
`&` alone separates; empty pieces are skipped; the first `=` parts name from value, without one the
value is blank; `+` is a space; `%XX` is decoded once, a `%` without two hex digits stands for
itself. A query string is refused whole when it has over 200 parameters, a NUL, bytes that are not
UTF-8 (overlong forms included), or one name twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import holding, offsets_and_bytes, replace_where
from pipeline.model import Reason

MOST_PARAMETERS = 200

Int64s = npt.NDArray[np.int64]
Faults = npt.NDArray[np.int8]

_HEX = np.full(256, -1, np.int16)
_HEX[np.frombuffer(b"0123456789", np.uint8)] = np.arange(10)
_HEX[np.frombuffer(b"abcdef", np.uint8)] = np.arange(10, 16)
_HEX[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16)


@dataclass(frozen=True)
class Parameters:
    """The decoded parameters of `count` query strings, one entry a parameter.

    `row` says whose it is; entries are sorted by it and then by name (UTF-16 order). `place` rises
    along the query string as it was sent. `fault` holds a `Reason` (0: none) for each query string;
    those with one have no entries.
    """

    count: int
    row: Int64s
    place: Int64s
    name: pa.StringArray
    value: pa.StringArray
    fault: Faults

    def get(self, name: str) -> pa.StringArray:
        """One parameter of every query string, null where it is missing."""
        at = np.full(self.count, -1, np.int64)
        hits = np.flatnonzero(pc.equal(self.name, name).to_numpy(zero_copy_only=False))
        at[self.row[hits]] = hits
        return self.value.take(pa.array(at, mask=at < 0))

    def is_last(self, name: str) -> npt.NDArray[np.bool_]:
        """Which query strings end in the parameter."""
        last = np.full(self.count, -1, np.int64)
        np.maximum.at(last, self.row, self.place)
        is_name = pc.equal(self.name, name).to_numpy(zero_copy_only=False)
        is_end = np.zeros(self.count, np.bool_)
        is_end[self.row[is_name & (self.place == last[self.row])]] = True
        return is_end

    def without(self, names: Sequence[str]) -> Parameters:
        """The same query strings less some parameters."""
        keep = ~pc.is_in(self.name, pa.array(names)).to_numpy(zero_copy_only=False)
        name, value = self.name.filter(pa.array(keep)), self.value.filter(pa.array(keep))
        return Parameters(self.count, self.row[keep], self.place[keep], name, value, self.fault)

    def as_json(self, pair: tuple[str, str, str], whole: tuple[str, str]) -> pa.StringArray:
        """One JSON text for each query string, as JavaScript's `JSON.stringify` writes it.

        `pair` is what stands before, between and after a name and its value, `whole` around all.
        """
        before, between, after = pair
        pairs = pc.binary_join_element_wise(
            before, _json_text(self.name), between, _json_text(self.value), after, ""
        )
        offsets = np.searchsorted(self.row, np.arange(self.count + 1)).astype(np.int32)
        lists = pa.ListArray.from_arrays(pa.array(offsets), pairs)
        return pc.binary_join_element_wise(whole[0], pc.binary_join(lists, ","), whole[1], "")

    def as_object(self) -> pa.StringArray:
        """One JSON object for each query string; null where it has no parameters."""
        if not len(self.row):
            return pa.nulls(self.count, pa.string())
        texts = self.as_json(('"', '":"', '"'), ("{", "}"))
        return pc.if_else(pc.equal(texts, "{}"), pa.scalar(None, pa.string()), texts)


def _json_text(texts: pa.StringArray) -> pa.StringArray:
    """What stands between the quotes of a JSON string; past ASCII nothing is escaped."""
    special = holding(texts, lambda data: (data < 32) | (data == ord('"')) | (data == ord("\\")))
    return replace_where(texts, special, lambda text: json.dumps(text, ensure_ascii=False)[1:-1])


@dataclass(frozen=True)
class _Pieces:
    """What stands between the separators: `[start, split)` is a name, `(split, stop)` its value."""

    row: Int64s
    start: Int64s
    split: Int64s
    stop: Int64s


def parse_queries(queries: pa.BinaryArray) -> Parameters:
    """Decodes query strings (binary, no nulls) into their parameters."""
    count = len(queries)
    offsets, data = offsets_and_bytes(queries)
    pieces = _cut(data, offsets)
    fault = np.zeros(count, np.int8)
    crowded = np.bincount(pieces.row, minlength=count) > MOST_PARAMETERS
    fault[crowded] = Reason.TOO_MANY_PARAMETERS
    pairs = _decode(data, pieces)
    for pair, reason in (
        (_holding_nul(pairs), Reason.NUL_BYTE),
        (_not_utf8(pairs), Reason.NOT_UTF8),
    ):
        blamed = pieces.row[pair // 2]
        fault[blamed] = np.where(fault[blamed] == 0, reason, fault[blamed])

    sound = np.flatnonzero(fault[pieces.row] == 0)
    name, value = (pairs.take(pa.array(2 * sound + half)).cast(pa.string()) for half in (0, 1))
    row, rank = pieces.row[sound], _ranks(name)
    order = np.lexsort((rank, row))
    row, rank = row[order], rank[order]
    is_twice = (row[1:] == row[:-1]) & (rank[1:] == rank[:-1])
    fault[row[1:][is_twice]] = Reason.DUPLICATE_PARAMETER
    keep = fault[row] == 0
    order = order[keep]
    taken = pa.array(order)
    return Parameters(count, row[keep], sound[order], name.take(taken), value.take(taken), fault)


def _cut(data: npt.NDArray[np.uint8], offsets: Int64s) -> _Pieces:
    """Finds the pieces between separators; empty ones are left out."""
    ampersand = np.flatnonzero(data == ord("&"))
    start = np.sort(np.concatenate((offsets[:-1], ampersand + 1)))
    stop = np.sort(np.concatenate((offsets[1:], ampersand)))
    is_piece = start < stop
    start, stop = start[is_piece], stop[is_piece]
    equals = np.append(np.flatnonzero(data == ord("=")), len(data))
    split = np.minimum(equals[np.searchsorted(equals, start)], stop) if len(start) else start
    return _Pieces(np.searchsorted(offsets[1:], start, side="right"), start, split, stop)


def _decode(data: npt.NDArray[np.uint8], pieces: _Pieces) -> pa.BinaryArray:
    """The decoded names and values in turn: name, value, name, value, and so on."""
    keep = np.ones(len(data), np.bool_)
    keep[data == ord("&")] = False
    keep[pieces.split[pieces.split < pieces.stop]] = False
    decoded = np.where(data == ord("+"), np.uint8(ord(" ")), data)
    percent = np.flatnonzero(data == ord("%"))
    stop = pieces.stop[np.searchsorted(pieces.start, percent, side="right") - 1]
    percent = percent[percent + 2 < stop]
    high, low = _HEX[data[percent + 1]], _HEX[data[percent + 2]]
    is_escape = (high >= 0) & (low >= 0)
    percent = percent[is_escape]
    decoded[percent] = (high * 16 + low)[is_escape]
    keep[percent + 1] = keep[percent + 2] = False
    ends = np.stack([pieces.split, pieces.stop], axis=1).ravel()
    ends -= np.searchsorted(np.flatnonzero(~keep), ends)
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(decoded[keep])]
    return pa.Array.from_buffers(pa.binary(), len(ends), buffers)


def _holding_nul(pairs: pa.BinaryArray) -> Int64s:
    return np.flatnonzero(holding(pairs, lambda data: data == 0))


def _not_utf8(pairs: pa.BinaryArray) -> Int64s:
    """Which strings are not UTF-8; only those past ASCII are looked at one by one."""
    try:
        pairs.cast(pa.string())
    except pa.ArrowInvalid:
        return np.array([at for at, text in enumerate(pairs.to_pylist()) if not _is_utf8(text)])
    return np.empty(0, np.int64)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _ranks(names: pa.StringArray) -> Int64s:
    """Each name's place among all distinct names in UTF-16 code-unit order, as JavaScript sorts."""
    coded = names.dictionary_encode()
    distinct = coded.dictionary.to_pylist()
    order = sorted(range(len(distinct)), key=lambda at: distinct[at].encode("utf-16-be"))
    rank = np.empty(len(distinct), np.int64)
    rank[order] = np.arange(len(distinct))
    return rank[coded.indices.to_numpy(zero_copy_only=False)]
