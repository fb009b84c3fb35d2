from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from pipeline.formats import detect, named
from pipeline.formats.cloudfront import CloudFront
from pipeline.formats.contract import Format
from tests.logs import FIREFOX, Hit, lines_of, log, read, requests_of, small_steps
from tests.text_logs import CLOUDFRONT_HEADER, cloudfront

FIELDS = CLOUDFRONT_HEADER.removeprefix(b"#Fields: ").split()
TIME = datetime(2019, 12, 4, 21, 2, 31, tzinfo=timezone.utc)
SAMPLE = (
    b"2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111111abcdef8.cloudfront.net\t/index.html\t200\t"
    b"-\tMozilla/5.0%20(Windows%20NT%2010.0)\t-\t-\tHit\tSOX4xwn4XV6Q4rgb7XiVGOHms==\tpx.example.org\t"
    b"https\t23\t0.001\t-\tTLSv1.2\tECDHE-RSA-AES128-GCM-SHA256\tHit\tHTTP/2.0\t-\t-\t11040\t0.001\tHit\t"
    b"text/html\t78\t-\t-"
)
ROW = {
    "line": 0,
    "timestamp": TIME,
    "method": b"GET",
    "host": b"px.example.org",
    "path": b"/index.html",
    "query": None,
    "status": b"200",
    "ip": b"192.0.2.100",
    "forwarded_for": None,
    "user_agent": b"Mozilla/5.0 (Windows NT 10.0)",
    "referrer": None,
    "cookie_pxid": None,
    "request_id": b"SOX4xwn4XV6Q4rgb7XiVGOHms==",
    "cache_status": b"Hit",
    "tls_version": b"TLSv1.2",
    "edge_location": b"LAX1",
}

SINCE = {"request_id": 15, "cache_status": 15, "tls_version": 23}
"""The revision that brought a field."""


def bound(*fields: bytes) -> Format:
    return CloudFront().bound([b"#Version: 1.0", b"#Fields: " + b" ".join(fields)])


def one(**changed: bytes) -> dict[str, Any]:
    """The sample with some fields changed (`_` for `-`, names without brackets), as a request."""
    plain = {name: name.translate(None, b"()").replace(b"-", b"_").lower() for name in FIELDS}
    fields = [
        changed.get(plain[name].decode(), text)
        for name, text in zip(FIELDS, SAMPLE.split(b"\t"), strict=True)
    ]
    (row,) = requests_of(bound(*FIELDS), b"\t".join(fields))
    return row


def fates(format_: Format, *lines: bytes) -> tuple[list[int], list[int], list[int]]:
    """Which lines became requests, malformed and headers."""
    parsed = format_.parse(lines_of(log(*lines)))
    return (
        sorted(parsed.requests.column("line").to_pylist()),
        sorted(parsed.malformed.tolist()),
        sorted(parsed.header.tolist()),
    )


def test_a_line_with_all_fields() -> None:
    assert requests_of(bound(*FIELDS), SAMPLE) == [ROW]


@pytest.mark.parametrize("width", [12, 15, 18, 19, 23, 24, 26, 33])
def test_every_revision_is_read_by_its_header(width: int) -> None:
    line = b"\t".join(SAMPLE.split(b"\t")[:width])
    format_ = bound(*FIELDS[:width])
    (row,) = requests_of(format_, line)
    missing = {name for name, first in SINCE.items() if width < first}
    host = b"d111111abcdef8.cloudfront.net" if width < 18 else b"px.example.org"
    whole = ROW | dict.fromkeys(missing) | {"host": host}
    assert row == {name: whole[name] for name in ROW if name in row}
    assert set(ROW) - set(row) == missing - {"request_id"}
    assert fates(format_, line + b"\t-", line.rsplit(b"\t", 1)[0]) == ([], [0, 1], [])


def test_fields_are_found_by_name_in_any_order() -> None:
    (row,) = requests_of(bound(*FIELDS[::-1]), b"\t".join(SAMPLE.split(b"\t")[::-1]))
    assert row == ROW


def test_fields_nobody_knows_are_left_unread() -> None:
    format_ = bound(b"x-new", *FIELDS, b"cs(New)")
    assert requests_of(format_, b"new\t" + SAMPLE + b"\tmore") == [ROW]


