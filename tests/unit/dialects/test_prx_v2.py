"""PRX's pixel with signatures of version 2: what counts, what is stored, and why others do not."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from pipeline.dialects import prx
from pipeline.dialects.contract import Claims
from pipeline.dialects.prx import read_claims
from pipeline.model import Reason
from pipeline.options import Rules
from pipeline.repair.cuts import LIMITS
from pipeline.signing import Key, KeyRing, sign_query_v2
from tests.logs import NOON_US, RULES, SECOND_US, SECRET, Hit, log, read, signed, signed_v2, tsv

KEY = Key(SECRET.encode())
GOOD = signed_v2()
NEVER, ALWAYS = np.iinfo(np.int64).max, np.iinfo(np.int64).min
NOON_S = NOON_US // SECOND_US


def claims(*queries: bytes, rules: Rules = RULES) -> Claims:
    return read_claims(pa.array(queries, pa.binary()), rules)


def reason_of(query: bytes, rules: Rules = RULES) -> int:
    """The reason against one claim, the same alone and among others of both versions."""
    alone = int(claims(query, rules=rules).reason[0])
    assert claims(signed(), query, b"", GOOD, rules=rules).reason[1] == alone
    return alone


def only(**parameters: str) -> bytes:
    """A query string that signs these parameters and no others."""
    return sign_query_v2(parameters, KEY).encode()


def test_signed_parameters_are_stored_and_unsigned_ones_kept_apart() -> None:
    query = signed_v2(issue="12", exp="4000000000", nbf="1000000000", a='"é')
    found = claims(query + b"&utm_source=mail&cb=%221%22&cb=2&x=caf%E9&y=%00&d2")
    assert found.reason.tolist() == [0]
    assert found.key.to_pylist() == ["story-1"]
    assert found.canonical.to_pylist() == ["https://news.example.org/a"]
    assert found.destination.to_pylist() == ["news.pageviews"]
    assert found.params.to_pylist() == ['{"a":"\\"é","issue":"12"}']
    assert json.loads(found.extras[0].as_py()) == {
        "cb": '"1"', "d2": "", "utm_source": "mail", "x": "caf\ufffd", "y": "\ufffd",
    }  # fmt: skip
    assert found.repair.to_pylist() == [None]
    assert found.valid_from_us.tolist() == [1_000_000_000 * SECOND_US]
    assert found.valid_until_us.tolist() == [4_000_000_000 * SECOND_US]


def test_nothing_unsigned_is_null() -> None:
    found = claims(GOOD, signed(), GOOD + b"&x=1")
    assert found.extras.to_pylist() == [None, None, '{"x":"1"}']
    assert found.params.null_count == 3
    assert found.valid_from_us.tolist() == [ALWAYS] * 3
    assert found.valid_until_us.tolist() == [NEVER] * 3


def test_what_is_not_signed_routes_nothing_and_names_nothing() -> None:
    for name, value in (("k", "a"), ("c", "b"), ("d", "news.pageviews")):
        others = {"k": "a", "c": "b", "d": "news.pageviews"}
        del others[name]
        query = only(**others) + f"&{name}={value}".encode()
        assert reason_of(query) == Reason.NO_DATA
        assert reason_of(f"{name}={value}&".encode() + query) == Reason.NO_DATA
    assert reason_of(GOOD + b"&d=mail.opens") == Reason.DUPLICATE_PARAMETER


def test_in_version_1_and_unsigned_the_bounds_are_ordinary_parameters() -> None:
    found = claims(signed(exp="1", nbf="x"), GOOD + b"&exp=1&nbf=x")
    assert found.reason.tolist() == [0, 0]
    assert found.params.to_pylist() == ['{"exp":"1","nbf":"x"}', None]
    assert found.extras.to_pylist() == [None, '{"exp":"1","nbf":"x"}']
    assert found.valid_until_us.tolist() == [NEVER] * 2


S, _, REST = GOOD.partition(b"&")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (GOOD, 0),
        (REST + b"&" + S, 0),
        (GOOD + b"&x&x&x=%FF&{{id}}", 0),
        (GOOD.replace(b"story-1", b"story-2"), Reason.TAMPERED),
        (GOOD.replace(b"&k=story-1", b""), Reason.TAMPERED),
        (GOOD + b"&k=story-1", Reason.DUPLICATE_PARAMETER),
        (GOOD + b"&" + S, Reason.DUPLICATE_PARAMETER),
        (GOOD.replace(b"story-1", b"%FF"), Reason.NOT_UTF8),
        (GOOD.replace(b"story-1", b"%00"), Reason.NUL_BYTE),
        (GOOD + b"&x" * 197, Reason.TOO_MANY_PARAMETERS),
        (GOOD + b"&x" * 196, 0),
        (GOOD.replace(b"c~d~k", b"d~c~k"), Reason.MALFORMED_SIGNATURE),
        (b"s=2.&" + REST, Reason.MALFORMED_SIGNATURE),
        (b"s=2&" + REST, Reason.TAMPERED),
        ("s=2.39f93a2\u00e9&".encode() + REST, Reason.MALFORMED_SIGNATURE),
        ("s=2.39f93a2d.\u00e9.".encode() + b"A" * 43 + b"&" + REST, Reason.MALFORMED_SIGNATURE),
        (b"s=2.39f93a2d.c." + b"\xf0\x9f\x8e\xa7" * 43 + b"&" + REST, Reason.MALFORMED_SIGNATURE),
        (S[:-1] + b"%C3%A9&" + REST, Reason.MALFORMED_SIGNATURE),
        ("s=2.\u0080\u0080\u0080\u0080\u0080&".encode() + REST, Reason.MALFORMED_SIGNATURE),
        (S + b"%FF&" + REST, Reason.NOT_UTF8),
        (S + b"%00&" + REST, Reason.NUL_BYTE),
        (signed_v2("foreign"), Reason.UNKNOWN_KEY),
        (signed_v2("foreign").replace(b"&k=story-1", b""), Reason.UNKNOWN_KEY),
        (signed_v2(exp="soon"), Reason.BAD_BOUNDS),
        (signed_v2(nbf=""), Reason.BAD_BOUNDS),
        (signed_v2(exp="999999999999", nbf="0"), 0),
        (signed_v2(k=""), Reason.NO_DATA),
        (signed_v2(d="nowhere"), Reason.BAD_DESTINATION),
        (signed_v2(k="{{id}}"), 0),
        (GOOD.replace(b"story-1", b"{{id}}"), Reason.UNFILLED_TAG),
        (GOOD.replace(b"story-1", b"story-2") + b"&x={{id}}", Reason.TAMPERED),
        (b"s={{s}}&" + REST, Reason.UNFILLED_TAG),
        (REST + b"&" + S[:-1], Reason.TRUNCATED),
        (S[:20], Reason.TRUNCATED),
        (GOOD[:-2] + b"%", Reason.TRUNCATED),
        (signed_v2(c="https://e.org/é").replace(b"%C3%A9", b"%C3"), Reason.TRUNCATED),
    ],
)
def test_the_first_fault_is_the_reason(query: bytes, reason: int) -> None:
    assert reason_of(query) == reason


def test_a_keys_scope_holds_in_version_2_too() -> None:
    rules = Rules(KeyRing((Key(b"news", scopes=("news.*",)), Key(b"all"))))
    assert reason_of(signed_v2("news", d="news.a"), rules) == 0
    assert reason_of(signed_v2("news", d="mail.a"), rules) == Reason.BAD_DESTINATION
    assert reason_of(signed_v2("all", d="mail.a"), rules) == 0


@pytest.mark.parametrize("limit", sorted(LIMITS))
def test_a_cut_that_costs_a_signed_parameter_is_told_by_its_limit(limit: int) -> None:
    key = Key(SECRET.encode())
    view = {"k": "a", "d": "news.pageviews", "c": "https://e.org/" + "x" * 9000, "z": "1"}
    if limit < 1000:
        view = {"k": "a", "c": "https://e.org/" + "x" * 300, "d": "news.pageviews"}
        view["c"] = view["c"][: 400 if limit == 512 else 150] + "x" * (limit == 512) * 100
    query = sign_query_v2(view, key).encode() + b"&x=" + b"y" * 9000
    if limit < 1000:
        query = query[: query.index(b"&d=")] + b"&" + b"y" * 9000
    assert reason_of(query[:limit]) == LIMITS[limit]


# Repair


@pytest.mark.parametrize(
    ("broken", "repair", "extras"),
    [
        (GOOD.replace(b"&", b"&amp;"), "html-entities", None),
        (GOOD.replace(b"&", b"&amp;") + b"&amp;utm_source=x", "html-entities", {"utm_source": "x"}),
        (GOOD + b'"', "trailing", None),
        (GOOD + b'&x=1"', None, {"x": '1"'}),
        (GOOD.replace(b"%", b"%25"), "percent-encoding", None),
        (GOOD.replace(b"=", b"=3D"), "quoted-printable", None),
        (GOOD.replace(b"=", b"%3D").replace(b"&", b"%26"), "percent-encoding", None),
        (GOOD.replace(b".", b"%2E").replace(b"~", b"%7E"), None, None),
        (GOOD.replace(b"%3A", b":").replace(b"%2F", b"/"), None, None),
        (GOOD + b"&utm_source=mail&fbclid=1", None, {"fbclid": "1", "utm_source": "mail"}),
        (b"cb=1&" + GOOD, None, {"cb": "1"}),
        (b"&".join([b"cb=1", signed_v2(cb="7"), b"cb=9", b"y=2"]), "trackers", {"cb": "1", "y": "2"}),
        (GOOD + b"".join(b"&utm_%d=" % number for number in range(300)), "trackers", None),
    ],
)  # fmt: skip
def test_what_is_broken_is_mended_as_in_version_1(
    broken: bytes, repair: str | None, extras: dict[str, str] | None
) -> None:
    found = claims(signed(), broken)
    assert (found.reason[1], found.repair[1].as_py()) == (0, repair)
    assert (found.key[1].as_py(), found.destination[1].as_py()) == ("story-1", "news.pageviews")
    assert found.canonical[1].as_py() == "https://news.example.org/a"
    if len(broken) < 1000:
        assert json.loads(found.extras[1].as_py() or "null") == extras


def test_what_an_unknown_key_signed_is_tried_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("the ladder was climbed")

    monkeypatch.setattr(prx, "mend", forbidden)
    found = claims(signed_v2("foreign") + b"&utm_source=mail&cb=1", GOOD + b"&utm_source=mail")
    assert found.reason.tolist() == [Reason.UNKNOWN_KEY, 0]
    with pytest.raises(AssertionError, match="climbed"):
        claims(GOOD.replace(b"&", b"&amp;"))


def test_what_has_expired_is_no_cause_for_repair() -> None:
    broken = signed_v2(exp="5").replace(b"&", b"&amp;")
    found = claims(broken)
    assert (found.reason[0], found.repair[0].as_py()) == (0, "html-entities")
    assert found.valid_until_us.tolist() == [5 * SECOND_US]


# Times


def fates(*hits: Hit, rules: Rules = RULES) -> list[str]:
    """The reasons of some requests, `view` for views, in their order."""
    told = []
    for hit in hits:
        reading = read(log(tsv(hit)), rules)
        told += reading.reasons or ["view"] * reading.tally.accepted
    return told


@pytest.mark.parametrize(
    ("bounds", "offset_us", "fate"),
    [
        ({"exp": NOON_S}, -1, "view"),
        ({"exp": NOON_S}, 0, "expired"),
        ({"exp": NOON_S + 1}, SECOND_US - 1, "view"),
        ({"exp": NOON_S + 1}, SECOND_US, "expired"),
        ({"nbf": NOON_S}, 0, "view"),
        ({"nbf": NOON_S}, -1, "not-yet"),
        ({"nbf": NOON_S, "exp": NOON_S + 60}, 59 * SECOND_US, "view"),
        ({"nbf": NOON_S, "exp": NOON_S + 60}, 60 * SECOND_US, "expired"),
        ({"nbf": NOON_S + 60, "exp": NOON_S}, 0, "not-yet"),
        ({"nbf": 0, "exp": 999_999_999_999}, 0, "view"),
    ],
)
def test_bounds_are_held_against_the_logs_time(
    bounds: dict[str, int], offset_us: int, fate: str
) -> None:
    texts = {name: str(seconds) for name, seconds in bounds.items()}
    uri = b"/i.gif?" + signed_v2(**texts)
    hit = Hit(uri=uri, time_us=NOON_US + offset_us // 1000 * 1000)
    assert fates(hit, Hit(uri=uri.replace(b"&", b"&amp;"), time_us=hit.time_us)) == [fate] * 2


def test_among_others_each_view_has_its_own_bounds() -> None:
    uris = [signed_v2(exp=str(NOON_S)), signed(), signed_v2(), signed_v2(nbf=str(NOON_S + 1))]
    hits = [Hit(uri=b"/i.gif?" + uri, time_us=NOON_US) for uri in uris]
    reading = read(log(*map(tsv, hits), tsv(Hit(uri=b"/i.gif"))))
    assert sorted(reading.reasons) == ["expired", "not-yet", "unsigned"]
    assert reading.tally.accepted == 2


@pytest.mark.parametrize(
    ("key", "offset_us", "fate"),
    [
        (Key(b"x", revoked_at_us=NOON_US), -1000, "view"),
        (Key(b"x", revoked_at_us=NOON_US), 0, "retired-key"),
        (Key(b"x", retired_at_us=NOON_US + SECOND_US, revoked_at_us=NOON_US), 0, "retired-key"),
        (Key(b"x", retired_at_us=NOON_US, revoked_at_us=NOON_US + SECOND_US), 0, "retired-key"),
        (Key(b"x", retired_at_us=NOON_US + 1000, revoked_at_us=NOON_US + SECOND_US), 0, "view"),
    ],
)
def test_a_revoked_key_counts_no_more_from_its_time_on(key: Key, offset_us: int, fate: str) -> None:
    rules = Rules(KeyRing((key, Key(b"y"))))
    for query in (signed("x"), signed_v2("x")):
        assert fates(Hit(uri=b"/i.gif?" + query, time_us=NOON_US + offset_us), rules=rules) == [
            fate
        ]
    assert rules.keys.signer == Key(b"y")
