"""Splits lines on one byte, columnar: what the formats for whole lines stand on.

A line is regular when it holds the delimiter just as often as the format says and neither a NUL
nor a carriage return of its own (no server writes them raw). Arrow's CSV reader, with quoting off,
then splits all regular lines at once; the irregular ones are named and left to the format.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv

from pipeline.blocks import Lines
from pipeline.columns import Mask, Rows


@dataclass(frozen=True)
class Fields:
    """The regular lines' fields as columns named by place ("0", "1", …).

    `regular` and `irregular` are line numbers, each ascending, none in both.
    """

    table: pa.Table
    regular: Rows
    irregular: Rows

    def column(self, place: int) -> pa.Array:
        """One field of every regular line."""
        column = self.table.column(str(place))
        return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)

    def filter(self, keep: Mask) -> Fields:
        """Some of the regular lines; the others become irregular."""
        irregular = np.sort(np.append(self.irregular, self.regular[~keep]))
        return Fields(self.table.filter(pa.array(keep)), self.regular[keep], irregular)


def split_fields(
    lines: Lines, delimiter: bytes, width: int, types: Mapping[int, pa.DataType]
) -> Fields:
    """Splits each line into `width` fields; gives those places that `types` names."""
    rows = np.arange(len(lines))
    odd = lines.holding(b"\0") | lines.holding(b"\r")
    if not lines.data.isascii():  # the reader can name no odd line that is not UTF-8
        odd |= lines.count(delimiter) != width - 1
    if odd.any():
        rows = rows[~odd]
        lines = lines.take(rows)
    irregular: list[int] = []

    def leave_out(row: pyarrow.csv.InvalidRow) -> str:
        irregular.append(row.number - 1)
        return "skip"

    table = _read(lines.data, _Shape(delimiter, width, types, leave_out))
    odd[rows[irregular]] = True
    return Fields(table, np.flatnonzero(~odd), np.flatnonzero(odd))


@dataclass(frozen=True)
class _Shape:
    """What a line splits into; `leave_out` is told of each line that does not."""

    delimiter: bytes
    width: int
    types: Mapping[int, pa.DataType]
    leave_out: Callable[[pyarrow.csv.InvalidRow], str]


def _read(data: bytes, shape: _Shape) -> pa.Table:
    column_types = {str(place): type_ for place, type_ in shape.types.items()}
    if not data:
        return pa.table({name: pa.array([], type_) for name, type_ in column_types.items()})
    if data.startswith(codecs.BOM_UTF8):
        data = codecs.BOM_UTF8 + data  # the reader takes one away, which would change a line
    return pyarrow.csv.read_csv(
        pa.BufferReader(data),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False,
            block_size=len(data) + 1,
            column_names=[str(place) for place in range(shape.width)],
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=shape.delimiter.decode(),
            quote_char=False,
            double_quote=False,
            ignore_empty_lines=False,
            invalid_row_handler=shape.leave_out,
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            check_utf8=False,
            column_types=column_types,
            include_columns=list(column_types),
            strings_can_be_null=False,
        ),
    )
