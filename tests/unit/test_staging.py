from __future__ import annotations

import gzip
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import blocks, formats, schemas
from pipeline.engine import Engine
from pipeline.model import Fault, LogObject, Tally
from pipeline.sources import LocalFiles
from pipeline.staging import PERIOD_HOURS, Job, Staged, Stager, Work, split
from tests.logs import GOOGLEBOT, NOON_US, RULES, Hit, combined, log, signed, small_steps, tsv
from tests.text_logs import CLOUDFRONT_HEADER, cloudfront

LINES = [
    *(
        tsv(Hit(request_id=b"id %d" % number, uri=b"/i.gif?" + signed(k=f"story-{number % 7}")))
        for number in range(200)
    ),
    tsv(Hit(request_id=b"mail", uri=b"/i.gif?" + signed(d="mail.opens", c="https://secret.org/"))),
    tsv(Hit(request_id=b"bot", user_agent=GOOGLEBOT)),
    tsv(Hit(uri=b"/i.gif")),
    tsv(Hit(uri=b"/favicon.ico")),
    b"px1 is cut he",
    b"",
]
LOG = log(*LINES)
TALLY = Tally(lines=206, header=1, not_pixel=1, accepted=201, bot=1)
TALLY.rejected.update({"unsigned": 1, "malformed": 1})


def create(path: str) -> BinaryIO:
    return Path(path).open("wb")


def save(folder: Path, name: str, data: bytes) -> LogObject:
    (folder / name).write_bytes(data)
    return LocalFiles().pin(str(folder / name))


class Attempt:
    """One stager's work on some parts, and what it was told of."""

    def __init__(self, folder: Path, *parts: Work, **job: Any) -> None:
        self.progress: list[tuple[int, int]] = []
        staging = folder / "staging"
        staging.mkdir(exist_ok=True)
        stager = Stager(
            Job("b1", RULES, str(staging), **job),
            Engine(RULES),
            LocalFiles().open,
            create,
            lambda *told: self.progress.append(told),
        )
        for part in parts:
            stager.stage(part)
        self.staged = stager.finish()

    def rows(self, table: str, destination: str = "") -> list[dict[str, Any]]:
        return [
            row
            for shard in self.staged.shards
            if (shard.table, shard.destination) == (table, destination)
            for row in pq.read_table(shard.path).to_pylist()
        ]


def whole(item: LogObject) -> Work:
    return Work(item, item.start, item.size)


# Splitting


def ranges(parts: list[Work]) -> list[tuple[int, int]]:
    return [(part.start, part.end) for part in parts]


@pytest.mark.parametrize("size", [1, 9, 10, 11, 20, 205])
def test_a_plain_file_is_cut_into_ranges_that_join(tmp_path: Path, size: int) -> None:
    item = save(tmp_path, "a.log", b"x" * size)
    cut = ranges(list(split([item], LocalFiles().open, 10)))
    assert [start for start, _ in cut] == list(range(0, size, 10))
    assert [end for _, end in cut] == [*range(10, size, 10), size]


def test_a_compressed_file_is_one_part_whatever_its_name(tmp_path: Path) -> None:
    item = save(tmp_path, "a.log", gzip.compress(LOG))
    assert ranges(list(split([item], LocalFiles().open, 10))) == [(0, item.size)]


def test_a_log_whose_lines_need_a_header_is_one_part(tmp_path: Path) -> None:
    item = save(tmp_path, "a.log", log(CLOUDFRONT_HEADER, cloudfront(Hit())))
    assert ranges(list(split([item], LocalFiles().open, 10))) == [(0, item.size)]
    plain = save(tmp_path, "b.log", log(tsv(Hit())))
    chosen = formats.named("cloudfront")
    assert ranges(list(split([plain], LocalFiles().open, 10, chosen))) == [(0, plain.size)]


