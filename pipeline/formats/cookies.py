"""The visitor's cookie in logs that hold the whole Cookie header."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Rows, offsets_and_bytes

_NAME = np.frombuffer(b"_pxid=", np.uint8)
_PXID = r"(?:^|;)[ \t]*_pxid=(?P<value>[^;]*?)[ \t]*(?:;|$)"
_SEPARATOR, _BLANKS = ord(";"), (ord(" "), ord("\t"))


def pxid_in(cookies: pa.Array) -> pa.Array:
    """The value of the cookie `_pxid` in unescaped Cookie headers; null where there is none.

    Where several stand in a header the first counts. Headers as browsers write them are cut by the
    places of their marks; the odd ones are left to an expression.
    """
    offsets, data = offsets_and_bytes(cookies)
    at = _places(data)
    row = np.searchsorted(offsets, at, side="right") - 1
    start, row_end = at + len(_NAME), offsets[row + 1]
    separators = np.append(np.flatnonzero(data == _SEPARATOR), len(data))
    end = np.minimum(separators[np.searchsorted(separators, start)], row_end)
    padded = np.concatenate(([_SEPARATOR], data))  # each byte one place on: what stands before
    before = np.where(at == offsets[row], _SEPARATOR, padded[at])
    is_first = (before == _SEPARATOR) | (
        (before == ord(" ")) & (at - 1 > offsets[row]) & (padded[at - 1] == _SEPARATOR)
    )
    is_plain = is_first & (end > start) & ~np.isin(padded[end], _BLANKS) & (start <= row_end)
    is_plain &= np.bincount(row, minlength=len(cookies))[row] == 1
    found = _cut(cookies, row[is_plain], start[is_plain], end[is_plain])
    odd = np.unique(row[~is_plain])
    return _with_odd(found, cookies, odd) if len(odd) else found


def _places(data: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> Rows:
    """Where the cookie's name stands."""
    at = np.flatnonzero(data[: max(len(data) - len(_NAME) + 1, 0)] == _NAME[0])
    for place, byte in enumerate(_NAME[1:], start=1):
        at = at[data[at + place] == byte]
    return at


def _cut(cookies: pa.Array, row: Rows, start: Rows, end: Rows) -> pa.Array:
    """For some rows, which rise, what stands from `start` to `end`; null for the others."""
    _, data = offsets_and_bytes(cookies)
    edges = np.stack([start, end], axis=1).ravel().astype(np.int32)
    edges = np.concatenate(([0], edges)) if not len(edges) else np.append(edges, edges[-1])
    pieces = pa.Array.from_buffers(
        pa.binary(), len(edges) - 1, [None, pa.py_buffer(edges), pa.py_buffer(data)]
    )
    at = np.full(len(cookies), -1)
    at[row] = 2 * np.arange(len(row))
    return pieces.take(pa.array(at, mask=at < 0))


def _with_odd(found: pa.Array, cookies: pa.Array, odd: Rows) -> pa.Array:
    """The values found, and those of the odd headers by the expression."""
    mask = np.zeros(len(cookies), np.bool_)
    mask[odd] = True
    values = pc.struct_field(pc.extract_regex(cookies.filter(pa.array(mask)), _PXID), "value")
    return pc.replace_with_mask(
        found, pa.array(mask), pc.if_else(pc.equal(values, b""), None, values)
    )
