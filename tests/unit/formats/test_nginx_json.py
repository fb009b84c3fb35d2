from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from pipeline.formats.nginx_json import KEYS, NginxJson
from tests.logs import lines_of, log, requests_of

NOON = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)
VIEW: dict[str, Any] = {
    "msec": 1763726400.0,
    "request_id": "5f0c",
    "remote_addr": "203.0.113.7",
    "http_x_forwarded_for": "198.51.100.9",
    "request_method": "GET",
    "host": "px.example.org",
    "request_uri": "/i.gif?k=a",
    "status": 200,
    "http_user_agent": "Mozilla/5.0",
    "http_referer": "https://e.org/",
    "cookie__pxid": "816fe127",
}
ROW = {
    "timestamp": NOON,
    "method": b"GET",
    "host": b"px.example.org",
    "path": b"/i.gif",
    "query": b"k=a",
    "status": b"200",
    "ip": b"203.0.113.7",
    "forwarded_for": b"198.51.100.9",
    "user_agent": b"Mozilla/5.0",
    "referrer": b"https://e.org/",
    "cookie_pxid": b"816fe127",
    "request_id": b"5f0c",
}
LONE = b'{"escaped":"\\u0041"}'
"""A line that is read singly."""


def line(**changes: Any) -> bytes:
    """A line as nginx would write it; `None` leaves a key out."""
    values = {name: value for name, value in {**VIEW, **changes}.items() if value is not None}
    return json.dumps(values, ensure_ascii=False).encode("utf-8", "surrogateescape")


def read(one: bytes) -> dict[str, Any]:
    """What one line becomes: the same alone and among others like it and unlike it."""
    (alone,) = requests_of(NginxJson(), one)
    for others in ([one, one], [line(), one], [one, line()], [LONE, one]):
        rows = requests_of(NginxJson(), *others)
        assert {**alone, "line": 0} in [{**row, "line": 0} for row in rows]
    del alone["line"]
    return alone


def malformed(*lines: bytes) -> list[int]:
    return NginxJson().parse(lines_of(log(*lines))).malformed.tolist()


def test_a_line_with_all_fields() -> None:
    assert read(line()) == ROW


def test_a_line_with_no_field_that_is_known() -> None:
    assert read(b"{}") == dict.fromkeys(ROW)
    assert read(b'{"level":"info"}') == dict.fromkeys(ROW)


@pytest.mark.parametrize(
    ("column", "key"), [(column, key) for column, keys in KEYS.items() for key in keys]
)
def test_every_key_name_is_understood(column: str, key: str) -> None:
    texts = {
        "timestamp": "2025-11-21T12:00:00+00:00",
        "uri": "/i.gif?k=a",
        "request": "GET /i.gif?k=a HTTP/1.1",
    }
    found = read(json.dumps({key: texts.get(column, "value"), "other": 1}).encode())
    if column in ("uri", "request"):
        assert (found["path"], found["query"]) == (b"/i.gif", b"k=a")
    elif column == "args":
        assert found["query"] == b"value"
    else:
        assert found[column] == (NOON if column == "timestamp" else b"value")


def test_the_best_key_is_taken_even_if_it_is_empty() -> None:
    assert read(line(request_uri="/a", uri="/b"))["path"] == b"/a"
    assert read(b'{"user_agent":"b","http_user_agent":"a"}')["user_agent"] == b"a"
    assert read(b'{"user_agent":"b","http_user_agent":"-"}')["user_agent"] is None


def test_the_request_line_and_the_target_complete_each_other() -> None:
    request = "HEAD /i.gif?k=a HTTP/1.1"
    whole = read(line(request=request, request_uri=None, request_method=None))
    assert (whole["method"], whole["path"], whole["query"]) == (b"HEAD", b"/i.gif", b"k=a")
    apart = read(line(request_uri=None, path="/i.gif", query_string="k=b"))
    assert (apart["path"], apart["query"]) == (b"/i.gif", b"k=b")
    both = read(line(request=request, uri="/rewritten", request_uri=None, args="k=c"))
    assert (both["path"], both["query"]) == (b"/rewritten", b"k=a")
    assert read(line(request="", request_method="", request_uri=""))["path"] is None


def test_strings_may_hold_what_json_escapes() -> None:
    found = read(line(http_user_agent='"quoted" \\x41 \\u0041 \t\n\b\f/ é 🎧', http_referer='":,"'))
    assert found["user_agent"] == '"quoted" \\x41 \\u0041 \t\n\b\f/ é 🎧'.encode()
    assert found["referrer"] == b'":,"'


