"""What counts as a view: only what was signed, and `check` says just what `load` does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.check import NOT_PIXEL, check_urls
from tests.logs import NOON_US, RULES, Hit, log, read, signed, tsv
from tests.properties.strategies import QUERIES, TOKENS
from tests.properties.test_queries import parse_slowly

SIGNED = signed(k="caf\u00e9 100%", note="")
_, PAIRS = parse_slowly(SIGNED)


@given(
    at=st.integers(0, len(SIGNED)),
    length=st.integers(0, 3),
    middle=st.one_of(st.binary(max_size=3), st.sampled_from(TOKENS)),
)
def test_a_changed_query_counts_only_with_what_was_signed(
    at: int, length: int, middle: bytes
) -> None:
    """Where it says something else, a repair must have taken that away."""
    changed = SIGNED[:at] + middle + SIGNED[at + length :]
    reading = read(log(tsv(Hit(uri=b"/i.gif?" + changed))))
    fault, pairs = parse_slowly(changed)
    says_the_same = fault == 0 and sorted(pairs) == sorted(PAIRS)
    assert reading.tally.accepted + reading.tally.rejected.total() == 1
    assert reading.tally.accepted or not says_the_same
    for event in reading.events:
        assert (event["repair"] is None) == says_the_same
        assert (event["key"], event["canonical"]) == (dict(PAIRS)["k"], dict(PAIRS)["c"])
        assert (event["destination"], event["params"]) == (dict(PAIRS)["d"], '{"note":""}')


def test_a_cut_query_never_counts() -> None:
    prefixes = [SIGNED[:end] for end in range(len(SIGNED) - len("&note="))]
    reading = read(log(*(tsv(Hit(uri=b"/i.gif?" + query)) for query in prefixes)))
    assert reading.tally.rejected.total() == len(prefixes)
    assert set(reading.reasons) == {"unsigned", "truncated", "tampered"}


@given(
    path=st.sampled_from(("/i.gif", "/pixel.gif", "/other.gif", "https://px.example.org/i.gif")),
    query=st.one_of(
        st.sampled_from(QUERIES),
        st.sampled_from([SIGNED[:end] for end in range(0, len(SIGNED), 7)]),
        st.text("skcd=&%+0A ;a.", max_size=20).map(str.encode),
    ),
)
def test_check_says_what_load_does(path: str, query: bytes) -> None:
    url = f"{path}?" + query.decode("utf-8", "surrogateescape")
    (verdict,) = check_urls([url], RULES, NOON_US)
    reading = read(log(tsv(Hit(uri=url.encode("utf-8", "surrogateescape")))))
    assert verdict.counts == (reading.tally.accepted == 1)
    assert (verdict.reason == NOT_PIXEL) == (reading.tally.not_pixel == 1)
    assert reading.reasons == ([] if verdict.reason in (None, NOT_PIXEL) else [verdict.reason])
    if verdict.counts:
        (event,) = reading.events
        assert verdict.destination == event["destination"]
        assert (verdict.params["k"], verdict.params["c"]) == (event["key"], event["canonical"])
