"""Whatever happens to a signed URL, what counts is what was signed, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dialects.prx import read_claims
from pipeline.repair.ladder import MOST_FORMS, mend
from pipeline.repair.steps import CHOICES, MAIL, TRACES
from tests.logs import RULES, signed

SIGNED = {
    "k": "C++ caf\u00e9 (1) 100%",
    "c": "https://e.org/%E4?a=1&b=2+3",
    "d": "news.pageviews",
    "note": 'x"y',
}
QUERY = signed(**SIGNED)
Breakage = Callable[[bytes], bytes]
BREAKAGES: tuple[Breakage, ...] = (
    lambda query: query.replace(b"&", b"&amp;"),
    lambda query: query.replace(b"&", b"&#38;"),
    lambda query: query.replace(b"&", b"&;", 1),
    lambda query: query.replace(b"=", b"=3D"),
    lambda query: query[:30] + b"=%0D%0A" + query[30:],
    lambda query: query.replace(b"%", b"%25"),
    lambda query: query.replace(b"%2", b"%252", 1),
    lambda query: quote(query, safe="").encode(),
    lambda query: query.replace(b"&", b"%26"),
    lambda query: query.replace(b"%20", b"+"),
    lambda query: query.replace(b"%2B", b"+"),
    lambda query: query.replace(b"+", b"%2B"),
    lambda query: query.replace(b"%3A", b":").replace(b"%2F", b"/").replace(b"%26", b"&"),
    lambda query: query + b'"',
    lambda query: query + b").",
    lambda query: query + b"%22%3E",
    lambda query: query + b'"+width=1',
    lambda query: query + b"&utm_source=mail&cb=1",
    lambda query: query + b"?fbclid=x",
    lambda query: b"_=1&" + query,
    lambda query: b"&".join(sorted((query + b"&rnd=5").split(b"&"))),
    lambda query: query.lower(),
    lambda query: query + query,
    lambda query: query[: len(query) * 2 // 3],
)
PIECES = (
    b"&", b"=", b"%", b"+", b";", b"?", b'"', b"%22", b"%26", b"%3D", b"%2B", b"%25", b"&amp;", b"amp;",
    b"=3D", b"=%0A", b"&utm_x=1", b"&cb=", b"&k=other", b"&d=mail.opens", b"&s=", b"&c=https://x.org/",
    b"k", b"s", b"1", b"%20", b"%C3", b"\xff", b"{{id}}",
)  # fmt: skip


def broken(breakages: list[Breakage]) -> bytes:
    """The signed query string after some accidents."""
    query = QUERY
    for breakage in breakages:
        query = breakage(query)
    return query


def assert_what_counts_was_signed(queries: list[bytes]) -> int:
    """All that verifies claims what was signed, each of it; how many did."""
    found = read_claims(pa.array(queries, pa.binary()), RULES)
    verified = [row for row in range(len(queries)) if found.key_number[row] >= 0]
    for row in verified:
        assert found.reason[row] == 0
        claimed = {
            "k": found.key[row].as_py(),
            "c": found.canonical[row].as_py(),
            "d": found.destination[row].as_py(),
            **json.loads(found.params[row].as_py()),
        }
        assert claimed == SIGNED
        assert not SIGNED.keys() & json.loads(found.extras[row].as_py() or "{}").keys()
    assert (found.reason == 0).sum() == len(verified)
    return len(verified)


@given(accidents=st.lists(st.lists(st.sampled_from(BREAKAGES), max_size=4), min_size=1, max_size=4))
def test_what_counts_of_a_broken_url_was_signed(accidents: list[list[Breakage]]) -> None:
    queries = [broken(breakages) for breakages in accidents]
    assert assert_what_counts_was_signed(queries) >= accidents.count([])


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
    assert_what_counts_was_signed([query])


@given(
    change=st.sampled_from(
        (
            (b"news.pageviews", b"news.others"), (b"k=C", b"k=D"), (b"e.org", b"f.org"),
            (b"x%22y", b"x%22z"), (b"note=", b"nota="), (b"&note=x%22y", b""), (b"s=", b"s=A"),
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
    assert assert_what_counts_was_signed([query]) == 0


TEXTS = st.one_of(
    st.lists(st.sampled_from((*PIECES, b"&s=", b"&c=", b"a.b")), max_size=9).map(b"".join),
    st.lists(st.sampled_from(BREAKAGES), max_size=3).map(broken),
)


@given(query=TEXTS)
def test_a_step_changes_nothing_without_a_trace(query: bytes) -> None:
    for step in (*MAIL, *(step for group in CHOICES for step in group)):
        hit = pc.match_substring_regex(pa.array([query]), step.traces, ignore_case=True)
        assert hit[0].as_py() or step.text(query) == query
        (any_,) = pc.match_substring_regex(pa.array([query]), TRACES, ignore_case=True)
        assert any_.as_py() or not hit[0].as_py()


@given(queries=st.lists(TEXTS, min_size=1, max_size=4, unique=True))
def test_each_query_has_at_most_twelve_forms(queries: list[bytes]) -> None:
    tried: list[bytes] = []

    def refuse(forms: pa.BinaryArray) -> object:
        tried.extend(forms.to_pylist())
        return pc.equal(pc.binary_length(forms), -1).to_numpy(zero_copy_only=False)

    mend(pa.array(queries, pa.binary()), refuse)  # type: ignore[arg-type]
    assert len(tried) <= MOST_FORMS * len(queries)
