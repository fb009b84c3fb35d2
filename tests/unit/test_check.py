from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.check import NOT_PIXEL, Verdict, check_urls
from pipeline.options import Rules
from pipeline.signing import Key, KeyRing, key_ring
from tests.logs import NOON_US, RULES, signed

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
    assert verdict.params == vector["params"]


def test_a_url_that_counts() -> None:
    assert check(URL).to_json() == {
        "url": URL,
        "counts": True,
        "reason": None,
        "destination": "news.pageviews",
        "params": {"k": "story-1", "c": "https://news.example.org/a", "d": "news.pageviews"},
        "repair": None,
    }


@pytest.mark.parametrize(
    ("url", "repair"),
    [
        (URL.replace("&", "&amp;"), "html-entities"),
        (URL + "&utm_source=mail", "trackers"),
        (URL + '"', "trailing"),
        (URL.replace("&", "&amp;") + "&amp;utm_source=mail", "html-entities+trackers"),
    ],
)
def test_a_broken_url_that_counts_is_told_with_what_was_signed(url: str, repair: str) -> None:
    assert check(url).to_json() == check(URL).to_json() | {"url": url, "repair": repair}


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


def test_a_retired_keys_url_counts_no_more() -> None:
    def rules(retired_at_us: int) -> Rules:
        return Rules(KeyRing((Key(b"old", retired_at_us=retired_at_us), Key(b"new"))))

    url = "/i.gif?" + signed(secret="old").decode()
    assert check(url, rules(NOON_US)).reason == "retired-key"
    assert check(url, rules(NOON_US + 1)).reason is None


def test_several_urls_have_each_their_verdict_in_order() -> None:
    verdicts = check_urls(["hello", URL, URL + "x", URL], RULES, NOON_US)
    assert [verdict.reason for verdict in verdicts] == [NOT_PIXEL, None, "tampered", None]
    assert verdicts[1].params == verdicts[3].params
    assert verdicts[0].params == {}
    assert verdicts[2].destination == "news.pageviewsx"


def test_no_url_has_no_verdict() -> None:
    assert check_urls([], RULES, NOON_US) == []


def test_bytes_that_are_no_text_get_a_verdict_too() -> None:
    assert check("/i.gif?k=\udcff").reason == "malformed"
    assert check("\udcff").reason == NOT_PIXEL
