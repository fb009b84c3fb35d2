from __future__ import annotations

from collections import Counter

import pytest

from pipeline.model import COUNTS, REQUEST_SCHEMA, Fault, Reason, Tally


def test_reasons_are_tried_in_the_documented_order() -> None:
    assert [(reason.label, reason.stage.value) for reason in sorted(Reason)] == [
        ("too-long", "blocks"),
        ("malformed", "format"),
        ("bad-time", "format"),
        ("malformed", "decode"),
        ("malformed", "decode"),
        ("malformed", "decode"),
        ("malformed", "decode"),
        ("malformed", "decode"),
        ("unsigned", "verify"),
        ("unfilled-tag", "verify"),
        *[("truncated", "verify")] * 9,
        ("malformed", "verify"),
        ("unknown-key", "verify"),
        ("tampered", "verify"),
        ("retired-key", "verify"),
        ("bad-bounds", "verify"),
        ("not-yet", "verify"),
        ("expired", "verify"),
        ("no-data", "verify"),
        ("no-agent", "classify"),
        ("no-ip", "enrich"),
        ("unknown-token", "route"),
        ("bad-destination", "route"),
    ]


def test_reasons_are_numbered_without_gaps_and_none_is_0() -> None:
    assert [int(reason) for reason in Reason] == list(range(1, len(Reason) + 1))


def test_every_reason_says_what_it_means_and_what_to_do() -> None:
    assert len({reason.meaning for reason in Reason}) == len(Reason)
    assert all(reason.remedy.endswith(".") for reason in Reason)


def test_requests_have_these_columns() -> None:
    assert REQUEST_SCHEMA.names == [
        "line", "timestamp", "method", "host", "path", "query", "status", "ip", "forwarded_for",
        "user_agent", "referrer", "cookie_pxid", "request_id",
        "country", "cache_status", "tls_version", "edge_location", "asn", "bot_score",
    ]  # fmt: skip


def test_a_tally_adds_up_when_each_line_has_one_fate() -> None:
    tally = Tally(9, 0, 1, 1, 2, 1, 1, Counter({"unsigned": 2, "tampered": 1}))
    assert tally.adds_up
    assert not Tally(9, 0, 1, 1, 2, 1, 1, Counter({"unsigned": 2})).adds_up
    assert Tally().adds_up
    assert Tally(lines=2, extra_events=3, accepted=4, bot=1).adds_up
    assert not Tally(lines=2, extra_events=2, accepted=4, bot=1).adds_up


def test_tallies_are_added_count_by_count() -> None:
    tally = Tally(3, accepted=2, rejected=Counter({"unsigned": 1}))
    tally.add(Tally(4, header=1, bot=1, rejected=Counter({"unsigned": 1, "no-ip": 1})))
    assert tally == Tally(7, 0, 1, 0, 2, 1, 0, Counter({"unsigned": 2, "no-ip": 1}))


def test_a_tally_as_json_sorts_its_reasons_and_comes_back() -> None:
    tally = Tally(9, 0, 1, 1, 2, 1, 1, Counter({"unsigned": 2, "tampered": 1}))
    counts = tally.to_json()
    assert list(counts) == [*COUNTS, "rejected"]
    assert list(counts["rejected"]) == ["tampered", "unsigned"]
    assert Tally.from_json(counts) == tally


def test_a_tally_without_its_counts_is_refused() -> None:
    with pytest.raises(KeyError):
        Tally.from_json({"lines": 1, "rejected": {}})


def test_a_tally_of_before_there_were_arrays_comes_back() -> None:
    counts = Tally(lines=1, accepted=1).to_json()
    del counts["extra_events"]
    assert Tally.from_json(counts) == Tally(lines=1, accepted=1)
    ledger = (1, None, 0, 0, 1, 0, 0)
    assert Tally.of(ledger, {}) == Tally(lines=1, accepted=1)


def test_a_fault_as_json() -> None:
    fault = Fault("a.gz", 7, "gzip data ends early")
    assert fault.to_json() == {"object": "a.gz", "position": 7, "fault": "gzip data ends early"}
