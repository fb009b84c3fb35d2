from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.formats.delimited import Fields, split_fields
from tests.logs import lines_of

TYPES = {0: pa.binary(), 2: pa.dictionary(pa.int32(), pa.binary())}


def split(data: bytes) -> Fields:
    return split_fields(lines_of(data), b"\t", 3, TYPES)


def test_fields_are_split_by_place() -> None:
    fields = split(b'a\tb\tc\n"\t\t\n\\\xff\t-\tc\n')
    assert fields.column(0).to_pylist() == [b"a", b'"', b"\\\xff"]
    assert fields.column(2).to_pylist() == [b"c", b"", b"c"]
    assert fields.regular.tolist() == [0, 1, 2]
    assert fields.irregular.tolist() == []


def test_irregular_lines_are_named() -> None:
    fields = split(b"a\tb\nc\td\te\nf\t\0\tg\nh\ti\tj\tk\nl\tm\r\tn\no\tp\tq\n")
    assert fields.column(0).to_pylist() == [b"c", b"o"]
    assert fields.regular.tolist() == [1, 5]
    assert fields.irregular.tolist() == [0, 2, 3, 4]


def test_no_regular_line_at_all() -> None:
    for data in (b"", b"a\n", b"\0\n", b"a\tb\tc\td\n" * 3):
        fields = split(data)
        assert fields.regular.tolist() == []
        assert len(fields.irregular) == data.count(b"\n")
        assert fields.column(0).to_pylist() == []
        assert fields.column(2).to_pylist() == []


def test_a_byte_order_mark_is_part_of_a_line() -> None:
    assert split(b"\xef\xbb\xbfa\tb\tc\n").column(0).to_pylist() == [b"\xef\xbb\xbfa"]
    assert split(b"\xef\xbb\xbf\n\xef\xbb\xbf\t\t\n").column(0).to_pylist() == [b"\xef\xbb\xbf"]


def test_regular_lines_can_be_made_irregular() -> None:
    fields = split(b"a\t\t\nb\nc\t\t\nd\t\t\n").filter(np.array([True, False, True]))
    assert fields.column(0).to_pylist() == [b"a", b"d"]
    assert fields.regular.tolist() == [0, 3]
    assert fields.irregular.tolist() == [1, 2]


def test_a_field_may_be_as_long_as_a_line() -> None:
    long = b"x" * 65_000
    assert split(b"a\tb\tc\n" + long + b"\tb\tc\n").column(0).to_pylist() == [b"a", long]
