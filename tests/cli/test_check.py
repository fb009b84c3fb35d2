from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.keyfile import write_key_file
from pipeline.model import Reason
from pipeline.signing import Key, KeyRing, sign_query_v2
from tests.cli.conftest import Pixelship
from tests.logs import SECRET, signed, signed_v2

VECTORS = json.loads(Path(__file__).parents[1].joinpath("vectors/prx-signatures.json").read_bytes())
GOOD = "https://px.example.org/i.gif?" + signed(issue="12").decode()
V2 = "https://px.example.org/i.gif?" + signed_v2(issue="1\n2", exp="4102444800").decode()


def bad(reason: Reason) -> str:
    """What is printed below a URL that does not count."""
    return f"    {reason.meaning[0].upper()}{reason.meaning[1:]}. {reason.remedy}"


def test_a_good_url_counts(pixelship: Pixelship) -> None:
    done = pixelship("check", GOOD)
    assert (done.status, done.stdout, done.stderr) == (
        0,
        f"counts, into news.pageviews: {GOOD}\n",
        "",
    )


def test_json_tells_the_same(pixelship: Pixelship) -> None:
    tampered = GOOD.replace("story-1", "story-2")
    done = pixelship("check", "--json", GOOD, tampered, "https://px.example.org/other")
    assert (done.status, done.stderr) == (1, "")
    params = {
        "k": "story-1",
        "c": "https://news.example.org/a",
        "d": "news.pageviews",
        "issue": "12",
    }
    facts = {
        "version": 1,
        "key_id": Key(SECRET.encode()).id,
        "not_before": None,
        "expires": None,
        "extras": {},
    }
    assert done.json == [
        {
            "url": GOOD,
            "counts": True,
            "reason": None,
            "destination": "news.pageviews",
            "params": params,
            "repair": None,
            **facts,
        },
        {
            "url": tampered,
            "counts": False,
            "reason": "tampered",
            "destination": "news.pageviews",
            "params": params | {"k": "story-2"},
            "repair": None,
            **facts,
            "key_id": None,
        },
        {
            "url": "https://px.example.org/other",
            "counts": False,
            "reason": "not-pixel",
            "destination": None,
            "params": {},
            "repair": None,
            **dict.fromkeys(facts),
            "extras": {},
        },
    ]
    assert list(done.json[0]) == [
        "url", "counts", "reason", "destination", "params", "repair", *facts,
    ]  # fmt: skip


def test_of_version_2_the_facts_are_told(pixelship: Pixelship) -> None:
    done = pixelship("check", V2 + "&cb=1&utm_source=mail")
    key_id = Key(SECRET.encode()).id
    facts = (
        f"    Version 2, key {key_id}. Signed: c=https://news.example.org/a, d=news.pageviews, "
        "exp=4102444800, issue=1\\n2, k=story-1. Expires at 2100-01-01T00:00:00Z. "
        "Not signed: cb, utm_source."
    )
    told = f"counts, into news.pageviews: {V2}&cb=1&utm_source=mail"
    assert (done.status, done.stdout.splitlines()) == (0, [told, facts])
    done = pixelship("check", V2.replace("story-1", "story-2"))
    assert done.stdout.splitlines()[1] == bad(Reason.TAMPERED)
    assert done.stdout.splitlines()[2].startswith(f"    Version 2, key {key_id}. Signed: c=https")
    done = pixelship("check", "/i.gif?" + signed_v2("foreign", nbf="0").decode())
    assert done.stdout.splitlines()[1] == bad(Reason.UNKNOWN_KEY)
    assert "Counts from 1970-01-01T00:00:00Z on." in done.stdout


def test_what_is_needed_and_not_signed_is_named(pixelship: Pixelship) -> None:
    query = sign_query_v2({"k": "a", "c": "b"}, Key(SECRET.encode()))
    done = pixelship("check", f"/i.gif?{query}&d=a.b")
    assert done.status == 1
    assert "or does not sign it; it holds d outside its signature." in done.stdout


