from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from pipeline.formats.cloudflare import Cloudflare
from tests.edge_logs import cloudflare, cloudflare_rfc3339
from tests.logs import Hit, lines_of, log, requests_of

NOON = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)
MICROSECOND = datetime(2025, 11, 21, 12, 0, 0, 123456, timezone.utc)
VIEW: dict[str, Any] = {
    "ClientIP": "203.0.113.7",
    "ClientRequestHost": "px.example.org",
    "ClientRequestMethod": "GET",
    "ClientRequestPath": "/i.gif",
    "ClientRequestURI": "/i.gif?k=a",
    "ClientRequestUserAgent": "Mozilla/5.0",
    "EdgeResponseStatus": 200,
    "EdgeStartTimestamp": 1763726400000000000,
    "RayID": "3a6050bcbe121a87",
    "WorkerSubrequest": False,
}


def line(**changes: Any) -> bytes:
    """A line as Logpush writes it; `...` leaves a field out."""
    values = {name: value for name, value in {**VIEW, **changes}.items() if value is not ...}
    return json.dumps(values, separators=(",", ":")).encode()


def read(one: bytes) -> dict[str, Any]:
    (row,) = requests_of(Cloudflare(), one)
    return row


@pytest.mark.parametrize(
    ("logged", "expected"),
    [
        (1763726400123456789, MICROSECOND), ("1763726400123456999", MICROSECOND), (1763726400, NOON),
        ("1763726400", NOON), ("2025-11-21T12:00:00Z", NOON), ("2025-11-21T13:00:00.123456789+01:00", MICROSECOND),
        ("2025-11-21T11:59:60Z", NOON), (1763726400000, None), (0, None), (-1763726400, None), ("", None),
        (9223372036854775807, None), (9223372036854775808, None), ("2025-02-29T12:00:00Z", None),
    ],
)  # fmt: skip
def test_times_are_nanoseconds_seconds_or_rfc_3339(logged: Any, expected: datetime | None) -> None:
    assert read(line(EdgeStartTimestamp=logged))["timestamp"] == expected
    mixed = requests_of(
        Cloudflare(),
        line(),
        line(EdgeStartTimestamp=logged),
        line(EdgeStartTimestamp="2025-11-21T12:00:00Z"),
    )
    assert [row["timestamp"] for row in mixed] == [NOON, expected, NOON]


def test_the_end_stands_in_where_the_start_was_not_chosen() -> None:
    found = read(line(EdgeStartTimestamp=..., EdgeEndTimestamp=1763726400))
    assert found["timestamp"] == NOON


def test_the_target_is_the_uri_else_the_path_without_a_query() -> None:
    assert (read(line())["path"], read(line())["query"]) == (b"/i.gif", b"k=a")
    found = read(line(ClientRequestURI=...))
    assert (found["path"], found["query"]) == (b"/i.gif", None)


def test_custom_fields_give_the_cookie_and_the_forwarded_addresses() -> None:
    found = read(
        line(
            Cookies={"other": "x", "_pxid": "816fe127"},
            RequestHeaders={"x-forwarded-for": "198.51.100.9, 10.0.0.1"},
        )
    )
    assert found["cookie_pxid"] == b"816fe127"
    assert found["forwarded_for"] == b"198.51.100.9, 10.0.0.1"
    assert read(line(Cookies={}, RequestHeaders={}))["cookie_pxid"] is None


def test_what_the_edge_found_out_is_kept() -> None:
    edge = {
        "ClientCountry": "nl", "ClientASN": 8075, "CacheCacheStatus": "hit", "BotScore": 1,
        "ClientSSLProtocol": "TLSv1.3", "EdgeColoCode": "AMS",
    }  # fmt: skip
    found = read(line(**edge))
    assert [found[name] for name in ("country", "asn", "cache_status", "bot_score")] == [
        b"nl", b"8075", b"hit", b"1",
    ]  # fmt: skip
    assert (found["tls_version"], found["edge_location"]) == (b"TLSv1.3", b"AMS")


@pytest.mark.parametrize(
    "own",
    [{"WorkerSubrequest": True}, {"WorkerSubrequest": "true"}]
    + [{"ClientRequestSource": source} for source in ("purge", "healthcheck", "edgeWorkerFetch")],
)
def test_what_cloudflare_itself_asked_for_is_no_clients_request(own: dict[str, Any]) -> None:
    parsed = Cloudflare().parse(lines_of(log(line(), line(**own), line(), b"{}")))
    assert parsed.requests.column("line").to_pylist() == [0, 2]
    assert (parsed.other.tolist(), parsed.malformed.tolist()) == ([1], [3])


@pytest.mark.parametrize("source", ["eyeball", "orangeToOrange", "unknown"])
def test_requests_of_clients_count(source: str) -> None:
    assert read(line(ClientRequestSource=source))["path"] == b"/i.gif"


def test_lines_are_known_by_the_edges_time_and_the_target() -> None:
    known = Cloudflare().recognises
    assert known(line())
    assert known(cloudflare(Hit()))
    assert known(cloudflare_rfc3339(Hit()))
    assert not known(line(EdgeStartTimestamp=...))
    assert not known(line(ClientRequestURI=..., ClientRequestPath=..., ClientRequestMethod=...))
    assert not known(line()[:-1])
    assert not known(b"[]")