def test_a_header_in_the_middle_holds_for_the_blocks_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_LINES", 1)
    other = CLOUDFRONT_HEADER.replace(b"cs-bytes", b"cs-octets")
    bad = cloudfront(Hit(uri=b"/i.gif?k=a"))
    item = save(tmp_path, "a.log", log(CLOUDFRONT_HEADER, bad, other, bad))
    with small_steps(64):
        rows = Attempt(tmp_path, whole(item)).rows("rejects")
    assert [row["header"] for row in rows] == [CLOUDFRONT_HEADER.decode(), other.decode()]


def test_of_a_grown_file_the_tail_is_cut(tmp_path: Path) -> None:
    item = replace(save(tmp_path, "a.log", b"x" * 35), start=12)
    assert ranges(list(split([item], LocalFiles().open, 10))) == [(12, 22), (22, 32), (32, 35)]


def test_an_empty_file_is_one_part(tmp_path: Path) -> None:
    item = save(tmp_path, "a.log", b"")
    assert list(split([item], LocalFiles().open, 10)) == [Work(item, 0, 0)]


def test_large_files_come_first(tmp_path: Path) -> None:
    items = [save(tmp_path, f"{size}.log", b"x" * size) for size in (3, 9, 6)]
    parts = list(split(items, LocalFiles().open, 10))
    assert [part.object.size for part in parts] == [9, 6, 3]


@pytest.mark.parametrize("split_bytes", [1 << 20, 10_000, 1_009])
def test_however_a_file_is_split_the_rows_are_the_same(tmp_path: Path, split_bytes: int) -> None:
    item = save(tmp_path, "a.log", LOG)
    parts = list(split([item], LocalFiles().open, split_bytes))
    attempt = Attempt(tmp_path, *reversed(parts))
    assert attempt.staged.tallies == {item.name: TALLY}
    assert attempt.staged.faults == []
    rows = sorted(attempt.rows("event", "news.pageviews"), key=lambda row: row["source_position"])
    assert [row["event_id"] for row in rows] == [f"id {number}" for number in range(200)]
    for row in rows:
        assert LOG.startswith(LINES[int(row["event_id"][3:])], row["source_position"])
    assert {row["reason"] for row in attempt.rows("rejects")} == {"unsigned", "malformed"}
    assert sum(row["hits"] for row in attempt.rows("bot_hits")) == 1


# Shards


def test_shards_have_the_columns_of_their_schemas(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, whole(save(tmp_path, "a.log", LOG)))
    found = {shard.table: pq.read_schema(shard.path) for shard in attempt.staged.shards}
    assert found.keys() == {"event", "rejects", "bot_hits"}
    for table, schema in found.items():
        wanted = schemas.arrow(table)
        assert schema.names == wanted.names
        assert [field.type for field in schema] == [field.type for field in wanted]


def test_a_shard_holds_no_value_of_another_tables_rows(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, whole(save(tmp_path, "a.log", LOG)))
    shards = {shard.destination: shard for shard in attempt.staged.shards if shard.destination}
    assert shards.keys() == {"news.pageviews", "mail.opens"}
    assert shards["news.pageviews"].rows == 200
    for destination, canonical in (
        ("news.pageviews", "https://news.example.org/a"),
        ("mail.opens", "https://secret.org/"),
    ):
        path = shards[destination].path
        column = pq.read_table(path, read_dictionary=["canonical"]).column("canonical")
        assert pa.types.is_dictionary(column.type)
        for chunk in column.chunks:
            assert chunk.dictionary.to_pylist() == [canonical]


def test_many_rows_are_written_as_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.staging._MOST_ROWS", 50)
    item = save(tmp_path, "a.log", LOG)
    attempt = Attempt(tmp_path, *split([item], LocalFiles().open, 5_000))
    rows = [shard.rows for shard in attempt.staged.shards if shard.table == "event"]
    assert len(rows) > 2
    assert sum(rows) == 201
    assert max(rows) < 100
    assert len(attempt.rows("event", "news.pageviews")) == 200