def test_escape_json_leaves_bytes_past_ascii_as_they_are() -> None:
    assert read(line(http_user_agent="a\udcff\udcfeb"))["user_agent"] == b"a\xff\xfeb"


def test_default_escaping_is_undone_once() -> None:
    one = line(http_user_agent="MARK").replace(
        b"MARK", rb"\x22\xC3\xA9\x5Cx41\x09\xFF\x5C\x5Cu0041"
    )
    assert read(one)["user_agent"] == b'"\xc3\xa9\\x41\t\xff\\\\u0041'


@pytest.mark.parametrize("missing", [b"", b"-", b" ", b" - ", b"null"])
@pytest.mark.parametrize("after", [b",", b"}", b" ,"])
def test_a_bare_number_may_be_missing(missing: bytes, after: bytes) -> None:
    rest = b'"host":"h"}' if b"," in after else b""
    one = (
        b'{"http_user_agent":"a \\":, \\":-} b","status":200,"upstream_time":'
        + missing
        + after
        + rest
    )
    assert read(one)["user_agent"] == b'a ":, ":-} b'
    plain = one.replace(b' \\":, \\":-}', b"")
    assert read(plain)["user_agent"] == b"a b"
    assert (
        read(plain.replace(b"upstream_time", b"msec").replace(b"status", b"code"))["timestamp"]
        is None
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"200", b"200"), (b"-0", b"-0"), (b"2e2", b"2e2"), (b"2.00", b"2.00"), (b'"200"', b"200"),
        (b"true", b"true"), (b"false", b"false"), (b"null", None), (b'""', None), (b'"-"', None),
        (b"1" * 400, b"1" * 400), (b"{}", None), (b"[200]", None), (b'{"a":200}', None),
    ],
)  # fmt: skip
def test_plain_values_are_taken_as_they_stand(text: bytes, expected: bytes | None) -> None:
    assert read(b'{"a":1,"status":' + text + b"}")["status"] == expected
    assert read(b'{"status":' + text + b',"a":"b"}')["status"] == expected


def test_of_two_values_for_a_key_the_last_counts() -> None:
    assert read(b'{"status":200,"status":"304"}')["status"] == b"304"
    assert read(b'{"status":"200","status":304}')["status"] == b"304"
    assert read(b'{"status":"304","status":{}}')["status"] is None


def test_spaces_between_are_allowed() -> None:
    spaced = b' { "status" : 200 , "host" : "h" } '
    assert read(spaced)["status"] == b"200"
    assert read(spaced)["host"] == b"h"


@pytest.mark.parametrize(
    "one",
    [
        b"{", b"}", b'{"', b'{"status"', b'{"status":200', b'{"status":200,}', b'{"status":200}x', b"[]", b'"a"',
        b"200", b"null", b"{'status':200}", b'{status:200}', b'{"status":0200}', b'{"status":+1}', b'{"status":.5}',
        b'{"status":NaN}', b'{"status":Infinity}', b'{"status":-Infinity}', b'{"status":--}', b'{"status":- 1}',
        b'{"host":"\0"}', b'{"host":"a"\r}', b'{"host":"\\ud800"}', b'{"host":"\\q"}', b'{"host":"a"b"}',
        b'{"host":"a""b"}', b'{"host":"a" "b":1}', b'{"host" "a"}', b"[" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"\xef\xbb\xbf{}", b'{"a":1}{"b":2}', b'px1\t1', b"\xff",
    ],
)  # fmt: skip
def test_other_lines_are_malformed(one: bytes) -> None:
    assert malformed(one) == [0]
    assert malformed(one, one, LONE) == [0, 1]
    assert malformed(line(), one, line(), LONE) == [1]


def test_lines_of_several_shapes_are_read_side_by_side() -> None:
    lines = [
        json.dumps({"status": 200 + shape, **{f"key{n}": n for n in range(shape)}}).encode()
        for shape in range(12)
    ]
    assert [row["status"] for row in requests_of(NginxJson(), *lines)] == [
        b"%d" % (200 + shape) for shape in range(12)
    ]


def test_no_lines_at_all() -> None:
    parsed = NginxJson().parse(lines_of(b""))
    assert parsed.requests.num_rows == 0
    assert parsed.malformed.tolist() == []


def test_what_lacks_time_status_or_target_is_not_recognised() -> None:
    assert NginxJson().recognises(line())
    assert NginxJson().recognises(b'{"time":"x","code":"200","request":"GET / HTTP/1.0"}')
    for key in ("msec", "status", "request_uri"):
        assert not NginxJson().recognises(line(**{key: None}))