def test_version_two_may_log_milliseconds_country_and_network() -> None:
    fields = b"timestamp(ms) c-ip cs-method cs-uri-stem sc-status cs(User-Agent) x-edge-location c-country asn"
    line = b"1575493351441\t192.0.2.1\tGET\t/i.gif\t200\tx\tLAX1\tDE\t64501"
    (row,) = requests_of(bound(*fields.split()), line)
    assert row["timestamp"] == TIME.replace(microsecond=441_000)
    assert (row["country"], row["asn"], row["host"]) == (b"DE", b"64501", None)


def test_escapes_are_undone_once() -> None:
    row = one(
        cs_uri_stem=b"/caf%25C3%25A9",
        cs_uri_query=b"k=%2520&c=%257B",
        csreferer=b"https://e.org/%22%5C",
        csuser_agent=b"a%20%22b%22%20%2541%1B%00",
        x_forwarded_for=b"198.51.100.9,%2010.0.0.1:443",
    )
    assert row["path"] == b"/caf%C3%A9"
    assert row["query"] == b"k=%20&c=%7B"
    assert row["referrer"] == b'https://e.org/"\\'
    assert row["user_agent"] == b'a "b" %41\x1b\0'
    assert row["forwarded_for"] == b"198.51.100.9, 10.0.0.1:443"


def test_the_cookie_is_taken_out_of_the_others() -> None:
    assert one(cscookie=b"a=b;%20_pxid=816f%2541;%20c=d")["cookie_pxid"] == b"816f%41"
    assert one(cscookie=b"a=b;c=d")["cookie_pxid"] is None


def test_the_host_is_the_one_asked_for_else_the_distributions() -> None:
    assert one(x_host_header=b"-")["host"] == b"d111111abcdef8.cloudfront.net"
    assert one(x_host_header=b"-", cshost=b"-")["host"] is None


def test_a_client_that_left_has_status_000() -> None:
    row = one(sc_status=b"000", x_edge_result_type=b"Error", x_edge_response_result_type=b"Hit")
    assert (row["status"], row["cache_status"]) == (b"000", b"Error")


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        (b"2016-12-31", b"23:59:60", datetime(2017, 1, 1, tzinfo=timezone.utc)),
        (b"2026-02-29", b"21:02:31", None),
        (b"2026-13-01", b"21:02:31", None),
        (b"2026-00-10", b"21:02:31", None),
        (b"2026-02-28", b"24:00:00", None),
        (b"1999-12-31", b"23:59:59", None),
    ],
)
def test_times(date: bytes, time: bytes, expected: datetime | None) -> None:
    assert one(date=date, time=time)["timestamp"] == expected


@pytest.mark.parametrize(
    "line",
    [
        b"x", b"\t" * 32, SAMPLE.replace(b"\t200\t", b"\t20\t"), SAMPLE.replace(b"\t200\t", b"\t-\t"),
        SAMPLE.replace(b"2019-12-04", b"04/12/2019"), SAMPLE.replace(b"21:02:31", b"9pm"), SAMPLE + b"\0", SAMPLE.replace(b"Hit", b"H\rit"),
        SAMPLE.replace(b"\t", b" "), SAMPLE[:100] + SAMPLE, b" " + SAMPLE, SAMPLE[:-4],
    ],
)  # fmt: skip
def test_other_lines_are_malformed(line: bytes) -> None:
    format_ = bound(*FIELDS)
    assert not format_.recognises(line)
    assert fates(format_, line) == ([], [0], [])
    assert fates(format_, SAMPLE, line, SAMPLE) == ([0, 2], [1], [])


def test_without_a_header_no_line_is_read() -> None:
    assert fates(CloudFront(), SAMPLE, b"#Version: 1.0", SAMPLE) == ([], [0, 2], [1])
    assert CloudFront().header is None
    assert not CloudFront().recognises(SAMPLE)
    assert detect([SAMPLE] * 3) is None


