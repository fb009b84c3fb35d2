from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.check import NOT_PIXEL, Verdict, check_urls
from pipeline.options import Rules
from pipeline.signing import Key, KeyRing, key_ring, sign_query_v2
from tests.logs import NOON_US, RULES, signed, signed_v2

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "vectors/prx-signatures.json").read_text(encoding="utf-8")
)
URL = "https://px.example.org/i.gif?" + signed().decode()


def check(url: str, rules: Rules = RULES) -> Verdict:
    (verdict,) = check_urls([url], rules, NOON_US)
    return verdict


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["params"]["k"] or "blank")
def test_vectors_count(vector: dict[str, Any]) -> None:
    verdict = check(
        f"https://px.example.org/i.gif?{vector['query']}", Rules(key_ring([vector["secret"]]))
    )
    # A blank key is signed all right, but names nothing to count.
    assert verdict.reason == (None if vector["params"]["k"] else "no-data")
    assert verdict.counts == bool(vector["params"]["k"])
    assert verdict.destination == vector["params"]["d"]
    assert verdict.facts.params == vector["params"]


def test_a_url_that_counts() -> None:
    assert check(URL).to_json() == {
        "url": URL,
        "counts": True,
        "reason": None,
        "destination": "news.pageviews",
        "params": {"k": "story-1", "c": "https://news.example.org/a", "d": "news.pageviews"},
        "repair": None,
        "version": 1,
        "key_id": RULES.keys.keys[0].id,
        "not_before": None,
        "expires": None,
        "extras": {},
    }


@pytest.mark.parametrize(
    ("url", "repair", "extras"),
    [
        (URL.replace("&", "&amp;"), "html-entities", {}),
        (URL + "&utm_source=mail", "trackers", {"utm_source": "mail"}),
        (URL + '"', "trailing", {}),
        (URL.replace("&", "&amp;") + "&amp;cb=1", "html-entities+trackers", {"cb": "1"}),
    ],
)
def test_a_broken_url_that_counts_is_told_with_what_was_signed(
    url: str, repair: str, extras: dict[str, str]
) -> None:
    changes = {"url": url, "repair": repair, "extras": extras}
    assert check(url).to_json() == check(URL).to_json() | changes


def test_a_broken_url_may_still_not_count() -> None:
    verdict = check("/i.gif?" + signed(d="nowhere").decode().replace("&", "&amp;"))
    assert (verdict.reason, verdict.repair) == ("bad-destination", "html-entities")
    assert verdict.destination == "nowhere"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (URL.replace("https://px.example.org", ""), None),
        (URL + "#top", None),
        (URL.replace("/i.gif", "/r.gif"), None),
        (URL.replace("/i.gif", "/pixel.gif"), None),
        (URL.replace("/i.gif", "/p.gif"), NOT_PIXEL),
        (URL.replace("/i.gif", "/I.GIF"), NOT_PIXEL),
        (URL.replace("/i.gif", "/px/i.gif"), NOT_PIXEL),
        ("", NOT_PIXEL),
        ("hello", NOT_PIXEL),
        ("https://px.example.org/i.gif", "unsigned"),
        ("https://px.example.org/i.gif?", "unsigned"),
        (URL.replace("s=", "x="), "unsigned"),
        (URL.replace("story-1", "story-2"), "tampered"),
        (URL + "&color=red", "tampered"),
        (URL.replace("story-1", "{{id}}"), "unfilled-tag"),
        (URL[:50], "truncated"),
        (URL + "&k=story-1", "malformed"),
        (URL + "%00", "malformed"),
        (URL + "&x=%ff", "malformed"),
        (URL + "&a" * 200, "malformed"),
        ("/i.gif?" + signed(d="pixelship.batches").decode(), "bad-destination"),
        ("/i.gif?" + signed(k="").decode(), "no-data"),
    ],
)
def test_why_a_url_does_not_count(url: str, reason: str | None) -> None:
    verdict = check(url)
    assert verdict.reason == reason
    assert verdict.counts == (reason is None)
    assert (verdict.meaning == "") == (reason is None)
    assert (verdict.remedy == "") == (reason is None)


V2 = "/i.gif?" + signed_v2(issue="12", exp="1763726460", nbf="1763726400").decode()


def test_a_url_of_version_2_is_told_with_its_facts() -> None:
    facts = check(V2 + "&cb=1&id={{id}}").to_json()
    assert facts["params"].pop("issue") == "12"
    assert facts == {
        "url": V2 + "&cb=1&id={{id}}",
        "counts": True,
        "reason": None,
        "destination": "news.pageviews",
        "params": {
            "k": "story-1", "c": "https://news.example.org/a", "d": "news.pageviews",
            "exp": "1763726460", "nbf": "1763726400",
        },
        "repair": None,
        "version": 2,
        "key_id": RULES.keys.keys[0].id,
        "not_before": "2025-11-21T12:00:00Z",
        "expires": "2025-11-21T12:01:00Z",
        "extras": {"cb": "1", "id": "{{id}}"},
    }  # fmt: skip
    broken = (V2 + "&cb=1").replace("&", "&amp;")
    assert check(broken).facts == check(V2 + "&cb=1").facts


def test_a_url_of_version_2_that_does_not_count_is_told_what_it_signs() -> None:
    (early,) = check_urls([V2], RULES, NOON_US - 1)
    (late,) = check_urls([V2], RULES, NOON_US + 60_000_000)
    assert (early.reason, late.reason) == ("not-yet", "expired")
    foreign = check("/i.gif?" + signed_v2("foreign").decode())
    assert (foreign.reason, foreign.facts.key_id) == ("unknown-key", Key(b"foreign").id)
    far = check("/i.gif?" + signed_v2(exp="999999999999").decode())
    assert (far.counts, far.facts.expires) == (True, None)


def test_a_needed_parameter_outside_the_signature_is_named() -> None:
    query = sign_query_v2({"c": "https://e.org/"}, RULES.keys.keys[0])
    verdict = check(f"/i.gif?{query}&d=news.pageviews&k=a&x=1")
    assert (verdict.reason, verdict.destination) == ("no-data", None)
    assert verdict.meaning.endswith("; it holds k and d outside its signature")
    assert check(f"/i.gif?{query}").meaning.endswith("does not sign it")


def test_a_retired_keys_url_counts_no_more() -> None:
    def rules(retired_at_us: int) -> Rules:
        return Rules(KeyRing((Key(b"old", retired_at_us=retired_at_us), Key(b"new"))))

    url = "/i.gif?" + signed(secret="old").decode()
    assert check(url, rules(NOON_US)).reason == "retired-key"
    assert check(url, rules(NOON_US + 1)).reason is None


def test_several_urls_have_each_their_verdict_in_order() -> None:
    verdicts = check_urls(["hello", URL, URL + "x", URL], RULES, NOON_US)
    assert [verdict.reason for verdict in verdicts] == [NOT_PIXEL, None, "tampered", None]
    assert verdicts[1].facts == verdicts[3].facts
    assert verdicts[0].facts.params == {}
    assert verdicts[2].destination == "news.pageviewsx"


def test_no_url_has_no_verdict() -> None:
    assert check_urls([], RULES, NOON_US) == []


def test_bytes_that_are_no_text_get_a_verdict_too() -> None:
    assert check("/i.gif?k=\udcff").reason == "malformed"
    assert check("\udcff").reason == NOT_PIXEL
