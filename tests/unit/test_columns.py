from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline.columns import (
    Coded,
    encode,
    map_values,
    none_where_absent,
    on_values,
    replace_where,
    to_text,
)

TEXTS = [b"a", None, b"b", b"a", b"-", b""]
PLAIN = pa.array(TEXTS, pa.binary())
DICTIONARY = PLAIN.dictionary_encode()
EMPTY = pa.array([], pa.binary())
EITHER = pytest.mark.parametrize("column", [PLAIN, DICTIONARY], ids=["plain", "dictionary"])
EMPTY_EITHER = pytest.mark.parametrize(
    "column",
    [EMPTY, EMPTY.dictionary_encode(), pa.nulls(0, pa.dictionary(pa.int32(), pa.binary()))],
    ids=["plain", "dictionary", "nulls"],
)


@EITHER
def test_a_column_becomes_codes_and_comes_back(column: pa.Array) -> None:
    coded = encode(column)
    assert len(coded) == len(TEXTS)
    assert coded.values.to_pylist() == [b"a", b"b", b"-", b""]
    assert coded.codes.tolist() == [0, -1, 1, 0, 2, 3]
    assert coded.is_absent.tolist() == [False, True, False, False, False, False]
    assert coded.plain().to_pylist() == TEXTS
    assert coded.dictionary().to_pylist() == TEXTS
    assert coded.dictionary(pa.string()).to_pylist() == ["a", None, "b", "a", "-", ""]


@EMPTY_EITHER
def test_a_column_of_no_rows_stays_one(column: pa.Array) -> None:
    coded = encode(column)
    for each in (coded, coded.compact(), coded.with_values(coded.values)):
        assert (len(each), each.plain().to_pylist(), each.dictionary().to_pylist()) == (0, [], [])
    assert coded.is_in([b"a"]).tolist() == []
    assert none_where_absent(column).to_pylist() == []


def test_a_column_of_nulls_has_no_values() -> None:
    coded = encode(pa.nulls(3, pa.dictionary(pa.int32(), pa.binary())))
    assert coded.compact().values.to_pylist() == []
    assert coded.compact().codes.tolist() == [-1, -1, -1]
    assert coded.is_in([b"a"]).tolist() == [False] * 3
    assert coded.plain().to_pylist() == [None] * 3
    assert none_where_absent(coded.dictionary()).to_pylist() == [None] * 3


def test_rows_are_taken_in_the_order_given() -> None:
    taken = encode(PLAIN).rows(np.array([5, 1, 0]))
    assert taken.plain().to_pylist() == [b"", None, b"a"]


def test_compact_leaves_out_what_no_row_uses() -> None:
    compact = encode(PLAIN).rows(np.array([4, 1, 2, 4])).compact()
    assert compact.values.to_pylist() == [b"b", b"-"]
    assert compact.plain().to_pylist() == [b"-", None, b"b", b"-"]


def test_a_table_is_looked_up_by_value_with_a_default_for_null() -> None:
    found = encode(PLAIN).look_up(np.array([10, 20, 30, 40]), 99)
    assert found.tolist() == [10, 99, 20, 10, 30, 40]


def test_membership_is_asked_of_values() -> None:
    assert encode(PLAIN).is_in([b"a", b"", b"z"]).tolist() == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]


def test_a_null_among_new_values_makes_its_rows_null() -> None:
    changed = encode(PLAIN).with_values(pa.array(["A", None, "dash", "blank"]))
    assert changed.plain().to_pylist() == ["A", None, None, "A", "dash", "blank"]
    assert changed.values.null_count == 0
    numbers = encode(PLAIN).with_values(pa.array([1.5, 2.5, 3.5, 4.5]))
    assert numbers.plain().to_pylist() == [1.5, None, 2.5, 1.5, 3.5, 4.5]


@EITHER
def test_the_logs_words_for_nothing_become_null(column: pa.Array) -> None:
    assert none_where_absent(column).to_pylist() == [b"a", None, b"b", b"a", None, None]
    assert none_where_absent(column, (b"null",)).to_pylist() == TEXTS
    assert none_where_absent(column, (b"a",)).to_pylist() == [None, None, b"b", None, b"-", b""]
    assert none_where_absent(column).type == column.type


def test_a_function_is_called_once_for_each_value_and_not_for_null() -> None:
    seen = []
    mapped = map_values(
        pa.array([b"a", None, b"b"]), lambda value: seen.append(value) or 1, pa.int8()
    )
    assert mapped.to_pylist() == [1, None, 1]
    assert seen == [b"a", b"b"]


def test_marked_values_are_replaced() -> None:
    values = pa.array([b"a", b"b", b"c"])
    assert replace_where(values, np.array([True, False, True]), bytes.upper).to_pylist() == [
        b"A", b"b", b"C",
    ]  # fmt: skip
    assert replace_where(values, np.array([True, False, False]), lambda _: None)[0].as_py() is None
    assert replace_where(values, np.zeros(3, np.bool_), bytes.upper) is values


@EITHER
def test_a_function_on_values_keeps_the_rows(column: pa.Array) -> None:
    upper = on_values(column, pc.binary_length)
    assert upper.to_pylist() == [1, None, 1, 1, 1, 0]


def test_bytes_become_text_and_what_is_not_utf8_a_replacement() -> None:
    assert to_text(pa.array([b"\xc3\xa9", None, b""])).to_pylist() == ["é", None, ""]
    assert to_text(pa.array([b"\xc3\xa9", None, b"a\xff\xfeb\xc3"])).to_pylist() == [
        "é", None, "a\ufffd\ufffdb\ufffd",
    ]  # fmt: skip


def test_codes_of_a_slice_are_those_of_its_rows() -> None:
    assert encode(DICTIONARY.slice(2, 2)).plain().to_pylist() == [b"b", b"a"]
    assert isinstance(encode(PLAIN.slice(1)), Coded)
