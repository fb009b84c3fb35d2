from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any

import pytest

from pipeline.formats.fastly import Fastly
from tests.logs import NOON_US, Hit
from tests.unit.formats.fates import fate, request
from tests.vendor_logs import FASTLY_FORMAT, fastly, fastly_variables, fill_in_fastly

FORMAT = Fastly()
PREFIXES = (
    b"<134>2026-11-21T12:00:00Z cache-fra123 logname[123]: ",
    b"<134>1 2026-11-21T12:00:00Z cache-fra123 logname 123 - - ",
    b"742 <134>1 2026-11-21T12:00:00Z cache-fra123 logname 123 - ",
)
"""As the line formats `classic`, `loggly` and `logplex` have them."""


def line(**variables: bytes) -> bytes:
    """The format string filled in; variables by the last part of their names."""
    values = fastly_variables(Hit())
    for name, value in variables.items():
        (variable,) = (each for each in values if re.split(r"[.:]", each)[-1] == name)
        values[variable] = value
    return fill_in_fastly(values)


def read(**variables: bytes) -> dict[str, Any]:
    return request(FORMAT, line(**variables))


def test_the_shipped_format_string_is_one_line_of_json() -> None:
    assert FASTLY_FORMAT.count("\n") == 1
    assert FASTLY_FORMAT.endswith("}\n")
    assert json.loads(FASTLY_FORMAT)["format"] == "px1-fastly"


def test_the_shipped_format_string_escapes_what_clients_choose() -> None:
    chosen = re.findall(r"%\{(.*?)\}V", FASTLY_FORMAT)
    assert all(name.startswith("json.escape(") for name in chosen if "req." in name)


def test_all_that_the_shipped_format_string_logs_is_read() -> None:
    hit = Hit(
        time_us=NOON_US + 123_456,
        forwarded_for=b"198.51.100.9, 203.0.113.7",
        user_agent=b'a "b" \\ \x01\t\xc3\xa9',
        referrer=b"https://e.org/",
        cookie_pxid=b"816f",
        uri=b"/i.gif?k=%26&c=a+b",
    )
    assert request(FORMAT, fastly(hit)) == {
        "timestamp": datetime(2025, 11, 21, 12, 0, 0, 123_456, timezone.utc),
        "method": b"GET",
        "host": b"px.example.org",
        "path": b"/i.gif",
        "query": b"k=%26&c=a+b",
        "status": b"200",
        "ip": b"203.0.113.7",
        "forwarded_for": b"198.51.100.9, 203.0.113.7",
        "user_agent": b'a "b" \\ \x01\t\xc3\xa9',
        "referrer": b"https://e.org/",
        "cookie_pxid": b"816f",
        "request_id": b"5f0c3a9be1",
        "country": b"DE",
        "cache_status": b"HIT-CLUSTER",
        "tls_version": b"TLSv1.3",
        "edge_location": b"FRA",
        "asn": b"64500",
        "bot_score": None,
    }


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes_are_skipped(prefix: bytes) -> None:
    assert FORMAT.recognises(prefix + line())
    assert request(FORMAT, prefix + line()) == read()


@pytest.mark.parametrize(
    "prefix", [b"<134>", b"<1345>x ", b"134 x ", b"x", b'<134>"', b"<134>{", b"<134>" + b"x" * 600]
)
def test_nothing_else_may_stand_before_the_object(prefix: bytes) -> None:
    assert fate(FORMAT, prefix + line()) == "malformed"
    assert not FORMAT.recognises(prefix + line())


@pytest.mark.parametrize("visits", [b"1", b"2", b"3"])
def test_what_a_shield_logs_is_an_other_record(visits: bytes) -> None:
    assert fate(FORMAT, line(visits_this_service=visits)) == "other"


def test_what_is_unknown_is_null() -> None:
    row = read(number=b"0", country_code=b"", protocol=b"", ip=b"")
    assert [row[name] for name in ("asn", "country", "tls_version", "ip")] == [None] * 4


@pytest.mark.parametrize("time", [b"", b"x", b"1795261451", b"-1", b"1795261451.441123"])
def test_other_times_are_null(time: bytes) -> None:
    assert read(usec=time)["timestamp"] is None


def test_hosts_lose_their_ports() -> None:
    assert read(Host=b"[2001:db8::5]:443")["host"] == b"[2001:db8::5]"


@pytest.mark.parametrize(
    "one",
    [
        b"{}", b"[]", b'{"format":"px1"}', b'{"format":["px1-fastly"]}', line()[:-1], PREFIXES[0],
        PREFIXES[0] + line()[:-1], line().replace(b"px1-fastly", b"px2-fastly"),
    ],
)  # fmt: skip
def test_what_lacks_the_tag_is_malformed(one: bytes) -> None:
    assert fate(FORMAT, one) == "malformed"
    assert not FORMAT.recognises(one)
