"""The audit finds what is planted: a lost row, a doubled one, a wrong count, and says which."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from faults.audit import Findings, audit
from faults.book import Book, expect
from faults.contents import Tables
from faults.places import DuckDBPlace
from faults.processes import fork
from faults.traffic import Log, Traffic

OBJECTS, BATCHES = "pixelship.objects", "pixelship.batches"
NEWS = "news.pageviews"


@dataclass(frozen=True)
class Loaded:
    """What a real run made of real logs, and the book of them."""

    tables: Tables
    book: Book


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    place = DuckDBPlace(tmp_path_factory.mktemp("audit") / "place")
    traffic, book = Traffic(1), Book()
    for number in range(4):
        log = Log((tuple(traffic.lines(60)),))
        place.put(f"{number}.log", log.data)
        book.put(place.name(f"{number}.log"), log)
    ended = fork(place.folder / "run", place.words(), place.environment()).wait()
    assert (ended.status, ended.err) == (0, "")
    tables = place.read()
    assert tables["pixelship.bot_hits"]
    assert tables["pixelship.rejects"]
    return Loaded(tables, book)


def judge(loaded: Loaded, change: Callable[[Tables], object] = lambda _: None) -> Findings:
    tables = deepcopy(loaded.tables)
    change(tables)
    return audit(tables, loaded.book, once_per_batch=False)


def test_a_warehouse_as_it_should_be_is_clean(loaded: Loaded) -> None:
    findings = judge(loaded)
    assert findings.is_clean, findings.words


@pytest.mark.parametrize("table", [NEWS, "pixelship.rejects", "pixelship.bot_hits"])
def test_a_lost_row_is_found(loaded: Loaded, table: str) -> None:
    findings = judge(loaded, lambda tables: tables[table].pop())
    assert findings.lost == loaded.tables[table][-1].get("hits", 1)
    assert findings.doubled == 0


@pytest.mark.parametrize(
    "table", [NEWS, "pixelship.rejects", "pixelship.bot_hits", OBJECTS, BATCHES]
)
def test_a_doubled_row_is_found(loaded: Loaded, table: str) -> None:
    findings = judge(loaded, lambda tables: tables[table].append(dict(tables[table][0])))
    assert findings.doubled >= 1
    assert findings.lost == 0


def test_a_whole_batch_that_was_never_loaded_is_lost(loaded: Loaded) -> None:
    findings = judge(loaded, lambda tables: tables.clear())
    facts = expect(loaded.book.portions([])[0], once_per_batch=False).facts
    assert findings.lost == facts.total() > 100


def test_a_row_from_nowhere_is_unexplained(loaded: Loaded) -> None:
    stranger = {**loaded.tables[NEWS][0], "event_id": "never sent"}
    findings = judge(loaded, lambda tables: tables[NEWS].append(stranger))
    assert (findings.lost, findings.doubled) == (0, 0)
    assert any("never sent" in word for word in findings.words)


@pytest.mark.parametrize("count", ["lines", "accepted", "bot", "duplicate", "not_pixel"])
@pytest.mark.parametrize("table", [OBJECTS, BATCHES])
def test_a_wrong_count_in_the_ledger_is_found(loaded: Loaded, table: str, count: str) -> None:
    def change(tables: Tables) -> None:
        tables[table][0][count] += 1

    findings = judge(loaded, change)
    assert findings.unexplained >= 1
    assert (findings.lost, findings.doubled) == (0, 0)


def test_a_count_that_adds_up_and_is_wrong_all_the_same_is_found(loaded: Loaded) -> None:
    def change(tables: Tables) -> None:
        for row in (tables[OBJECTS][0], tables[BATCHES][0]):
            row["accepted"] -= 1
            row["duplicate"] += 1

    assert judge(loaded, change).unexplained >= 1


def test_wrong_rows_by_destination_are_found(loaded: Loaded) -> None:
    def change(tables: Tables) -> None:
        batch = tables[BATCHES][0]
        batch["destinations"] = json.dumps({**json.loads(batch["destinations"]), NEWS: 1})

    assert judge(loaded, change).unexplained >= 1


@pytest.mark.parametrize(("column", "value"), [("key", "another"), ("source_position", 1)])
def test_a_row_that_says_what_its_line_did_not_is_found(
    loaded: Loaded, column: str, value: object
) -> None:
    def change(tables: Tables) -> None:
        tables[NEWS][0][column] = value

    assert judge(loaded, change).unexplained == 1


def test_an_object_that_was_read_in_part_is_found(loaded: Loaded) -> None:
    def change(tables: Tables) -> None:
        tables[OBJECTS][0]["size"] -= 1

    assert judge(loaded, change).unexplained >= 1


def test_what_a_later_batch_brings_again_is_in_the_table_again_and_once_in_the_view() -> None:
    book, tables = Book(), Tables()
    line = Traffic(1).view(NEWS)
    log = Log(((line,),))
    book.put("a", log)
    book.put("b", Log(((line, *Traffic(2).lines(1, [NEWS])),)))
    names = {"a": "00000001", "b": "00000002"}
    for entry in book.entries:
        (name,) = entry.names
        _enter(tables, name, names[name], entry.log)
    tables[f"{NEWS}_once"] = list({row["event_id"]: row for row in tables[NEWS]}.values())
    assert audit(tables, book, once_per_batch=True, has_views=True).is_clean
    assert audit(tables, book, once_per_batch=False).doubled == 1
    tables[f"{NEWS}_once"].pop()
    assert audit(tables, book, once_per_batch=True, has_views=True).lost == 1


def _enter(tables: Tables, name: str, batch: str, log: Log) -> None:
    """Enters a log of views as a batch of its own."""
    portion = log.portion(0, len(log.data)) or []
    counts: dict[str, Any] = dict.fromkeys(("header", "not_pixel", "bot", "duplicate"), 0)
    counts |= {"lines": len(portion), "accepted": len(portion), "rejected": "{}", "batch": batch}
    checksum = f"md5:{hashlib.md5(log.data, usedforsecurity=False).hexdigest()}"
    row = {**counts, "name": name, "start": 0, "size": len(log.data), "checksum": checksum}
    tables.setdefault(OBJECTS, []).append(row)
    by_table = Counter(line.destination for _, line in portion)
    tables.setdefault(BATCHES, []).append(
        {**counts, "kind": "load", "objects": 1, "destinations": json.dumps(by_table)}
    )
    for position, line in portion:
        tables.setdefault(line.destination, []).append(
            {
                "event_id": line.id, "key": line.key, "timestamp": line.time.replace(tzinfo=None),
                "source_object": name, "source_position": position,
            }
        )  # fmt: skip


def test_a_run_that_hangs_has_no_status(tmp_path: Path) -> None:
    place = DuckDBPlace(tmp_path / "place")
    place.put("a.log", Traffic(1).log().data)
    run = fork(place.folder / "run", place.words(), place.environment())
    assert run.wait_for_begin()
    assert run.wait(0.0).status is None
    assert not run.is_alive
