"""The ladder of repairs, against a table of URLs broken by hand as the wild breaks them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.dialects import prx
from pipeline.dialects.contract import Claims
from pipeline.dialects.prx import read_claims
from pipeline.model import Reason
from pipeline.options import Rules
from pipeline.repair import ladder, steps, tags, trackers
from pipeline.repair.cuts import LIMITS
from pipeline.repair.ladder import MOST_BYTES, MOST_FORMS, mend
from pipeline.repair.steps import CHOICES, MAIL
from pipeline.signing import key_ring
from tests.logs import RULES, Hit, log, read, signed, tsv

ROOT = Path(__file__).parents[2]
VECTORS: list[dict[str, Any]] = json.loads(
    (ROOT / "tests/vectors/repairs.json").read_text(encoding="utf-8")
)
DOCS = (ROOT / "docs/repair.md").read_text(encoding="utf-8")
STEPS = [*MAIL, *(step for group in CHOICES for step in group)]
LABELS = ["", *(reason.label for reason in Reason)]


def claims(*queries: bytes, rules: Rules = RULES) -> Claims:
    return read_claims(pa.array(queries, pa.binary()), rules)


def told(found: Claims, row: int) -> dict[str, Any]:
    """What a claim says, as the vectors have it."""
    extras = found.extras[row].as_py()
    return {
        "reason": LABELS[found.reason[row]] or None,
        "repair": found.repair[row].as_py(),
        "extras": json.loads(extras) if extras else None,
    }


def wanted(vector: dict[str, Any]) -> dict[str, Any]:
    return {name: vector[name] for name in ("reason", "repair", "extras")}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_broken_url_is_mended_or_refused(vector: dict[str, Any]) -> None:
    rules = Rules(key_ring(["another", vector["secret"]]))
    found = claims(vector["broken"].encode(), rules=rules)
    assert told(found, 0) == wanted(vector)
    if vector["reason"] is None:
        others = {name: text for name, text in vector["params"].items() if name not in "kcd"}
        assert found.key[0].as_py() == vector["params"]["k"]
        assert found.canonical[0].as_py() == vector["params"]["c"]
        assert found.destination[0].as_py() == vector["params"]["d"]
        assert json.loads(found.params[0].as_py() or "{}") == others
        assert found.key_number.tolist() == [1]


def test_what_is_broken_is_told_alike_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = Rules(key_ring([VECTORS[0]["secret"]]))
    for bytes_at_once in (ladder._BYTES_AT_ONCE, 500):
        monkeypatch.setattr(ladder, "_BYTES_AT_ONCE", bytes_at_once)
        found = claims(*(vector["broken"].encode() for vector in VECTORS), rules=rules)
        assert [told(found, row) for row in range(len(VECTORS))] == [*map(wanted, VECTORS)]


def test_the_vectors_are_signed_as_they_say_and_have_names_of_their_own() -> None:
    rules = Rules(key_ring([VECTORS[0]["secret"]]))
    found = claims(*(vector["query"].encode() for vector in VECTORS), rules=rules)
    assert not found.reason.any()
    assert found.repair.null_count == len(VECTORS)
    assert found.key.to_pylist() == [vector["params"]["k"] for vector in VECTORS]
    assert len({vector["name"] for vector in VECTORS}) == len(VECTORS)


def test_every_step_has_a_vector() -> None:
    seen = {name for vector in VECTORS for name in (vector["repair"] or "").split("+")}
    assert seen - {""} == {step.name for step in STEPS}


# What the ladder costs


def test_sound_queries_never_come_to_the_ladder(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("the ladder was climbed")

    monkeypatch.setattr(prx, "mend", forbidden)
    assert not claims(signed(), signed(k='+ "100%" & <\'')).reason.any()
    with pytest.raises(AssertionError, match="climbed"):
        claims(signed() + b"&utm_source=mail")


def tried(query: bytes) -> list[bytes]:
    """All forms of a query string that no key fits."""
    seen: list[bytes] = []

    def refuse(forms: pa.BinaryArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
        seen.extend(forms.to_pylist())
        return np.zeros(len(forms), np.bool_)

    mended = mend(pa.array([query], pa.binary()), refuse)
    assert mended.rows.tolist() == []
    return seen


WORST = b"_=1&" + (
    signed(k="st+o%2Bry", c="https://e.org/?a=%20&b=1").replace(b"&c=", b"&_=2&c=")
    .replace(b"&", b"&amp;").replace(b"%", b"%2525") + b'&amp;utm_source=x+").'
)  # fmt: skip


def test_at_most_twelve_forms_are_tried_each_once() -> None:
    forms = tried(WORST)
    assert len(forms) == MOST_FORMS == 12
    assert len({WORST, *forms}) == MOST_FORMS + 1


def test_what_has_no_trace_of_a_repair_is_tried_no_further() -> None:
    assert tried(signed()) == []
    assert tried(signed().replace(b"story-1", b"story-2") + b"&color=red") == []


def test_a_query_string_of_over_16_kib_is_not_mended() -> None:
    for room, is_mended in ((0, True), (1, False)):
        filler = b"x" * (MOST_BYTES - len(signed()) - len(b"&utm_a=") + room)
        found = claims(signed() + b"&utm_a=" + filler)
        assert (found.reason[0] == 0) == is_mended


def test_forms_without_a_signature_are_not_tried() -> None:
    assert tried(signed()[46:].replace(b"&", b"&amp;")) == []
    assert tried(b"s=short&k=a&amp;c=b&d=e.f" + b"&utm_source=x" * 5) == []


# Trackers


@pytest.mark.parametrize(
    "name",
    [
        *(f"{prefix}x" for prefix in trackers.PREFIXES),
        *trackers.CLICKS_AND_MAILS,
        *trackers.CACHE_BUSTERS,
    ],
)
def test_trackers_are_left_out_and_kept_apart(name: str) -> None:
    appended = signed() + b"&%b=1" % name.encode()
    (event,) = read(log(tsv(Hit(uri=b"/i.gif?" + appended)))).events
    assert (event["repair"], event["extras"]) == ("trackers", f'{{"{name}":"1"}}')
    assert event["params"] is None
    (event,) = read(log(tsv(Hit(uri=b"/i.gif?" + signed(**{name: "1"}))))).events
    assert (event["repair"], event["extras"]) == (None, None)
    assert event["params"] == f'{{"{name}":"1"}}'


def test_a_tracker_routes_nothing_and_names_nothing() -> None:
    appended = signed() + b"&utm_d=mail.opens&utm_k=other&cb=%0A%22&rnd&_=%C3%A9+"
    (event,) = read(log(tsv(Hit(uri=b"/i.gif?" + appended)))).events
    assert (event["destination"], event["key"]) == ("news.pageviews", "story-1")
    assert json.loads(event["extras"]) == {
        "_": "é ", "cb": '\n"', "rnd": "", "utm_d": "mail.opens", "utm_k": "other",
    }  # fmt: skip
    assert list(json.loads(event["extras"])) == sorted(json.loads(event["extras"]))


def test_a_surplus_of_trackers_is_no_surplus_of_parameters() -> None:
    appended = signed() + b"".join(b"&utm_%d=" % number for number in range(300))
    found = claims(appended)
    assert (found.reason[0], found.repair[0].as_py()) == (0, "trackers")
    assert len(json.loads(found.extras[0].as_py())) == 300


# Cuts


def cut(length: int, paths: tuple[str, ...] = ("/i.gif",), **changes: str) -> str:
    """The detail of a long query string cut to a length."""
    query = signed(c="https://e.org/" + "long/" * 2000, **changes)[:length]
    rules = Rules(RULES.keys, paths)
    return next(reason.name for reason in Reason if reason == claims(query, rules=rules).reason[0])


@pytest.mark.parametrize("limit", [limit for limit in LIMITS if limit > 1000])
def test_a_cut_at_a_limit_names_it(limit: int) -> None:
    name = f"TRUNCATED_AT_{limit}"
    assert LIMITS[limit].meaning == f"the URL was cut off at {limit:,} bytes"
    for before in (0, len("/i.gif?")):
        assert {cut(limit - before - less) for less in (0, 1, 2, 3)} == {name}
    assert cut(limit - len("/px/view.gif?"), paths=("/px/view.gif",)) == name
    assert cut(limit - len("/px/view.gif?")) in {"TAMPERED", "TRUNCATED"}
    assert {cut(limit - 20), cut(limit + 1)} <= {"TAMPERED", "TRUNCATED"}


def test_a_long_url_that_was_changed_is_no_cut_one() -> None:
    for length in (300, 1500, 3000, 9000):
        query = signed(c="https://e.org/" + "x" * length).replace(b"story-1", b"story-2")
        assert claims(query).reason.tolist() == [Reason.TAMPERED]


def test_at_a_small_limit_a_url_must_look_cut_as_well() -> None:
    whole = {"k": "story-2", "d": "news.pageviews"}
    long = signed(c="https://e.org/" + "x" * 400).replace(b"story-1", b"story-2")
    assert claims(long[:248]).reason.tolist() == [Reason.TRUNCATED_AT_255], "it lacks d"
    order = signed(**whole).split(b"&")
    moved = b"&".join([order[0], order[1], order[3], b"c=https://e.org/" + b"x" * 400])
    assert claims(moved[:248]).reason.tolist() == [Reason.TAMPERED]
    assert claims(moved[:247] + b"%").reason.tolist() == [Reason.TRUNCATED_AT_255]
    assert claims(moved[:200] + b"%").reason.tolist() == [Reason.TRUNCATED]


def test_what_ends_in_its_signature_was_not_cut() -> None:
    query = signed(c="https://e.org/" + "x" * 1800)
    rest = query[46:].replace(b"story-1", b"story-2") + b"&s=" + query[2:45]
    padded = b"a=" + b"x" * (2048 - len(rest) - 3) + b"&" + rest
    assert len(padded) == 2048
    assert claims(padded).reason.tolist() == [Reason.TAMPERED]
    assert claims(padded[:-1]).reason.tolist() == [Reason.TRUNCATED_AT_2048]


# docs/repair.md


def rows(title: str) -> list[list[str]]:
    """The table under a heading, its head left out."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", DOCS, re.M | re.S)
    assert found, f"there is no heading {title!r}"
    lines = [
        line.strip("| ").split(" | ") for line in found[1].splitlines() if line.startswith("|")
    ]
    return lines[2:]


