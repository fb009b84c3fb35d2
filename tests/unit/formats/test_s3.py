from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from pipeline.formats.s3 import S3
from tests.logs import lines_of, log, requests_of

OWNER = b"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
SAMPLE = (
    OWNER + b" px.example.org [06/Feb/2019:00:00:38 +0000] 192.0.2.3 - 3E57427F3EXAMPLE "
    b'REST.GET.OBJECT i.gif "GET /i.gif?k=a HTTP/1.1" 200 - 43 43 7 6 "https://e.org/" "Mozilla/5.0 (X11)" '
    b"- s9lzHYrFp76ZVxRcpX9+5cjA= SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader px.example.org TLSv1.2 "
    b"arn:aws:s3:us-west-1:123456789012:accesspoint/example-AP Yes us-east-1"
)
ROW = {
    "line": 0,
    "timestamp": datetime(2019, 2, 6, 0, 0, 38, tzinfo=timezone.utc),
    "method": b"GET",
    "host": b"px.example.org",
    "path": b"/i.gif",
    "query": b"k=a",
    "status": b"200",
    "ip": b"192.0.2.3",
    "forwarded_for": None,
    "user_agent": b"Mozilla/5.0 (X11)",
    "referrer": b"https://e.org/",
    "cookie_pxid": None,
    "request_id": b"3E57427F3EXAMPLE",
    "tls_version": b"TLSv1.2",
}
OLD = {name: value for name, value in ROW.items() if name != "tls_version"} | {"host": None}


def one(line: bytes) -> dict[str, Any]:
    """What a line becomes: the same alone and among others."""
    (row,) = requests_of(S3(), line)
    assert S3().recognises(line)
    assert requests_of(S3(), SAMPLE, line, SAMPLE)[1] == {**row, "line": 1}
    return row


def test_a_line_with_all_fields() -> None:
    assert one(SAMPLE) == ROW


@pytest.mark.parametrize("fields", range(11))
def test_every_revision_is_read(fields: int) -> None:
    head, _, tail = SAMPLE.rpartition(b'" ')
    line = b" ".join([head + b'"', *tail.split(b" ")[:fields]])
    expected = ROW if fields >= 7 else {**OLD, "host": ROW["host"]} if fields == 6 else OLD
    assert one(line) == expected


def test_fields_that_are_appended_later_are_left_unread() -> None:
    assert one(SAMPLE + b" new 17 -") == ROW


@pytest.mark.parametrize(
    "agent",
    [b'Safari/604.1"', b'"', b'a "quoted" b', b'a" - - - - - evil.example.org TLSv1.3', b'" "', b"\\x41 \\\"",
     b"\xff\x1b[31m", b'x" 200 - 1 1 1 1 "', b"-x", b"- -"],
)  # fmt: skip
def test_quotes_in_a_user_agent_stand_as_they_are(agent: bytes) -> None:
    line = SAMPLE.replace(b"Mozilla/5.0 (X11)", agent)
    assert one(line) == {**ROW, "user_agent": agent}


def test_quotes_in_a_referrer_and_a_url_stand_as_they_are() -> None:
    assert one(SAMPLE.replace(b"https://e.org/", b'a "b" c')) == {**ROW, "referrer": b'a "b" c'}
    assert one(SAMPLE.replace(b"k=a", b'k="a"')) == {**ROW, "query": b'k="a"'}
    both = SAMPLE.replace(b"k=a", b'"').replace(b"Mozilla", b'"')
    assert one(both) == {**ROW, "query": b'"', "user_agent": b'"/5.0 (X11)'}


def test_nothing_stands_in_quotes_or_without() -> None:
    nothing = {**ROW, "referrer": None, "user_agent": None}
    client = b'"https://e.org/" "Mozilla/5.0 (X11)"'
    for written in (b'"-" "-"', b'- "-"', b'"-" -', b"- -"):
        assert one(SAMPLE.replace(client, written)) == nothing
    assert one(SAMPLE.replace(client, b'- "a "b" c"')) == {**nothing, "user_agent": b'a "b" c'}
    assert one(SAMPLE.replace(client, b'"a "b" c" -')) == {**nothing, "referrer": b'a "b" c'}


@pytest.mark.parametrize("request_", [b"-", b'"-"'])
def test_a_record_of_no_request_is_no_view(request_: bytes) -> None:
    line = (
        OWNER + b" px.example.org [06/Feb/2019:00:00:38 +0000] - AmazonS3 7B6D4E S3.EXPIRE.OBJECT old.gif "
        + request_ + b' - - - 43 - - "-" "-" - host= - - - - -'
    )  # fmt: skip
    found = {name: value for name, value in one(line).items() if value is not None}
    assert set(found) == {"line", "timestamp", "request_id"}


def test_a_time_that_cannot_be_read_is_no_time() -> None:
    assert one(SAMPLE.replace(b"06/Feb", b"30/Feb"))["timestamp"] is None


@pytest.mark.parametrize(
    "line",
    [
        b"x", b'"' * 6, SAMPLE[:60], SAMPLE[:150], SAMPLE[:150] + SAMPLE, SAMPLE.replace(b"[", b""),
        SAMPLE.replace(b" 43 43 7 6 ", b" 43 43 7 "), SAMPLE.replace(b" 200 ", b" 2000 "), SAMPLE.replace(b"REST.GET.OBJECT ", b""),
        SAMPLE.replace(b" 7 6 ", b" 7 x "), SAMPLE.replace(b"HTTP/1.1", b"HTTP/1.1 and more"), SAMPLE.rpartition(b'"')[0],
        SAMPLE.replace(b"Mozilla", b"Moz\0illa"), SAMPLE.replace(b"Mozilla", b"Moz\rilla"), SAMPLE.replace(b'" - s9', b'"- s9'),
        b'1.2.3.4 - - [10/Feb/2012:16:42:07 -0500] "GET / HTTP/1.0" 200 1 "-" "-"', SAMPLE.replace(b'"GET', b"GET"),
    ],
)  # fmt: skip
def test_other_lines_are_malformed(line: bytes) -> None:
    assert not S3().recognises(line)
    assert S3().parse(lines_of(log(line))).malformed.tolist() == [0]
    among = S3().parse(lines_of(log(SAMPLE, line, SAMPLE)))
    assert among.malformed.tolist() == [1]
    assert among.requests.num_rows == 2
