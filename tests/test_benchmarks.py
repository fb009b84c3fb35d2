"""The benchmark of the log formats: it writes a log of every format, as that format reads it."""

from __future__ import annotations

import gzip
import io
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from benchmarks import scale_logs, scale_page
from benchmarks.format_logs import WRITERS, lines_of
from benchmarks.generate import DEFAULT_SECRET
from benchmarks.ladder import with_broken_urls
from benchmarks.lines_of_text import nginx_tsv
from benchmarks.scale_model import Carried, Measured, Site
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


# The page of scale


def test_the_page_of_scale_says_what_was_measured() -> None:
    page = scale_page.PAGE.read_text()
    assert scale_page.filled(page) == page


def test_the_page_of_scale_has_every_table() -> None:
    page = scale_page.PAGE.read_text()
    assert all(f"<!-- table: {name} -->" in page for name in scale_page.tables())


def test_what_a_view_costs_is_told_from_what_a_run_costs() -> None:
    def ran(views: int, cpu_s: float) -> dict[str, object]:
        return {
            "views": views, "lines": 2 * views, "cpu_s": cpu_s, "log_bytes": 100 * views,
            "staged_bytes": 80 * views, "requests": {"writes": 20, "listings": 5, "reads": 9},
        }  # fmt: skip

    measured = Measured.of(
        {
            "by_lines": [ran(100_000, 3.0), ran(1_100_000, 13.0)],
            "staged": [{"lines": 300_000, "shards": 3}],
            "planned": [{"listed": 1000, "state_bytes": 60_000}],
        }
    )
    assert measured == Measured(10.0, 2.0, 100, 80, 2, 50_000, 25, 60)
    day = Carried(Site(10**9, 288), measured)
    assert (day.cpu_s, day.vcpus, day.batches) == (10_576, 1, 288)
    assert (day.load_jobs, day.logs, day.log_bytes) == (288 * 7, 2000, 10**11)
    bill = day.bill()
    assert bill["BigQuery"] == pytest.approx(10**11 * 3.7 / 2**30 * (90 * 0.02 + 275 * 0.01))
    lookups, sent_gib = 2 * 30 * 10**9 * 0.75e-6, 2 * 30 * 10**9 * 600 / 2**30
    sent = 10 * 1024 * 0.08 + (sent_gib - 10 * 1024) * 0.055
    assert bill["CDN"] == pytest.approx(lookups + sent + 0.025 * 730)


def test_a_log_of_many_destinations_has_views_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale_logs, "DATA_FOLDER", tmp_path)
    reading = read(gzip.decompress(scale_logs.make_log(3000, 20).read_bytes()), RULES)
    assert len({row["key"] for row in reading.events}) == 20
