from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from pipeline.formats.cloudfront_json import CloudFrontJson
from tests.logs import lines_of, log, requests_of

NOON = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)
MILLISECOND = datetime(2025, 11, 21, 12, 0, 0, 123000, timezone.utc)
VIEW: dict[str, Any] = {
    "date": "2025-11-21",
    "time": "12:00:00",
    "c-ip": "203.0.113.7",
    "cs-method": "GET",
    "cs(Host)": "d111111abcdef8.cloudfront.net",
    "cs-uri-stem": "/i.gif",
    "sc-status": "200",
    "cs(Referer)": "-",
    "cs(User-Agent)": "Mozilla/5.0%20(X11)",
    "cs-uri-query": "k=a",
    "cs(Cookie)": "-",
    "x-host-header": "px.example.org",
}


def line(changes: dict[str, Any]) -> bytes:
    """A line as CloudFront writes it; `...` leaves a field out."""
    values = {name: value for name, value in {**VIEW, **changes}.items() if value is not ...}
    return json.dumps(values, separators=(",", ":")).encode()


def read(changes: dict[str, Any]) -> dict[str, Any]:
    (row,) = requests_of(CloudFrontJson(), line(changes))
    return row


def test_values_are_unescaped_just_once() -> None:
    found = read(
        {
            "cs-uri-stem": "/caf%25C3%25A9", "cs-uri-query": "c=https%253A%252F%252Fe.org",
            "cs(Referer)": "https://e.org/%22", "x-forwarded-for": "198.51.100.9,%2010.0.0.1",
            "cs(User-Agent)": "a%20%22b%22%25",
        }
    )  # fmt: skip
    assert (found["path"], found["query"]) == (b"/caf%C3%A9", b"c=https%3A%2F%2Fe.org")
    assert (found["referrer"], found["user_agent"]) == (b'https://e.org/"', b'a "b"%')
    assert found["forwarded_for"] == b"198.51.100.9, 10.0.0.1"


def test_the_cookie_is_found_in_the_header() -> None:
    assert read({"cs(Cookie)": "a=b;%20_pxid=816f;%20c=d"})["cookie_pxid"] == b"816f"
    assert read({"cs(Cookie)": "not_pxid=816f"})["cookie_pxid"] is None
    assert read({})["cookie_pxid"] is None


def test_the_host_is_what_the_client_asked_for() -> None:
    assert read({})["host"] == b"px.example.org"
    assert read({"x-host-header": "-"})["host"] == b"d111111abcdef8.cloudfront.net"


def test_names_are_matched_without_case() -> None:
    for change in (str.lower, str.upper):
        other = json.dumps({change(name): value for name, value in VIEW.items()}).encode()
        assert requests_of(CloudFrontJson(), other) == requests_of(CloudFrontJson(), line({}))
        assert CloudFrontJson().recognises(other)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, NOON),
        ({"timestamp(ms)": "1763726400123"}, MILLISECOND),
        ({"timestamp(ms)": 1763726400123, "date": ..., "time": ...}, MILLISECOND),
        ({"timestamp": "1763726400", "date": ..., "time": ...}, NOON),
        ({"timestamp": "1763726400.123", "date": ..., "time": ...}, MILLISECOND),
        ({"timestamp(ms)": "-"}, NOON),
        ({"time": "11:59:60"}, NOON),
        ({"time": "24:00:00"}, None),
        ({"date": "2025-11-31"}, None),
        ({"date": ...}, None),
        ({"date": ..., "time": ...}, None),
    ],
)
def test_times_are_of_the_kind_that_was_chosen(
    changes: dict[str, Any], expected: datetime | None
) -> None:
    assert read(changes)["timestamp"] == expected
    rows = requests_of(CloudFrontJson(), line({}), line(changes), line({}))
    assert [row["timestamp"] for row in rows] == [NOON, expected, NOON]


def test_what_the_edge_found_out_is_kept() -> None:
    found = read(
        {
            "c-country": "US", "asn": "64496", "x-edge-result-type": "Hit",
            "ssl-protocol": "TLSv1.3", "x-edge-location": "SFO53-P7", "x-edge-request-id": "VqkomJQ==",
        }
    )  # fmt: skip
    assert (found["country"], found["asn"], found["cache_status"]) == (b"US", b"64496", b"Hit")
    assert (found["tls_version"], found["edge_location"]) == (b"TLSv1.3", b"SFO53-P7")
    assert found["request_id"] == b"VqkomJQ=="


def test_objects_without_a_request_are_malformed() -> None:
    lines = log(line({}), b'{"date":"2025-11-21"}', b"{}", line({})[:-1])
    assert sorted(CloudFrontJson().parse(lines_of(lines)).malformed.tolist()) == [1, 2, 3]


def test_lines_are_known_by_cloudfronts_names() -> None:
    known = CloudFrontJson().recognises
    assert known(line({}))
    assert known(b'{"cs-uri-stem":"/","sc-status":"200"}')
    assert not known(line({"cs-uri-stem": ...}))
    assert not known(b'{"path":"/","status":200,"time":"x"}')
    assert not known(b"[]")
