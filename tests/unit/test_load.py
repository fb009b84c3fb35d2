from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pipeline import load as main_job
from pipeline.errors import SetupError
from pipeline.load import Order, load
from pipeline.model import Fault, LogObject
from pipeline.plan import make_plan
from pipeline.sources import Anywhere, LocalFiles, Search
from pipeline.staging import Staged
from pipeline.warehouses.memory import MemoryWarehouse
from tests.logs import RULES, Hit, log, tsv


def checksum(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


class Folder:
    """Log files, a warehouse that knows some of them, and the plan for the next batch."""

    def __init__(self, path: Path) -> None:
        self.path = path / "logs"
        self.path.mkdir()
        self.warehouse = MemoryWarehouse(str(path / "staging"))

    def save(self, name: str, data: bytes) -> str:
        (self.path / name).write_bytes(data)
        return str(self.path / name)

    def plan(self) -> tuple[dict[str, int], int, list[Fault]]:
        """The new objects with where their reading starts, how many are known, and the faults."""
        source = Anywhere()
        listing = source.list_objects(Search([str(self.path)]))
        plan = make_plan(source, listing, self.warehouse.known(listing.objects))
        for item in plan.objects:
            data = Path(item.name).read_bytes()
            assert (item.size, item.checksum) == (len(data), checksum(data))
        starts = {Path(item.name).name: item.start for item in plan.objects}
        return starts, plan.unchanged, plan.faults

    def remember(self, name: str, data: bytes, start: int = 0) -> None:
        """Makes the object one that was loaded."""
        item = LogObject(str(self.path / name), len(data), checksum(data), start)
        self.warehouse.tables["pixelship.objects"].append(asdict(item))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_what_was_never_loaded_is_new(folder: Folder) -> None:
    folder.save("a.log", b"1\n")
    folder.save("b.log", b"2\n")
    assert folder.plan() == ({"a.log": 0, "b.log": 0}, 0, [])


def test_known_bytes_are_unchanged_under_any_name(folder: Folder) -> None:
    folder.remember("a.log", b"1\n")
    folder.save("a.log", b"1\n")
    folder.save("renamed.log", b"1\n")
    assert folder.plan() == ({}, 2, [])


def test_the_same_bytes_twice_are_planned_once(folder: Folder) -> None:
    folder.save("a.log", b"1\n")
    folder.save("b.log", b"1\n")
    assert folder.plan() == ({"a.log": 0}, 1, [])


def test_a_grown_file_starts_where_it_ended_last(folder: Folder) -> None:
    folder.remember("a.log", b"1\n")
    folder.remember("a.log", b"1\n2\n", start=2)
    folder.save("a.log", b"1\n2\n3\n")
    assert folder.plan() == ({"a.log": 4}, 0, [])


def test_a_file_that_was_renamed_as_it_grew_starts_where_it_ended(folder: Folder) -> None:
    folder.remember("a.log", b"1\n")
    folder.save("a.log.1", b"1\n2\n")
    folder.save("a.log", b"3\n")
    assert folder.plan() == ({"a.log": 0, "a.log.1": 2}, 0, [])


@pytest.mark.parametrize(
    "data", [pytest.param(b"1\n", id="shrunk"), pytest.param(b"9\n2\n3\n", id="rewritten")]
)
def test_a_file_that_did_not_merely_grow_is_new(folder: Folder, data: bytes) -> None:
    folder.remember("a.log", b"1\n2\n")
    folder.save("a.log", data)
    assert folder.plan() == ({"a.log": 0}, 0, [])


def test_a_file_that_cannot_be_read_is_a_fault_and_the_others_are_planned(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = folder.save("closed.log", b"1\n")
    folder.save("open.log", b"2\n")
    as_ever = LocalFiles.checksums

    def refuse(self: LocalFiles, name: str, sizes: Iterable[int]) -> object:
        if name == closed:
            raise PermissionError(13, "Permission denied")
        return as_ever(self, name, sizes)

    monkeypatch.setattr(LocalFiles, "checksums", refuse)
    fault = Fault(closed, 0, "cannot be read: Permission denied")
    assert folder.plan() == ({"open.log": 0}, 0, [fault])


def test_a_file_that_is_gone_since_it_was_found_is_a_fault(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = str(folder.path / "gone.log")
    monkeypatch.setattr(LocalFiles, "find", lambda *_: [gone])
    assert folder.plan() == ({}, 0, [Fault(gone, 0, "cannot be read: No such file or directory")])


def test_a_file_whose_name_is_no_text_is_a_fault(folder: Folder) -> None:
    Path(os.fsdecode(bytes(folder.path) + b"/\xff.log")).write_bytes(b"1\n")
    folder.save("b.log", b"2\n")
    fault = Fault(f"{folder.path}/?.log", 0, "cannot be read: its name is not UTF-8")
    assert folder.plan() == ({"b.log": 0}, 0, [fault])


def test_the_main_job_reports_bytes_time_progress_and_faults(
    folder: Folder, tmp_path: Path
) -> None:
    folder.save("a.log", log(*(tsv(Hit(request_id=b"%d" % number)) for number in range(5))))
    name = folder.save("b.log", b"junk\n")
    told: list[tuple[int, int, int]] = []
    order = Order(Search([str(folder.path)]), RULES)
    with folder.warehouse as warehouse:
        report = load(warehouse, order, lambda *numbers: told.append(numbers))
    assert (report.objects, report.total.lines, report.total.accepted) == (2, 6, 5)
    assert report.bytes == sum(path.stat().st_size for path in folder.path.iterdir())
    assert told[-1] == (report.bytes, 6, report.bytes)
    assert [fault.object for fault in report.faults] == [name]
    assert 0 < report.seconds < 60
    assert len(folder.warehouse.tables["news.pageviews"]) == 5


@pytest.mark.parametrize("reads", ["before", "after", "never"])
def test_a_log_rotated_while_it_is_read_is_not_taken_for_another(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, reads: str
) -> None:
    old = [tsv(Hit(request_id=b"old %d" % number)) for number in range(3)]
    new = [tsv(Hit(request_id=b"new %d" % number)) for number in range(5)]
    name = folder.save("a.log", log(*old))
    as_ever = main_job.run

    def rotate() -> None:
        Path(name).rename(f"{name}.1")
        if reads != "never":
            folder.save("a.log", log(*new))

    def run(*words: Any) -> Staged:
        if reads != "before":
            rotate()
        staged = as_ever(*words)
        if reads == "before":
            rotate()
        return staged

    monkeypatch.setattr(main_job, "run", run)
    order = Order(Search([str(folder.path)]), RULES)
    with (
        folder.warehouse as warehouse,
        pytest.raises(SetupError, match=r"a\.log was changed or renamed while it was read"),
    ):
        load(warehouse, order, lambda *_: None)
    assert folder.warehouse.tables["pixelship.objects"] == []
    monkeypatch.undo()
    with folder.warehouse as warehouse:
        report = load(warehouse, order, lambda *_: None)
    assert report.total.accepted == (3 if reads == "never" else 8)


def test_a_log_that_grows_while_it_is_read_is_taken_as_it_was(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = folder.save("a.log", log(*(tsv(Hit(request_id=b"%d" % at)) for at in range(3))))
    as_ever = main_job.run

    def run(*words: Any) -> Staged:
        with Path(name).open("ab") as file:
            file.write(log(tsv(Hit(request_id=b"more"))))
        return as_ever(*words)

    monkeypatch.setattr(main_job, "run", run)
    order = Order(Search([str(folder.path)]), RULES)
    for accepted in (3, 1):
        with folder.warehouse as warehouse:
            report = load(warehouse, order, lambda *_: None)
        assert report.total.accepted == accepted
        monkeypatch.undo()


def test_a_run_that_could_read_nothing_says_so(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: LocalFiles, name: str, sizes: Iterable[int]) -> object:
        raise OSError(5, "Input/output error")

    folder.save("a.log", b"1\n")
    monkeypatch.setattr(LocalFiles, "checksums", refuse)
    with folder.warehouse as warehouse:
        report = load(warehouse, Order(Search([str(folder.path)]), RULES), lambda *_: None)
    assert (report.batches, report.objects, report.unchanged, report.is_clean) == ([], 0, 0, False)
