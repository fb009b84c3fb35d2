"""Entries that stale writers create anew, after the log was cleared away: nobody goes by them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.batchlog import BatchLog, Decision, SupersededError
from pipeline.batchlog.entries import encode, entry_name, plan_content
from pipeline.model import Batch
from tests.batchlog.stores import KilledError, MemoryStore, SteppedStore, at
from tests.batchlog.test_log import load, rows
from tests.batchlog.world import log_object

OLD = [log_object(f"old{number}") for number in range(4)]


@pytest.fixture
def store() -> MemoryStore:
    """A log of a checkpoint and two closed batches after it."""
    store = MemoryStore()
    log = BatchLog(store, checkpoint_every=2)
    for item in OLD:
        load(log, item)
        if item is OLD[1]:
            assert log.checkpoint()
    return store


def clear_away(store: MemoryStore) -> None:
    assert BatchLog(store, checkpoint_every=2).checkpoint()


def copy_of(store: MemoryStore) -> MemoryStore:
    copy = MemoryStore()
    copy.__dict__ |= {**store.__dict__, "objects": dict(store.objects)}
    return copy


def put_back_changed(store: MemoryStore) -> None:
    """What a writer would leave that knew other objects, and was killed after each create."""
    for id_ in ("00000003", "00000004"):
        contents = {
            "planned": plan_content(Batch(id_, (log_object("stale"),)), "load", {}),
            "staged": {"pointer": {}},
            "loaded": Decision(objects=rows(log_object("stale"))).to_json(),
            "done": {},
        }
        for step, content in contents.items():
            assert store.create(entry_name(id_, step), encode(content))


@pytest.mark.parametrize("step", range(6))
def test_a_reader_stops_at_any_step_while_the_log_is_cleared_away_and_filled_again(
    store: MemoryStore, step: int
) -> None:
    def change() -> None:
        clear_away(store)
        put_back_changed(store)

    stepped = SteppedStore(store, before=at(step, change))
    view = BatchLog(stepped).view()
    assert stepped.steps >= 4
    asked = [*OLD, log_object("stale")]
    assert view.known_like(asked) == OLD
    assert view.last_id == "00000004"


def test_entries_put_back_are_ignored_and_cleared_away(store: MemoryStore) -> None:
    clear_away(store)
    before = store.names()
    put_back_changed(store)
    log = BatchLog(store, checkpoint_every=2)
    view = log.view()
    assert (view.last_id, view.open, view.known_like(OLD)) == ("00000004", (), OLD)
    assert not log.checkpoint()
    assert store.names() == before


CALLS: dict[str, Callable[[BatchLog, Batch], object]] = {
    "plan": lambda log, _: log.plan("load", [log_object("x")], after="00000002"),
    "stage": lambda log, batch: log.stage(batch, {"manifest": "stale"}),
    "loaded": lambda log, batch: log.loaded(batch, Decision()),
    "park": lambda log, batch: log.park(batch, "t", {}),
    "abandon": lambda log, batch: log.abandon(batch),
    "require_alive": lambda log, batch: log.require_alive(batch),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_stale_writer_is_told(store: MemoryStore, call: str) -> None:
    clear_away(store)
    before = store.names()
    with pytest.raises(SupersededError):
        CALLS[call](BatchLog(store), Batch("00000003", ()))
    assert [name for name in store.names() if not name.startswith("parked/")] == before


def test_closing_what_is_closed_and_cleared_away_is_fine(store: MemoryStore) -> None:
    clear_away(store)
    before = store.names()
    BatchLog(store).done(Batch("00000003", ()))
    assert store.names() == before


def test_the_living_are_alive(store: MemoryStore) -> None:
    BatchLog(store).require_alive(Batch("00000003", ()))


def test_the_entry_of_another_stale_writer_is_not_taken_for_the_winners(
    store: MemoryStore,
) -> None:
    """The log is cleared away, and filled anew by a second, while the first asks who has won."""
    for step in range(4):
        world = copy_of(store)

        def change(world: MemoryStore = world) -> None:
            clear_away(world)
            put_back_changed(world)

        log = BatchLog(SteppedStore(world, before=at(step, change)))
        try:
            found = log.loaded(Batch("00000003", ()), Decision(kind="ours"))
        except SupersededError:
            continue
        assert [row["name"] for row in found.objects] == [OLD[2].name]


def test_parked_rows_stay_though_their_writer_was_overtaken(store: MemoryStore) -> None:
    """It had created their entry; another run, which found it, has finished the batch since."""
    log = BatchLog(store, checkpoint_every=1)
    planned = log.plan("load", [log_object("x")], after="00000004")
    assert planned

    def finish() -> None:
        name = log.park(planned.batch, "t", {"rows": 1})
        log.loaded(planned.batch, Decision(parked=[name]))
        log.done(planned.batch)
        assert log.checkpoint()

    slow = BatchLog(SteppedStore(store, after=at(0, finish)))
    with pytest.raises(SupersededError):
        slow.park(planned.batch, "t", {"rows": 1})
    assert list(log.parked(log.view()).values()) == [{"rows": 1}]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_checkpoint_is_written_and_cleared_away_beside_another(
    store: MemoryStore, when: str
) -> None:
    """At every step of one run that sums up, another one does, or three batches later."""
    for later in (0, 3):
        for step in range(40):
            world = copy_of(store)
            new = [log_object(f"new{number}") for number in range(later)]

            def others(world: MemoryStore = world, new: list = new) -> None:
                log = BatchLog(world, checkpoint_every=1)
                for item in new:
                    load(log, item)
                    log.checkpoint()
                log.checkpoint()

            slow = SteppedStore(world, **{when: at(step, others)})
            BatchLog(slow, checkpoint_every=2).checkpoint()
            view = BatchLog(world).view()
            assert view.known_like([*OLD, *new]) == [*OLD, *(new if step < slow.steps else [])]
            assert int(view.last_checkpoint) >= 4


def test_old_checkpoints_go_but_for_one_and_so_do_attempts_that_lost(store: MemoryStore) -> None:
    for name in ("00000004.abc.0.parquet", "00000007.abc.0.parquet", "00000000.json"):
        store.create(f"checkpoints/{name}", b"")
    log = BatchLog(store, checkpoint_every=1)
    assert log.checkpoint()
    load(log, log_object("x"))
    assert log.checkpoint()
    found = [name.removeprefix("checkpoints/").split(".") for name in store.names("checkpoints/")]
    assert [(parts[0], parts[-1]) for parts in found] == [
        ("00000004", "parquet"), ("00000004", "json"),
        ("00000005", "parquet"), ("00000005", "json"),
        ("00000007", "parquet"),
    ]  # fmt: skip
    assert ["00000004", "abc", "0", "parquet"] not in found


def test_what_a_killed_run_did_not_clear_away_the_next_one_does(store: MemoryStore) -> None:
    """Though it has nothing to sum up itself."""

    def kill_at_removal(number: int) -> None:
        if number == removal:
            raise KilledError

    counting = SteppedStore(copy_of(store))
    BatchLog(counting, checkpoint_every=2).checkpoint()
    removal = counting.steps - 3
    with pytest.raises(KilledError):
        BatchLog(SteppedStore(store, before=kill_at_removal), checkpoint_every=2).checkpoint()
    assert store.names("batches/") != []
    assert not BatchLog(store, checkpoint_every=2).checkpoint()
    assert store.names("batches/") == []
