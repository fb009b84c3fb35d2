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
_EMPTY = np.zeros(6, np.uint8)


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

    `hex_bytes`: nginx's `\\xXX` is sound too.
    """
    padded = np.append(data, _EMPTY)
    code = _codes(padded, at)
    is_sound = (code >= 0) & ~((code >= 0xD800) & (code < 0xE000))
    if not hex_bytes:
        is_sound &= padded[at + 1] != ord("x")
    return at[~is_sound]


def undo_escapes(values: pa.Array) -> pa.Array:
    """A binary column without nulls, all of whose escapes are sound, with them undone."""
    offsets, data = offsets_and_bytes(values)
    if not (data == _BACKSLASH).any():
        return values
    at = escapes(data)
    code = _codes(np.append(data, _EMPTY), at)
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
    is_kept = np.ones(len(data), np.bool_)
    for place in range(1, 6):
        is_kept[at[(written <= place) & (place < read)] + place] = False
    gone = np.concatenate(([0], np.cumsum(read - written)))
    offsets = offsets - gone[np.searchsorted(at, offsets)]
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(undone[is_kept])]
    return pa.Array.from_buffers(values.type, len(values), buffers)


def _codes(padded: Bytes, at: Rows) -> npt.NDArray[np.int32]:
    """The character (or byte) that each escape stands for; below 0 for what is no escape."""
    kind = padded[at + 1]
    code = _SHORT[kind]
    for letter, digits in ((ord("u"), 4), (ord("x"), 2)):
        is_long = kind == letter
        if is_long.any():
            starts = at[is_long] + 2
            each = [_DIGIT[padded[starts + place]] for place in range(digits)]
            number = np.zeros(len(starts), np.int32)
            for digit in each:
                number = number * 16 + digit
            code[is_long] = np.where(np.minimum.reduce(each) < 0, -1, number)
    return code
