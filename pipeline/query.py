"""Query strings to parameters, columnar: all distinct query strings of a block at once.

The rules (the URL Standard's form decoding, with the doubts settled):
`&` alone separates; empty pieces are skipped; the first `=` parts name from value, without one the
value is blank; `+` is a space; `%XX` is decoded once, a `%` without two hex digits stands for
itself. A query string of over 200 parameters is refused whole. A NUL, bytes that are not UTF-8
(overlong forms included), and a name that stood there before are flaws of a parameter; whether a
flaw is a fault of the whole query string is for those to say who know what is signed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Mask, holding, offsets_and_bytes, replace_where
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

    `row` says whose it is; entries are sorted by it, then by name (UTF-16 order), then as they
    stand. `place` rises along the query string as it was sent. `flaw` holds a `Reason` (0: none)
    for each entry, `fault` one for each query string; those with a fault have no entries. In an
    entry that has a NUL or is not UTF-8, U+FFFD stands in its place.
    """

    count: int
    row: Int64s
    place: Int64s
    name: pa.StringArray
    value: pa.StringArray
    flaw: Faults
    fault: Faults

    def get(self, name: str) -> pa.StringArray:
        """One parameter of every query string, the first of its name; null where it is missing."""
        at = np.full(self.count, -1, np.int64)
        hits = np.flatnonzero(pc.equal(self.name, name).to_numpy(zero_copy_only=False))[::-1]
        at[self.row[hits]] = hits
        return self.value.take(pa.array(at, mask=at < 0))

    def where(self, keep: Mask) -> Parameters:
        """The same query strings with some of their entries."""
        if keep.all():
            return self
        kept = pa.array(keep)
        name, value = self.name.filter(kept), self.value.filter(kept)
        return Parameters(
            self.count, self.row[keep], self.place[keep], name, value, self.flaw[keep], self.fault
        )

    def refusing(self, entries: Mask) -> Parameters:
        """The same, where the least flaw of some entries is a fault of their query strings."""
        flawed = np.flatnonzero((self.flaw != 0) & entries)
        if not len(flawed):
            return self
        worst = np.full(self.count, np.iinfo(np.int8).max, np.int8)
        np.minimum.at(worst, self.row[flawed], self.flaw[flawed])
        is_worse = (self.fault == 0) & (worst < np.iinfo(np.int8).max)
        refused = replace(self, fault=np.where(is_worse, worst, self.fault))
        return refused.where(refused.fault[self.row] == 0)

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
        return self.where(~pc.is_in(self.name, pa.array(names)).to_numpy(zero_copy_only=False))

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
    """Decodes query strings (binary, no nulls) into their parameters; every flaw is a fault."""
    parameters = parse_leniently(queries)
    return parameters.refusing(np.ones(len(parameters.row), np.bool_))


def parse_leniently(queries: pa.BinaryArray) -> Parameters:
    """The same, with flaws noted beside the parameters that have them."""
    count = len(queries)
    offsets, data = offsets_and_bytes(queries)
    pieces = _cut(data, offsets)
    is_crowded = np.bincount(pieces.row, minlength=count) > MOST_PARAMETERS
    pairs, flaw = _as_text(_decode(data, pieces))
    kept = np.flatnonzero(~is_crowded[pieces.row])
    name, value = (pairs.take(pa.array(2 * kept + half)) for half in (0, 1))
    row, rank = pieces.row[kept], _ranks(name)
    order = np.lexsort((rank, row))
    row, rank, flaw = row[order], rank[order], flaw[kept][order]
    is_again = np.append(False, (row[1:] == row[:-1]) & (rank[1:] == rank[:-1]))[: len(row)]
    flaw[is_again & (flaw == 0)] = Reason.DUPLICATE_PARAMETER
    taken = pa.array(order)
    fault = np.where(is_crowded, np.int8(Reason.TOO_MANY_PARAMETERS), np.int8(0))
    return Parameters(count, row, kept[order], name.take(taken), value.take(taken), flaw, fault)


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


def _as_text(pairs: pa.BinaryArray) -> tuple[pa.StringArray, Faults]:
    """The names and values as text, and each pair's flaw."""
    flaw = np.zeros(len(pairs) // 2, np.int8)
    has_nul, not_utf8 = holding(pairs, lambda data: data == 0), _not_utf8(pairs)
    flaw[not_utf8 // 2] = Reason.NOT_UTF8
    flaw[np.flatnonzero(has_nul) // 2] = Reason.NUL_BYTE
    if flaw.any():
        has_nul[not_utf8] = True
        pairs = replace_where(pairs, has_nul, _replaced)
    return pairs.cast(pa.string()), flaw


def _replaced(text: bytes) -> bytes:
    return text.decode("utf-8", "replace").replace("\0", "\ufffd").encode()


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