def test_the_ladder_is_documented_as_it_is() -> None:
    assert [(row[0], row[1], row[2]) for row in rows("The ladder")] == [
        (f"`{step.name}`", f"{step.weight}", f"{step.undoes[0].upper()}{step.undoes[1:]}")
        for step in STEPS
    ]
    assert f"{MOST_FORMS} forms" in DOCS


@pytest.mark.parametrize("row", rows("The ladder"), ids=lambda row: row[0])
def test_the_documented_examples_come_true(row: list[str]) -> None:
    (step,) = (step for step in STEPS if f"`{step.name}`" == row[0])
    broken, mended = (b"s=x&" + text.strip("`").encode() for text in row[3:])
    assert step.text(broken) == mended


def test_every_tracker_is_documented() -> None:
    for prefix in trackers.PREFIXES:
        assert f"`{prefix}*`" in DOCS
    for name in (*trackers.CLICKS_AND_MAILS, *trackers.CACHE_BUSTERS):
        assert f"`{name}`" in DOCS


def test_every_limit_and_tag_is_documented() -> None:
    for limit in LIMITS:
        assert f"| {limit:,} |" in DOCS
    assert len(rows("Tags that nothing filled in")) == len(tags.TAGS)


@pytest.mark.parametrize("row", rows("Tags that nothing filled in"), ids=lambda row: row[0])
def test_every_documented_tag_is_known(row: list[str]) -> None:
    tag = row[0].strip("`").replace("\\|", "|")
    query = signed().replace(b"story-1", tag.encode())
    escaped = signed().replace(
        b"story-1", "".join(f"%{byte:02x}" for byte in tag.encode()).encode()
    )
    assert claims(query, escaped).reason.tolist() == [Reason.UNFILLED_TAG] * 2


def test_a_repair_is_told_in_words() -> None:
    assert steps.undone("html-entities+trailing") == (
        "HTML entities (&amp; for &), and a quote, bracket or other mark at its end"
    )
