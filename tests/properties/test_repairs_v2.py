"""The same as for version 1: whatever happens to a URL of version 2, what counts is what was signed."""

from __future__ import annotations

import json

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dialects.prx import read_claims
from tests.logs import RULES, signed_v2
from tests.properties.test_repairs import BREAKAGES, PIECES, Breakage

SIGNED = {"k": "C++ café (1) 100%", "c": "https://e.org/%E4?a=1&b=2+3", "d": "news.pageviews"}
MORE = {"note": 'x"y', "cb": "7"}
QUERY = signed_v2(**SIGNED, **MORE, exp="4000000000")


def broken(breakages: list[Breakage]) -> bytes:
    query = QUERY
    for breakage in breakages:
        query = breakage(query)
    return query


def count_of(queries: list[bytes]) -> int:
    """How many verify; each of them claims what was signed, and all of it."""
    found = read_claims(pa.array(queries, pa.binary()), RULES)
    verified = [row for row in range(len(queries)) if found.key_number[row] >= 0]
    for row in verified:
        claimed = (found.key[row].as_py(), found.canonical[row].as_py(), found.destination[row].as_py())  # fmt: skip
        assert claimed == tuple(SIGNED.values())
        assert json.loads(found.params[row].as_py()) == MORE
        assert found.valid_until_us[row] == 4_000_000_000_000_000
        extras = json.loads(found.extras[row].as_py() or "{}")
        assert not extras.keys() & {"k", "c", "d", "note", "exp", "s"}
    assert (found.reason == 0).sum() == len(verified)
    return len(verified)


@given(accidents=st.lists(st.lists(st.sampled_from(BREAKAGES), max_size=4), min_size=1, max_size=4))
def test_what_counts_of_a_broken_url_was_signed(accidents: list[list[Breakage]]) -> None:
    assert count_of([broken(breakages) for breakages in accidents]) >= accidents.count([])


@given(
    changes=st.lists(
        st.tuples(
            st.integers(0, 400),
            st.integers(0, 3),
            st.one_of(st.sampled_from(PIECES), st.binary(max_size=2)),
        ),
        max_size=3,
    ),
    breakages=st.lists(st.sampled_from(BREAKAGES), max_size=2),
)
def test_what_counts_of_a_changed_url_was_signed(
    changes: list[tuple[int, int, bytes]], breakages: list[Breakage]
) -> None:
    query = broken(breakages)
    for at, length, piece in changes:
        query = query[:at] + piece + query[at + length :]
    count_of([query])


@given(
    change=st.sampled_from(
        (
            (b"news.pageviews", b"news.others"), (b"k=C", b"k=D"), (b"e.org", b"f.org"),
            (b"x%22y", b"x%22z"), (b"note=", b"nota="), (b"&note=x%22y", b""), (b"s=2.", b"s=3."),
            (b"~k~", b"~"), (b"~k~", b"~k~l~"), (b"exp=4", b"exp=5"), (b"cb=7", b"cb=8"),
        )
    ),
    breakages=st.lists(st.sampled_from(BREAKAGES), max_size=4),
)  # fmt: skip
def test_no_repair_lets_in_what_was_changed(
    change: tuple[bytes, bytes], breakages: list[Breakage]
) -> None:
    query = QUERY.replace(*change)
    assert query != QUERY
    for breakage in breakages:
        query = breakage(query)
    assert count_of([query]) == 0
