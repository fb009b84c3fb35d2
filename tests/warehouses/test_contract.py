"""What every warehouse promises of rows, ledger and files, held against all of them."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

from pipeline import schemas
from pipeline.model import Reason, Tally
from tests.logs import FIREFOX, RULES, log
from tests.warehouses.builders import MIXED, MIXED_COUNTS, everything, ids, save, view, views
from tests.warehouses.conftest import DuckDBPlace, MemoryPlace, Place, load

NOON = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)


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
        "remote_agent": FIREFOX.decode(),
        "remote_ip": "203.0.113.0",
        "event_id": "one",
        "host": "px.example.org",
        "browser": "Firefox",
        "browser_version": "130.0",
        "os": "Linux",
        "device": rows["one"]["device"],
        "dialect": "prx",
        "key_id": RULES.keys.keys[0].id,
        "batch": report.batches[0],
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
        "checksum": f"sha256:{sha256(MIXED).hexdigest()}",
        "generation": 0,
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
        "kind": "load",
        "objects": 2,
        **total.to_json(),
        "rejected": json.dumps(total.to_json()["rejected"]),
        "destinations": json.dumps({"mail.opens": 1, "news.pageviews": 2}),
    }
    assert (report.batches, report.objects, report.total) == (["00000001"], 2, total)
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
    assert (again.batches, again.objects, again.unchanged, again.total) == ([], 0, 1, Tally())
    assert again.is_clean
    assert everything(place) == before


def test_the_same_bytes_under_another_name_change_nothing(place: Place, tmp_path: Path) -> None:
    load(place, save(tmp_path, "a.log", MIXED))
    before = everything(place)
    again = load(place, save(tmp_path, "b.log", MIXED))
    assert (again.batches, again.unchanged) == ([], 1)
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
        assert report.batches == [f"{number:08d}"]


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
