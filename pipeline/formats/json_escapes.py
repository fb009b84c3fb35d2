"""JSON's escapes, vectorised: where they are, whether they are sound, and undone.

All work on bytes that hold whole strings, such as lines, or the values of a column.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.columns import Rows, offsets_and_bytes

Bytes = npt.NDArray[np.uint8]

_BACKSLASH = ord("\\")
_SHORT = np.full(256, -1, np.int32)
_SHORT[list(b'"\\/bfnrt')] = list(b'"\\/\b\f\n\r\t')
_DIGIT = np.full(256, -1, np.int32)
_DIGIT[list(b"0123456789abcdef")] = range(16)
_DIGIT[list(b"ABCDEF")] = range(10, 16)
_MOST_BYTES = 6
_FEW = 500
"""So many escapes are quicker cut out one by one."""


def escapes(data: Bytes) -> Rows:
    """Where escapes start: the backslashes that no other backslash escapes."""
    at = np.flatnonzero(data == _BACKSLASH)
    follows = np.diff(at, prepend=-2) == 1
    if not follows.any():
        return at
    places = np.arange(len(at))
    first = np.maximum.accumulate(np.where(follows, 0, places))
    return at[(places - first) % 2 == 0]


def unsound(data: Bytes, at: Rows, *, hex_bytes: bool) -> Rows:
    """Those of the escapes that are none of JSON's, and those of surrogates, halves or pairs.

    The data are whole lines. `hex_bytes`: nginx's `\\xXX` is sound too.
    """
    code = _codes(data, at)
    is_sound = (code >= 0) & ~((code >= 0xD800) & (code < 0xE000))
    if not hex_bytes:
        is_sound &= data[at + 1] != ord("x")
    return at[~is_sound]


def undo_escapes(values: pa.Array) -> pa.Array:
    """A binary column without nulls, all of whose escapes are sound, with them undone."""
    offsets, data = offsets_and_bytes(values)
    at = escapes(data)
    if not len(at):
        return values
    code = _codes(data, at)
    kind = data[at + 1]
    is_byte = (code < 0x80) | (kind == ord("x"))
    is_two = ~is_byte & (code < 0x800)
    is_three = ~is_byte & ~is_two
    written = np.where(is_byte, 1, np.where(is_two, 2, 3))
    read = np.where(kind == ord("u"), 6, np.where(kind == ord("x"), 4, 2))
    undone = data.copy()
    undone[at[is_byte]] = code[is_byte]
    undone[at[is_two]] = 0xC0 | code[is_two] >> 6
    undone[at[is_two] + 1] = 0x80 | code[is_two] & 0x3F
    undone[at[is_three]] = 0xE0 | code[is_three] >> 12
    undone[at[is_three] + 1] = 0x80 | code[is_three] >> 6 & 0x3F
    undone[at[is_three] + 2] = 0x80 | code[is_three] & 0x3F
    gone = np.zeros(len(offsets), np.int64)
    np.add.at(gone, np.searchsorted(offsets, at, side="right"), read - written)
    offsets = offsets - np.cumsum(gone)
    left = _without(undone, at + written, at + read)
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(left)]
    return pa.Array.from_buffers(values.type, len(values), buffers)


def _without(data: Bytes, start: Rows, end: Rows) -> Bytes:
    """Bytes less those between places."""
    if len(start) <= _FEW:
        edges = zip([0, *end.tolist()], [*start.tolist(), len(data)], strict=True)
        return np.concatenate([data[low:high] for low, high in edges])
    is_kept = np.ones(len(data), np.bool_)
    for place in range(_MOST_BYTES):
        each = start + place
        is_kept[each[each < end]] = False
    return data[is_kept]


def _codes(data: Bytes, at: Rows) -> npt.NDArray[np.int32]:
    """The character (or byte) that each escape stands for; below 0 for what is no escape.

    One that the data's end cuts off counts as none, where the last byte is no digit.
    """
    kind = data[at + 1]
    code = _SHORT[kind]
    for letter, digits in ((ord("u"), 4), (ord("x"), 2)):
        is_long = kind == letter
        if is_long.any():
            starts = at[is_long] + 2
            each = [_DIGIT[data.take(starts + place, mode="clip")] for place in range(digits)]
            number = np.zeros(len(starts), np.int32)
            for digit in each:
                number = number * 16 + digit
            code[is_long] = np.where(np.minimum.reduce(each) < 0, -1, number)
    return code
