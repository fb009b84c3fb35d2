"""The batch log's steps, one run at a time."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from pipeline.batchlog import BatchLog, Decision, SupersededError
from pipeline.errors import SetupError
from pipeline.model import Batch, LogObject, Quarantined
from tests.batchlog.stores import MemoryStore
from tests.batchlog.world import log_object

A, B, C = (log_object(name) for name in "abc")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def log(store: MemoryStore) -> BatchLog:
    return BatchLog(store, checkpoint_every=2)


def rows(*objects: LogObject) -> tuple[dict[str, Any], ...]:
    return tuple({**asdict(item), "lines": 3} for item in objects)


def load(log: BatchLog, *objects: LogObject, **decision: Any) -> Batch:
    """A whole batch."""
    planned = log.plan("load", objects, after=log.view().last_id)
    assert planned
    log.stage(planned.batch, {"manifest": "m"})
    log.loaded(planned.batch, Decision(objects=rows(*objects), **decision))
    log.done(planned.batch)
    return planned.batch


def known(log: BatchLog) -> list[str]:
    return [item.name[-1] for item in log.view().known_like([A, B, C])]


def test_an_empty_folder_is_a_log_that_begins(log: BatchLog) -> None:
    view = log.view()
    assert (view.last_id, view.last_checkpoint, view.open, view.parked) == (
        "00000000", "00000000", (), (),
    )  # fmt: skip
    assert view.known_like([A]) == []
    assert log.open_batches(view) == ()
    assert not log.checkpoint()


def test_a_batch_goes_through_its_steps(log: BatchLog, store: MemoryStore) -> None:
    planned = log.plan("load", [A, B], {"format": "auto"}, after="00000000")
    assert planned
    assert planned.batch == Batch("00000001", (A, B))
    (open_,) = log.view().open
    assert (open_.batch, open_.kind, open_.extra, open_.step) == (
        planned.batch, "load", {"format": "auto"}, "planned",
    )  # fmt: skip
    assert known(log) == ["a", "b"]

    assert log.stage(planned.batch, {"manifest": "m"}) == {"manifest": "m"}
    (open_,) = log.view().open
    assert (open_.step, open_.pointer, open_.at_risk_since) == (
        "staged", {"manifest": "m"}, store.now,
    )  # fmt: skip

    decision = Decision(objects=rows(A), destinations={"news.views": 3}, facts={"seconds": 1})
    assert log.loaded(planned.batch, decision) == decision
    view = log.view()
    assert (view.open[0].step, view.open[0].decision) == ("loaded", decision)
    assert view.find_open("00000001") == view.open[0]
    assert view.find_open("00000002") is None
    assert known(log) == ["a"]  # b turned out to be gone

    log.done(planned.batch)
    view = log.view()
    assert (view.open, view.last_id, known(log)) == ((), "00000001", ["a"])
    assert view.to_json() == {
        "last_batch": "00000001",
        "last_checkpoint": "00000000",
        "open": [],
        "known_objects": 1,
        "parked": 0,
        "batches": {"load": 1},
        "objects": 1,
        "destinations": {"news.views": {"rows": 3, "last_batch": "00000001"}},
    }
    assert store.names() == [
        f"batches/00000001.{step}json" for step in ("done.", "", "loaded.", "staged.")
    ]


def test_of_two_plans_the_first_wins(log: BatchLog, store: MemoryStore) -> None:
    other = BatchLog(store)
    assert log.plan("load", [A], after="00000000")
    assert other.plan("load", [B], after="00000000") is None
    assert known(other) == ["a"]
    assert other.view().to_json()["open"] == [
        {"batch": "00000001", "kind": "load", "step": "planned", "objects": 1}
    ]


def test_of_two_attempts_the_first_counts(log: BatchLog, store: MemoryStore) -> None:
    planned, other = log.plan("load", [A], after="00000000"), BatchLog(store)
    assert planned
    assert log.stage(planned.batch, {"manifest": "first"}) == {"manifest": "first"}
    assert other.stage(planned.batch, {"manifest": "second"}) == {"manifest": "first"}
    first, second = Decision(objects=rows(A)), Decision(parked=("p",))
    assert log.loaded(planned.batch, first) == first
    assert other.loaded(planned.batch, second) == first
    log.done(planned.batch)
    other.done(planned.batch)


def test_several_batches_may_be_planned_from_one_view(log: BatchLog) -> None:
    first = log.plan("load", [A], after=log.view().last_id)
    assert first
    second = log.plan("load", [B], after=first.batch.id)
    assert second
    assert [each.batch.id for each in log.view().open] == ["00000001", "00000002"]


def test_an_unload_makes_objects_new_again_and_a_later_load_known(log: BatchLog) -> None:
    load(log, A, B)
    planned = log.plan("unload", [], {"names": [A.name]}, after="00000001")
    assert planned
    assert known(log) == ["a", "b"]
    log.loaded(planned.batch, Decision("unload", unloaded=[(A.name, A.checksum)]))
    log.done(planned.batch)
    assert known(log) == ["b"]
    load(log, A)
    assert known(log) == ["b", "a"]
    assert log.checkpoint()
    assert known(log) == ["b", "a"]
    assert log.view().to_json()["batches"] == {"load": 2, "unload": 1}


def test_rows_wait_until_a_decision_says_otherwise(log: BatchLog, store: MemoryStore) -> None:
    planned = log.plan("load", [A], after="00000000")
    assert planned
    name = log.park(planned.batch, "news.views", {"rows": 3})
    assert log.park(planned.batch, "news.views", {"rows": 4}) == name
    lost = log.park(planned.batch, "mail.opens", {"rows": 5})
    assert log.view().parked == ()
    log.loaded(planned.batch, Decision(objects=rows(A), parked=[name]))
    log.done(planned.batch)
    assert log.parked(log.view()) == {name: {"rows": 3}}

    load(log, B)
    store.create("staging/00000001/try/shard", b"")
    store.create("staging/00000002/try/shard", b"")
    assert log.checkpoint()
    assert store.names("staging/") == ["staging/00000001/try/shard"]
    assert store.names("parked/") == [name] != [lost]
    assert log.parked(log.view()) == {name: {"rows": 3}}

    load(log, C, unparked=[name])
    assert (log.view().parked, log.parked(log.view())) == ((), {})
    load(log)
    assert log.checkpoint()
    assert (store.names("parked/"), store.names("staging/")) == ([], [])


def test_a_view_of_parked_rows_that_is_too_old(log: BatchLog, store: MemoryStore) -> None:
    planned = log.plan("load", [A], after="00000000")
    assert planned
    name = log.park(planned.batch, "t", {})
    log.loaded(planned.batch, Decision(objects=rows(A), parked=[name]))
    log.done(planned.batch)
    view = log.view()
    other = BatchLog(store, checkpoint_every=1)
    load(other, B, unparked=[name])
    assert other.checkpoint()
    with pytest.raises(SupersededError):
        log.parked(view)


def test_missing_entries_are_named(log: BatchLog, store: MemoryStore) -> None:
    for item in (A, B, C):
        load(log, item)
    store.remove(["batches/00000002.json"])
    with pytest.raises(SetupError, match=r"gs://bucket/state/batches/00000002\.json is missing"):
        log.view()
    store.remove(store.names("batches/00000002"))
    with pytest.raises(SetupError, match=r"batches/00000002\.json is missing"):
        log.view()
    store.remove(store.names("batches/00000001"))
    with pytest.raises(SetupError, match=r"batches/00000001\.json is missing"):
        log.view()


def test_a_decision_that_is_missing_is_named(log: BatchLog, store: MemoryStore) -> None:
    load(log, A)
    store.remove(["batches/00000001.loaded.json"])
    with pytest.raises(SetupError, match=r"batches/00000001\.loaded\.json is missing"):
        log.view()


def test_parked_rows_that_are_missing_are_named(log: BatchLog, store: MemoryStore) -> None:
    load(log, A, parked=["parked/00000001.x.json"])
    with pytest.raises(SetupError, match=r"parked/00000001\.x\.json is missing"):
        log.parked(log.view())


def test_a_winner_that_is_gone_is_named(store: MemoryStore) -> None:
    class Vanishing(MemoryStore):
        def create(self, _name: str, _data: bytes) -> bool:
            return False

    with pytest.raises(SetupError, match="removed a moment ago"):
        BatchLog(Vanishing()).plan("load", [A], after="00000000")


def test_what_others_put_into_the_folder_is_left_alone(log: BatchLog, store: MemoryStore) -> None:
    strays = ["batches/", "batches/notes.txt", "batches/1.json", "checkpoints/readme.json",
              "installation.json", "parked/x", "staging/notes.txt"]  # fmt: skip
    for name in strays:
        store.create(name, b"?")
    load(log, A)
    load(log, B)
    assert log.checkpoint()
    assert known(log) == ["a", "b"]
    assert set(strays) < set(store.names())


def test_a_number_far_off_is_an_error_that_comes_at_once(log: BatchLog, store: MemoryStore) -> None:
    store.create("batches/99999999.json", b"{}")
    with pytest.raises(SetupError, match=r"batches/00000001\.json is missing"):
        log.view()


def test_a_batch_left_open_too_long_stops_for_a_person(log: BatchLog, store: MemoryStore) -> None:
    planned = log.plan("load", [A], after="00000000")
    assert planned
    store.pass_days(500)
    assert log.open_batches(log.view())[0].step == "planned"  # no load job was issued: no harm
    log.stage(planned.batch, {"manifest": "m"})
    store.create("staging/00000001/try/shard", b"")
    store.pass_days(149.9)
    assert log.open_batches(log.view())[0].step == "staged"
    store.pass_days(0.2)
    with pytest.raises(SetupError) as raised:
        log.open_batches(log.view())
    assert str(raised.value) == (
        "Batch 00000001 was begun on 2027-04-05 and never finished, and BigQuery may no longer know "
        "which of its load jobs were done: delete the rows whose batch is '00000001' from all tables, "
        "then abandon the batch."
    )
    assert len(log.view().open) == 1

    log.abandon(planned.batch)
    assert (log.view().open, known(log)) == ((), [])
    assert store.names("staging/") == []
    load(log, A)
    assert known(log) == ["a"]


def test_an_unload_is_at_risk_from_its_plan_on(log: BatchLog, store: MemoryStore) -> None:
    log.plan("unload", [], after="00000000")
    store.pass_days(151)
    with pytest.raises(SetupError, match="Batch 00000001 was begun on 2025-11-21"):
        log.open_batches(log.view())


def test_a_batch_whose_fate_is_decided_is_finished_however_old(
    log: BatchLog, store: MemoryStore
) -> None:
    planned = log.plan("load", [A], after="00000000")
    assert planned
    log.stage(planned.batch, {"manifest": "m"})
    log.loaded(planned.batch, Decision(objects=rows(A)))
    store.pass_days(1000)
    assert log.open_batches(log.view())[0].step == "loaded"
    with pytest.raises(SetupError, match="was loaded, so it cannot be abandoned"):
        log.abandon(planned.batch)


def test_asking_the_time_leaves_nothing_behind(log: BatchLog, store: MemoryStore) -> None:
    planned = log.plan("load", [A], after="00000000")
    assert planned
    log.stage(planned.batch, {"manifest": "m"})
    before = store.names()
    log.open_batches(log.view())
    assert store.names() == before


def test_staging_folders_are_new_each_time(log: BatchLog) -> None:
    batch = Batch("00000042", ())
    assert log.staging(batch) != log.staging(batch)
    assert log.staging(batch).startswith("gs://bucket/state/staging/00000042/")


def test_quarantine_remembers_and_forgets(log: BatchLog, store: MemoryStore) -> None:
    assert log.quarantined() == []
    log.quarantine([])
    first = [Quarantined("gs://logs/a", 1, 10, "why"), Quarantined("gs://logs/a", 2, 20, "why")]
    other = Quarantined("gs://logs/b", 1, 10, "why")
    log.quarantine([*first, other])
    log.quarantine([Quarantined("gs://logs/b", 1, 10, "another reason")])
    again = BatchLog(store)
    assert set(again.quarantined()) == {*first, other}
    again.forget_quarantine(["gs://logs/a"])
    assert log.quarantined() == [other]


def test_requests_of_a_run_without_news(store: MemoryStore) -> None:
    """Every five minutes, all year: two lists, a checkpoint of two objects, the batches since."""
    log = BatchLog(store)
    for number in range(25):
        load(log, log_object(f"{number}"))
        log.checkpoint()
    store.calls.clear()
    again = BatchLog(store)
    assert again.open_batches(again.view()) == ()
    again.checkpoint()
    assert [call for call, _ in store.calls] == ["list"] * 2 + ["read"] * (2 + 5)


def test_checkpoints_end_before_the_first_open_batch(log: BatchLog, store: MemoryStore) -> None:
    first = log.plan("load", [A], after="00000000")
    assert first
    load(log, B)
    load(log, C)
    assert not log.checkpoint()
    log.stage(first.batch, {"manifest": "m"})
    log.loaded(first.batch, Decision(objects=rows(A)))
    last = log.plan("load", [log_object("d")], after="00000003")
    assert last
    assert not log.checkpoint()
    log.done(first.batch)
    assert log.checkpoint()
    assert log.view().last_checkpoint == "00000003"
    assert [each.batch for each in log.view().open] == [last.batch]
    assert store.names("batches/") == ["batches/00000004.json"]
    assert known(log) == ["a", "b", "c"]
