from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest

from pipeline import formats
from pipeline.blocks import MOST_LINE_BYTES, Block
from pipeline.engine import Engine
from pipeline.model import EDGE_NUMBERS, EDGE_TEXTS, Reason, Tally
from pipeline.options import Rules
from pipeline.shape import Origin
from pipeline.signing import Key, KeyRing, key_ring
from tests.logs import (
    FIREFOX,
    GOOGLEBOT,
    LINE_OF,
    NOON_US,
    RULES,
    SECOND_US,
    SECRET,
    Hit,
    Reading,
    escape_default,
    format_named,
    json_line,
    log,
    log_in,
    main,
    read,
    signed,
    tsv,
    vhost,
)

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "vectors/prx-signatures.json").read_text(encoding="utf-8")
)
NOON = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)
WRITERS = [(name, write) for name, writers in LINE_OF.items() for write in writers]
ANY_FORMAT = pytest.mark.parametrize(("name", "write"), WRITERS)
ANY_SERVER = pytest.mark.parametrize(
    "write", [*LINE_OF["nginx-tsv"], *LINE_OF["nginx-json"], *LINE_OF["combined"]]
)


def read_hits(*hits: Hit, rules: Rules = RULES) -> Reading:
    return read(log(*map(tsv, hits)), rules)


def reason_of(hit: Hit, rules: Rules = RULES) -> str | None:
    """Why a request is no view; None where it is one. The same alone and among others."""
    alone = read_hits(hit, rules=rules)
    among = read_hits(Hit(), hit, Hit(uri=b"/x"), rules=rules)
    assert among.tally.accepted + sum(among.tally.rejected.values()) == alone.tally.lines + 1
    assert set(alone.reasons) <= set(among.reasons)
    return alone.reasons[0] if alone.reasons else None


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["params"]["k"] or "blank")
def test_vectors_in_a_log_become_rows(vector: dict[str, Any]) -> None:
    line = tsv(Hit(uri=f"/i.gif?{vector['query']}".encode()))
    reading = read(log(line), Rules(key_ring([vector["secret"]])))
    if not vector["params"]["k"]:
        assert reading.reasons == ["no-data"]
        return
    (event,) = reading.events
    others = {name: text for name, text in vector["params"].items() if name not in "kcd"}
    assert event["key"] == vector["params"]["k"]
    assert event["canonical"] == vector["params"]["c"]
    assert event["destination"] == vector["params"]["d"]
    assert json.loads(event["params"] or "{}") == others
    assert read(log(line), Rules(key_ring(["another"]))).reasons == ["tampered"]


@ANY_SERVER
def test_a_view_becomes_a_row(write: Any) -> None:
    hit = Hit(
        referrer=b"https://News.example.org/x?y", uri=b"/i.gif?" + signed(k='\u00e9 "', more="x")
    )
    line = write(hit)
    (event,) = read(log(b"", line)).events
    has = write.__name__.startswith(("tsv", "json"))
    assert event == {
        "client_time": None,
        "send_id": None,
        "timestamp": NOON,
        "user_id": md5(FIREFOX + b"-203.0.113.7-https://News.example.org/x?y").hexdigest(),  # noqa: S324
        "key": 'é "',
        "canonical": "https://news.example.org/a",
        "remote_agent": FIREFOX.decode(),
        "remote_referrer": "https://News.example.org/x?y",
        "remote_ip": "203.0.113.0",
        "city_geoname_id": None,
        "country_geoname_id": None,
        "event_id": "5f0c3a9be1" if has else "prefix-1",
        "host": "px.example.org" if has or write is vhost else None,
        "browser": "Firefox",
        "browser_version": "130.0",
        "os": "Linux",
        "os_version": None,
        "device": None,
        "referrer_host": "news.example.org",
        "params": '{"more":"x"}',
        "dialect": "prx",
        "key_id": Key(SECRET.encode()).id,
        "extras": None,
        "repair": None,
        **dict.fromkeys((*EDGE_TEXTS, *EDGE_NUMBERS)),
        "batch": "b1",
        "source_object": "access.log",
        "source_position": 1,
        "destination": "news.pageviews",
    }


@pytest.mark.parametrize(
    ("hit", "is_view"),
    [
        (Hit(), True),
        (Hit(method=b"HEAD"), True),
        (Hit(status=b"204"), True),
        (Hit(status=b"304"), True),
        (Hit(uri=b"/pixel.gif?" + signed()), True),
        (Hit(uri=b"/r.gif?" + signed()), True),
        (Hit(uri=b"http://px.example.org/i.gif?" + signed()), True),
        (Hit(method=b"POST"), False),
        (Hit(method=b"get"), False),
        (Hit(status=b"302"), False),
        (Hit(status=b"206"), False),
        (Hit(status=b"404"), False),
        (Hit(status=b"-"), False),
        (Hit(uri=b"/p.gif?" + signed()), False),
        (Hit(uri=b"/I.gif?" + signed()), False),
        (Hit(uri=b"/i.gif/?" + signed()), False),
        (Hit(uri=b"//i.gif?" + signed()), False),
        (Hit(uri=b"/favicon.ico"), False),
        (Hit(uri=b"-", method=b"-", status=b"400"), False),
    ],
)
def test_a_view_is_told_by_path_method_and_status(hit: Hit, is_view: bool) -> None:
    tally = read_hits(hit).tally
    assert (tally.accepted, tally.not_pixel) == ((1, 0) if is_view else (0, 1))


