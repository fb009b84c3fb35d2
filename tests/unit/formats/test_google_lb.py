from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from pipeline.formats.google_lb import GoogleLb
from tests.logs import Hit
from tests.unit.formats.fates import fate, line_of, request
from tests.vendor_logs import google_lb

FORMAT = GoogleLb()


def entry(**http: Any) -> dict[str, Any]:
    """A load balancer's entry; of its request, `None` leaves a field out."""
    sent = {
        "requestMethod": "GET",
        "requestUrl": "https://px.example.org/i.gif?k=a",
        "status": 200,
        "userAgent": "Mozilla/5.0",
        "remoteIp": "203.0.113.7",
        **http,
    }
    return {
        "insertId": "1oek5rg3l3fxj7",
        "httpRequest": {name: value for name, value in sent.items() if value is not None},
        "resource": {"type": "http_load_balancer"},
        "timestamp": "2026-11-21T11:44:11.078651Z",
        "logName": "projects/acme/logs/requests",
    }


def read(record: dict[str, Any]) -> dict[str, Any]:
    return request(FORMAT, line_of(record))


@pytest.mark.parametrize(
    ("url", "host", "path", "query"),
    [
        ("https://px.example.org/i.gif?k=a", b"px.example.org", b"/i.gif", b"k=a"),
        ("https://px.example.org:8443/i.gif?k=a", b"px.example.org", b"/i.gif", b"k=a"),
        ("http://[2001:db8::5]/i.gif", b"[2001:db8::5]", b"/i.gif", None),
        ("http://[2001:db8::5]:8080/i.gif?", b"[2001:db8::5]", b"/i.gif", b""),
        ("https://px.example.org/a?b?c=https://x/y", b"px.example.org", b"/a", b"b?c=https://x/y"),
        ("https://px.example.org", b"px.example.org", b"", None),
        ("https://px.example.org?k=://x", b"px.example.org", b"", b"k=://x"),
        ("https://px.example.org//i.gif", b"px.example.org", b"//i.gif", None),
        ("/i.gif?k=%26", None, b"/i.gif", b"k=%26"),
        (None, None, None, None),
    ],
)
def test_the_url_gives_host_path_and_query(
    url: str | None, host: bytes | None, path: bytes | None, query: bytes | None
) -> None:
    row = read(entry(requestUrl=url))
    assert (row["host"], row["path"], row["query"]) == (host, path, query)


@pytest.mark.parametrize(
    ("remote", "ip"),
    [
        ("203.0.113.7", b"203.0.113.7"), ("203.0.113.7:53663", b"203.0.113.7"),
        ("2001:db8::9", b"2001:db8::9"), ("[2001:db8::9]:53663", b"2001:db8::9"),
        ("[2001:db8::9]", b"2001:db8::9"), ("::ffff:203.0.113.7", b"::ffff:203.0.113.7"),
        ("", None), (None, None),
    ],
)  # fmt: skip
def test_the_address_is_bare(remote: str | None, ip: bytes | None) -> None:
    assert read(entry(remoteIp=remote))["ip"] == ip


def test_the_payload_s_address_stands_in_for_the_request_s() -> None:
    payload = {"jsonPayload": {"remoteIp": "198.51.100.23:4"}}
    assert read(entry(remoteIp=None) | payload)["ip"] == b"198.51.100.23"
    assert read(entry() | payload)["ip"] == b"203.0.113.7"


@pytest.mark.parametrize(
    ("time", "microsecond"),
    [("11.078651Z", 78651), ("11.078651999Z", 78651), ("11.5Z", 500_000), ("11Z", 0)],
)
def test_times_keep_their_microseconds(time: str, microsecond: int) -> None:
    row = read(entry() | {"timestamp": f"2026-11-21T11:44:{time}"})
    assert row["timestamp"] == datetime(2026, 11, 21, 11, 44, 11, microsecond, timezone.utc)


def test_the_request_id_is_of_the_entry_and_its_time() -> None:
    ids = [
        read(entry() | {"insertId": insert, "timestamp": f"2026-11-21T11:44:{second}Z"})["request_id"]
        for insert, second in (("a", "11"), ("a", "11"), ("a", "12"), ("b", "11"))
    ]  # fmt: skip
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    record = entry()
    del record["insertId"]
    assert read(record)["request_id"] is None


def test_status_and_asn_are_read_as_numbers_or_text() -> None:
    armor = {"securityPolicyRequestData": {"remoteIpInfo": {"regionCode": "DE", "asn": 64500}}}
    row = read(entry(status="304") | {"jsonPayload": armor})
    assert (row["status"], row["asn"], row["country"]) == (b"304", b"64500", b"DE")
    assert read(entry(status=304))["status"] == b"304"


def test_what_the_edge_says_of_the_answer() -> None:
    payload = {
        "statusDetails": "response_from_cache",
        "cacheId": "SFO-fbae48ad",
        "tls": {"protocol": "TLS 1.3"},
    }
    row = read(entry() | {"jsonPayload": payload})
    assert row["cache_status"] == b"response_from_cache"
    assert row["edge_location"] == b"SFO"
    assert row["tls_version"] == b"TLS 1.3"


@pytest.mark.parametrize(
    "record",
    [
        {**entry(), "resource": {"type": "cloud_run_revision"}},
        {name: value for name, value in entry().items() if name != "httpRequest"},
        {**entry(), "httpRequest": {"latency": "0.1s"}},
        {"logName": "projects/acme/logs/x", "textPayload": "hello"},
    ],
)
def test_other_log_entries_are_no_requests(record: dict[str, Any]) -> None:
    assert fate(FORMAT, line_of(record)) == "other"
    assert not FORMAT.recognises(line_of(record))


def test_an_entry_whose_resource_is_left_out_is_a_request() -> None:
    record = entry()
    del record["resource"]
    assert read(record)["path"] == b"/i.gif"


@pytest.mark.parametrize(
    "line", [b"{}", b"[]", b"", b'{"a":1}', b"{", b'{"insertId":{}}', google_lb(Hit())[:-1]]
)
def test_what_is_no_log_entry_is_malformed(line: bytes) -> None:
    if line:
        assert fate(FORMAT, line) == "malformed"
    assert not FORMAT.recognises(line)


@pytest.mark.parametrize("kind", ["http_external_regional_lb_rule", "internal_http_lb_rule"])
def test_regional_and_internal_load_balancers_are_known(kind: str) -> None:
    line = line_of({**entry(), "resource": {"type": kind}})
    assert FORMAT.recognises(line)
    assert request(FORMAT, line)["path"] == b"/i.gif"
