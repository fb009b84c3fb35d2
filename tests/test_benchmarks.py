"""The benchmark of the log formats: it writes a log of every format, as that format reads it."""

from __future__ import annotations

import io
from collections import Counter
from typing import Final

import pytest

from benchmarks.format_logs import WRITERS, lines_of
from benchmarks.generate import DEFAULT_SECRET
from benchmarks.ladder import with_broken_urls
from benchmarks.lines_of_text import nginx_tsv
from benchmarks.signatures import signed_requests
from pipeline.blocks import Block, read_blocks
from pipeline.engine import sniff
from pipeline.formats import FORMATS
from pipeline.options import Rules
from pipeline.signing import key_ring
from tests.logs import log, read

REQUESTS: Final = 3000
RULES: Final = Rules(key_ring([DEFAULT_SECRET]))


def test_there_is_a_log_of_every_format() -> None:
    assert set(WRITERS) == {format_.name for format_ in FORMATS}


@pytest.mark.parametrize("name", WRITERS)
def test_a_log_is_read_but_for_the_lines_that_are_cut(name: str) -> None:
    log = "".join(f"{line}\n" for line in lines_of(name, REQUESTS)).encode()
    format_ = sniff(io.BytesIO(log), len(log))
    assert format_ is not None
    assert format_.name == name
    (block,) = read_blocks(io.BytesIO(log), 0, len(log), len(log))
    assert isinstance(block, Block)
    parsed = format_.parse(block.lines())
    requests = parsed.requests
    assert len(parsed.malformed) == REQUESTS - requests.num_rows
    assert 0 < len(parsed.malformed) < REQUESTS / 100
    for column in ("timestamp", "method", "path", "status", "ip", "user_agent"):
        assert requests.column(column).null_count == 0, column
    assert requests.column("query").null_count < REQUESTS / 100


def test_urls_are_broken_in_every_way_that_is_mended() -> None:
    requests = list(with_broken_urls(1.0, REQUESTS))
    reading = read(log(*(nginx_tsv(each).encode() for each in requests)), RULES)
    repaired = Counter(row["repair"] for row in reading.events)
    assert repaired.total() > REQUESTS / 2
    assert set(repaired) == {
        "html-entities", "percent-encoding", "quoted-printable", "trackers", "trailing",
    }  # fmt: skip
    assert {"tampered", "truncated"} <= set(reading.reasons)


def test_a_log_without_broken_urls_needs_no_repair() -> None:
    requests = list(with_broken_urls(0.0, REQUESTS))
    reading = read(log(*(nginx_tsv(each).encode() for each in requests)), RULES)
    assert reading.tally.rejected == {}
    assert {row["repair"] for row in reading.events} == {None}


@pytest.mark.parametrize(
    ("name", "repair"),
    [("v1", None), ("v2", None), ("v1, added", "trackers"), ("v2, added", None)],
)
def test_views_are_signed_in_either_version(name: str, repair: str | None) -> None:
    requests = signed_requests(300)[name]
    reading = read(log(*(nginx_tsv(each).encode() for each in requests)), RULES)
    assert reading.tally.rejected == {}
    assert {row["repair"] for row in reading.events} == {repair}
    assert {row["extras"] is None for row in reading.events} == {"added" not in name}