def test_the_pixels_paths_can_be_set() -> None:
    rules = replace(RULES, paths=("/px",))
    tally = read_hits(Hit(uri=b"/px?" + signed()), Hit(), rules=rules).tally
    assert (tally.accepted, tally.not_pixel) == (1, 1)


def test_the_first_reason_against_a_view_is_given() -> None:
    """Faults of every stage, taken away from first to last."""
    tampered = signed().replace(b"story-1", b"x")
    never = -10 * SECOND_US
    everything = Hit(
        time_us=never, user_agent=None, ip=b"unix:", uri=b"/i.gif?" + tampered + b"&a=%00&a=%ff&a"
    )
    rules = Rules(KeyRing((Key(SECRET.encode(), retired_at_us=NOON_US),)))
    steps = [
        (everything, "bad-time"),
        (replace(everything, time_us=NOON_US), "malformed"),
        (replace(everything, time_us=NOON_US, uri=b"/i.gif"), "unsigned"),
        (replace(everything, time_us=NOON_US, uri=b"/i.gif?s=x"), "truncated"),
        (replace(everything, time_us=NOON_US, uri=b"/i.gif?" + tampered), "tampered"),
        (replace(everything, time_us=NOON_US, uri=b"/i.gif?" + signed(k="")), "retired-key"),
        (replace(everything, time_us=NOON_US - 1000, uri=b"/i.gif?" + signed(k="")), "no-data"),
        (replace(everything, time_us=NOON_US - 1000, uri=b"/i.gif?" + signed(d="x")), "no-agent"),
        (Hit(NOON_US - 1000, ip=b"unix:", uri=b"/i.gif?" + signed(d="x")), "no-ip"),
        (Hit(NOON_US - 1000, uri=b"/i.gif?" + signed(d="x")), "bad-destination"),
        (Hit(NOON_US - 1000), None),
    ]
    assert [reason_of(hit, rules) for hit, _ in steps] == [reason for _, reason in steps]


@pytest.mark.parametrize(
    ("hit", "reason"),
    [
        (Hit(uri=b"/i.gif"), "unsigned"),
        (Hit(uri=b"/i.gif?"), "unsigned"),
        (Hit(user_agent=b"-"), "no-agent"),
        (Hit(user_agent=b""), "no-agent"),
        (Hit(user_agent=b" "), None),
        (Hit(ip=b"-"), "no-ip"),
        (Hit(ip=b"localhost"), "no-ip"),
        (Hit(time_us=0), "bad-time"),
    ],
)
def test_what_a_view_needs(hit: Hit, reason: str | None) -> None:
    assert reason_of(hit) == reason


def test_reject_rows_hold_the_line_and_the_reason() -> None:
    long = b"x" * (MOST_LINE_BYTES + 1)
    unsigned = tsv(Hit(uri=b"/i.gif?k=a"))
    reading = read(log(b"rubbish \xff", tsv(Hit()), long, unsigned))
    assert reading.rejects == [
        {
            "batch": "b1",
            "source_object": "access.log",
            "source_position": position,
            "timestamp": time,
            "stage": reason.stage.value,
            "reason": reason.label,
            "detail": reason.meaning,
            "format": "nginx-tsv",
            "header": None,
            "raw": raw,
        }
        for position, time, reason, raw in (
            (0, None, Reason.MALFORMED_LINE, b"rubbish \xff"),
            (11 + len(tsv(Hit())), None, Reason.TOO_LONG, long[:-1]),
            (12 + len(tsv(Hit())) + len(long), NOON, Reason.UNSIGNED, unsigned),
        )
    ]


def test_bots_are_counted_by_hour_destination_and_rule() -> None:
    bot = Hit(user_agent=GOOGLEBOT)
    reading = read_hits(
        bot,
        bot,
        replace(bot, time_us=NOON_US + 3599 * SECOND_US),
        replace(bot, time_us=NOON_US + 3600 * SECOND_US),
        replace(bot, uri=b"/i.gif?" + signed(d="mail.opens")),
        replace(bot, uri=b"/i.gif?k=unsigned"),
        replace(bot, uri=b"/favicon.ico"),
    )
    rule = "ua-parser: Googlebot"
    assert reading.bot_hits == {
        (NOON, "news.pageviews", rule): 3,
        (NOON.replace(hour=13), "news.pageviews", rule): 1,
        (NOON, "mail.opens", rule): 1,
    }
    assert reading.reasons == ["unsigned"]
    assert reading.events == []


