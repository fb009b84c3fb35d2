"""Percent-escapes undone, columnar."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import offsets_and_bytes

_DIGIT = np.full(256, 255, np.uint8)
_DIGIT[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_DIGIT[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16)


def unescape_values(values: pa.Array) -> pa.Array:
    """Values as bytes, each `%XX` in them undone, exactly once; what is no escape stays."""
    values = values.cast(pa.binary())
    offsets, data = offsets_and_bytes(values)
    at = np.flatnonzero(data == ord("%"))
    at = at[at < len(data) - 2]
    high, low = _DIGIT[data[at + 1]], _DIGIT[data[at + 2]]
    is_escape = (high < 16) & (low < 16)
    is_escape &= at + 2 < offsets[1:][np.searchsorted(offsets[1:], at, side="right")]
    if not is_escape.any():
        return values
    at = at[is_escape]
    undone = data.copy()
    undone[at] = high[is_escape] << 4 | low[is_escape]
    is_gone = np.zeros(len(data), np.bool_)
    is_gone[at + 1] = is_gone[at + 2] = True
    offsets -= 2 * np.searchsorted(at, offsets)
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(undone[~is_gone])]
    made = pa.Array.from_buffers(pa.binary(), len(values), buffers)
    return pc.if_else(values.is_valid(), made, None) if values.null_count else made
