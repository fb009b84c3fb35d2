from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote_plus

import pytest

from pipeline.formats.akamai import Akamai
from tests.logs import Hit
from tests.unit.formats.fates import fate, line_of, request
from tests.vendor_logs import akamai

FORMAT = Akamai()
FIELDS: dict[str, Any] = {
    "reqId": "1239f220",
    "reqTimeSec": "1795261451.441",
    "cliIP": "203.0.113.7",
    "statusCode": "200",
    "reqHost": "px.example.org",
    "reqMethod": "GET",
    "reqPath": "/i.gif",
    "queryStr": "k=a",
    "UA": "Mozilla%2F5.0",
}


def line(**fields: Any) -> bytes:
    """A line of a stream; `None` leaves a field out."""
    held = {**FIELDS, **fields}
    return line_of({name: value for name, value in held.items() if value is not None})


def read(**fields: Any) -> dict[str, Any]:
    return request(FORMAT, line(**fields))


@pytest.mark.parametrize(
    ("escaped", "agent"),
    [
        # all of it escaped, as the document's sample has it
        ("Mozilla%2F5.0+%28X11%3B+rv%3A130.0%29", b"Mozilla/5.0 (X11; rv:130.0)"),
        ("curl%2F8.0+%2Bhttp%3A%2F%2Fe.org", b"curl/8.0 +http://e.org"),
        ("a%2520b", b"a%20b"), ("%FF%C3%A9%00", b"\xff\xc3\xa9\0"), ("plain", b"plain"),
        # what is not printable escaped, as the document's text has it
        ("Mozilla/5.0%20(compatible;%20x/2.1;%20+http://e.org)", b"Mozilla/5.0 (compatible; x/2.1; +http://e.org)"),
        ("a%20+b", b"a +b"), ("(100%25)", b"(100%)"), ("caf%C3%A9/1", b"caf\xc3\xa9/1"),
        # what is no escape stays
        ("50%/x", b"50%/x"), ("%zz%4", b"%zz%4"), ("%%41", b"%A"),
    ],
)  # fmt: skip
def test_user_agents_are_unescaped_once(escaped: str, agent: bytes) -> None:
    assert read(UA=escaped)["user_agent"] == agent


@pytest.mark.parametrize(
    ("logged", "referrer"),
    [
        ("https%3A%2F%2Fe.org%2Fa%3Fx%3D%2541+b", b"https://e.org/a?x=%41 b"),
        ("https://e.org/a%20b?q=%C3%A9+c", b"https://e.org/a%20b?q=%C3%A9+c"),
        ("-", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_a_referrer_keeps_its_own_escapes(logged: str | None, referrer: bytes | None) -> None:
    assert read(referer=logged)["referrer"] == referrer


def test_the_query_string_is_as_the_client_sent_it() -> None:
    query = "c=https%3A%2F%2Fe.org%2F%3Fa%2Bb+c%2525&k=%C3%A9"
    assert read(queryStr=query)["query"] == query.encode()
    assert read(queryStr="-")["query"] is None
    assert read(queryStr=None)["query"] is None


@pytest.mark.parametrize(
    ("logged", "path"),
    [("/i.gif", b"/i.gif"), ("i.gif", b"/i.gif"), ("a/%2Fb", b"/a/%2Fb"), ("/", b"/"), ("-", None)],
)
def test_paths_have_their_slash(logged: str, path: bytes | None) -> None:
    assert read(reqPath=logged)["path"] == path


@pytest.mark.parametrize(
    "cookie",
    [
        quote_plus("a=b; _pxid=816f; c=d"), "a=b;%20_pxid=816f;%20c=d", "_pxid=816f", "x_pxid=1; _pxid=816f",
        "_pxid%3D816f%3B+_pxid%3Dsecond",
    ],
)  # fmt: skip
def test_the_cookie_is_found(cookie: str) -> None:
    assert read(cookie=cookie)["cookie_pxid"] == b"816f"


@pytest.mark.parametrize("cookie", ["-", "a=b", "x_pxid=1", "_pxid=", None])
def test_there_may_be_no_cookie(cookie: str | None) -> None:
    assert read(cookie=cookie)["cookie_pxid"] is None


def test_forwarded_addresses_are_unescaped() -> None:
    both = (read(xForwardedFor=text)["forwarded_for"] for text in ("1.2.3.4,%205.6.7.8", "1.2.3.4%2C+5.6.7.8"))  # fmt: skip
    assert list(both) == [b"1.2.3.4, 5.6.7.8"] * 2


@pytest.mark.parametrize(
    ("logged", "microsecond"),
    [("1795261451", 0), (1795261451, 0), ("1795261451.120", 120_000), (1795261451.12, 120_000)],
)
def test_times_may_have_decimals(logged: object, microsecond: int) -> None:
    instant = datetime(2026, 11, 21, 11, 44, 11, microsecond, timezone.utc)
    assert read(reqTimeSec=logged)["timestamp"] == instant


def test_the_request_id_is_of_the_server_s_id_and_the_time() -> None:
    first, again, later = (read(reqTimeSec=time)["request_id"] for time in ("1795261451.1", "1795261451.1", "1795261452.1"))  # fmt: skip
    assert first == again
    assert first != later
    assert read(reqId="-")["request_id"] is None


def test_numbers_may_be_numbers_and_marks_mean_nothing() -> None:
    row = read(statusCode=304, cacheStatus=0, asn=64500, tlsVersion="^", country="-")
    assert (row["status"], row["cache_status"], row["asn"]) == (b"304", b"0", b"64500")
    assert (row["tls_version"], row["country"]) == (None, None)


def test_hosts_lose_their_ports() -> None:
    assert read(reqHost="px.example.org:443")["host"] == b"px.example.org"


@pytest.mark.parametrize("mark", ["1", 1, True])
def test_requests_between_akamai_s_servers_are_other_records(mark: object) -> None:
    assert fate(FORMAT, line(isMidgress=mark)) == "other"
    assert read(isMidgress="0")["path"] == b"/i.gif"


@pytest.mark.parametrize(
    "one",
    [b"{}", b"[]", b'{"version":1}', b'{"reqTimeSec":"1"}', line(reqTimeSec=None), akamai(Hit())[:-1]],
)  # fmt: skip
def test_what_is_no_record_is_malformed(one: bytes) -> None:
    assert fate(FORMAT, one) == "malformed"
    assert not FORMAT.recognises(one)
