from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from pipeline.formats.combined import Combined
from tests.logs import lines_of, log, requests_of

SAMPLE = (
    b'1.2.3.4 - theuser [10/Feb/2012:16:42:07 -0500] "GET /a?b=c HTTP/1.0" 301 368 "https://e.org/" '
    b'"Mozilla/5.0 (X11; Linux x86_64)"'
)
HOSTILE = b'85.202.168.47 - - [04/Oct/2022:04:34:49 +0200] "" 400 0 "-" "-"'
ESCAPED = rb'1.2.3.4 - - [10/Feb/2012:16:42:07 -0500] "GET / HTTP/1.0" 200 1 "-" "\x22"'
ROW = {
    "timestamp": datetime(2012, 2, 10, 21, 42, 7, tzinfo=timezone.utc),
    "method": b"GET",
    "host": None,
    "path": b"/a",
    "query": b"b=c",
    "status": b"301",
    "ip": b"1.2.3.4",
    "forwarded_for": None,
    "user_agent": b"Mozilla/5.0 (X11; Linux x86_64)",
    "referrer": b"https://e.org/",
    "cookie_pxid": None,
    "request_id": None,
}


def read(line: bytes) -> dict[str, Any]:
    """What one line becomes: the same alone and among others like it and unlike it."""
    (alone,) = requests_of(Combined(), line)
    main = SAMPLE + b' "10.0.0.1"'
    for others in ([line, line], [SAMPLE, SAMPLE, line], [line, main, main], [ESCAPED, line]):
        rows = requests_of(Combined(), *others)
        assert {**alone, "line": 0} in [{**row, "line": 0} for row in rows]
    del alone["line"]
    return alone


def malformed(*lines: bytes) -> list[int]:
    return sorted(Combined().parse(lines_of(log(*lines))).malformed.tolist())


def test_a_line_with_all_fields() -> None:
    assert read(SAMPLE) == ROW


def test_nginxs_main_adds_x_forwarded_for() -> None:
    assert read(SAMPLE + b' "198.51.100.9, 10.0.0.1"') == {
        **ROW,
        "forwarded_for": b"198.51.100.9, 10.0.0.1",
    }
    assert read(SAMPLE + b' "-"') == ROW


@pytest.mark.parametrize(
    ("front", "host"),
    [
        (b"px.example.org:443 ", b"px.example.org"),
        (b"203.0.113.9:8080 ", b"203.0.113.9"),
        (b"[2001:db8::1]:80 ", b"[2001:db8::1]"),
    ],
)
@pytest.mark.parametrize("ip", [b"1.2.3.4", b"2001:db8::7", b"client.example.org", b"-x"])
def test_apaches_vhost_combined_tells_the_host(front: bytes, host: bytes, ip: bytes) -> None:
    line = front + SAMPLE.replace(b"1.2.3.4", ip)
    assert read(line) == {**ROW, "host": host, "ip": ip}
    escaped = line.replace(b"theuser", rb"the \"user\"")
    assert read(escaped) == {**ROW, "host": host, "ip": ip}


@pytest.mark.parametrize("ip", [b"203.0.113.9:51234", b"[2001:db8::1]:51234", b"2001:db8::443"])
def test_an_address_with_a_port_is_no_virtual_host(ip: bytes) -> None:
    assert read(SAMPLE.replace(b"1.2.3.4", ip)) == {**ROW, "ip": ip}


def test_fields_after_the_known_ones_are_allowed() -> None:
    assert read(SAMPLE + b" 0.003 TLSv1.3") == ROW
    assert read(SAMPLE + b' "10.0.0.1" 0.003 "h2" x') == {**ROW, "forwarded_for": b"10.0.0.1"}
    assert read(SAMPLE + b' 0.003 "h2"') == ROW


def test_a_request_may_be_empty_or_garbage() -> None:
    found = read(HOSTILE)
    assert {name: value for name, value in found.items() if value is not None} == {
        "timestamp": datetime(2022, 10, 4, 2, 34, 49, tzinfo=timezone.utc),
        "status": b"400",
        "ip": b"85.202.168.47",
    }
    garbage = rb'1.2.3.4 - - [10/Feb/2012:16:42:07 -0500] "\x16\x03\x01\x22\x5C" 400 0 "-" "-"'
    assert read(garbage)["method"] is None


def test_nginx_escapes_are_undone_once() -> None:
    found = read(SAMPLE.replace(b"Mozilla", rb"\x22\xC3\xA9\x5Cx41\x09"))
    assert found["user_agent"] == b'"\xc3\xa9\\x41\t/5.0 (X11; Linux x86_64)'


def test_apache_escapes_are_undone_once() -> None:
    found = read(SAMPLE.replace(b"Mozilla", rb"\"\\x41\\\" \n\t\r\b\v\xc3\xa9"))
    assert found["user_agent"] == b'"\\x41\\" \n\t\r\b\v\xc3\xa9/5.0 (X11; Linux x86_64)'