def test_views_are_sorted_by_destination() -> None:
    destinations = ["b.b", "a.a", "b.b", "c.c", "a.a"]
    block = Block(0, log(*(tsv(Hit(uri=b"/i.gif?" + signed(d=name))) for name in destinations)))
    outcome = Engine(RULES).process(block, formats.named("nginx-tsv"), Origin("b", "o", "p", None))
    found = {
        name: outcome.events.column("source_position").to_pylist()[rows]
        for name, rows in outcome.destinations.items()
    }
    starts = [0, *(at + 1 for at, byte in enumerate(block.data) if byte == 10)][:-1]
    assert found == {
        "a.a": [starts[1], starts[4]],
        "b.b": [starts[0], starts[2]],
        "c.c": [starts[3]],
    }


@pytest.mark.parametrize("format_", [*formats.FORMATS, None], ids=lambda each: each and each.name)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n\r\n\n",
        b"\xef\xbb\xbf\n",
        b"rubbish\n",
        b"\0\n\r\r\n",
        b"\\\n",
        b'"\n',
        b"{\n",
    ],
)
def test_blocks_without_requests(format_: formats.Format | None, data: bytes) -> None:
    outcome = Engine(RULES).process(Block(0, data), format_, Origin("b", "o", "p", None))
    count = data.count(b"\n")
    rubbish = 0 if set(data) <= set(b"\r\n\xef\xbb\xbf") else count
    assert outcome.tally == Tally(
        lines=count, header=count - rubbish, rejected=outcome.tally.rejected
    )
    assert outcome.tally.rejected == ({"malformed": rubbish} if rubbish else {})
    assert outcome.tally.adds_up
    assert outcome.events.num_rows == outcome.bot_hits.num_rows == 0
    assert outcome.destinations == {}


@ANY_FORMAT
@pytest.mark.parametrize(
    "hit",
    [
        Hit(uri=b"/x"),
        Hit(uri=b"/i.gif"),
        Hit(user_agent=GOOGLEBOT),
        Hit(user_agent=None),
        Hit(ip=b"unix:"),
    ],
    ids=["no pixel", "unsigned", "bot", "no agent", "no address"],
)
def test_blocks_with_one_fate_alone(name: str, write: Any, hit: Hit) -> None:
    reading = read(log(*[write(hit)] * 3), format_=format_named(name))
    fates = reading.tally.to_json()
    assert fates.pop("lines") == 3
    counts = [*fates.pop("rejected").values(), *fates.values()]
    assert sorted(counts)[-1] == 3
    assert sum(counts) == 3


def test_without_a_format_every_line_is_malformed() -> None:
    reading = read(b"hello\n\nworld\n")
    assert reading.reasons == ["malformed", "malformed"]
    assert [row["format"] for row in reading.rejects] == [None, None]
    assert reading.tally.header == 1


def test_the_trusted_proxys_client_is_stored() -> None:
    hit = Hit(ip=b"10.0.0.1", forwarded_for=b"198.51.100.9")
    for write in (tsv, json_line, main):
        (event,) = read(log(write(hit)), replace(RULES, trusted_proxies=("10.0.0.0/8",))).events
        assert event["remote_ip"] == "198.51.100.0"
        (event,) = read(log(write(hit))).events
        assert event["remote_ip"] == "10.0.0.0"
    (event,) = read(log(tsv(Hit())), replace(RULES, addresses="drop")).events
    assert event["remote_ip"] is None
    assert event["user_id"] == md5(FIREFOX + b"-203.0.113.7-").hexdigest()  # noqa: S324


def test_bytes_that_are_no_utf8_are_replaced_in_text() -> None:
    hit = Hit(
        user_agent=b"Mozilla \xff",
        referrer=b"https://e.org/\xc3",
        cookie_pxid=b"\xfe",
        host=b"\xfd",
    )
    (event,) = read_hits(hit, Hit(time_us=NOON_US)).events[:1]
    assert event["remote_agent"] == "Mozilla \ufffd"
    assert event["remote_referrer"] == "https://e.org/\ufffd"
    assert event["referrer_host"] == "e.org"
    assert event["user_id"] == "\ufffd"
    assert event["host"] == "\ufffd"


def test_a_row_without_a_request_id_gets_one_of_its_place() -> None:
    events = read_hits(Hit(request_id=b"-"), Hit(request_id=b"own"), Hit(request_id=b"")).events
    length = len(tsv(Hit(request_id=b"-"))) + 1
    assert [event["event_id"] for event in events] == [
        "prefix-0", "own", f"prefix-{length + len(tsv(Hit(request_id=b'own'))) + 1}",
    ]  # fmt: skip


# The format of an object


def test_escapes_in_a_query_string_are_undone_before_it_is_verified() -> None:
    query = signed(k="\u00e9").replace(b"%C3%A9", b"\xc3\xa9")
    assert rb"\xC3\xA9" in escape_default(query)
    for name, write in WRITERS:
        assert read(log_in(name, write(Hit(uri=b"/i.gif?" + query)))).keys == ["é"]
