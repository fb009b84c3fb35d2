"""The columnar kernels that the stages share: a column as codes into its distinct values.

Work that depends on one value is done once for each distinct value of a block. The loops over
distinct values that need Python live in `map_values` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.model import ABSENT

Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_FEW = 8
"""Rows fewer by so much than a column's values are sorted, rather than all values gone through."""


@dataclass(frozen=True)
class Coded:
    """A column: `values` (no nulls, mostly distinct) and for each row a code, `ABSENT` for null."""

    values: pa.Array
    codes: Codes

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def is_absent(self) -> Mask:
        """Which rows are null."""
        return self.codes == ABSENT

    def rows(self, rows: Rows) -> Coded:
        """The column at some rows, in the order given."""
        return Coded(self.values, self.codes[rows])

    def compact(self) -> Coded:
        """The same column with the values that no row uses left out."""
        if len(self.codes) < len(self.values) // _FEW:
            used, codes = np.unique(self.codes[~self.is_absent], return_inverse=True)
            renumbered = np.full(len(self.codes), ABSENT, np.int32)
            renumbered[~self.is_absent] = codes
            return Coded(self.values.take(pa.array(used)), renumbered)
        is_used = np.zeros(len(self.values) + 1, np.bool_)
        is_used[self.codes] = True  # the last place is that of the absent
        if is_used[:-1].all():
            return self
        numbers = np.cumsum(is_used, dtype=np.int32) - 1
        numbers[ABSENT] = ABSENT
        return Coded(self.values.filter(pa.array(is_used[:-1])), numbers[self.codes])

    def look_up(self, table: npt.NDArray[np.generic], absent: object) -> npt.NDArray[np.generic]:
        """For each row the entry of `table` (one a value), or `absent` where the row is null."""
        found = np.append(table, np.array([absent], dtype=table.dtype))
        return found[self.codes]

    def is_in(self, wanted: Sequence[bytes]) -> Mask:
        """Which rows hold one of some values."""
        hit = pc.is_in(self.values, value_set=pa.array(wanted, self.values.type))
        return self.look_up(hit.to_numpy(zero_copy_only=False), False).astype(np.bool_)

    def with_values(self, values: pa.Array) -> Coded:
        """The column with each value replaced; a null among `values` makes its rows null."""
        codes = self.codes
        if values.null_count:
            gone = values.is_null().to_numpy(zero_copy_only=False)
            codes = np.where(self.look_up(gone, True), np.int32(ABSENT), codes)
            values = values.fill_null(pa.scalar("", pa.string()).cast(values.type))
        return Coded(values, codes)

    def dictionary(self, type_: pa.DataType | None = None) -> pa.DictionaryArray:
        """The column as an Arrow dictionary array."""
        values = self.values if type_ is None else self.values.cast(type_)
        return pa.DictionaryArray.from_arrays(pa.array(self.codes, mask=self.is_absent), values)

    def plain(self) -> pa.Array:
        """The column as a plain Arrow array."""
        return self.values.take(pa.array(self.codes, mask=self.is_absent))


def encode(column: pa.Array) -> Coded:
    """A plain or dictionary column as codes into distinct values."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = column.indices.fill_null(ABSENT).to_numpy(zero_copy_only=False)
    return Coded(column.dictionary, codes.astype(np.int32, copy=False))


def map_values(values: pa.Array, function: Callable[[Any], object], type_: pa.DataType) -> pa.Array:
    """A Python function over distinct values, for what Arrow has no kernel for; null stays null."""
    mapped = [None if value is None else function(value) for value in values.to_pylist()]
    return pa.array(mapped, type_)


def replace_where(
    values: pa.Array, mask: Mask, function: Callable[[Any], bytes | str | None]
) -> pa.Array:
    """A Python function over those distinct values that `mask` marks; the others stay."""
    if not mask.any():
        return values
    marked = pa.array(mask)
    replaced = map_values(values.filter(marked), function, values.type)
    return pc.replace_with_mask(values, marked, replaced)


def offsets_and_bytes(values: pa.Array) -> tuple[Rows, npt.NDArray[np.uint8]]:
    """A text or binary array's offsets, from 0, and its bytes."""
    offsets = np.frombuffer(values.buffers()[1], np.int32)[values.offset :][: len(values) + 1]
    data = np.frombuffer(values.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    return offsets.astype(np.int64) - offsets[0], data


def count_before(mask: Mask, places: Rows) -> Codes:
    """How often the mask holds before each of some places in it."""
    counts = np.zeros(len(mask) + 1, np.int32)
    np.cumsum(mask, out=counts[1:])
    return counts[places]


def holding(values: pa.Array, is_wanted: Callable[[npt.NDArray[np.uint8]], Mask]) -> Mask:
    """Which values hold a byte that is wanted."""
    offsets, data = offsets_and_bytes(values)
    mask = np.zeros(len(values), np.bool_)
    at = np.flatnonzero(is_wanted(data))
    mask[np.searchsorted(offsets[1:], at, side="right")] = True
    return mask


def is_blank(texts: pa.StringArray) -> Mask:
    """Which texts are null or empty."""
    blank: Mask = (
        pc.equal(pc.binary_length(texts), 0).fill_null(True).to_numpy(zero_copy_only=False)
    )
    return blank


def none_where_absent(column: pa.Array, absent: Sequence[bytes] = (b"-", b"")) -> pa.Array:
    """A plain or dictionary column with the log's words for "nothing" made null."""
    is_coded = pa.types.is_dictionary(column.type)
    values = column.dictionary if is_coded else column
    hit = pc.is_in(values, value_set=pa.array(absent, values.type))
    if not pc.any(hit, min_count=0).as_py():
        return column
    cleared = pc.if_else(hit, pa.scalar(None, values.type), values)
    return encode(column).with_values(cleared).dictionary() if is_coded else cleared


def on_values(column: pa.Array, function: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """A vectorised function over a column's values: the distinct ones where it is a dictionary."""
    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(column.indices, function(column.dictionary))
    return function(column)


def to_text(values: pa.Array) -> pa.Array:
    """Bytes as UTF-8 text, what is not UTF-8 as U+FFFD."""
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:
        return map_values(values, lambda value: value.decode("utf-8", "replace"), pa.string())
