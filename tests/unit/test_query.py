from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline.model import Reason
from pipeline.query import MOST_PARAMETERS, Parameters, parse_leniently, parse_queries


def parse(*queries: bytes) -> Parameters:
    return parse_queries(pa.array(queries, pa.binary()))


def pairs(query: bytes) -> list[tuple[str, str]]:
    """The parameters of one query string, which has no fault."""
    parameters = parse(query)
    assert parameters.fault.tolist() == [0]
    return list(zip(parameters.name.to_pylist(), parameters.value.to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", []),
        (b"a=1", [("a", "1")]),
        (b"b=2&a=1", [("a", "1"), ("b", "2")]),
        (b"&&a=1&", [("a", "1")]),
        (b"a", [("a", "")]),
        (b"a=", [("a", "")]),
        (b"=", [("", "")]),
        (b"=1", [("", "1")]),
        (b"a=b=c==", [("a", "b=c==")]),
        (b"a=1;b=2", [("a", "1;b=2")]),
        (b"a+b=c+d", [("a b", "c d")]),
        (b"a%20b=c%2Bd", [("a b", "c+d")]),
        (b"a=%C3%A9&b=\xc3\xa9", [("a", "é"), ("b", "é")]),
        (b"a=%c3%a9", [("a", "é")]),
        (b"a=%F0%9F%8E%A7", [("a", "🎧")]),
        (b"a=100%", [("a", "100%")]),
        (b"a=%4", [("a", "%4")]),
        (b"a=%zz%4z%z4", [("a", "%zz%4z%z4")]),
        (b"a=%%41", [("a", "%A")]),
        (b"a=%2541", [("a", "%41")]),
        (b"a=%&b=41", [("a", "%"), ("b", "41")]),
        (b"a%=41", [("a%", "41")]),
        (b"a=%26b%3D1", [("a", "&b=1")]),
        (b"a=%e2%80%a8%7f%01", [("a", "\u2028\x7f\x01")]),
        (b"%61=1", [("a", "1")]),
    ],
)
def test_query_strings_are_decoded_once(query: bytes, expected: list[tuple[str, str]]) -> None:
    assert pairs(query) == expected


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (b"a=%00", Reason.NUL_BYTE),
        (b"%00", Reason.NUL_BYTE),
        (b"a=\0", Reason.NUL_BYTE),
        (b"a=%ff", Reason.NOT_UTF8),
        (b"a=\xff", Reason.NOT_UTF8),
        (b"a=%C3", Reason.NOT_UTF8),
        (b"a=%C0%80", Reason.NOT_UTF8),
        (b"a=%C1%81", Reason.NOT_UTF8),
        (b"a=%E0%80%AF", Reason.NOT_UTF8),
        (b"a=%ED%A0%80", Reason.NOT_UTF8),
        (b"a=%F4%90%80%80", Reason.NOT_UTF8),
        (b"%C3=%A9", Reason.NOT_UTF8),
        (b"a=%C3&b=%A9", Reason.NOT_UTF8),
        (b"k=1&k=1", Reason.DUPLICATE_PARAMETER),
        (b"k=1&%6B=2", Reason.DUPLICATE_PARAMETER),
        (b"a+b=1&a%20b", Reason.DUPLICATE_PARAMETER),
        (b"=1&=2", Reason.DUPLICATE_PARAMETER),
        (b"&".join([b"a"] * (MOST_PARAMETERS + 1)), Reason.TOO_MANY_PARAMETERS),
        (b"&".join([b"%00"] * (MOST_PARAMETERS + 1)), Reason.TOO_MANY_PARAMETERS),
        (b"a=%00&b=%ff", Reason.NUL_BYTE),
        (b"a=%ff&b=%00&b", Reason.NUL_BYTE),
        (b"a=%ff&a", Reason.NOT_UTF8),
    ],
)
def test_a_query_string_with_a_fault_has_no_parameters(query: bytes, reason: Reason) -> None:
    parameters = parse(b"k=1", query, b"k=2")
    assert parameters.fault.tolist() == [0, reason, 0]
    assert parameters.row.tolist() == [0, 2]
    assert parameters.get("k").to_pylist() == ["1", None, "2"]


def test_as_many_parameters_as_are_allowed_are_taken() -> None:
    query = b"&".join(b"p%d=" % number for number in range(MOST_PARAMETERS))
    assert len(pairs(query + b"&&&")) == MOST_PARAMETERS


def test_names_are_sorted_by_utf16_code_units_as_javascript_does() -> None:
    # U+FF5E is below U+1F3A7 by code point, above its surrogates by code unit.
    names = [name for name, _ in pairs("z&\uff5e&\U0001f3a7&a&Z&é&".encode())]
    assert names == ["Z", "a", "z", "é", "\U0001f3a7", "\uff5e"]


def test_no_query_strings_have_no_parameters() -> None:
    parameters = parse()
    assert parameters.count == 0
    assert parameters.fault.tolist() == []
    assert parameters.get("k").to_pylist() == []
    assert parameters.is_last("k").tolist() == []
    assert parameters.as_json(('["', '","', '"]'), ("[", "]")).to_pylist() == []


