"""What every warehouse promises when something is wrong: all or none, and nothing is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from pipeline.errors import BalanceError
from pipeline.model import Batch, Tally
from pipeline.staging import Staged
from pipeline.warehouses.contract import Report
from tests.warehouses.builders import MIXED, MIXED_COUNTS, everything, ids, save, stage, views
from tests.warehouses.conftest import Place, load

NOON = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)


# What doesn't add up is refused


def _miscounted(staged: Staged) -> None:
    next(iter(staged.tallies.values())).lines += 1


def _without_a_shard(table: str) -> Callable[[Staged], None]:
    def drop(staged: Staged) -> None:
        shard = next(shard for shard in staged.shards if shard.table == table)
        staged.shards.remove(shard)

    return drop


def _without_an_object(staged: Staged) -> None:
    staged.tallies.popitem()


def _with_a_foreign_object(staged: Staged) -> None:
    staged.tallies["foreign.log"] = Tally()


def _with_a_shard_twice(staged: Staged) -> None:
    staged.shards.append(replace(staged.shards[0]))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(_miscounted, id="a line without a fate"),
        pytest.param(_without_a_shard("event"), id="views lost"),
        pytest.param(_without_a_shard("rejects"), id="rejects lost"),
        pytest.param(_without_an_object, id="an object lost"),
        pytest.param(_with_a_foreign_object, id="an object too many"),
        pytest.param(_with_a_shard_twice, id="views doubled"),
    ],
)
def test_a_batch_that_does_not_add_up_is_refused_whole(
    place: Place, tmp_path: Path, spoil: Callable[[Staged], None]
) -> None:
    path = save(tmp_path, "a.log", MIXED)
    with place.open() as warehouse:
        batch, staged = stage(warehouse, "00000001", path)
        spoil(staged)
        with pytest.raises(BalanceError):
            warehouse.commit(batch, staged)
    assert everything(place) == {}
    assert load(place, path).batches == ["00000001"]
    assert ids(place) == ["one", "two"]


def test_a_commit_that_fails_half_way_leaves_nothing(
    transactional_place: Place, tmp_path: Path
) -> None:
    load(transactional_place, save(tmp_path, "a.log", views("zero")))
    before = everything(transactional_place)
    path = save(tmp_path, "b.log", MIXED)
    with transactional_place.open() as warehouse:
        batch, staged = stage(warehouse, "00000002", path)
        lost = next(shard for shard in staged.shards if shard.table == "bot_hits")
        Path(lost.path).write_bytes(b"no Parquet")
        with pytest.raises(Exception, match=r"(?i)parquet"):
            warehouse.commit(batch, staged)
    assert everything(transactional_place) == before
    report = load(transactional_place, path)
    assert (report.batches, report.destinations) == (
        ["00000002"],
        {"news.pageviews": 2, "mail.opens": 1},
    )
    assert ids(transactional_place) == ["one", "two", "zero"]


def test_a_commit_leaves_what_was_staged_as_it_is(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", views("one", "one"))
    with place.open() as warehouse:
        batch, staged = stage(warehouse, "00000001", path)
        report = warehouse.commit(batch, staged)
    assert staged.tallies[str(path)] == Tally(lines=2, accepted=2)
    assert report.total == Tally(lines=2, accepted=1, duplicate=1)


# Rows whose table doesn't take them are parked


def test_rows_that_cannot_be_loaded_are_parked_and_the_rest_is_loaded(
    place: Place, tmp_path: Path
) -> None:
    place.refuse("mail.opens")
    path = save(tmp_path, "a.log", MIXED)
    report = load(place, path)
    assert report.destinations == {"news.pageviews": 2}
    assert report.parked == {"mail.opens": 1}
    assert report.parked_why == {"mail.opens": "a view has its name"}
    assert not report.is_clean
    assert report.total == Tally.from_json(MIXED_COUNTS)
    assert ids(place) == ["one", "two"]
    (row,) = place.rows("pixelship.parked")
    assert (row["destination"], row["event_id"]) == ("mail.opens", "other")

    before = everything(place)
    again = load(place, path)
    assert (again.batches, again.parked, again.is_clean) == ([], {"mail.opens": 1}, False)
    assert everything(place) == before


def test_parked_rows_load_by_themselves_once_their_table_is_mended(
    place: Place, tmp_path: Path
) -> None:
    place.refuse("mail.opens")
    path = save(tmp_path, "a.log", MIXED)
    load(place, path)
    place.mend("mail.opens")
    report = load(place, path)
    assert (report.batches, report.unparked, report.parked) == ([], {"mail.opens": 1}, {})
    assert report.is_clean
    assert ids(place, "mail.opens") == ["other"]
    (row,) = place.rows("mail.opens")
    assert (row["timestamp"], row["batch"]) == (NOON, "00000001")
    assert place.rows("pixelship.parked") == []
    before = everything(place)
    assert load(place, path).unparked == {}
    assert everything(place) == before


def test_parked_rows_and_new_ones_are_reported_by_one_run(place: Place, tmp_path: Path) -> None:
    place.refuse("mail.opens")
    load(place, save(tmp_path, "a.log", views("one", destination="mail.opens")))
    place.mend("mail.opens")
    report = load(place, save(tmp_path, "b.log", views("two", "one", destination="mail.opens")))
    assert (report.unparked, report.destinations) == ({"mail.opens": 1}, {"mail.opens": 1})
    assert report.total.duplicate == 1
    assert ids(place, "mail.opens") == ["one", "two"]


def test_duplicates_among_parked_rows_are_counted_when_they_load(
    place: Place, tmp_path: Path
) -> None:
    place.refuse("mail.opens")
    load(place, save(tmp_path, "a.log", views("two", "one", destination="mail.opens")))
    load(place, save(tmp_path, "b.log", views("two", "two", "three", destination="mail.opens")))
    place.mend("mail.opens")
    report = load(place, tmp_path / "logs")
    assert report.unparked == {"mail.opens": 3}
    assert ids(place, "mail.opens") == ["one", "three", "two"]
    for table in ("pixelship.objects", "pixelship.batches"):
        sums = [
            sum(row[count] for row in place.rows(table))
            for count in ("lines", "accepted", "duplicate")
        ]
        assert sums == [5, 3, 2]
    by_object = Counter[str]()
    for row in place.rows("pixelship.objects"):
        by_object[Path(row["name"]).name] += row["accepted"]
    assert by_object == {"a.log": 2, "b.log": 1}


def test_a_file_loaded_again_whole_while_parked_gives_each_view_once(
    place: Place, tmp_path: Path
) -> None:
    place.refuse("mail.opens")
    for tail in ("two", "three"):
        load(place, save(tmp_path, "a.log", views("one", tail, destination="mail.opens")))
    place.mend("mail.opens")
    load(place, tmp_path / "logs")
    assert ids(place, "mail.opens") == ["one", "three", "two"]


# The staging folder


def test_staging_is_there_while_open_and_gone_afterwards(
    transactional_place: Place, tmp_path: Path
) -> None:
    with transactional_place.open() as warehouse:
        left = Path(warehouse.staging(Batch("1", ())), "event-of-a-killed-run.parquet")
        left.write_bytes(b"rows")
    assert not left.parent.exists()
    left.parent.mkdir()
    left.write_bytes(b"rows")
    with transactional_place.open():
        assert list(left.parent.iterdir()) == []
    assert not left.parent.exists()


def test_nothing_found_is_nothing_known(place: Place) -> None:
    with place.open() as warehouse:
        assert warehouse.known([]) == []
        assert warehouse.unpark() == Report()
        assert warehouse.plan([]) == Batch("00000001", ())