def to_many(destinations: int, lines: int) -> bytes:
    """Views that go half to one destination, and else to all of them in turns."""
    names = [f"a.t{number % destinations if number % 2 else 0}" for number in range(lines)]
    queries = {name: signed(d=name) for name in set(names)}
    hits = (
        Hit(request_id=b"id %d" % number, uri=b"/i.gif?" + queries[name])
        for number, name in enumerate(names)
    )
    return log(*map(tsv, hits))


def test_small_destinations_are_held_until_there_is_more_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.staging._MOST_ROWS", 100)
    item = save(tmp_path, "a.log", to_many(99, 1_000))
    attempt = Attempt(tmp_path, *split([item], LocalFiles().open, item.size // 20))
    shards = Counter(shard.destination for shard in attempt.staged.shards)
    assert len(shards) == 99
    assert shards["a.t0"] >= 8
    assert max(count for name, count in shards.items() if name != "a.t0") <= 6
    for number in (0, 1, 50):
        ids = {row["event_id"] for row in attempt.rows("event", f"a.t{number}")}
        mine = {at for at in range(1_000) if (at % 99 if at % 2 else 0) == number}
        assert ids == {f"id {at}" for at in mine}
    assert sum(shard.rows for shard in attempt.staged.shards) == 1_000


def test_a_shard_holds_no_more_partitions_than_a_load_job_may_change(tmp_path: Path) -> None:
    hour_us = 3_600_000_000
    hours = [0, 1, PERIOD_HOURS - 1, PERIOD_HOURS, 3 * PERIOD_HOURS]
    begin_us = NOON_US // (PERIOD_HOURS * hour_us) * PERIOD_HOURS * hour_us
    hits = [
        Hit(time_us=begin_us + hour * hour_us, request_id=b"%d" % hour, uri=b"/i.gif?" + signed())
        for hour in hours
    ]
    attempt = Attempt(tmp_path, whole(save(tmp_path, "a.log", log(*map(tsv, hits)))))
    first = begin_us // hour_us // PERIOD_HOURS
    found = {
        shard.period: sorted(int(row["event_id"]) for row in pq.read_table(shard.path).to_pylist())
        for shard in attempt.staged.shards
    }
    assert found == {first: hours[:3], first + 1: hours[3:4], first + 3: hours[4:]}


def test_a_manifest_of_a_version_before_is_read() -> None:
    shard = {"table": "event", "destination": "a.b", "path": "p", "rows": 1}
    staged = Staged.from_json({"shards": [shard], "tallies": {}, "faults": [], "unread": []})
    assert staged.shards[0].period is None


def test_each_attempt_has_shards_of_its_own(tmp_path: Path) -> None:
    item = save(tmp_path, "a.log", LOG)
    first, second = (Attempt(tmp_path, whole(item)) for _ in range(2))
    paths = [shard.path for attempt in (first, second) for shard in attempt.staged.shards]
    assert len(set(paths)) == len(paths) == 8
    assert first.rows("event", "mail.opens") == second.rows("event", "mail.opens")


def test_nothing_is_written_for_nothing(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, whole(save(tmp_path, "a.log", log(tsv(Hit(uri=b"/"))))))
    assert attempt.staged.shards == []
    assert list((tmp_path / "staging").iterdir()) == []


# Tallies, faults, progress


def test_progress_is_told_in_stored_bytes_and_lines(tmp_path: Path) -> None:
    for data in (LOG, gzip.compress(LOG)):
        item = save(tmp_path, "a.log", data)
        attempt = Attempt(tmp_path, whole(item))
        assert sum(lines for _, lines in attempt.progress) == len(LINES)
        assert sum(stored for stored, _ in attempt.progress) <= item.size
    parts = list(split([save(tmp_path, "a.log", LOG)], LocalFiles().open, 5_000))
    assert sum(lines for _, lines in Attempt(tmp_path, *parts).progress) == len(LINES)


def test_damage_is_a_fault_of_its_object_and_the_lines_before_it_are_rows(tmp_path: Path) -> None:
    cut = save(tmp_path, "cut.gz", gzip.compress(LOG)[:-30])
    sound = save(tmp_path, "sound.log", LOG)
    attempt = Attempt(tmp_path, whole(cut), whole(sound))
    (fault,) = attempt.staged.faults
    assert (fault.object, fault.fault) == (cut.name, "gzip data ends early")
    assert attempt.staged.tallies[sound.name] == TALLY
    assert attempt.staged.tallies[cut.name].accepted > 150
    assert attempt.staged.tallies[cut.name].adds_up


def test_a_file_that_shrank_since_it_was_found_is_a_fault(tmp_path: Path) -> None:
    item = save(tmp_path, "a.log", LOG)
    Path(item.name).write_bytes(LOG[: len(LOG) // 2])
    attempt = Attempt(tmp_path, whole(item))
    (fault,) = attempt.staged.faults
    assert fault.fault == "ends before the size it had when it was listed"
    assert fault.position == len(LOG) // 2


def test_a_file_that_grew_since_it_was_found_is_read_to_its_old_size(tmp_path: Path) -> None:
    item = save(tmp_path, "a.log", LOG)
    Path(item.name).write_bytes(LOG + LOG)
    assert Attempt(tmp_path, whole(item)).staged.tallies == {item.name: TALLY}


@pytest.mark.parametrize("split_bytes", [1 << 20, 10])
def test_lines_in_no_known_format_are_one_fault_and_all_malformed(
    tmp_path: Path, split_bytes: int
) -> None:
    item = save(tmp_path, "a.log", b"what is this\n" * 5)
    attempt = Attempt(tmp_path, *split([item], LocalFiles().open, split_bytes))
    assert attempt.staged.faults == [Fault(item.name, 0, "its lines are in no known log format")]
    assert attempt.staged.tallies[item.name].to_json()["rejected"] == {"malformed": 5}
    assert {row["format"] for row in attempt.rows("rejects")} == {None}


@pytest.mark.parametrize("data", [b"", b"\n\n\n"])
def test_a_file_without_lines_is_no_fault(tmp_path: Path, data: bytes) -> None:
    item = save(tmp_path, "a.log", data)
    attempt = Attempt(tmp_path, whole(item))
    assert attempt.staged.faults == []
    assert attempt.staged.tallies == {item.name: Tally(lines=len(data), header=len(data))}


def test_the_format_may_be_named(tmp_path: Path) -> None:
    item = save(tmp_path, "a.log", log(tsv(Hit()), combined(Hit())))
    for name, accepted in (("auto", 1), ("nginx-tsv", 1), ("combined", 1), ("nginx-json", 0)):
        attempt = Attempt(tmp_path, whole(item), format=formats.named(name))
        tally = attempt.staged.tallies[item.name]
        assert (tally.accepted, tally.rejected.total()) == (accepted, 2 - accepted)


def test_rows_without_a_request_id_are_named_by_object_and_position(tmp_path: Path) -> None:
    data = log(combined(Hit()), combined(Hit()))
    ids = set()
    for name in ("a.log", "b.log"):
        item = save(tmp_path, name, data)
        first, again = (
            Attempt(tmp_path, whole(item)).rows("event", "news.pageviews") for _ in "12"
        )
        assert first == again
        ids |= {row["event_id"] for row in first}
    assert len(ids) == 4


# What was staged, as metadata


def test_the_manifest_says_all_that_was_staged(tmp_path: Path) -> None:
    cut = save(tmp_path, "cut.gz", gzip.compress(LOG)[:-30])
    staged = Attempt(tmp_path, whole(cut), whole(save(tmp_path, "a.log", LOG))).staged
    assert Staged.from_json(staged.to_json()) == staged


def test_what_several_workers_staged_adds_up(tmp_path: Path) -> None:
    item = save(tmp_path, "a.log", LOG)
    parts = list(split([item], LocalFiles().open, 20_000))
    assert len(parts) > 2
    whole_ = Staged()
    for part in parts:
        whole_.add(Attempt(tmp_path, part).staged)
    assert whole_.tallies == {item.name: TALLY}
    assert sum(shard.rows for shard in whole_.shards if shard.table == "event") == 201
