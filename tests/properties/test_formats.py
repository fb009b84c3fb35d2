"""Every format reads a line the same way whatever stands around it, and as the client sent it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats import FORMATS, Format
from tests.logs import (
    BOUND,
    LINE_OF,
    SECOND_US,
    Hit,
    format_named,
    json_line,
    lines_of,
    log,
    requests_of,
    tsv,
)
from tests.properties import strategies

ANY_FORMAT = pytest.mark.parametrize("format_", BOUND, ids=lambda format_: format_.name)


def parsed(format_: Format, data: bytes) -> dict[int, dict[str, Any] | None]:
    """What each line became: a request, None for a malformed one, nothing for a header or another record."""
    found = format_.parse(lines_of(data))
    whole: dict[int, dict[str, Any] | None] = dict.fromkeys(found.malformed.tolist())
    requests = {row.pop("line"): row for row in found.requests.to_pylist()}
    aside = {line: {} for line in (*found.header.tolist(), *found.other.tolist())}
    assert len(whole) + len(requests) + len(aside) == len(whole | requests | aside)
    return whole | requests | aside


@ANY_FORMAT
@given(data=st.data())
def test_a_line_is_read_the_same_alone_and_among_others(
    format_: Format, data: st.DataObject
) -> None:
    drawn = data.draw(st.lists(st.one_of(strategies.lines(format_), strategies.junk), max_size=6))
    lines = [line for line in drawn if line.strip(b"\r")]
    among = parsed(format_, log(*lines))
    alone = [parsed(format_, log(line))[0] for line in lines]
    assert among == dict(enumerate(alone))


@ANY_FORMAT
@given(line=st.one_of(strategies.junk, st.sampled_from(strategies.TOKENS)))
def test_what_a_format_recognises_it_reads(format_: Format, line: bytes) -> None:
    if line and format_.recognises(line):
        assert parsed(format_, log(line))[0] is not None


@pytest.mark.parametrize("write", [tsv, json_line], ids=["nginx-tsv", "nginx-json"])
@given(hit=strategies.hits())
def test_what_the_client_sent_comes_back(write: Any, hit: Hit) -> None:
    format_ = next(each for each in FORMATS if write in LINE_OF[each.name])
    (row,) = requests_of(format_, write(hit))
    assert row["timestamp"].timestamp() == hit.time_us / SECOND_US
    assert row["user_agent"] == (None if hit.user_agent == b"-" else hit.user_agent)
    assert row["referrer"] == (None if hit.referrer == b"-" else hit.referrer)
    assert row["method"] == hit.method
    assert row["host"] == hit.host
    assert row["status"] == hit.status
    assert row["ip"] == hit.ip
    assert row["forwarded_for"] == hit.forwarded_for
    assert row["cookie_pxid"] == hit.cookie_pxid
    assert row["request_id"] == hit.request_id
    path, question, query = hit.uri.partition(b"?")
    assert row["path"] == path
    assert row["query"] == (query if question else None)


@pytest.mark.parametrize(
    ("name", "write"), [(name, write) for name, writes in LINE_OF.items() for write in writes]
)
@given(data=st.data())
def test_what_is_common_to_all_formats_comes_back(
    name: str, write: Any, data: st.DataObject
) -> None:
    hits = data.draw(st.lists(strategies.hits_in(name), min_size=1, max_size=6))
    format_ = format_named(name)
    assert all(format_.recognises(write(hit)) for hit in hits)
    for row, hit in zip(requests_of(format_, *map(write, hits)), hits, strict=True):
        assert row["timestamp"].timestamp() == hit.time_us / SECOND_US
        assert row["user_agent"] == (None if hit.user_agent == b"-" else hit.user_agent)
        if "referrer" not in format_.quirks.lacks:
            assert row["referrer"] == (None if hit.referrer == b"-" else hit.referrer)
        assert (row["method"], row["status"], row["ip"]) == (hit.method, hit.status, hit.ip)
        assert row["path"] == hit.uri.partition(b"?")[0]
