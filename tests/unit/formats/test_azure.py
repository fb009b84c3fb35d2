from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pytest

from pipeline.formats.azure import AzureFrontDoor
from pipeline.transforms.addresses import client_addresses
from tests.logs import Hit
from tests.unit.formats.fates import fate, line_of, request
from tests.vendor_logs import azure_front_door

FORMAT = AzureFrontDoor()


def record(category: str = "FrontDoorAccessLog", **properties: Any) -> dict[str, Any]:
    """A record of the access log; of its properties, `None` leaves one out."""
    held = {
        "trackingReference": "0k1y5YQ",
        "httpMethod": "GET",
        "requestUri": "https://px.example.org:443/i.gif?k=a",
        "httpStatusCode": "200",
        "userAgent": "Mozilla/5.0",
        "clientIp": "203.0.113.7",
        "socketIp": "203.0.113.7",
        **properties,
    }
    return {
        "time": "2026-11-21T11:44:11.6479719Z",
        "category": category,
        "properties": {name: value for name, value in held.items() if value is not None},
    }


def read(**properties: Any) -> dict[str, Any]:
    return request(FORMAT, line_of(record(**properties)))


def test_a_record_of_the_access_log() -> None:
    row = read(pop="FRA", cacheStatus="HIT", securityProtocol="TLSv1.3", clientCountry="Germany")
    assert row["timestamp"] == datetime(2026, 11, 21, 11, 44, 11, 647971, timezone.utc)
    assert (row["host"], row["path"], row["query"]) == (b"px.example.org", b"/i.gif", b"k=a")
    assert (row["method"], row["status"], row["request_id"]) == (b"GET", b"200", b"0k1y5YQ")
    assert (row["edge_location"], row["cache_status"]) == (b"FRA", b"HIT")
    assert (row["tls_version"], row["country"]) == (b"TLSv1.3", b"Germany")


@pytest.mark.parametrize(
    ("socket", "client", "ip", "forwarded_for"),
    [
        ("203.0.113.7", "203.0.113.7", b"203.0.113.7", None),
        ("203.0.113.7", "198.51.100.9", b"203.0.113.7", b"198.51.100.9"),
        ("2001:db8::1", "[2001:db8::1]:443", b"2001:db8::1", None),
        ("203.0.113.7", None, b"203.0.113.7", None),
        (None, "198.51.100.9", b"198.51.100.9", None),
        (None, None, None, None),
    ],
)
def test_the_address_is_who_opened_the_connection(
    socket: str | None, client: str | None, ip: bytes | None, forwarded_for: bytes | None
) -> None:
    row = read(socketIp=socket, clientIp=client)
    assert (row["ip"], row["forwarded_for"]) == (ip, forwarded_for)


@pytest.mark.parametrize(("trusted", "client"), [([], "203.0.113.7"), (["203.0.113.0/24"], "198.51.100.9")])  # fmt: skip
def test_a_forged_address_counts_only_behind_a_trusted_proxy(
    trusted: list[str], client: str
) -> None:
    row = read(clientIp="198.51.100.9")
    columns = (pa.array([row[name]], pa.binary()) for name in ("ip", "forwarded_for"))
    assert client_addresses(*columns, trusted).plain().to_pylist() == [client]


def test_the_referrer_has_two_names() -> None:
    assert read(referer="https://a/")["referrer"] == b"https://a/"
    assert read(referrer="https://b/", referer="")["referrer"] == b"https://b/"


def test_a_cache_that_was_not_asked_has_no_status() -> None:
    assert read(cacheStatus="N/A")["cache_status"] is None


def test_the_status_of_an_origin_that_timed_out_is_zero() -> None:
    assert read(httpStatusCode="0")["status"] == b"0"


@pytest.mark.parametrize("value", [False, "false", "False"])
def test_what_a_parent_node_answered_is_none_of_the_client_s(value: object) -> None:
    line = line_of(record("FrontdoorAccessLog", isReceivedFromClient=value))
    assert fate(FORMAT, line) == "other"


@pytest.mark.parametrize("value", [True, "true", None])
def test_what_the_client_sent_is_a_request(value: object) -> None:
    line = line_of(record("FrontdoorAccessLog", isReceivedFromClient=value))
    assert request(FORMAT, line)["path"] == b"/i.gif"


@pytest.mark.parametrize(
    "category", ["FrontDoorHealthProbeLog", "FrontDoorWebApplicationFirewallLog", "AuditEvent"]
)
def test_other_categories_are_other_records(category: str) -> None:
    line = line_of(record(category))
    assert fate(FORMAT, line) == "other"
    assert not FORMAT.recognises(line)


@pytest.mark.parametrize(
    "line",
    [
        b"{}", b"[]", b'{"category":["FrontDoorAccessLog"]}', azure_front_door(Hit())[:-1],
        line_of({"records": [record()]}), line_of({"category": "FrontDoorAccessLog"}),
        line_of({"category": "FrontDoorAccessLog", "properties": []}),
    ],
)  # fmt: skip
def test_what_is_no_record_is_malformed(line: bytes) -> None:
    assert fate(FORMAT, line) == "malformed"
    assert not FORMAT.recognises(line)
