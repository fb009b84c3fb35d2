"""Dialects without signatures beside PRX's, on the paths that they share."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.options import Rules, UnsignedDialect
from pipeline.signing import key_ring
from tests.logs import SECRET, Hit, Reading, log, read, signed, tsv

PING = UnsignedDialect("ping", ("/pixel.gif",), {"": "counts.hits"})
EMAIL = UnsignedDialect("email", ("/pixel.gif",), {"": "mail.opens"})
RULES = Rules(key_ring([SECRET]), unsigned=(EMAIL, PING))
SIGNED = f"/pixel.gif?{signed().decode()}"


def views(*uris: str, rules: Rules = RULES) -> Reading:
    return read(log(*(tsv(Hit(uri=uri.encode())) for uri in uris)), rules)


def test_a_ping_is_a_hit_of_its_key() -> None:
    (row,) = views("/pixel.gif?key=a%20b&utm_source=x").events
    assert (row["destination"], row["dialect"], row["key"]) == ("counts.hits", "ping", "a b")
    assert (row["canonical"], row["key_id"], row["params"]) == (None, None, None)
    assert json.loads(row["extras"]) == {"utm_source": "x"}


def test_an_open_names_the_mail_that_was_sent() -> None:
    (row,) = views("/pixel.gif?sh=5ba93c9db0cff93f52b521d7420e43f6eda2784f").events
    assert (row["destination"], row["dialect"]) == ("mail.opens", "email")
    assert row["send_id"] == "5ba93c9db0cff93f52b521d7420e43f6eda2784f"
    assert row["key"] is None


def test_dialects_that_share_a_path_are_told_by_their_marks() -> None:
    rows = views("/pixel.gif?key=a", SIGNED, "/pixel.gif?sh=1&key=b", f"/i.gif?{signed().decode()}").events  # fmt: skip
    assert [row["dialect"] for row in rows] == ["ping", "prx", "email", "prx"]
    assert [row["destination"] for row in rows] == ["counts.hits", "news.pageviews", "mail.opens", "news.pageviews"]  # fmt: skip


def test_what_carries_a_signature_is_prxs() -> None:
    query = signed(sh="m-1", d="mail.opens").decode()
    (row,) = views(f"/pixel.gif?{query}").events
    assert (row["dialect"], row["send_id"], row["params"]) == ("prx", "m-1", None)
    forged = query.replace("story-1", "story-2")
    assert views(f"/pixel.gif?{forged}").reasons == ["tampered"]


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("/pixel.gif", "unsigned"),
        ("/pixel.gif?k=a&c=b&d=news.pageviews", "unsigned"),
        ("/pixel.gif?key=", "no-data"),
        ("/pixel.gif?sh=", "no-data"),
        ("/pixel.gif?key=a%00", "malformed"),
        ("/pixel.gif?key=%ff", "malformed"),
        ("/i.gif?key=a", "unsigned"),
        ("/r.gif?sh=a", "unsigned"),
    ],
)
def test_what_is_none_of_them_has_its_reason_whatever_stands_beside_it(
    uri: str, reason: str
) -> None:
    assert views(uri).reasons == [reason]
    assert views(SIGNED, uri, "/pixel.gif?key=z").reasons == [reason]


def test_a_request_without_a_query_is_unsigned_beside_others() -> None:
    assert views("/i.gif", "/pixel.gif?key=a").reasons == ["unsigned"]


def test_a_ping_on_a_path_of_its_own() -> None:
    rules = Rules(
        key_ring([SECRET]), unsigned=(UnsignedDialect("ping", ("/p/*",), {"": "counts.hits"}),)
    )
    reading = views("/p/1.gif?key=a", "/p/", "/q?key=a", "/pixel.gif?key=a", rules=rules)
    assert [row["key"] for row in reading.events] == ["a"]
    assert reading.reasons == ["no-data", "unsigned"]
    assert reading.tally.not_pixel == 1


def test_destinations_can_demand_signatures() -> None:
    rules = Rules(key_ring([SECRET]), signed_only=("counts.*",), unsigned=(PING,))
    assert views("/pixel.gif?key=a", rules=rules).reasons == ["unsigned"]


def test_a_bare_table_name_is_one_of_the_default_dataset() -> None:
    query = f"/i.gif?{signed(d='pageviews').decode()}"
    assert views(query).reasons == ["bad-destination"]
    rules = Rules(key_ring([SECRET]), default_dataset="prx")
    (row,) = views(query, rules=rules).events
    assert row["destination"] == "prx.pageviews"
    (row,) = views(SIGNED, rules=rules).events
    assert row["destination"] == "news.pageviews"
    narrow = Rules(key_ring([SECRET]), allow=("news.*",), default_dataset="prx")
    assert views(query, rules=narrow).reasons == ["bad-destination"]


_ALL = Rules(
    key_ring([SECRET]),
    default_dataset="prx",
    unsigned=(
        UnsignedDialect("mixpanel", ("/track", "/pixel.gif"), {"t": "web.events"}),
        EMAIL,
        PING,
    ),
)
_EVENTS = [{"event": f"e{n}", "properties": {"token": "t"}} for n in range(3)]
_DATA = [base64.b64encode(json.dumps(each).encode()).decode() for each in (_EVENTS, _EVENTS[0], 1)]
_QUERIES = [
    None, "", "key=a", "key=a&key=b", "sh=1", "sh=1&key=a", "data=", "k=a&c=b&d=e", "s=x&key=a", "&&", "%ff=%00",
    *(f"data={data}" for data in _DATA), signed().decode(), signed(d="bare").decode(), signed(sh="m").decode(),
]  # fmt: skip
_URIS = st.tuples(
    st.sampled_from(["/i.gif", "/pixel.gif", "/track", "/none"]), st.sampled_from(_QUERIES)
).map(lambda parts: parts[0] if parts[1] is None else "?".join(parts))


def _told(uris: list[str]) -> list[object]:
    """What becomes of each line: its rows, or its reason."""
    lines = [tsv(Hit(uri=uri.encode(), request_id=b"r")) for uri in uris]
    reading = read(log(*lines), _ALL)
    starts = [sum(len(line) + 1 for line in lines[:at]) for at in range(len(lines))]
    return [
        (
            [
                [row[name] for name in ("event_id", "destination", "dialect", "key", "send_id")]
                for row in reading.events
                if row["source_position"] == start
            ],
            [row["detail"] for row in reading.rejects if row["source_position"] == start],
        )
        for start in starts
    ]


@given(st.lists(_URIS, max_size=6))
def test_a_line_is_read_the_same_whatever_stands_beside_it(uris: list[str]) -> None:
    assert _told(uris) == [told for uri in uris for told in _told([uri])]
