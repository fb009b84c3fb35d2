from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline.columns import encode
from pipeline.formats.contract import (
    NO_ROWS,
    Parsed,
    join,
    request_line_columns,
    requests,
    uri_columns,
)
from pipeline.model import REQUEST_SCHEMA


def split(uri: bytes | None) -> tuple[bytes | None, bytes | None]:
    columns = uri_columns(encode(pa.array([uri, b"/other?x"], pa.binary())))
    return columns["path"][0].as_py(), columns["query"][0].as_py()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (b"/i.gif?a=1", (b"/i.gif", b"a=1")),
        (b"/i.gif?a=1?b=2", (b"/i.gif", b"a=1?b=2")),
        (b"/i.gif?", (b"/i.gif", b"")),
        (b"/i.gif", (b"/i.gif", None)),
        (b"?a", (b"", b"a")),
        (b"", (b"", None)),
        (b"*", (b"*", None)),
        (b"//i.gif?a", (b"//i.gif", b"a")),
        (b"http://px.example.org/i.gif?a", (b"/i.gif", b"a")),
        (b"HTTPS://px.example.org:8443/i.gif?a", (b"/i.gif", b"a")),
        (b"http://px.example.org?a", (b"", b"a")),
        (b"/redirect?to=http://x.example/y", (b"/redirect", b"to=http://x.example/y")),
        (b"/\xff?\xfe", (b"/\xff", b"\xfe")),
        (None, (None, None)),
    ],
)
def test_targets_become_path_and_query(
    uri: bytes | None, expected: tuple[bytes | None, bytes | None]
) -> None:
    assert split(uri) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET /a?b HTTP/1.1", (b"GET", b"/a", b"b")),
        (b"HEAD /a HTTP/2.0", (b"HEAD", b"/a", None)),
        (b"GET /a", (b"GET", b"/a", None)),
        (b"GET http://h/a?b HTTP/1.1", (b"GET", b"/a", b"b")),
        (b"GET /\xff?\xfe HTTP/1.1", (b"GET", b"/\xff", b"\xfe")),
        (b"GET /a b HTTP/1.1", (None, None, None)),
        (b"get /a HTTP/1.1", (None, None, None)),
        (b"GET  HTTP/1.1", (None, None, None)),
        (b"\x16\x03\x01", (None, None, None)),
        (b"GET /a HTTP/1.1\n", (None, None, None)),
        (b"", (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_request_lines_become_method_path_and_query(
    line: bytes | None, expected: tuple[bytes | None, ...]
) -> None:
    columns = request_line_columns(encode(pa.array([line, b"GET /x?y HTTP/1.0"], pa.binary())))
    assert tuple(columns[name][0].as_py() for name in ("method", "path", "query")) == expected
    assert tuple(columns[name][1].as_py() for name in ("method", "path", "query")) == (
        b"GET", b"/x", b"y",
    )  # fmt: skip


def test_no_lines_have_no_targets() -> None:
    columns = request_line_columns(encode(pa.array([], pa.binary())))
    assert {name: column.to_pylist() for name, column in columns.items()} == {
        "method": [], "path": [], "query": [],
    }  # fmt: skip


def test_columns_that_a_format_lacks_are_null() -> None:
    batch = requests(
        np.array([0, 7]), {"status": pa.array([b"200", None]), "ip": pa.array([b"::1"] * 2)}
    )
    assert batch.schema == REQUEST_SCHEMA
    assert batch.column("line").to_pylist() == [0, 7]
    assert batch.column("status").to_pylist() == [b"200", None]
    assert batch.column("ip").to_pylist() == [b"::1", b"::1"]
    assert batch.column("query").to_pylist() == [None, None]
    assert requests(NO_ROWS, {}).num_rows == 0


def test_readings_are_joined() -> None:
    def part(line: int, status: bytes, malformed: int) -> Parsed:
        columns = {"status": pa.array([status])}
        return Parsed(requests(np.array([line]), columns), np.array([malformed]))

    joined = join([part(2, b"200", 1), Parsed(requests(NO_ROWS, {}), NO_ROWS), part(0, b"304", 3)])
    assert joined.requests.column("line").to_pylist() == [2, 0]
    assert joined.requests.column("status").to_pylist() == [b"200", b"304"]
    assert joined.malformed.tolist() == [1, 3]
    empty = join([Parsed(requests(NO_ROWS, {}), NO_ROWS)] * 2)
    assert (empty.requests.num_rows, empty.requests.schema) == (0, REQUEST_SCHEMA)