def test_a_time_that_cannot_be_read_is_no_time() -> None:
    for time in (
        b"10/Feb/2012:16:42:07",
        b"30/Feb/2012:16:42:07 -0500",
        b"-",
        b"10/02/2012 16:42:07 -05:00",
    ):
        assert read(SAMPLE.replace(b"10/Feb/2012:16:42:07 -0500", time))["timestamp"] is None


@pytest.mark.parametrize(
    ("changed", "ip"),
    [
        (SAMPLE.replace(b"1.2.3.4", b"2001:db8::1"), b"2001:db8::1"),
        (SAMPLE.replace(b"1.2.3.4", b"host.example.org"), b"host.example.org"),
        (SAMPLE.replace(b"1.2.3.4", b"-"), None),
        (SAMPLE.replace(b"theuser", b"a [strange] user name"), b"1.2.3.4"),
        (SAMPLE.replace(b" - theuser", b" -"), b"1.2.3.4"),
        (SAMPLE.replace(b"theuser", rb"a \"quoted\" \\ user"), b"1.2.3.4"),
        (SAMPLE.replace(b"theuser", rb"\xc3\xa9"), b"1.2.3.4"),
        (SAMPLE.replace(b" 368 ", b" - "), b"1.2.3.4"),
        (SAMPLE.replace(b"1.2.3.4", b"x" * 255), b"x" * 255),
    ],
)
def test_what_stands_in_front_varies(changed: bytes, ip: bytes | None) -> None:
    found = read(changed)
    assert found["ip"] == ip
    assert found["timestamp"] == ROW["timestamp"]


@pytest.mark.parametrize(
    "line",
    [
        b"", b"-", b'"', b'""""""', b" ", b"1.2.3.4", SAMPLE[:-1], SAMPLE[:40], SAMPLE[1:].replace(b".2.3.4 - ", b""),
        SAMPLE.replace(b"301", b"30"), SAMPLE.replace(b"301", b"3000"), SAMPLE.replace(b"301", b"-"),
        SAMPLE.replace(b"368", b"x"), SAMPLE.replace(b"368", b""), SAMPLE.replace(b'" 301', b'"301'),
        SAMPLE.replace(b"[10/", b"10/"), SAMPLE.replace(b"0] ", b"0 "), SAMPLE.replace(b"0] ", b"0]"),
        SAMPLE.replace(b"1.2.3.4 ", b" "), SAMPLE.replace(b"1.2.3.4 - theuser", b"1.2.3.4"),
        SAMPLE.replace(b"1.2.3.4", b"x" * 256), SAMPLE.replace(b"theuser", b"u" * 600),
        SAMPLE.replace(b'" "', b'"  "'), SAMPLE.replace(b'" "', b'""'), SAMPLE + b"x", SAMPLE + b'"x"',
        SAMPLE.replace(b"Mozilla", b'Mo"zilla'), SAMPLE.replace(b"Mozilla", b"Mo\0zilla"),
        SAMPLE.replace(b"Mozilla", b"Mo\rzilla"), b"\0" * 50 + SAMPLE, b"\xef\xbb\xbf", SAMPLE[:-1] + b"\\\"",
        b'1.2.3.4 - - "GET / HTTP/1.0" 200 1 "-" "-"', SAMPLE[:70] + SAMPLE, b'" " " " " "', b"x" * 60_000,
    ],
)  # fmt: skip
def test_other_lines_are_malformed(line: bytes) -> None:
    if line:
        assert malformed(line) == [0]
    others = [SAMPLE, line or b"-", SAMPLE, ESCAPED, SAMPLE]
    assert malformed(*others) == [1]
    main = SAMPLE + b' "-"'
    assert malformed(main, line or b"-", main, ESCAPED, main) == [1]


def test_short_lines_among_others_are_only_malformed() -> None:
    # The time is cut off from the end of what stands before the first quote: here that is short.
    short = [b'"" 200 1 "" ""', b'x "" 200 1 "" ""', b'a b "" 200 1 "" ""']
    assert malformed(*short) == [0, 1, 2]
    assert malformed(SAMPLE, *short) == [1, 2, 3]
    assert malformed(SAMPLE, SAMPLE, SAMPLE, SAMPLE, *short) == [4, 5, 6]


def test_no_lines_at_all() -> None:
    parsed = Combined().parse(lines_of(b""))
    assert parsed.requests.num_rows == 0
    assert parsed.malformed.tolist() == []


def test_only_whole_lines_are_recognised() -> None:
    assert all(map(Combined().recognises, (SAMPLE, HOSTILE, ESCAPED, SAMPLE + b' "-"')))
    assert not Combined().recognises(SAMPLE[:-1])
    assert not Combined().recognises(SAMPLE.split(b' "https')[0])