def test_a_broken_url_that_counts_is_told_what_is_broken(pixelship: Pixelship) -> None:
    broken = GOOD.replace("&", "&amp;") + '"'
    done = pixelship("check", broken)
    assert done.status == 0
    assert done.stdout.splitlines() == [
        f"counts after a repair (html-entities+trailing), into news.pageviews: {broken}",
        "    Broken by HTML entities (&amp; for &), and a quote, bracket or other mark at its end. "
        "Mend it where it is used.",
    ]
    (verdict,) = pixelship("check", "--json", broken).json
    assert (verdict["counts"], verdict["repair"]) == (True, "html-entities+trailing")
    assert verdict["params"]["k"] == "story-1"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://px.example.org/i.gif", Reason.UNSIGNED),
        ("https://px.example.org/i.gif?k=a&c=b&d=e.f", Reason.UNSIGNED),
        (GOOD.replace("story", "storx"), Reason.TAMPERED),
        (GOOD + "&color=red", Reason.TAMPERED),
        (GOOD.replace("story-1", "*%7CUNIQID%7C*"), Reason.UNFILLED_TAG),
        (
            "/i.gif?" + signed(c="https://e.org/" + "x" * 2000).decode()[:2041],
            Reason.TRUNCATED_AT_2048,
        ),
        ("https://px.example.org/i.gif?k=a&c=b&d=e.f&s=abc", Reason.TRUNCATED),
        (V2 + "&k=again", Reason.DUPLICATE_PARAMETER),
        (GOOD + "&k=again", Reason.DUPLICATE_PARAMETER),
        (GOOD + "&x=%00", Reason.NUL_BYTE),
        (GOOD + "&x=%ff", Reason.NOT_UTF8),
        (GOOD + "&x" * 200, Reason.TOO_MANY_PARAMETERS),
        ("https://px.example.org/i.gif?" + signed(k="").decode(), Reason.NO_DATA),
        ("https://px.example.org/i.gif?" + signed(d="nowhere").decode(), Reason.BAD_DESTINATION),
        ("https://px.example.org/i.gif?" + signed("foreign").decode(), Reason.TAMPERED),
    ],
)
def test_why_a_url_does_not_count_and_what_to_do(
    pixelship: Pixelship, url: str, reason: Reason
) -> None:
    done = pixelship("check", url)
    assert done.status == 1
    assert done.stdout.splitlines()[:2] == [f"does not count ({reason.label}): {url}", bad(reason)]


@pytest.mark.parametrize(
    "url",
    [
        GOOD.removeprefix("https://px.example.org"),
        GOOD.replace("https://px", "HTTP://px"),
        GOOD + "#fragment",
        GOOD.replace("px.example.org", "user@px.example.org:8443"),
        GOOD.replace("i.gif", "pixel.gif"),
        GOOD.replace("i.gif", "r.gif"),
    ],
)
def test_urls_count_in_any_form(pixelship: Pixelship, url: str) -> None:
    assert pixelship("check", url).status == 0


def test_a_url_of_another_path_is_told_which_paths_count(pixelship: Pixelship) -> None:
    done = pixelship("check", GOOD.replace("i.gif", "j.gif"))
    assert done.status == 1
    assert "Its path is no pixel's. Use one of /pixel.gif, /i.gif, /r.gif." in done.stdout


def test_several_come_by_standard_input_one_a_line(pixelship: Pixelship) -> None:
    lines = f"\n{GOOD}\r\n  {GOOD}  \n\nhttps://px.example.org/i.gif\n{GOOD}"
    verdicts = pixelship("check", "-", "--json", stdin=lines).json
    assert [verdict["counts"] for verdict in verdicts] == [True, True, False, True]
    done = pixelship("check", "-", stdin=f"{GOOD}\n{GOOD}\n")
    assert (done.status, done.stdout) == (0, f"counts, into news.pageviews: {GOOD}\n" * 2)
    done = pixelship("check", "/i.gif", "-", GOOD, stdin="/r.gif")
    told = [line for line in done.stdout.splitlines() if not line.startswith("    ")]
    assert told == [
        "does not count (unsigned): /i.gif",
        "does not count (unsigned): /r.gif",
        f"counts, into news.pageviews: {GOOD}",
    ]


def test_nothing_on_standard_input_is_nothing_to_complain_of(pixelship: Pixelship) -> None:
    done = pixelship("check", "-", "--json")
    assert (done.status, done.json) == (0, [])


def test_bytes_that_are_no_text_are_a_reason_and_no_error(pixelship: Pixelship) -> None:
    lines = b"\xef\xbb\xbf" + GOOD.encode() + b"\n" + GOOD.encode() + b"&x=\xff\n\xfe\xff\n"
    done = pixelship("check", "-", stdin=lines)
    assert (done.status, done.stderr) == (1, "")
    assert f"does not count (malformed): {GOOD}&x=\ufffd\n" in done.stdout
    verdicts = pixelship("check", "-", "--json", stdin=lines).json
    assert [verdict["reason"] for verdict in verdicts] == [None, "malformed", "not-pixel"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["signature"][:6])
def test_prxs_urls_verify(bare: Pixelship, vector: dict[str, Any]) -> None:
    env = {"SIGNER_SECRET": vector["secret"]}
    (verdict,) = bare("check", "--json", f"/i.gif?{vector['query']}", env=env).json
    has_data = all(vector["params"].get(name) for name in ("k", "c", "d"))
    assert verdict["reason"] == (None if has_data else "no-data")
    assert verdict["params"] == vector["params"]
    (verdict,) = bare(
        "check", "--json", f"/i.gif?{vector['query']}", env={"SIGNER_SECRET": "x"}
    ).json
    assert verdict["reason"] == "tampered"


def test_urls_of_a_retired_key_count_no_more(bare: Pixelship) -> None:
    ring = KeyRing((Key(b"new"), Key(SECRET.encode(), retired_at_us=1)))
    write_key_file(Path("pixelship-keys.json"), ring)
    done = bare("check", GOOD)
    assert (done.status, done.stdout.splitlines()[1]) == (1, bad(Reason.RETIRED_KEY))


def test_a_url_is_needed(pixelship: Pixelship) -> None:
    done = pixelship("check")
    assert (done.status, done.stdout) == (2, "")