def test_a_header_changes_the_lines_after_it() -> None:
    few = b"c-ip date time cs-method cs-uri-stem sc-status cs(User-Agent) x-edge-location"
    short = b"192.0.2.9\t2019-12-04\t21:02:31\tGET\t/i.gif\t200\tx\tLAX1"
    lines = (
        SAMPLE, CLOUDFRONT_HEADER, SAMPLE, short, b"#Version: 1.0", SAMPLE, b"#Fields: " + few, SAMPLE, short,
        CLOUDFRONT_HEADER, SAMPLE, b"#Fields: x y", SAMPLE, short,
    )  # fmt: skip
    expected = ([2, 5, 8, 10], [0, 3, 7, 12, 13], [1, 4, 6, 9, 11])
    assert fates(CloudFront(), *lines) == expected
    bound_ = ([0, *expected[0]], expected[1][1:], expected[2])
    assert fates(bound(*FIELDS), *lines) == bound_
    rows = requests_of(bound(*FIELDS), SAMPLE, b"#Fields: " + few, short)
    assert [row["ip"] for row in rows] == [b"192.0.2.100", b"192.0.2.9"]


@pytest.mark.parametrize(
    "header",
    [
        b"#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port c-ip cs(User-Agent) sc-status",
        b"#Fields: date time x-edge-location c-ip x-event sc-bytes x-cf-status cs-uri-stem c-user-agent",
        b"#Fields: time x-edge-location c-ip cs-method cs-uri-stem sc-status cs(User-Agent)",
        b"#Fields:", b"#Version: 1.0", b"#Fields: \xff", CLOUDFRONT_HEADER + b" \xc3\xa9", CLOUDFRONT_HEADER[1:],
    ],
    ids=["IIS", "streaming", "no date", "none", "version", "no text", "not ASCII", "no mark"],
)  # fmt: skip
def test_headers_of_other_logs_are_not_taken(header: bytes) -> None:
    assert CloudFront().bound([header]).header is None
    assert not CloudFront().recognises(header)
    assert detect([header, SAMPLE]) is None


def test_a_format_is_bound_by_the_header_that_it_gives() -> None:
    found = detect([b"#Version: 1.0", CLOUDFRONT_HEADER, SAMPLE])
    assert found is not None
    assert found.header == CLOUDFRONT_HEADER.decode()
    again = named("cloudfront", found.header)
    assert again is not None
    assert requests_of(again, SAMPLE) == [ROW]


def test_a_grown_log_is_read_by_its_header_in_any_pieces() -> None:
    data = log(b"#Version: 1.0", CLOUDFRONT_HEADER, *[cloudfront(Hit())] * 5)
    whole = read(data)
    assert whole.tally.accepted == 5
    assert whole.tally.header == 2
    for cut in range(1, len(data), 97):
        assert read(data, cuts=[cut]).events == whole.events


def test_logs_that_were_joined_are_read_each_by_its_own_header_in_later_blocks_too() -> None:
    swap = {b"cs(User-Agent)": b"cs(Referer)", b"cs(Referer)": b"cs(User-Agent)"}
    at = [FIELDS.index(name) for name in swap]
    lines = [cloudfront(Hit(request_id=b"%d" % number)) for number in range(6)]
    swapped = []
    for line in lines[3:]:
        fields = line.split(b"\t")
        fields[at[0]], fields[at[1]] = fields[at[1]], fields[at[0]]
        swapped.append(b"\t".join(fields))
    other = b"#Fields: " + b" ".join(swap.get(name, name) for name in FIELDS)
    joined = log(b"#Version: 1.0", CLOUDFRONT_HEADER, *lines[:3], other, *swapped)
    for step_bytes in (64, 1000, 1 << 20):
        with small_steps(step_bytes):
            reading = read(joined, block_bytes=1)
        assert [row["event_id"] for row in reading.events] == ["0", "1", "2", "3", "4", "5"]
        assert {row["remote_agent"] for row in reading.events} == {FIREFOX.decode()}
        assert reading.tally.header == 3
    unsound = joined.replace(other, b"#Fields: date time")
    for step_bytes in (64, 1000, 1 << 20):
        with small_steps(step_bytes):
            assert read(unsound, block_bytes=1).reasons == ["malformed"] * 3


def test_a_reject_keeps_the_header_that_it_was_read_by_or_none() -> None:
    bad = cloudfront(Hit(uri=b"/i.gif?k=a"))
    other = CLOUDFRONT_HEADER.replace(b"cs-bytes", b"cs-octets")
    data = log(CLOUDFRONT_HEADER, bad, other, bad, b"", bad)
    header, behind = CLOUDFRONT_HEADER.decode(), other.decode()
    whole = [row["header"] for row in read(data).rejects]
    assert whole == [None, None, None]
    with small_steps(64):
        apart = [row["header"] for row in read(data, block_bytes=1).rejects]
    assert apart == [header, behind, behind]
