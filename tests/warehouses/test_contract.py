"""What every warehouse promises, held against all of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pipeline import schemas
from pipeline.engine import Engine
from pipeline.errors import BalanceError
from pipeline.model import Reason, Tally
from pipeline.sources import LocalFiles
from pipeline.staging import Job, Staged, Stager, Work
from pipeline.warehouses.contract import Report
from tests.logs import GOOGLEBOT, NOON_US, RULES, SECOND_US, Hit, log, signed, tsv
from tests.warehouses.conftest import DuckDBPlace, MemoryPlace, Place, Rows, create_file, load

NOON = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)


def view(name: str, destination: str = "news.pageviews", **changes: Any) -> bytes:
    """A line with a view whose request id is `name`."""
    uri = b"/i.gif?" + signed(d=destination, k=f"key of {name}")
    return tsv(Hit(**{"request_id": name.encode(), "uri": uri, **changes}))


def views(*names: str, destination: str = "news.pageviews") -> bytes:
    return log(*(view(name, destination) for name in names))


def save(place_folder: Path, name: str, data: bytes) -> Path:
    path = place_folder / "logs" / name
    path.write_bytes(data)
    return path


def everything(place: Place) -> dict[str, Rows]:
    """All that is in the warehouse, in a fixed order."""
    return {
        table: sorted(rows, key=lambda row: json.dumps(row, default=str))
        for table, rows in place.tables().items()
    }


def ids(place: Place, table: str = "news.pageviews") -> list[str]:
    return sorted(row["event_id"] for row in place.rows(table))


def stage(place_staging: str, batch: str, *paths: Path) -> tuple[list[Any], Staged]:
    """A staged batch, not yet committed."""
    source = LocalFiles()
    objects = [source.pin(str(path)) for path in paths]
    stager = Stager(Job(batch, RULES, place_staging), Engine(RULES), source.open, create_file)
    for item in objects:
        stager.stage(Work(item, 0, item.size))
    return objects, stager.finish()


MIXED = log(
    view("one"),
    view("two", time_us=NOON_US + 123_000),
    view("other", destination="mail.opens"),
    view("crawler", user_agent=GOOGLEBOT),
    view("crawler again", user_agent=GOOGLEBOT, time_us=NOON_US + 3599 * SECOND_US),
    view("crawler later", user_agent=GOOGLEBOT, time_us=NOON_US + 3600 * SECOND_US),
    view("crawler elsewhere", "mail.opens", user_agent=GOOGLEBOT),
    b"",
    tsv(Hit(uri=b"/robots.txt")),
    tsv(Hit(uri=b"/i.gif?" + signed().replace(b"story-1", b"story-2"))),
    tsv(Hit(uri=b"/i.gif")),
    b"px1\tneither \xff nor \x01",
)
MIXED_COUNTS = {
    "lines": 12, "header": 1, "not_pixel": 1, "accepted": 3, "bot": 4, "duplicate": 0,
    "rejected": {"malformed": 1, "tampered": 1, "unsigned": 1},
}  # fmt: skip


def test_views_become_rows_of_the_table_that_their_url_names(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", MIXED)
    report = load(place, path)
    assert report.destinations == {"news.pageviews": 2, "mail.opens": 1}
    assert report.is_clean
    rows = {row["event_id"]: row for row in place.rows("news.pageviews")}
    assert rows.keys() == {"one", "two"}
    assert list(rows["one"]) == [column.name for column in schemas.table("event")]
    assert rows["one"] | {"user_id": None} == {
        **dict.fromkeys(rows["one"]),
        "timestamp": NOON,
        "key": "key of one",
        "canonical": "https://news.example.org/a",
        "remote_agent": Hit.user_agent.decode(),
        "remote_ip": "203.0.113.0",
        "event_id": "one",
        "host": "px.example.org",
        "browser": "Firefox",
        "browser_version": "130.0",
        "os": "Linux",
        "device": rows["one"]["device"],
        "dialect": "prx",
        "key_id": RULES.keys.keys[0].id,
        "batch": report.batch,
        "source_object": str(path),
        "source_position": 0,
    }
    assert rows["two"]["timestamp"] == NOON + timedelta(milliseconds=123)
    assert rows["two"]["source_position"] == len(view("one")) + 1
    assert ids(place, "mail.opens") == ["other"]


def test_the_ledger_tells_of_each_object_and_each_batch(place: Place, tmp_path: Path) -> None:
    before = datetime.now(timezone.utc)
    first = save(tmp_path, "a.log", MIXED)
    second = save(tmp_path, "b.log", b"not a log\n" * 3)
    report = load(place, tmp_path / "logs")
    text = {**MIXED_COUNTS, "rejected": json.dumps(MIXED_COUNTS["rejected"])}
    objects = {row.pop("name"): row for row in place.rows("pixelship.objects")}
    assert objects[str(first)] == {
        "size": len(MIXED),
        "sha256": sha256(MIXED).hexdigest(),
        "start": 0,
        "batch": "00000001",
        "faults": "[]",
        **text,
    }
    fault = {"object": str(second), "position": 0, "fault": "its lines are in no known log format"}
    assert json.loads(objects[str(second)]["faults"]) == [fault]
    assert json.loads(objects[str(second)]["rejected"]) == {"malformed": 3}
    assert [each.to_json() for each in report.faults] == [fault]

    (batch,) = place.rows("pixelship.batches")
    assert before <= batch.pop("loaded_at") <= datetime.now(timezone.utc)
    total = Tally.from_json(MIXED_COUNTS)
    total.add(Tally(lines=3, rejected=Counter(malformed=3)))
    assert batch == {
        "batch": "00000001",
        "objects": 2,
        **total.to_json(),
        "rejected": json.dumps(total.to_json()["rejected"]),
        "destinations": json.dumps({"mail.opens": 1, "news.pageviews": 2}),
    }
    assert (report.batch, report.objects, report.total) == ("00000001", 2, total)
    assert report.total.adds_up


def test_rejects_are_kept_with_their_bytes_place_and_reason(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", MIXED)
    load(place, path)
    rejects = sorted(place.rows("pixelship.rejects"), key=lambda row: row["source_position"])
    assert [(row["stage"], row["reason"], row["detail"]) for row in rejects] == [
        (reason.stage.value, reason.label, reason.meaning)
        for reason in (Reason.TAMPERED, Reason.UNSIGNED, Reason.MALFORMED_LINE)
    ]
    for row in rejects:
        start = row["source_position"]
        assert row["raw"] == MIXED[start : MIXED.index(b"\n", start)]
        assert (row["batch"], row["source_object"]) == ("00000001", str(path))
        assert row["format"] == "nginx-tsv"
    assert [row["timestamp"] for row in rejects] == [NOON, NOON, None]


def test_bots_are_counted_by_hour_destination_and_rule(place: Place, tmp_path: Path) -> None:
    load(place, save(tmp_path, "a.log", MIXED))
    hits = {
        (row["hour"], row["destination"], row["rule"]): row["hits"]
        for row in place.rows("pixelship.bot_hits")
    }
    rule = "ua-parser: Googlebot"
    assert hits == {
        (NOON, "news.pageviews", rule): 2,
        (NOON + timedelta(hours=1), "news.pageviews", rule): 1,
        (NOON, "mail.opens", rule): 1,
    }
    assert {row["batch"] for row in place.rows("pixelship.bot_hits")} == {"00000001"}


def test_loading_twice_changes_nothing(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", MIXED)
    load(place, path)
    before = everything(place)
    again = load(place, path)
    assert (again.batch, again.objects, again.unchanged, again.total) == (None, 0, 1, Tally())
    assert again.is_clean
    assert everything(place) == before


def test_the_same_bytes_under_another_name_change_nothing(place: Place, tmp_path: Path) -> None:
    load(place, save(tmp_path, "a.log", MIXED))
    before = everything(place)
    again = load(place, save(tmp_path, "b.log", MIXED))
    assert (again.batch, again.unchanged) == (None, 1)
    assert everything(place) == before


def test_the_same_bytes_twice_in_one_run_are_loaded_once(place: Place, tmp_path: Path) -> None:
    save(tmp_path, "a.log", views("one", "two"))
    save(tmp_path, "b.log", views("one", "two"))
    report = load(place, tmp_path / "logs")
    assert (report.objects, report.unchanged) == (1, 1)
    assert ids(place) == ["one", "two"]


def test_duplicates_within_a_batch_are_counted_by_object(place: Place, tmp_path: Path) -> None:
    first = save(tmp_path, "a.log", views("one", "two", "one"))
    second = save(tmp_path, "b.log", views("two", "three", "one"))
    report = load(place, tmp_path / "logs")
    assert ids(place) == ["one", "three", "two"]
    assert report.destinations == {"news.pageviews": 3}
    assert (report.total.accepted, report.total.duplicate) == (3, 3)
    counts = {
        row["name"]: (row["accepted"], row["duplicate"]) for row in place.rows("pixelship.objects")
    }
    assert counts == {str(first): (2, 1), str(second): (1, 2)}
    # the first in the order of the objects' names, and then of their lines, is the one that stays
    kept = {row["event_id"]: row for row in place.rows("news.pageviews")}
    assert kept["two"]["source_object"] == str(first)
    assert kept["one"]["source_position"] == 0


def test_duplicates_of_earlier_batches_are_counted_by_object(place: Place, tmp_path: Path) -> None:
    load(place, save(tmp_path, "a.log", views("one", "two")))
    report = load(place, save(tmp_path, "b.log", views("two", "three", "one", "three")))
    assert ids(place) == ["one", "three", "two"]
    assert (report.total.accepted, report.total.duplicate) == (1, 3)
    assert report.destinations == {"news.pageviews": 1}
    assert report.total.adds_up
    (entry,) = (row for row in place.rows("pixelship.objects") if row["batch"] == "00000002")
    assert (entry["accepted"], entry["duplicate"]) == (1, 3)


def test_a_view_is_no_duplicate_of_one_for_another_table(place: Place, tmp_path: Path) -> None:
    lines = view("one"), view("one", destination="mail.opens")
    report = load(place, save(tmp_path, "a.log", log(*lines)))
    assert report.total.duplicate == 0
    assert ids(place) == ids(place, "mail.opens") == ["one"]


def test_of_a_grown_file_only_the_tail_is_loaded(place: Place, tmp_path: Path) -> None:
    head, tail = views("one", "two"), views("three")
    path = save(tmp_path, "a.log", head)
    load(place, path)
    save(tmp_path, "a.log", head + tail)
    report = load(place, path)
    assert (report.objects, report.total.lines, report.total.accepted) == (1, 1, 1)
    assert report.bytes == len(tail)
    assert ids(place) == ["one", "three", "two"]
    (row,) = (row for row in place.rows("news.pageviews") if row["event_id"] == "three")
    assert row["source_position"] == len(head)
    (entry,) = (row for row in place.rows("pixelship.objects") if row["batch"] == "00000002")
    assert (entry["start"], entry["size"]) == (len(head), len(head + tail))

    save(tmp_path, "a.log", head + tail + views("four"))
    assert load(place, path).total.lines == 1
    assert load(place, path).unchanged == 1


def test_a_file_with_other_bytes_in_front_is_loaded_whole(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", views("one", "two"))
    load(place, path)
    save(tmp_path, "a.log", views("two", "three", "four"))
    report = load(place, path)
    assert (report.total.lines, report.total.accepted, report.total.duplicate) == (3, 2, 1)
    assert ids(place) == ["four", "one", "three", "two"]


def test_an_empty_file_is_loaded_once_and_may_grow(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", b"")
    report = load(place, path)
    assert (report.objects, report.total, report.is_clean) == (1, Tally(), True)
    assert load(place, path).unchanged == 1
    save(tmp_path, "a.log", views("one"))
    assert load(place, path).total.accepted == 1


def test_batches_are_numbered(place: Place, tmp_path: Path) -> None:
    for number in range(1, 4):
        report = load(place, save(tmp_path, "a.log", views(*map(str, range(number)))))
        assert report.batch == f"{number:08d}"


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
        objects, staged = stage(warehouse.staging, "00000001", path)
        spoil(staged)
        with pytest.raises(BalanceError):
            warehouse.commit("00000001", objects, staged)
    assert everything(place) == {}
    assert load(place, path).batch == "00000001"
    assert ids(place) == ["one", "two"]


def test_a_commit_that_fails_half_way_leaves_nothing(place: Place, tmp_path: Path) -> None:
    load(place, save(tmp_path, "a.log", views("zero")))
    before = everything(place)
    path = save(tmp_path, "b.log", MIXED)
    with place.open() as warehouse:
        objects, staged = stage(warehouse.staging, "00000002", path)
        lost = next(shard for shard in staged.shards if shard.table == "bot_hits")
        Path(lost.path).write_bytes(b"no Parquet")
        with pytest.raises(Exception, match=r"(?i)parquet"):
            warehouse.commit("00000002", objects, staged)
    assert everything(place) == before
    report = load(place, path)
    assert (report.batch, report.destinations) == (
        "00000002",
        {"news.pageviews": 2, "mail.opens": 1},
    )
    assert ids(place) == ["one", "two", "zero"]


def test_a_commit_leaves_what_was_staged_as_it_is(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", views("one", "one"))
    with place.open() as warehouse:
        objects, staged = stage(warehouse.staging, "00000001", path)
        report = warehouse.commit("00000001", objects, staged)
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
    assert (again.batch, again.parked, again.is_clean) == (None, {"mail.opens": 1}, False)
    assert everything(place) == before


def test_parked_rows_load_by_themselves_once_their_table_is_mended(
    place: Place, tmp_path: Path
) -> None:
    place.refuse("mail.opens")
    path = save(tmp_path, "a.log", MIXED)
    load(place, path)
    place.mend("mail.opens")
    report = load(place, path)
    assert (report.batch, report.unparked, report.parked) == (None, {"mail.opens": 1}, {})
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
    report = load(place, save(tmp_path, "b.log", views("one", "two", destination="mail.opens")))
    assert (report.unparked, report.destinations) == ({"mail.opens": 1}, {"mail.opens": 1})
    assert report.total.duplicate == 1
    assert ids(place, "mail.opens") == ["one", "two"]


def test_duplicates_among_parked_rows_are_counted_when_they_load(
    place: Place, tmp_path: Path
) -> None:
    place.refuse("mail.opens")
    load(place, save(tmp_path, "a.log", views("one", "two", destination="mail.opens")))
    load(place, save(tmp_path, "b.log", views("two", "two", "three", destination="mail.opens")))
    assert len(place.rows("pixelship.parked")) == 5
    place.mend("mail.opens")
    report = load(place, tmp_path / "logs")
    assert report.unparked == {"mail.opens": 3}
    assert ids(place, "mail.opens") == ["one", "three", "two"]
    for table in ("pixelship.objects", "pixelship.batches"):
        counts = {
            row["batch"]: (row["accepted"], row["duplicate"], row["lines"])
            for row in place.rows(table)
        }
        assert counts == {"00000001": (2, 0, 2), "00000002": (1, 2, 3)}


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


def test_staging_is_there_while_open_and_gone_afterwards(place: Place, tmp_path: Path) -> None:
    with place.open() as warehouse:
        left = Path(warehouse.staging, "event-of-a-killed-run.parquet")
        left.write_bytes(b"rows")
    assert not left.parent.exists()
    left.parent.mkdir()
    left.write_bytes(b"rows")
    with place.open():
        assert list(left.parent.iterdir()) == []
    assert not left.parent.exists()


def test_nothing_found_is_nothing_known(place: Place) -> None:
    with place.open() as warehouse:
        assert warehouse.known([]) == []
        assert warehouse.finish_open() == Report(batch=None)
        assert warehouse.next_batch() == "00000001"


def test_all_warehouses_hold_the_same(tmp_path: Path, duckdb_place: DuckDBPlace) -> None:
    memory = MemoryPlace(tmp_path)
    save(tmp_path, "a.log", MIXED + views("one", "three"))
    save(tmp_path, "b.log", views("three", "four"))
    reports = [load(place, tmp_path / "logs") for place in (duckdb_place, memory)]
    for report in reports:
        report.seconds = 0
    assert reports[0] == reports[1]
    found = everything(duckdb_place), everything(memory)
    for tables in found:
        for row in tables["pixelship.batches"]:
            del row["loaded_at"]
    assert found[0] == found[1]
