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
        used = np.unique(self.codes)
        used = used[used != ABSENT]
        renumbered = np.searchsorted(used, self.codes).astype(np.int32)
        renumbered[self.is_absent] = ABSENT
        return Coded(self.values.take(pa.array(used)), renumbered)

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
    """A Python function over distinct values, for what Arrow has no kernel for."""
    return pa.array([function(value) for value in values.to_pylist()], type_)


def replace_where(
    values: pa.Array, mask: pa.Array, function: Callable[[bytes], bytes | None]
) -> pa.Array:
    """A Python function over those distinct values that `mask` marks; the others stay."""
    if not pc.any(mask, min_count=0).as_py():
        return values
    replaced = map_values(values.filter(mask), function, values.type)
    return pc.replace_with_mask(values, mask, replaced)


def none_where_absent(column: pa.Array, absent: Sequence[bytes] = (b"-", b"")) -> pa.Array:
    """A plain or dictionary column with the log's words for "nothing" made null."""
    if pa.types.is_dictionary(column.type):
        coded = encode(column)
        hit = pc.is_in(coded.values, value_set=pa.array(absent, coded.values.type))
        if not pc.any(hit, min_count=0).as_py():
            return column
        return coded.with_values(
            pc.if_else(hit, pa.scalar(None, coded.values.type), coded.values)
        ).dictionary()
    hit = pc.is_in(column, value_set=pa.array(absent, column.type))
    return pc.if_else(hit, pa.scalar(None, column.type), column)


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
