"""The way of a log, from the folder where nginx left it into the store."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path

import pytest

from pipeline.errors import ServiceError, SetupError
from pipeline.ship import shipping
from pipeline.ship.contract import Failure, Order
from pipeline.ship.shipping import standing
from pipeline.ship.spool import Spool
from pipeline.ship.stores import Folder, OtherContentError
from tests.shipping import HOST, Failing, Place, lines

DOWN = ServiceError("the store is down")


def test_rotated_logs_are_shipped_and_the_live_one_is_not(place: Place) -> None:
    names = ("pixelship.log", "pixelship.log.1", "pixelship.log-20251121", "error.log.1", ".pixelship.log.1.swp")  # fmt: skip
    for number, name in enumerate(names):
        place.put(name, lines(number))
    report = place.ship()
    assert sorted(place.stored().values()) == [lines(1), lines(2)]
    assert place.left() == [".pixelship.log.1.swp", "error.log.1", "pixelship.log"]
    assert (report.shipped, report.found, report.waiting, report.kept) == (2, 0, 0, 2)
    assert report.log_bytes == len(lines(1)) + len(lines(2))
    assert report.is_clean


def test_names_tell_host_and_time_and_are_the_same_at_every_attempt(place: Place) -> None:
    place.put("pixelship.log.1", lines(0))
    place.ship()
    (name,) = place.stored()
    assert name.startswith(f"{HOST}/2025/11/21/20251121T120000Z-")
    place.put("pixelship.log-again", lines(0), age_s=1000)
    place.put("pixelship.log.2.gz", gzip.compress(lines(0)))
    report = place.ship()
    assert (report.shipped, report.found) == (2, 2)
    assert list(place.stored()) == [name]
    place.put("pixelship.log.1", lines(0))
    assert place.ship(host="edge-2").found == 0
    assert len(place.stored()) == 2


def test_patterns_may_be_given_and_never_name_a_live_log(place: Place) -> None:
    for number, name in enumerate(("a.log", "a.log.1", "b-old", "c")):
        place.put(name, lines(number))
    place.ship(live=("a.log",), patterns=("a*", "b-*"))
    assert sorted(place.stored().values()) == [lines(1), lines(2)]
    assert place.left() == ["a.log", "c"]


def test_links_and_folders_are_no_logs(place: Place) -> None:
    place.put("elsewhere", lines(0))
    (place.logs / "pixelship.log.1").symlink_to("elsewhere")
    (place.logs / "pixelship.log.2").mkdir()
    assert place.ship().shipped == 0
    assert place.left() == ["elsewhere", "pixelship.log.1", "pixelship.log.2"]


def test_empty_logs_go_without_an_object(place: Place) -> None:
    place.put("pixelship.log.1", b"")
    report = place.ship()
    assert (report.shipped, report.waiting, place.left()) == (0, 0, [])


# Closed


def test_a_log_that_somebody_writes_to_waits(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "_PATIENCE_S", 0.2)
    log = place.put("pixelship.log.1", lines(0), age_s=60)
    with log.open("ab") as live:
        report = place.ship()
        assert (report.shipped, report.waiting) == (0, 1)
        assert report.oldest_s >= 60
        live.write(lines(1))
    place.ship()
    assert list(place.stored().values()) == [lines(0) + lines(1)]


def test_a_log_must_have_rested(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "_PATIENCE_S", 0.2)
    place.put("pixelship.log.1", lines(0))
    place.put("pixelship.log.2", lines(1), age_s=7200)
    place.put("pixelship.log.3", lines(2), age_s=-7200)  # of a clock that was wrong
    report = place.ship(settle_s=3600)
    assert (report.shipped, report.waiting) == (2, 1)
    assert place.ship().shipped == 1


def test_where_processes_are_hidden_a_long_rest_must_do(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "_PATIENCE_S", 0.2)
    blind = shipping.Writers(frozenset(), sees_all=False)
    monkeypatch.setattr(shipping, "find_writers", lambda: blind)
    place.put("pixelship.log.1", lines(0), age_s=200)
    place.put("pixelship.log.2", lines(1), age_s=400)
    report = place.ship(settle_s=None)
    assert (report.shipped, report.waiting, report.sees_writers) == (1, 1, False)
    assert place.ship(settle_s=0).shipped == 1


# Sent


def test_without_a_store_logs_wait_compressed(place: Place) -> None:
    for number in range(3):
        place.put(f"pixelship.log.{number}", lines(number, 200), age_s=600 - number)
    store = Failing(Folder(place.out), DOWN)
    report = place.ship(store)
    assert report.trouble is DOWN
    assert (report.shipped, report.waiting) == (0, 3)
    assert 599 <= report.oldest_s < 700
    assert len(store.asked) == 1, "a store that is down was asked again"
    assert place.parts() == {"taken": 0, "packing": 0, "ready": 3, "shipped": 0}
    assert place.spool.disk_bytes() < len(lines(0, 200)) * 3
    assert place.ship().shipped == 3


def test_the_oldest_goes_first(place: Place) -> None:
    for number in (2, 0, 1):
        place.put(f"pixelship.log.{number}", lines(number), age_s=600 - number)
    place.ship(Failing(Folder(place.out), DOWN))
    store = Failing(Folder(place.out), DOWN, only="never")
    place.ship(store)
    assert [name.split("T")[1][:4] for name in store.asked] == ["1200", "1201", "1202"]


def test_an_object_with_other_content_stops_none_but_its_own(place: Place) -> None:
    for number in range(3):
        place.put(f"pixelship.log.{number}", lines(number))
    store = Failing(Folder(place.out), OtherContentError("x holds other content"), "T1201")
    for _ in range(2):
        report = place.ship(store)
        assert [failure.why for failure in report.failed] == [
            "x holds other content: look at it; nothing is overwritten"
        ]
        assert (report.waiting, report.kept, report.is_clean) == (1, 2, False)
    assert place.ship().is_clean
    assert len(place.stored()) == 3


def test_a_damaged_log_stays_and_stops_no_other(place: Place) -> None:
    place.put("pixelship.log.1.gz", gzip.compress(lines(0))[:-4])
    place.put("pixelship.log.2", lines(1))
    report = place.ship()
    assert [failure.name for failure in report.failed] == ["pixelship.log.1.gz"]
    assert "mend it" in report.failed[0].why
    (log,) = place.spool.taken()
    assert report.failed[0].why.endswith(f"({log.path})")
    assert (report.shipped, report.waiting) == (1, 1)


def test_a_disk_that_lost_bits_ships_nothing_false(place: Place) -> None:
    place.put("pixelship.log.1", lines(0))
    place.ship(Failing(Folder(place.out), DOWN))
    (ready,) = place.spool.ready()
    ready.path.write_bytes(ready.path.read_bytes()[:-1] + b"x")
    report = place.ship()
    assert [failure.why for failure in report.failed] == [
        f"is damaged here, by the disk: move {ready.path} away"
    ]
    assert place.stored() == {}


# Kept, removed


def test_shipped_logs_are_kept_and_then_removed(place: Place) -> None:
    place.put("pixelship.log.1", lines(0))
    assert place.ship(keep_s=100).kept == 1
    (kept,) = place.spool.shipped()
    aged = kept.path.name.replace(f"{kept.written_at:.0f}", f"{kept.written_at - 99:.0f}")
    older = kept.path.rename(kept.path.with_name(aged))
    assert place.ship(keep_s=1000).kept == 1
    older.rename(older.with_name(kept.path.name.replace(f"{kept.written_at:.0f}", "1763726400")))
    report = place.ship(keep_s=100)
    assert (report.kept, report.removed) == (0, 1)
    assert len(place.stored()) == 1


def test_past_the_budget_what_is_shipped_goes_first(place: Place) -> None:
    place.put("pixelship.log.1", lines(0))
    place.ship()
    place.put("pixelship.log.2", lines(1))
    report = place.ship(Failing(Folder(place.out), DOWN), most_disk_bytes=1, drops_oldest=False)
    assert (report.kept, report.removed, report.waiting, report.dropped) == (0, 1, 1, [])
    assert report.is_over_budget
    assert not report.is_clean


def test_unshipped_logs_are_dropped_only_when_told_and_the_oldest_first(place: Place) -> None:
    for number in range(4):
        place.put(f"pixelship.log.{number}", lines(number), age_s=600 - number)
    down = Failing(Folder(place.out), DOWN)
    report = place.ship(down, most_disk_bytes=1)
    assert (report.waiting, report.is_over_budget) == (4, True)
    report = place.ship(down, most_disk_bytes=report.disk_bytes // 2, drops_oldest=True)
    assert [name.split("T")[1][:4] for name in report.dropped] == ["1200", "1201"]
    assert (report.waiting, report.is_over_budget, report.is_clean) == (2, False, False)
    place.ship()
    assert sorted(place.stored().values()) == [lines(2), lines(3)]


def test_a_log_that_is_still_written_is_never_dropped(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "_PATIENCE_S", 0.0)
    log = place.put("pixelship.log.1", lines(0), age_s=9000)
    with log.open("ab"):
        report = place.ship(most_disk_bytes=1, drops_oldest=True)
    assert (report.dropped, report.waiting) == ([], 1)


# How things stand


def test_the_status_counts_what_nobody_has_taken_yet_and_changes_nothing(place: Place) -> None:
    place.put("pixelship.log.1", lines(0), age_s=500)
    report = standing(place.order, place.spool)
    assert (report.waiting, report.kept) == (1, 0)
    assert 500 <= report.oldest_s < 600
    assert [path.name for path in place.logs.iterdir()] == ["pixelship.log.1"]


def test_a_folder_that_cannot_be_read_is_named(place: Place, tmp_path: Path) -> None:
    order = Order(tmp_path / "none", HOST)
    with pytest.raises(SetupError, match="none cannot be read: No such file"):
        standing(order, place.spool)


# Rotated


def test_without_nginx_the_live_log_stays_where_it_is(place: Place, tmp_path: Path) -> None:
    place.put("pixelship.log", lines(0))
    place.put("pixelship.log.1", lines(1))
    for text in (None, "junk", "4194999"):
        if text:
            (tmp_path / "pid").write_text(text)
        report = place.ship(nginx_pid=tmp_path / "pid")
        (failure,) = report.failed
        assert failure == Failure("pixelship.log", failure.why)
        assert "names no running process" in failure.why
    assert place.left() == ["pixelship.log"]
    assert list(place.stored().values()) == [lines(1)]


def test_no_other_program_gets_the_signal(place: Place, tmp_path: Path) -> None:
    """USR1 would end it: this very process."""
    place.put("pixelship.log", lines(0))
    (tmp_path / "pid").write_text(str(os.getpid()))
    report = place.ship(nginx_pid=tmp_path / "pid")
    assert [failure.why for failure in report.failed] == [
        f"not rotated: {tmp_path}/pid names a process that is not nginx."
    ]
    assert place.left() == ["pixelship.log"]


def test_nginx_is_told_even_where_a_log_cannot_be_taken(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would go on writing to those that were taken."""
    told: list[int] = []
    monkeypatch.setattr(shipping, "nginx_process", lambda _: 7)
    monkeypatch.setattr(shipping, "reopen_logs", told.append)
    as_ever = Spool.take

    def take(spool: Spool, log: Path) -> Path | None:
        if log.name == "b.log":
            raise OSError(errno.EACCES, "Permission denied")
        return as_ever(spool, log)

    monkeypatch.setattr(Spool, "take", take)
    for number, name in enumerate(("a.log", "b.log", "c.log")):
        place.put(name, lines(number))
    report = place.ship(live=("a.log", "b.log", "c.log"), nginx_pid=tmp_path / "pid")
    assert told == [7]
    assert report.failed == [Failure("b.log", "cannot be taken: Permission denied")]
    assert sorted(place.stored().values()) == [lines(0), lines(2)]
