from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from pipeline.formats.traefik import Traefik
from tests.logs import Hit
from tests.unit.formats.fates import fate, line_of, request
from tests.vendor_logs import traefik

FORMAT = Traefik()
FIELDS: dict[str, Any] = {
    "ClientAddr": "203.0.113.7:53412",
    "ClientHost": "203.0.113.7",
    "DownstreamStatus": 200,
    "RequestHost": "px.example.org",
    "RequestMethod": "GET",
    "RequestPath": "/i.gif?k=a",
    "StartUTC": "2026-11-21T11:44:11.441123456Z",
    "level": "info",
    "msg": "",
    "time": "2026-11-21T11:44:12Z",
}


def line(fields: dict[str, Any]) -> bytes:
    """An access record; `None` leaves a field out."""
    held = {**FIELDS, **fields}
    return line_of({name: value for name, value in held.items() if value is not None})


def read(**fields: Any) -> dict[str, Any]:
    return request(FORMAT, line(fields))


@pytest.mark.parametrize(
    ("address", "host", "header", "ip", "forwarded_for"),
    [
        ("203.0.113.7:53412", "203.0.113.7", None, b"203.0.113.7", None),
        ("[2001:db8::1]:53412", "2001:db8::1", None, b"2001:db8::1", None),
        ("10.0.0.1:4", "198.51.100.9", "198.51.100.9", b"10.0.0.1", b"198.51.100.9"),
        ("10.0.0.1:4", "198.51.100.9", None, b"10.0.0.1", b"198.51.100.9"),
        ("10.0.0.1:4", "a, b", "REDACTED", b"10.0.0.1", b"a, b"),
        (None, "203.0.113.7", None, b"203.0.113.7", None),
        (None, "192.0.2.1, 10.0.0.7", None, b"10.0.0.7", b"192.0.2.1, 10.0.0.7"),
        (None, None, None, None, None),
    ],
)
def test_the_address_is_who_opened_the_connection(
    address: str | None, host: str | None, header: str | None, ip: bytes, forwarded_for: bytes
) -> None:
    fields = {"ClientAddr": address, "ClientHost": host, "request_X-Forwarded-For": header}
    row = request(FORMAT, line(fields))
    assert (row["ip"], row["forwarded_for"]) == (ip, forwarded_for)


def test_the_time_is_the_best_there_is() -> None:
    instant = datetime(2026, 11, 21, 11, 44, 11, 441_123, timezone.utc)
    assert read()["timestamp"] == instant
    local = "2026-11-21T17:29:11.441123456+05:45"
    assert read(StartUTC=None, StartLocal=local)["timestamp"] == instant
    assert read(StartUTC=None)["timestamp"] == datetime(2026, 11, 21, 11, 44, 12, 0, timezone.utc)
    assert read(StartUTC="soon")["timestamp"] is None


def test_go_s_escapes_are_undone() -> None:
    one = line({"request_User-Agent": "PLACE"}).replace(b"PLACE", rb"\u003cb\u003e \u0026 \u2028\ufffd")  # fmt: skip
    assert request(FORMAT, one)["user_agent"] == "<b> & \u2028\ufffd".encode()
    one = line({}).replace(b"?k=a", rb"?k=a\u0026c=%26")
    assert request(FORMAT, one)["query"] == b"k=a&c=%26"


def test_headers_are_there_only_if_they_are_kept() -> None:
    headers = {
        "request_User-Agent": "Mozilla/5.0",
        "request_Referer": "https://e.org/",
        "request_Cookie": "a=b; _pxid=816f",
    }
    row = request(FORMAT, line(headers))
    assert row["user_agent"] == b"Mozilla/5.0"
    assert row["referrer"] == b"https://e.org/"
    assert row["cookie_pxid"] == b"816f"
    for value in ("REDACTED", None):
        row = request(FORMAT, line(dict.fromkeys(headers, value)))
        assert [row[name] for name in ("user_agent", "referrer", "cookie_pxid")] == [None] * 3


def test_hosts_lose_their_ports() -> None:
    assert read(RequestHost="2001:db8::5")["host"] == b"2001:db8::5"
    assert read(RequestHost=None, RequestAddr="px.example.org:8443")["host"] == b"px.example.org"


def test_the_origin_s_status_stands_in_for_the_client_s() -> None:
    assert read(DownstreamStatus=None, OriginStatus=204)["status"] == b"204"
    assert read(OriginStatus=500)["status"] == b"200"


@pytest.mark.parametrize(
    "record",
    [
        {"level": "info", "msg": "Configuration loaded", "time": "2026-11-21T11:44:12Z"},
        {"level": "error", "error": "no such file", "time": "2026-11-21T11:44:12Z"},
        {"level": "warn", "message": "x"},
    ],
)
def test_traefik_s_own_log_lines_are_other_records(record: dict[str, str]) -> None:
    assert fate(FORMAT, line_of(record)) == "other"
    assert not FORMAT.recognises(line_of(record))


@pytest.mark.parametrize(
    "one", [b"{}", b"[]", b'{"level":"info"}', b'{"level":"","msg":""}', traefik(Hit())[:-1]]
)
def test_what_is_no_record_is_malformed(one: bytes) -> None:
    assert fate(FORMAT, one) == "malformed"
    assert not FORMAT.recognises(one)