def test_a_parameter_is_got_from_every_query_string() -> None:
    parameters = parse(b"k=1&s=x", b"", b"s=y", b"S=z", b"s=")
    assert parameters.get("s").to_pylist() == ["x", None, "y", None, ""]
    assert parameters.get("none").to_pylist() == [None] * 5


def test_the_last_parameter_is_known_in_the_order_sent() -> None:
    assert parse(b"a=1&s=x", b"s=x&a=1", b"", b"s", b"s=x&&").is_last("s").tolist() == [
        True, False, False, True, True,
    ]  # fmt: skip


def test_some_parameters_are_left_out() -> None:
    left = parse(b"k=1&s=x&d=2", b"s=y").without(["s", "d"])
    assert left.name.to_pylist() == ["k"]
    assert left.row.tolist() == [0]
    assert left.count == 2


def test_json_is_as_javascript_writes_it() -> None:
    parameters = parse(b"b=%22%5C%2F%08%0C%0A%0D%09%01%1F%7F&a=%C3%A9%E2%80%A8%F0%9F%8E%A7", b"")
    assert parameters.as_json(('["', '","', '"]'), ("[", "]")).to_pylist() == [
        '[["a","é\u2028\U0001f3a7"],["b","\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f"]]',
        "[]",
    ]
    assert parameters.as_json(('"', '":"', '"'), ("{", "}"))[1].as_py() == "{}"


def test_a_slice_of_an_array_is_parsed_from_its_own_start() -> None:
    queries = pa.array([b"a=%00", b"b=2", b"c=3"], pa.binary()).slice(1)
    parameters = parse_queries(queries)
    assert parameters.name.to_pylist() == ["b", "c"]
    assert parameters.fault.dtype == np.int8


# Leniently


def leniently(*queries: bytes) -> Parameters:
    return parse_leniently(pa.array(queries, pa.binary()))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"a=1&b=2", [("a", "1", 0), ("b", "2", 0)]),
        (b"b=2&a=%FF&a=3", [("a", "\ufffd", Reason.NOT_UTF8), ("a", "3", Reason.DUPLICATE_PARAMETER), ("b", "2", 0)]),
        (b"a=%00x", [("a", "\ufffdx", Reason.NUL_BYTE)]),
        (b"a%00=1", [("a\ufffd", "1", Reason.NUL_BYTE)]),
        (b"%FF=1&%FE=2", [("\ufffd", "1", Reason.NOT_UTF8), ("\ufffd", "2", Reason.NOT_UTF8)]),
        (b"a=%FF%00", [("a", "\ufffd\ufffd", Reason.NUL_BYTE)]),
        (b"a=1&a=2&a=3", [("a", "1", 0), ("a", "2", Reason.DUPLICATE_PARAMETER), ("a", "3", Reason.DUPLICATE_PARAMETER)]),
    ],
)  # fmt: skip
def test_flaws_are_noted_beside_the_parameters(
    query: bytes, expected: list[tuple[str, str, int]]
) -> None:
    for parameters, row in ((leniently(query), 0), (leniently(b"z", query, b"%00"), 1)):
        found = zip(
            parameters.row, parameters.name.to_pylist(), parameters.value.to_pylist(),
            parameters.flaw.tolist(), strict=True,
        )  # fmt: skip
        assert [entry[1:] for entry in found if entry[0] == row] == expected
        assert parameters.fault.tolist() == [0] * parameters.count


def test_too_many_parameters_are_a_fault_all_the_same() -> None:
    crowded = b"&".join([b"a=%00"] * (MOST_PARAMETERS + 1))
    parameters = leniently(b"k=1", crowded, b"k=2")
    assert parameters.fault.tolist() == [0, Reason.TOO_MANY_PARAMETERS, 0]
    assert parameters.row.tolist() == [0, 2]


def test_the_first_of_a_name_is_got() -> None:
    assert leniently(b"a=1&b&a=2", b"a=%FF&a=2").get("a").to_pylist() == ["1", "\ufffd"]


def test_flaws_of_some_entries_are_faults_of_their_query_strings() -> None:
    parameters = leniently(b"a=%00&b=1", b"a=1&b=%FF", b"a&a&b=%00", b"a=1")
    is_a = np.array([name == "a" for name in parameters.name.to_pylist()])
    refused = parameters.refusing(is_a)
    assert refused.fault.tolist() == [Reason.NUL_BYTE, 0, Reason.DUPLICATE_PARAMETER, 0]
    assert refused.row.tolist() == [1, 1, 3]
    assert refused.get("b").to_pylist() == [None, "\ufffd", None, None]
    assert refused.refusing(np.ones(3, np.bool_)).fault.tolist() == [
        Reason.NUL_BYTE, Reason.NOT_UTF8, Reason.DUPLICATE_PARAMETER, 0,
    ]  # fmt: skip
