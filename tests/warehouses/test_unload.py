"""What every warehouse promises of an unload: log objects come out whole, and can be loaded anew."""

from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path

import pytest

from pipeline.errors import SetupError
from pipeline.model import Quarantined, Tally
from pipeline.warehouses.maintenance import Choice
from tests.logs import GOOGLEBOT, NOON_US, SECOND_US, Hit, log, tsv
from tests.warehouses.builders import (
    MIXED,
    assert_balanced,
    everything,
    ids,
    load_by,
    replay,
    save,
    status,
    unload,
    view,
    views,
)
from tests.warehouses.conftest import Place, Rows, load
from tests.warehouses.deadly import BOTH
from tests.warehouses.test_replay import of_old_key

DAY_US = 86_400 * SECOND_US
FRIDAY = date(2025, 11, 21)


def contents(place: Place) -> dict[str, Rows]:
    """What is in the tables but for the batches: their ids, and the history of what was done."""
    tables = {name: rows for name, rows in everything(place).items() if name != "pixelship.batches"}
    for rows in tables.values():
        for row in rows:
            del row["batch"]
    return {
        name: sorted(rows, key=lambda row: json.dumps(row, default=str))
        for name, rows in tables.items()
    }


def test_an_object_comes_out_and_goes_in_again_exactly_as_at_first(
    place: Place, tmp_path: Path
) -> None:
    path = save(tmp_path, "a.log", MIXED)
    load(place, path)
    before = contents(place)

    result = unload(place, path)
    assert result.to_json() == {
        "batches": ["00000002"],
        "objects": [str(path)],
        "rows": {
            "mail.opens": 1, "news.pageviews": 2,
            "pixelship.bot_hits": 3, "pixelship.objects": 1, "pixelship.rejects": 3,
        },
        "gone": [],
    }  # fmt: skip
    assert_balanced(place)
    assert set(place.tables()) == {"pixelship.batches"}
    assert status(place).total == Tally()

    assert load(place, path).batches == ["00000003"]
    assert_balanced(place)
    assert contents(place) == before


