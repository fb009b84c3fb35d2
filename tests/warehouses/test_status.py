"""What every warehouse tells of how things stand."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from pipeline.errors import SetupError
from pipeline.model import Quarantined, Tally
from pipeline.warehouses.duckdb import connect
from pipeline.warehouses.maintenance import Status
from tests.warehouses.builders import MIXED, MIXED_COUNTS, replay, save, status, unload, views
from tests.warehouses.conftest import DuckDBPlace, MemoryPlace, Place, load
from tests.warehouses.deadly import BOTH
from tests.warehouses.test_replay import of_old_key

NOON = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)


def test_it_tells_of_batches_lines_rows_and_times(place: Place, tmp_path: Path) -> None:
    before = datetime.now(timezone.utc)
    path = save(tmp_path, "a.log", MIXED + of_old_key("old") + b"\n")
    load(place, path)
    told = status(place)
    expected = Tally.from_json({**MIXED_COUNTS, "lines": 13})
    expected.rejected["tampered"] += 1
    assert (told.batches, told.total, told.batches_total) == ({"load": 1}, expected, expected)
    assert told.rows == {
        "mail.opens": 1, "news.pageviews": 2,
        "pixelship.rejects": 4, "pixelship.bot_hits": 3, "pixelship.parked": 0,
    }  # fmt: skip
    assert told.newest_view_at == NOON + timedelta(milliseconds=123)
    assert told.last is not None
    assert (told.last.id, told.last.kind, told.last.at) == ("00000001", "load", told.last_load_at)
    assert before <= told.last.at <= datetime.now(timezone.utc)
    assert (told.adds_up, told.is_clean, told.open_batches) == (True, True, [])
    assert told.objects is None

    replay(place, rules=BOTH)
    again = status(place)
    assert again.last is not None
    assert (again.last.kind, again.last_load_at) == ("replay", told.last_load_at)
    assert (again.total.accepted, again.adds_up) == (4, True)
    unload(place, path)
    last = status(place)
    assert last.batches == {"load": 1, "replay": 1, "unload": 1}
    assert (last.to_json()["lines"], last.adds_up, last.newest_view_at) == (0, True, None)
    assert last.to_json()["rejected"] == {}


def test_it_tells_what_waits_and_why(place: Place, tmp_path: Path) -> None:
    place.refuse("mail.opens")
    load(place, save(tmp_path, "a.log", MIXED))
    each = Quarantined("gs://bucket/\x1b[2Ja.log", 7, 9, "its bytes changed")
    with place.open() as warehouse:
        warehouse.quarantine([each])
    told = status(place)
    assert (told.parked, told.parked_why) == ({"mail.opens": 1}, {"mail.opens": "a view has its name"})  # fmt: skip
    assert (told.quarantined, told.is_clean, told.adds_up) == ([each], False, True)
    assert told.rows["pixelship.parked"] == 1
    assert told.to_json()["quarantined"][0]["why"] == "its bytes changed"


def test_it_tells_of_each_object(place: Place, tmp_path: Path) -> None:
    first = save(tmp_path, "a.log", views("one"))
    load(place, first)
    save(tmp_path, "a.log", views("one", "two") + of_old_key("old") + b"\n")
    second = save(tmp_path, "b.log", b"junk\n")
    load(place, tmp_path / "logs")
    replay(place, rules=BOTH)
    told = status(place, by_object=True)
    assert told.objects == {
        str(first): Tally(lines=3, accepted=3, rejected=Counter(tampered=0)),
        str(second): Tally(lines=1, rejected=Counter(malformed=1)),
    }


def test_nothing_loaded_adds_up(tmp_path: Path) -> None:
    told = status(MemoryPlace(tmp_path), by_object=True)
    assert (told.adds_up, told.is_clean, told.last, told.objects) == (True, True, None, {})


def test_a_ledger_that_does_not_add_up_is_told(duckdb_place: DuckDBPlace, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", MIXED)
    load(duckdb_place, path)
    duckdb_place.run("UPDATE pixelship.objects SET lines = lines + 1")
    told = status(duckdb_place)
    assert (told.adds_up, told.unbalanced) == (False, [str(path)])
    duckdb_place.run("UPDATE pixelship.objects SET lines = lines - 1, bot = bot - 1, header = header + 1")  # fmt: skip
    told = status(duckdb_place)
    assert (told.adds_up, told.unbalanced, told.total.adds_up) == (False, [], True)
    duckdb_place.run("UPDATE pixelship.objects SET bot = bot + 1, header = header - 1")
    assert status(duckdb_place).adds_up


def test_a_file_is_read_and_nothing_else(duckdb_place: DuckDBPlace, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"No DuckDB file is at .*: load a log first, or name it"):
        status(duckdb_place)
    assert not duckdb_place.path.exists()
    load(duckdb_place, save(tmp_path, "a.log", MIXED))
    before = duckdb_place.path.read_bytes()
    first = status(duckdb_place)
    with connect(duckdb_place.path, read_only=True):
        assert status(duckdb_place) == first
    assert duckdb_place.path.read_bytes() == before
    assert [path.name for path in duckdb_place.path.parent.iterdir()] == ["pixelship.duckdb"]


def test_a_file_of_another_kind_is_refused(duckdb_place: DuckDBPlace) -> None:
    with connect(duckdb_place.path) as db:
        db.execute("CREATE TABLE other AS SELECT 1")
    with pytest.raises(SetupError, match="holds no ledger"):
        status(duckdb_place)


def test_reasons_that_came_to_nothing_do_not_matter() -> None:
    total = Tally(lines=1, accepted=1, rejected=Counter(tampered=0))
    assert Status(total=total, batches_total=Tally(lines=1, accepted=1)).adds_up
    assert not Status(total=total, batches_total=Tally()).adds_up
    assert not Status(total=Tally(lines=1), batches_total=Tally(lines=1)).adds_up
