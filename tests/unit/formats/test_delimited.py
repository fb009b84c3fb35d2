from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.formats.delimited import Fields, matches, split_fields, split_first, split_quoted
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


def test_quoted_fields_lose_their_quotes() -> None:
    fields = split_quoted(lines_of(b'"a","b,\xff","c"\n"","",""\n"\\","\'"," "\n'), b",", 3, TYPES)
    assert fields.column(0).to_pylist() == [b"a", b"", b"\\"]
    assert fields.column(2).to_pylist() == [b"c", b"", b" "]
    assert fields.regular.tolist() == [0, 1, 2]
    assert fields.irregular.tolist() == []


def test_lines_that_are_not_quoted_throughout_are_irregular() -> None:
    odd = (
        b"a", b'"a","b"', b'"a","b","c","d"', b'a,"b","c"', b'"a","b",c', b' "a","b","c"', b'"a","b","c" ',
        b'"a", "b","c"', b'"a";"b","c"', b'"a""b","c"', b'"a","b""","c"', b'""""""', b'"a","b\0","c"', b'"a","b\r","c"',
        b'"a,"b","c"', b'"a","b","c', b'","","', b'"a"x"b"x"c"',
    )  # fmt: skip
    lines = b"".join(line + b'\n"a","b","c"\n' for line in odd)
    fields = split_quoted(lines_of(lines), b",", 3, TYPES)
    assert fields.column(2).to_pylist() == [b"c"] * len(odd)
    assert fields.regular.tolist() == list(range(1, 2 * len(odd), 2))
    assert fields.irregular.tolist() == list(range(0, 2 * len(odd), 2))
    for line in odd:
        assert len(split_quoted(lines_of(line + b"\n"), b",", 3, TYPES).regular) == 0


def test_a_line_is_split_at_its_first_delimiters() -> None:
    types = {**TYPES, 1: pa.binary()}
    fields = split_first(lines_of(b'a"b"c"d\n""\nx"y\n"\xff"z\0\n-"""\nq"r"\n'), b'"', 2, types)
    assert fields.column(0).to_pylist() == [b"a", b"", b"-", b"q"]
    assert fields.column(1).to_pylist() == [b"b", b"", b"", b"r"]
    assert fields.column(2).to_pylist() == [b'c"d', b"", b'"', b""]
    assert fields.column(2).type == TYPES[2]
    assert fields.regular.tolist() == [0, 1, 4, 5]
    assert fields.irregular.tolist() == [2, 3]


def test_no_line_holds_enough_delimiters() -> None:
    for data in (b"", b"a\n", b'a"b\n"\n'):
        fields = split_first(lines_of(data), b'"', 2, TYPES)
        assert fields.column(0).to_pylist() == []
        assert fields.column(2).to_pylist() == []
        assert len(fields.irregular) == data.count(b"\n")


def test_a_field_is_matched_by_its_bytes() -> None:
    column = pa.array([b"a1", None, b"b", b"a1", b"\xff1"]).dictionary_encode()
    assert matches(column, "^.1$").tolist() == [True, False, False, True, True]
    assert matches(column.cast(pa.binary()), "b").tolist() == [False, False, True, False, False]
