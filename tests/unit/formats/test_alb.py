from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from pipeline.formats.alb import Alb
from tests.logs import lines_of, log, requests_of

ROOT = b"1-58337281-1d84f3d73c47ec4e58577259"
OTHER = b"1-67891233-abcdef012345678912345678"
HEAD = (
    b"https 2018-07-02T22:23:00.186641Z app/my-lb/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.086 "
    b"0.048 0.037 200 200 0 57 "
)
CLIENT = b'"GET https://www.example.com:443/i.gif?k=a HTTP/1.1" "curl/7.46.0"'
SAMPLE = (
    HEAD + CLIENT + b" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:x/73e2 "
    b'"Root=' + ROOT + b'" "www.example.com" "arn:aws:acm:x" 1 2018-07-02T22:22:48.364000Z '
    b'"authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_1234abcd5678ef90'
)
ROW = {
    "line": 0,
    "timestamp": datetime(2018, 7, 2, 22, 23, 0, 186_641, timezone.utc),
    "method": b"GET",
    "host": b"www.example.com",
    "path": b"/i.gif",
    "query": b"k=a",
    "status": b"200",
    "ip": b"192.168.131.39",
    "forwarded_for": None,
    "user_agent": b"curl/7.46.0",
    "referrer": None,
    "cookie_pxid": None,
    "request_id": ROOT,
    "tls_version": b"TLSv1.2",
}


def one(line: bytes) -> dict[str, Any]:
    """What a line becomes: the same alone and among others."""
    (row,) = requests_of(Alb(), line)
    assert Alb().recognises(line)
    assert requests_of(Alb(), SAMPLE, line, SAMPLE)[1] == {**row, "line": 1}
    return row


def test_a_line_with_all_fields() -> None:
    assert one(SAMPLE) == ROW


def test_every_revision_is_read() -> None:
    first, *pieces = SAMPLE.removeprefix(HEAD + CLIENT).split(b'" ')
    for count in range(len(pieces) + 1):
        line = HEAD + CLIENT + b'" '.join([first, *pieces[:count]])
        assert one(line if line.endswith((b'"', b"0")) else line + b'"') == ROW
    assert one(SAMPLE + b' "new" x "') == ROW


@pytest.mark.parametrize("kind", [b"http", b"https", b"h2", b"grpc", b"grpcs", b"ws", b"wss"])
def test_requests_of_every_kind(kind: bytes) -> None:
    assert one(SAMPLE.replace(b"https 2018", kind + b" 2018")) == ROW


@pytest.mark.parametrize(
    ("client", "ip"),
    [
        (b"192.0.2.1:1", b"192.0.2.1"),
        (b"2001:db8::1:48201", b"2001:db8::1"),
        (b"[2001:db8::1]:48201", b"2001:db8::1"),
        (b"192.0.2.1", b"192.0.2.1"),
        (b"-", None),
    ],
)
def test_the_clients_port_is_left_out(client: bytes, ip: bytes | None) -> None:
    assert one(SAMPLE.replace(b"192.168.131.39:2817", client)) == {**ROW, "ip": ip}


@pytest.mark.parametrize(
    ("url", "host", "path", "query"),
    [
        (b"http://a.example.com:80/", b"a.example.com", b"/", None),
        (b"http://a.example.com/i.gif?", b"a.example.com", b"/i.gif", b""),
        (b"https://[2001:db8::1]:443/x", b"[2001:db8::1]", b"/x", None),
        (b"https://a.example.com:443?b:1/", b"a.example.com", b"", b"b:1/"),
        (b"https://a:443//b?c=http://d:1/", b"a", b"//b", b"c=http://d:1/"),
        (b"/i.gif?k", None, b"/i.gif", b"k"),
        (b"https://:443/i.gif", None, b"/i.gif", None),
        (b"*", None, b"*", None),
    ],
)
def test_the_url_tells_host_path_and_query(
    url: bytes, host: bytes | None, path: bytes, query: bytes | None
) -> None:
    row = one(SAMPLE.replace(b"https://www.example.com:443/i.gif?k=a", url))
    assert (row["host"], row["path"], row["query"]) == (host, path, query)