def test_the_ledger_of_batches_keeps_the_history(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", MIXED)
    load(place, path)
    (loaded,) = place.rows("pixelship.batches")
    unload(place, path)
    first, second = sorted(place.rows("pixelship.batches"), key=lambda row: row["batch"])
    assert first == loaded
    assert second["loaded_at"] >= first["loaded_at"]
    assert (second["batch"], second["kind"]) == ("00000002", "unload")
    for name in ("objects", "lines", "header", "not_pixel", "accepted", "bot", "duplicate"):
        assert second[name] == -first[name]
    for name in ("rejected", "destinations"):
        counts = {key: -count for key, count in json.loads(first[name]).items()}
        assert json.loads(second[name]) == counts


def test_of_two_objects_in_a_batch_one_comes_out(place: Place, tmp_path: Path) -> None:
    first = save(tmp_path, "a.log", MIXED)
    second = save(tmp_path, "b.log", log(view("b"), b"junk", view("robot", user_agent=GOOGLEBOT)))
    load(place, tmp_path / "logs")
    before = contents(place)
    result = unload(place, second)
    assert result.rows == {
        "news.pageviews": 1, "pixelship.rejects": 1, "pixelship.bot_hits": 1, "pixelship.objects": 1,
    }  # fmt: skip
    assert_balanced(place)
    assert {row["name"] for row in place.rows("pixelship.objects")} == {str(first)}
    assert ids(place) == ["one", "two"]
    report = load(place, tmp_path / "logs")
    assert (report.objects, report.unchanged) == (1, 1)
    assert contents(place) == before
    assert_balanced(place)


def test_a_batch_comes_out(place: Place, tmp_path: Path) -> None:
    load(place, save(tmp_path, "a.log", views("a")), save(tmp_path, "b.log", views("b")))
    load(place, save(tmp_path, "c.log", views("c")))
    assert len(unload(place, batches=("00000001",)).objects) == 2
    assert ids(place) == ["c"]
    assert_balanced(place)
    assert unload(place, batches=("00000001", "00000003")).to_json() == {
        "batches": [], "objects": [], "rows": {}, "gone": [],
    }  # fmt: skip
    load(place, tmp_path / "logs")
    assert ids(place) == ["a", "b", "c"]


def test_a_day_comes_out_with_all_objects_that_have_rows_of_it(
    place: Place, tmp_path: Path
) -> None:
    def day(name: str, *lines: bytes) -> Path:
        return save(tmp_path, name, log(*lines))

    late = {"time_us": NOON_US + DAY_US}
    day("view.log", view("view"), view("later", **late))
    day("bot.log", view("robot", user_agent=GOOGLEBOT))
    day("reject.log", tsv(Hit(uri=b"/i.gif")))
    day("parked.log", view("parked", destination="mail.opens"))
    day("other.log", view("other", **late), b"junk")
    day("midnight.log", view("midnight", time_us=NOON_US + DAY_US // 2))
    place.refuse("mail.opens")
    load(place, tmp_path / "logs")
    assert len(place.rows("pixelship.parked")) == 1

    result = unload(place, days=(FRIDAY,))
    assert [Path(name).name for name in result.objects] == [
        "bot.log", "parked.log", "reject.log", "view.log",
    ]  # fmt: skip
    assert result.rows == {
        "news.pageviews": 2, "pixelship.bot_hits": 1, "pixelship.rejects": 1, "pixelship.parked": 1,
        "pixelship.objects": 4,
    }  # fmt: skip
    assert ids(place) == ["midnight", "other"]
    assert place.rows("pixelship.parked") == []
    assert_balanced(place)
    assert unload(place, days=(FRIDAY,)).batches == []
    assert len(unload(place, days=(FRIDAY, date(2025, 11, 22))).objects) == 2


# Objects that grew, were renamed or replayed


def test_all_parts_of_a_grown_file_come_out_together(place: Place, tmp_path: Path) -> None:
    data = b""
    for name in ("one", "two", "three"):
        data += views(name)
        path = save(tmp_path, "a.log", data)
        load(place, path, save(tmp_path, f"beside {name}.log", views(f"beside {name}") * 2))
    for choice in ({"batches": ("00000002",)}, {"objects": (str(path),)}):
        chosen = unload(place, *choice.pop("objects", ()), **choice, is_plan=True)
        assert str(path) in chosen.objects
        assert chosen.rows["news.pageviews"] >= 3
    result = unload(place, path)
    assert (result.objects, result.rows["pixelship.objects"]) == ([str(path)], 3)
    assert ids(place) == ["beside one", "beside three", "beside two"]
    assert_balanced(place)
    report = load(place, path)
    assert (report.total.lines, report.objects) == (3, 1)
    assert_balanced(place)


def test_parts_under_several_names_come_out_together(place: Place, tmp_path: Path) -> None:
    """A log that was loaded, grew, was rotated, and was loaded again."""
    path = save(tmp_path, "access.log", views("one"))
    load(place, path)
    rotated = path.rename(path.with_name("access.log.1"))
    rotated.write_bytes(views("one", "two"))
    save(tmp_path, "access.log", views("three", "a longer one"))
    load(place, tmp_path / "logs")
    assert ids(place) == ["a longer one", "one", "three", "two"]

    result = unload(place, rotated)
    assert result.objects == [str(path), str(rotated)]
    assert_balanced(place)
    assert ids(place) == ["a longer one", "three"], "what has the old name now stays"
    load(place, tmp_path / "logs")
    assert ids(place) == ["a longer one", "one", "three", "two"]
    assert_balanced(place)


def test_what_was_replayed_comes_out_with_its_object(place: Place, tmp_path: Path) -> None:
    first = save(tmp_path, "a.log", log(view("a"), of_old_key("old a"), b"junk"))
    save(tmp_path, "b.log", log(of_old_key("old b"), of_old_key("robot", user_agent=GOOGLEBOT)))
    load(place, tmp_path / "logs")
    replay(place, rules=BOTH)
    assert_balanced(place)
    planned = unload(place, batches=("00000002",), is_plan=True)
    assert len(planned.objects) == 2
    assert planned.rows["pixelship.objects"] == 4

    unload(place, first)
    assert ids(place) == ["old b"]
    assert_balanced(place)
    load(place, tmp_path / "logs")
    assert ids(place) == ["a", "old b"]
    assert replay(place, rules=BOTH).changes.accepted == 1
    assert ids(place) == ["a", "old a", "old b"]
    assert_balanced(place)


def test_contents_that_had_one_name_come_out_apart(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", log(of_old_key("one"), view("first")))
    load(place, path)
    path.rename(path.with_name("a.log.1"))
    save(tmp_path, "a.log", log(of_old_key("two"), view("the second")))
    load(place, path)
    replay(place, rules=BOTH)
    assert_balanced(place)
    result = unload(place, batches=("00000001",))
    assert (result.objects, result.gone) == ([str(path)], [])
    assert ids(place) == ["the second", "two"]
    assert_balanced(place)
    load_by(place, BOTH, tmp_path / "logs")
    assert ids(place) == ["first", "one", "the second", "two"]


def test_an_unloaded_file_is_loaded_under_its_new_name(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", MIXED)
    load(place, path)
    unload(place, path)
    renamed = path.rename(path.with_name("b.log"))
    assert load(place, renamed).objects == 1
    assert {row["name"] for row in place.rows("pixelship.objects")} == {str(renamed)}
    assert ids(place) == ["one", "two"]
    assert_balanced(place)


def test_names_may_hold_anything(place: Place, tmp_path: Path) -> None:
    names = ["it's.log", 'a "quoted".log', "é 日.log", "\x1b[2J\n.log", "a;b--c.log", "[ab]*?.log"]
    for name in names:
        save(tmp_path, name, log(of_old_key(name.encode().hex()), view(name.encode().hex() * 2)))
    load(place, tmp_path / "logs")
    replay(place, Choice(objects=tuple(str(tmp_path / "logs" / name) for name in names)), BOTH)
    assert len(ids(place)) == 12
    for number, name in enumerate(names, 1):
        result = unload(place, tmp_path / "logs" / name)
        assert result.objects == [str(tmp_path / "logs" / name)]
        assert len(ids(place)) == 12 - 2 * number
        assert_balanced(place)


# What is refused


def test_an_object_that_is_not_loaded_is_refused(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", MIXED)
    load(place, path)
    before = everything(place)
    with pytest.raises(SetupError, match=r"b\.log is not loaded: pixelship.objects names what is"):
        unload(place, path, path.with_name("b.log"))
    assert everything(place) == before


def test_an_object_whose_source_is_gone_is_refused_unless_forced(
    place: Place, tmp_path: Path
) -> None:
    paths = [save(tmp_path, f"{name}.log", views(name) * 2) for name in "abcde"]
    load(place, tmp_path / "logs")
    before = everything(place)
    paths[0].unlink()
    with pytest.raises(SetupError, match=r"a\.log is no longer there as loaded, .* add --force"):
        unload(place, *paths)
    paths[1].write_bytes(b"other bytes that are no shorter than those that were there before" * 99)
    for path in paths[2:4]:
        path.write_bytes(b"")
    with pytest.raises(SetupError, match=r"a.log, \S+b.log, \S+c.log and 1 more are no longer"):
        unload(place, batches=("00000001",))
    assert unload(place, *paths, is_plan=True).gone == [str(path) for path in paths[:4]]
    assert everything(place) == before
    result = unload(place, *paths, force=True)
    assert (len(result.objects), len(result.gone)) == (5, 4)
    assert ids(place) == []
    assert_balanced(place)


def test_a_file_that_was_renamed_or_grew_is_still_there(place: Place, tmp_path: Path) -> None:
    first = save(tmp_path, "a.log", views("a"))
    second = save(tmp_path, "b.log", views("bb"))
    load(place, tmp_path / "logs")
    first.rename(first.with_name("c.log")).write_bytes(views("a", "more"))
    assert unload(place, first, second).gone == []
    report = load(place, tmp_path / "logs")
    assert report.total.lines == 3
    assert ids(place) == ["a", "bb", "more"]


def test_a_file_that_was_compressed_is_gone(place: Place, tmp_path: Path) -> None:
    """Its bytes are others; its views would come back under other ids where they have none."""
    path = save(tmp_path, "a.log", views("a"))
    load(place, path)
    path.rename(path.with_name("a.log.1.gz")).write_bytes(gzip.compress(views("a")))
    with pytest.raises(SetupError, match="no longer there"):
        unload(place, path)


def test_a_plan_changes_nothing(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", MIXED)
    load(place, path)
    before = everything(place)
    planned = unload(place, path, is_plan=True)
    assert everything(place) == before
    assert unload(place, path).rows == planned.rows


# What else is forgotten or kept


def test_quarantine_of_the_names_is_forgotten(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", MIXED)
    load(place, path)
    other = Quarantined("gs://bucket/b.log", 7, 9, "has the same content as gs://bucket/a.log")
    with place.open() as warehouse:
        warehouse.quarantine([Quarantined(str(path), 1, 2, "changed"), other])
    unload(place, path)
    with place.open() as warehouse:
        assert warehouse.quarantined() == [other]


def test_duplicates_of_what_came_out_are_told_when_it_comes_back(
    place: Place, tmp_path: Path
) -> None:
    first = save(tmp_path, "a.log", views("one", "two"))
    load(place, first)
    load(place, save(tmp_path, "b.log", views("two", "three")))
    unload(place, first)
    assert ids(place) == ["three"]
    assert_balanced(place)
    assert load(place, tmp_path / "logs").total.accepted == 2
    assert ids(place) == ["one", "three", "two"]
    assert_balanced(place)


def test_rows_that_waited_and_were_loaded_come_out(place: Place, tmp_path: Path) -> None:
    """Their table has no rows but those: nothing else tells that it is a destination."""
    place.refuse("mail.opens")
    path = save(tmp_path, "a.log", views("one", "one", "two", destination="mail.opens"))
    load(place, path)
    place.mend("mail.opens")
    load(place, path)
    assert_balanced(place)
    assert unload(place, path).rows == {"mail.opens": 2, "pixelship.objects": 1}
    assert ids(place, "mail.opens") == []
    assert_balanced(place)


def test_an_empty_object_comes_out(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", b"")
    load(place, path)
    assert unload(place, path).rows == {"pixelship.objects": 1}
    assert load(place, path).objects == 1
