"""Splits lines on one byte, columnar: what the formats for whole lines stand on.

A line is regular when it holds the delimiter just as often as the format says and neither a NUL
nor a carriage return of its own (no server writes them raw). Arrow's CSV reader then
splits all regular lines at once; the irregular ones are named and left to the format.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pipeline.blocks import Lines
from pipeline.columns import Mask, Rows, encode


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


def matches(column: pa.Array, pattern: str) -> Mask:
    """Which rows of a field match, each distinct value tried once; null does not."""
    coded = encode(column)
    hit = pc.match_substring_regex(coded.values, pattern).to_numpy(zero_copy_only=False)
    return coded.look_up(hit, False).astype(np.bool_)


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
    shape = _Shape(delimiter, width, types)
    table = _read(lines.data, shape)
    odd[rows[shape.left_out]] = True
    return Fields(table, np.flatnonzero(~odd), np.flatnonzero(odd))


def split_quoted(
    lines: Lines, delimiter: bytes, width: int, types: Mapping[int, pa.DataType]
) -> Fields:
    """The same for lines whose fields all stand in quotes, which the fields lose.

    A line with quotes within a field, however they are escaped, is irregular.
    """
    is_even = lines.count(b'"') == 2 * width
    is_even &= ~(lines.holding(b"\0") | lines.holding(b"\r"))
    rows = np.flatnonzero(is_even)
    chosen = lines if len(rows) == len(lines) else lines.take(rows)
    text = np.frombuffer(chosen.data, np.uint8)
    quotes = np.flatnonzero(text == ord('"')).reshape(-1, width, 2)
    opening, closing = quotes[:, :, 0], quotes[:, :, 1]
    is_fit = (opening[:, 0] == chosen.ends - chosen.lengths - 1) & (
        closing[:, -1] == chosen.ends - 2
    )
    is_fit &= (opening[:, 1:] - closing[:, :-1] == 2).all(axis=1)
    is_fit &= (text[closing[:, :-1] + 1] == ord(delimiter)).all(axis=1)
    if not is_fit.all():
        rows, chosen = rows[is_fit], chosen.take(np.flatnonzero(is_fit))
    table = _read(chosen.data, _Shape(delimiter, width, types, quoted=True))
    return Fields(table, rows, np.setdiff1d(np.arange(len(lines)), rows, assume_unique=True))


def split_first(
    lines: Lines, delimiter: bytes, count: int, types: Mapping[int, pa.DataType]
) -> Fields:
    """Splits each line at its first `count` delimiters; the field after them is all the rest.

    A line is regular that holds as many at least.
    """
    at = np.flatnonzero(np.frombuffer(lines.data, np.uint8) == ord(delimiter))
    starts = lines.ends - lines.lengths - 1
    first, end = np.searchsorted(at, starts), np.searchsorted(at, lines.ends)
    is_regular = end - first >= count
    is_regular &= ~(lines.holding(b"\0") | lines.holding(b"\r"))
    rows = np.flatnonzero(is_regular)
    edges = at[first[rows][:, None] + np.arange(count)]
    left = np.column_stack((starts[rows], edges + 1))
    right = np.column_stack((edges, lines.ends[rows] - 1))
    columns = {
        str(place): _between(lines.data, left[:, place], right[:, place]).cast(type_)
        for place, type_ in types.items()
    }
    return Fields(pa.table(columns), rows, np.flatnonzero(~is_regular))


def _between(data: bytes, starts: Rows, ends: Rows) -> pa.Array:
    """The bytes between places that ascend, as a column."""
    offsets = np.column_stack((starts, ends)).astype(np.int32).ravel()
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    pieces = pa.Array.from_buffers(pa.binary(), max(len(offsets) - 1, 0), buffers)
    return pieces.take(pa.array(np.arange(0, len(pieces), 2)))


@dataclass(frozen=True)
class _Shape:
    """What a line splits into; `left_out` gathers the numbers of the lines that do not."""

    delimiter: bytes
    width: int
    types: Mapping[int, pa.DataType]
    quoted: bool = False
    left_out: list[int] = field(default_factory=list)

    def leave_out(self, row: pyarrow.csv.InvalidRow) -> str:
        """What the reader does with a line of another width."""
        self.left_out.append(row.number - 1)
        return "skip"


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
            quote_char='"' if shape.quoted else False,
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
