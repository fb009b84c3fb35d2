"""Replay and unload beside other runs: what another run takes first is taken into account anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline import load as main_job
from pipeline.engine import Engine
from pipeline.errors import SetupError
from pipeline.load import Order
from pipeline.model import Batch
from pipeline.options import Rules
from pipeline.replay import Replayed, Retrial, replay
from pipeline.signing import key_ring
from pipeline.sources import Anywhere, Search
from pipeline.staging import Job, Staged, Stager, Work
from pipeline.storage import create_file
from pipeline.unload import unload
from pipeline.warehouses.contract import Report
from pipeline.warehouses.maintenance import Choice, Entry, Selection
from pipeline.warehouses.memory import MemoryWarehouse
from tests.logs import RULES, SECRET, Hit, log, signed, tsv

BOTH = Rules(key_ring([SECRET, "an older secret"]))
URI = b"/i.gif?" + signed("an older secret")


class Contended(MemoryWarehouse):
    """A warehouse in which another run takes each batch's id first, `rivals` times."""

    rivals = 0
    open_ = False

    def _is_late(self) -> bool:
        self.rivals -= 1
        if self.rivals >= 0:
            done = dict(self.tables["pixelship.batches"][0], batch=self.next_batch(), kind="other")
            self.tables["pixelship.batches"].append(done)
        return self.rivals >= 0

    def commit_replay(self, batch: Batch, staged: Staged) -> Report | None:  # type: ignore[override]
        return None if self._is_late() else super().commit_replay(batch, staged)

    def commit_unload(self, batch: str, entries: Sequence[Entry]) -> Report | None:  # type: ignore[override]
        return None if self._is_late() else super().commit_unload(batch, entries)

    def open_batches(self) -> list[Batch]:
        return [Batch("00000007", ())] if self.open_ else []


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contended:
    """One that has loaded a log, some of whose views an older key signed."""

    def run(job: Job, parts: Sequence[Work], _: object) -> Staged:
        stager = Stager(job, Engine(job.rules), Anywhere().open, create_file)
        for part in parts:
            stager.stage(part)
        return stager.finish()

    monkeypatch.setattr(main_job, "run", run)
    hits = [Hit(request_id=b"new"), Hit(request_id=b"old", uri=URI), Hit(uri=b"/i.gif")]
    (tmp_path / "a.log").write_bytes(log(*map(tsv, hits)))
    made = Contended(str(tmp_path / "staging"))
    with made:
        main_job.load(made, Order(Search([str(tmp_path / "a.log")]), RULES), lambda *_: None)
    return made


def test_a_replay_goes_on_under_the_next_id(warehouse: Contended) -> None:
    warehouse.rivals = 2
    with warehouse:
        result = replay(warehouse, Choice(), Retrial(BOTH))
    assert (result.batches, result.chosen, result.changes.accepted) == (["00000004"], 2, 1)
    rows = {row["event_id"]: row["batch"] for row in warehouse.tables["news.pageviews"]}
    assert rows == {"new": "00000001", "old": "00000004"}


def test_an_unload_goes_on_under_the_next_id(warehouse: Contended) -> None:
    warehouse.rivals = 2
    with warehouse:
        result = unload(warehouse, Selection(batches=("00000001",)))
    assert result.batches == ["00000004"]
    assert (result.total.lines, warehouse.tables["news.pageviews"]) == (-3, [])


def test_rejects_that_another_run_resolved_meanwhile_are_not_taken_twice(
    warehouse: Contended, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_ever = Contended._is_late

    def late(self: Contended) -> bool:
        self.tables["pixelship.rejects"].clear()
        return as_ever(self)

    monkeypatch.setattr(Contended, "_is_late", late)
    warehouse.rivals = 1
    with warehouse:
        result = replay(warehouse, Choice(), Retrial(BOTH))
    assert result.to_json() | {"seconds": 0} == Replayed().to_json()


def test_nothing_is_done_while_a_batch_is_open(warehouse: Contended) -> None:
    warehouse.open_ = True
    with warehouse:
        for act in (
            lambda: replay(warehouse, Choice(), Retrial(BOTH)),
            lambda: unload(warehouse, Selection(batches=("00000001",))),
        ):
            with pytest.raises(SetupError, match="Batch 00000007 is open: run `pixelship load`"):
                act()
