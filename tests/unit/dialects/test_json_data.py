"""Mixpanel's and Segment's pixels: events in JSON, in base64."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model import Reason
from pipeline.options import Rules, UnsignedDialect
from pipeline.signing import key_ring
from tests.logs import GOOGLEBOT, SECRET, Hit, Reading, log, read, tsv

MIXPANEL = UnsignedDialect(
    "mixpanel", ("/track", "/track/"), {"tok1": "web.events", "tok2": "app.events"}
)
SEGMENT = UnsignedDialect("segment", ("/v1/pixel/*",), {"wk": "web.events"})
RULES = Rules(key_ring([SECRET]), unsigned=(MIXPANEL, SEGMENT))
EVENT = {
    "event": "Opened",
    "properties": {
        "token": "tok1",
        "distinct_id": "u-1",
        "time": 1700000000,
        "$current_url": "https://e.org/a?b=c",
        "plan": "pro",
        "n": 3,
        "deep": {"é": [1, None]},
    },
}


def event(**properties: Any) -> dict[str, Any]:
    return {"event": "Opened", "properties": {"token": "tok1", **properties}}


def data_of(found: object) -> str:
    return base64.b64encode(json.dumps(found).encode()).decode()


def views(*uris: str, rules: Rules = RULES) -> Reading:
    return read(log(*(tsv(Hit(uri=uri.encode())) for uri in uris)), rules)


def track(found: object, more: str = "") -> str:
    return f"/track/?data={quote(data_of(found), safe='')}&img=1{more}"


def reason_of(uri: str, rules: Rules = RULES) -> str:
    reading = views(uri, rules=rules)
    assert reading.events == []
    (reason,) = reading.reasons
    return reason


def test_an_event_of_mixpanel_becomes_a_row() -> None:
    (row,) = views(track(EVENT)).events
    assert row["destination"] == "web.events"
    assert row["dialect"] == "mixpanel"
    assert row["key"] == "Opened"
    assert row["canonical"] == "https://e.org/a?b=c"
    assert row["user_id"] == "u-1"
    assert row["client_time"].isoformat() == "2023-11-14T22:13:20+00:00"
    assert json.loads(row["params"]) == {"plan": "pro", "n": 3, "deep": {"é": [1, None]}}
    assert row["key_id"] is None
    assert row["remote_ip"] == "203.0.113.0"


def test_base64_comes_in_many_shapes() -> None:
    found = event(distinct_id="\u00ff\u00fe>>??~~", url="https://e.org/\u043f1")
    plain = base64.b64encode(json.dumps(found, ensure_ascii=False).encode()).decode()
    safe = plain.translate(str.maketrans("+/", "-_"))
    assert {"+", "/"} & set(plain)
    assert plain.endswith("=")
    shapes = [
        plain,  # a bare + comes as a space
        quote(plain, safe=""),
        quote(quote(plain, safe=""), safe=""),
        plain.rstrip("="),
        safe,
        safe.rstrip("="),
        quote(safe, safe=""),
    ]
    rows = views(*(f"/track?data={shape}" for shape in shapes)).events
    assert [(row["user_id"], row["canonical"]) for row in rows] == [
        ("\u00ff\u00fe>>??~~", "https://e.org/\u043f1")
    ] * len(shapes)


def test_an_array_is_as_many_events_each_with_its_own_id() -> None:
    hits = [{**event(distinct_id=f"u{n}"), "event": f"E{n}"} for n in range(3)]
    hits[1]["properties"]["token"] = "tok2"
    reading = views(track(EVENT), track(hits), track([EVENT]))
    assert sorted(row["key"] for row in reading.events) == ["E0", "E1", "E2", "Opened", "Opened"]
    assert (reading.tally.lines, reading.tally.extra_events, reading.tally.accepted) == (3, 2, 5)
    by_key = {row["key"]: row for row in reading.events if row["key"].startswith("E")}
    first = by_key["E0"]["event_id"]
    assert [by_key[key]["event_id"] for key in ("E1", "E2")] == [f"{first}.1", f"{first}.2"]
    assert by_key["E1"]["destination"] == "app.events"
    assert len({row["source_position"] for row in by_key.values()}) == 1


def test_an_array_of_a_bot_counts_each_event() -> None:
    line = tsv(Hit(uri=track([EVENT, EVENT]).encode(), user_agent=GOOGLEBOT))
    reading = read(log(line), RULES)
    assert (reading.tally.bot, reading.tally.extra_events) == (2, 1)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([EVENT, {"event": "x", "properties": {"token": "stranger"}}], "unknown-token"),
        ([EVENT, {"properties": {"token": "tok1"}}], "no-data"),
        ([EVENT, 1], "malformed"),
        ([], "malformed"),
        (1, "malformed"),
        ({"event": "x"}, "unknown-token"),
        ({"event": "x", "properties": []}, "unknown-token"),
        ({"event": "x", "properties": {"token": ["tok1"]}}, "unknown-token"),
        ({"event": "", "properties": {"token": "tok1"}}, "no-data"),
        ({"event": True, "properties": {"token": "tok1"}}, "no-data"),
        ({"event": "a\0b", "properties": {"token": "tok1"}}, "malformed"),
        ({"event": "\ud800", "properties": {"token": "tok1"}}, "malformed"),
        ({"event": "x", "properties": {"token": "tok1", "x": "\udc00"}}, "malformed"),
    ],
    ids=lambda value: None if isinstance(value, str) else json.dumps(value),
)
def test_an_array_counts_whole_or_not_at_all(found: object, reason: str) -> None:
    assert reason_of(track(found)) == reason


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "no-data"),
        ("data=", "no-data"),
        ("data=%25%25", "malformed"),
        ("data=eyJ", "malformed"),
        ("data=e", "malformed"),
        ("data=" + base64.b64encode(b"{").decode(), "malformed"),
        ("data=" + base64.b64encode(b'{"a":NaN}').decode(), "malformed"),
        ("data=" + base64.b64encode(b'{"a":1e999}').decode(), "malformed"),
        ("data=" + base64.b64encode(b'{"a":' + b"9" * 5000 + b"}").decode(), "malformed"),
        ("data=" + base64.b64encode(b"[" * 20_000).decode(), "malformed"),
        ("data=" + base64.b64encode(b"\xff\xfe").decode(), "malformed"),
        ("data=a%00b", "malformed"),
        ("data=%ff", "malformed"),
    ],
)
def test_what_is_no_event_gets_a_reason(query: str, reason: str) -> None:
    assert reason_of(f"/track/?{query}") == reason


def test_ip_0_stores_no_address() -> None:
    with_ip, without = views(track(EVENT), track(EVENT, "&ip=0")).events
    assert (with_ip["remote_ip"], without["remote_ip"]) == ("203.0.113.0", None)
    (anonymous,) = views(track(event(), "&ip=0")).events
    (known,) = views(track(event())).events
    assert anonymous["user_id"] != known["user_id"]


@pytest.mark.parametrize(
    ("time", "stored"),
    [
        (1700000000, "2023-11-14T22:13:20+00:00"),
        (1700000000.5, "2023-11-14T22:13:20.500000+00:00"),
        ("1700000000", "2023-11-14T22:13:20+00:00"),
        (1700000000123, "2023-11-14T22:13:20.123000+00:00"),
        (-1, None),
        (True, None),
        ("soon", None),
        ([1], None),
        (10**400, None),
    ],
    ids=["s", "fraction", "text", "ms", "negative", "bool", "word", "list", "huge"],
)
def test_the_clients_time_is_kept_beside_the_logs(time: object, stored: str | None) -> None:
    (row,) = views(track(event(time=time))).events
    assert (row["client_time"] and row["client_time"].isoformat()) == stored
    assert row["timestamp"].year == 2025


def test_a_message_of_segment_becomes_a_row() -> None:
    message = {
        "writeKey": "wk", "userId": "u-9", "event": "Email Opened", "timestamp": "2026-11-01T10:00:00.5Z",
        "properties": {"subject": "Hi"}, "context": {"page": {"url": "https://e.org/p"}}, "traits": {"a": 1},
    }  # fmt: skip
    (row,) = views(f"/v1/pixel/track?data={data_of(message)}").events
    assert (row["dialect"], row["destination"]) == ("segment", "web.events")
    assert (row["key"], row["canonical"], row["user_id"]) == ("Email Opened", "https://e.org/p", "u-9")  # fmt: skip
    assert row["client_time"].isoformat() == "2026-11-01T10:00:00.500000+00:00"
    assert json.loads(row["params"]) == {"subject": "Hi", "traits": {"a": 1}}
    page = {"writeKey": "wk", "anonymousId": "a-1", "name": "Home", "properties": {"url": "https://e.org/h"}}  # fmt: skip
    (row,) = views(f"/v1/pixel/page?data={data_of(page)}").events
    assert (row["key"], row["canonical"], row["user_id"], row["params"]) == ("Home", "https://e.org/h", "a-1", None)  # fmt: skip


def test_a_destination_can_demand_signatures_and_be_forbidden() -> None:
    demanding = Rules(key_ring([SECRET]), signed_only=("web.*",), unsigned=(MIXPANEL,))
    assert reason_of(track(EVENT), demanding) == Reason.UNSIGNED.label
    narrow = Rules(key_ring([SECRET]), allow=("app.*",), unsigned=(MIXPANEL,))
    assert reason_of(track(EVENT), narrow) == Reason.BAD_DESTINATION.label


def test_paths_that_nobody_speaks_are_no_pixels() -> None:
    reading = views(track(EVENT), rules=Rules(key_ring([SECRET])))
    assert (reading.tally.not_pixel, reading.tally.accepted) == (1, 0)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(_JSON | st.fixed_dictionaries({"event": _JSON, "properties": _JSON}), max_size=4))
def test_any_json_is_counted_or_refused(found: list[Any]) -> None:
    uris = [track(each) for each in (found, *found)]
    reading = views(*uris, track(EVENT))
    assert reading.tally.lines == len(uris) + 1
    assert any(row["user_id"] == "u-1" for row in reading.events)


@given(st.binary(max_size=200))
def test_no_bytes_in_data_raise(data: bytes) -> None:
    reading = views(f"/track/?data={quote(base64.b64encode(data))}", f"/track/?data={quote(data)}")
    assert reading.tally.lines == 2
