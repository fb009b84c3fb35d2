from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from pipeline.formats.caddy import Caddy
from tests.logs import Hit
from tests.unit.formats.fates import fate, line_of, request
from tests.vendor_logs import caddy

FORMAT = Caddy()
SECOND = datetime(2026, 11, 21, 11, 44, 11, tzinfo=timezone.utc)


def record(headers: dict[str, list[str]] | None = None, **changes: Any) -> dict[str, Any]:
    """A record of the access logger; `None` leaves a field out, of the request or beside it."""
    sent = {
        "remote_ip": "203.0.113.7",
        "client_ip": "203.0.113.7",
        "method": "GET",
        "host": "px.example.org",
        "uri": "/i.gif?k=a",
        "headers": {"User-Agent": ["Mozilla/5.0"], **(headers or {})},
    }
    beside = {"level": "info", "ts": 1795261451.5, "logger": "http.log.access", "status": 200}
    for name, value in changes.items():
        (sent if name in sent or name in ("remote_addr", "tls") else beside)[name] = value
    whole = {**beside, "request": {name: value for name, value in sent.items() if value is not None}}  # fmt: skip
    return {name: value for name, value in whole.items() if value is not None}


def read(headers: dict[str, list[str]] | None = None, **changes: Any) -> dict[str, Any]:
    return request(FORMAT, line_of(record(headers, **changes)))


@pytest.mark.parametrize(
    ("time", "microsecond"),
    [
        (1795261451.4411235, 441_124), (1795261451, 0), (1795261451441.5, 441_500), (1795261451441, 441_000),
        (1795261451441123999, 441_123), ("2026-11-21T11:44:11Z", 0), ("2026-11-21T12:44:11.441+0100", 441_000),
        ("2026-11-21T05:59:11.441123999-05:45", 441_123), ("2026/11/21 11:44:11", 0),
        ("2026/11/21 11:44:11.441", 441_000), ("2026/11/21 11:44:11.441123456", 441_123),
        ("21/Nov/2026:11:44:11 +0000", 0),
    ],
)  # fmt: skip
def test_every_time_format_is_understood(time: object, microsecond: int) -> None:
    assert read(ts=time)["timestamp"] == SECOND.replace(microsecond=microsecond)


@pytest.mark.parametrize("time", ["", "Nov 21", "11:44:11", 17952614514411, "2026/11/31 11:44:11", None])  # fmt: skip
def test_other_times_are_null(time: object) -> None:
    assert read(ts=time)["timestamp"] is None


@pytest.mark.parametrize(
    ("addresses", "ip"),
    [
        ({"client_ip": "198.51.100.9", "remote_ip": "10.0.0.1"}, b"198.51.100.9"),
        ({"client_ip": None, "remote_ip": "10.0.0.1"}, b"10.0.0.1"),
        ({"client_ip": None, "remote_ip": None, "remote_addr": "[2001:db8::1]:443"}, b"2001:db8::1"),
        ({"client_ip": None, "remote_ip": None, "remote_addr": "203.0.113.7:443"}, b"203.0.113.7"),
        ({"client_ip": "", "remote_ip": ""}, None),
    ],
)  # fmt: skip
def test_the_address_is_caddy_s_idea_of_the_client(
    addresses: dict[str, Any], ip: bytes | None
) -> None:
    assert read(**addresses)["ip"] == ip


@pytest.mark.parametrize(
    ("headers", "forwarded_for"),
    [
        (["198.51.100.9"], b"198.51.100.9"),
        (["192.0.2.1, 192.0.2.2", "198.51.100.9"], b"192.0.2.1, 192.0.2.2, 198.51.100.9"),
        (["a", "b", "c", "d"], b"a, b, c, d"),
        (["", "b"], b"b"),
        (["a", "b", "c", "d", "e"], None),
        ([], None),
    ],
)
def test_all_forwarded_headers_count_in_their_order(
    headers: list[str], forwarded_for: bytes | None
) -> None:
    assert read({"X-Forwarded-For": headers})["forwarded_for"] == forwarded_for


def test_headers_are_arrays() -> None:
    row = read({"Referer": ["https://e.org/", "no"], "Cookie": ["a=b; _pxid=816f"]})
    assert (row["referrer"], row["cookie_pxid"]) == (b"https://e.org/", b"816f")
    assert read({"User-Agent": []})["user_agent"] is None


def test_a_redacted_cookie_is_none() -> None:
    assert read({"Cookie": ["REDACTED"]})["cookie_pxid"] is None


@pytest.mark.parametrize(
    ("host", "bare"),
    [
        ("px.example.org:8443", b"px.example.org"), ("[2001:db8::5]:8443", b"[2001:db8::5]"),
        ("[2001:db8::5]", b"[2001:db8::5]"), ("px.example.org", b"px.example.org"), ("", None),
    ],
)  # fmt: skip
def test_hosts_lose_their_ports(host: str, bare: bytes | None) -> None:
    assert read(host=host)["host"] == bare


@pytest.mark.parametrize(("number", "name"), [(771, b"tls1.2"), (772, b"tls1.3"), (999, b"999")])
def test_tls_versions_have_caddy_s_own_names(number: int, name: bytes) -> None:
    assert read(tls={"version": number})["tls_version"] == name
    assert read()["tls_version"] is None


@pytest.mark.parametrize("key", ["uuid", "request_id", "id"])
def test_a_request_id_may_be_appended(key: str) -> None:
    assert read(**{key: "5f0c"})["request_id"] == b"5f0c"


@pytest.mark.parametrize("logger", ["http.log.access", "http.log.access.log0", None])
def test_access_loggers_are_known(logger: str | None) -> None:
    assert read(logger=logger)["path"] == b"/i.gif"


@pytest.mark.parametrize(
    "logger", ["http.log.error", "http.log.error.log0", "http.log.accesses", "admin", "http.handlers.reverse_proxy"]
)  # fmt: skip
def test_records_of_other_loggers_are_other_records(logger: str) -> None:
    assert fate(FORMAT, line_of(record(logger=logger))) == "other"
    assert not FORMAT.recognises(line_of(record(logger=logger)))


@pytest.mark.parametrize("mark", [{"level": "info"}, {"logger": "admin"}])
def test_a_record_without_a_request_is_an_other_record(mark: dict[str, str]) -> None:
    assert fate(FORMAT, line_of({**mark, "ts": 1.5, "msg": "serving"})) == "other"


@pytest.mark.parametrize("one", [b"{}", b"[]", b'{"status":200}', b'{"level":null}', caddy(Hit())[:-1]])  # fmt: skip
def test_what_is_no_record_is_malformed(one: bytes) -> None:
    assert fate(FORMAT, one) == "malformed"
    assert not FORMAT.recognises(one)


def test_a_request_that_is_not_answered_yet_is_an_other_record() -> None:
    assert fate(FORMAT, line_of(record(status=None))) == "other"