@pytest.mark.parametrize("request_", [b"- - - ", b"- http://lb.elb.amazonaws.com:80- -", b"-", b""])
def test_a_request_that_could_not_be_parsed_is_no_view(request_: bytes) -> None:
    row = one(SAMPLE.replace(b"GET https://www.example.com:443/i.gif?k=a HTTP/1.1", request_))
    assert (row["method"], row["host"], row["path"], row["query"]) == (None,) * 4


@pytest.mark.parametrize(
    ("trace", "request_id"),
    [
        (b"Root=" + ROOT, ROOT),
        (b"Self=" + ROOT + b";Root=" + OTHER, ROOT),
        (b"Self=" + ROOT + b";Root=" + OTHER + b";CalledFrom=app", ROOT),
        (b"Self=" + ROOT, ROOT),
        (b"Root=" + OTHER + b";CalledFrom=app", None),
        (b"Root=" + OTHER + b";Self=" + ROOT, None),
        (b"Root=anything", None),
        (b"Root=" + ROOT + b"-", None),
        (b"-", None),
        (b"", None),
    ],
)
def test_only_the_balancers_own_trace_id_is_a_request_id(
    trace: bytes, request_id: bytes | None
) -> None:
    row = one(SAMPLE.replace(b"Root=" + ROOT, trace))
    assert row == {**ROW, "request_id": request_id}


@pytest.mark.parametrize(
    ("written", "agent"),
    [
        (rb"a \x22b\x22 \x5Cx41 \xC3\xA9", b'a "b" \\x41 \xc3\xa9'),
        (rb"\"b\"", b'"b"'),
        (rb"a\\", b"a\\"),
        (rb"a\\\"", b'a\\"'),
        (rb"\a \x4 \xZZ", rb"\a \x4 \xZZ"),
        (b"\xff\x1b[31m", b"\xff\x1b[31m"),
        (b"-", None),
    ],
)
def test_escapes_are_undone_once(written: bytes, agent: bytes | None) -> None:
    assert one(SAMPLE.replace(b"curl/7.46.0", written)) == {**ROW, "user_agent": agent}


def test_a_target_may_be_missing() -> None:
    line = SAMPLE.replace(b" 10.0.0.1:80 0.086 0.048 0.037 200 200 ", b" - -1 -1 -1 503 - ")
    assert one(line) == {**ROW, "status": b"503"}


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (b"2016-12-31T23:59:60.250000Z", datetime(2017, 1, 1, 0, 0, 0, 250_000, timezone.utc)),
        (b"2018-07-02T22:23:00Z", datetime(2018, 7, 2, 22, 23, 0, 0, timezone.utc)),
        (b"2018-02-30T22:23:00.186641Z", None),
        (b"2018-yesterday", None),
    ],
)
def test_times(time: bytes, expected: datetime | None) -> None:
    assert one(SAMPLE.replace(b"2018-07-02T22:23:00.186641Z", time, 1))["timestamp"] == expected


@pytest.mark.parametrize(
    "line",
    [
        b"x", b'"' * 6, SAMPLE[:60], SAMPLE[:150], SAMPLE[:150] + SAMPLE, b"ftp" + SAMPLE[5:], SAMPLE.replace(b" 0.048", b""),
        SAMPLE.replace(b"curl", b'cu"rl'), SAMPLE.replace(b"curl", b"c\0rl"), SAMPLE.replace(b"curl", b"c\rrl"), SAMPLE[1:],
        SAMPLE.replace(b'"Root', b"Root"), SAMPLE.replace(b" TLSv1.2", b""), SAMPLE.replace(b" 200 200 ", b" 200 OK "),
        SAMPLE.replace(b"curl/7.46.0", rb"curl\ "[:-1]), b" " + SAMPLE, SAMPLE.replace(b"259\" ", b'259"'),
    ],
)  # fmt: skip
def test_other_lines_are_malformed(line: bytes) -> None:
    assert not Alb().recognises(line)
    assert Alb().parse(lines_of(log(line))).malformed.tolist() == [0]
    among = Alb().parse(lines_of(log(SAMPLE, line, SAMPLE)))
    assert among.malformed.tolist() == [1]
    assert among.requests.num_rows == 2
