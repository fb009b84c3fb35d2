"""Leases: one run at a time, whatever becomes of it, and whatever runs do at the same moment."""

from __future__ import annotations

import pickle
from contextlib import suppress
from datetime import datetime, timedelta, timezone

import pytest

from pipeline.batchlog import CloudStore, lease
from pipeline.batchlog.lease import Lease
from tests.batchlog.stores import KilledError, MemoryStore, SteppedStore, at, kill
from tests.cloud import Cloud

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(lease, "_now", clock)
    return clock


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_who_comes_second_is_told_until_when(store: MemoryStore, clock: Clock) -> None:
    first, second = Lease(store, 600), Lease(store, 60)
    assert first.take() is None
    clock.now += timedelta(seconds=599)
    assert second.take() == NOON + timedelta(seconds=600)
    second.release()  # which it does not hold
    assert Lease(store, 60).take() == NOON + timedelta(seconds=600)


def test_a_lease_ends_when_it_is_released(store: MemoryStore, clock: Clock) -> None:
    for _ in range(3):
        run = Lease(store, 600)
        assert run.take() is None
        run.release()
        run.release()


def test_a_run_that_died_holds_it_no_longer_than_it_said(store: MemoryStore, clock: Clock) -> None:
    assert Lease(store, 600).take() is None
    clock.now += timedelta(seconds=600)
    assert Lease(store, 600).take() is None
    assert Lease(store, 600).take() is not None


def test_a_late_release_ends_nobody_elses_lease(store: MemoryStore, clock: Clock) -> None:
    late = Lease(store, 600)
    assert late.take() is None
    clock.now += timedelta(hours=1)
    assert Lease(store, 600).take() is None
    late.release()
    assert Lease(store, 600).take() is not None


def test_another_process_can_release_it(store: MemoryStore, clock: Clock) -> None:
    held = Lease(CloudStore("gs://bucket/state"), 600)
    held._held = "leases/00000001"
    assert pickle.loads(pickle.dumps(held))._held == "leases/00000001"  # noqa: S301


@pytest.mark.parametrize("step", range(5))
def test_of_two_at_once_one_gets_it(step: int, clock: Clock) -> None:
    """The second takes it at some step of the first, whatever was there before."""
    for earlier in (0, 1, 2):
        store = MemoryStore()
        for _ in range(earlier):
            run = Lease(store, 600)
            run.take()
            run.release()
        second = Lease(store, 600)
        taken: list[datetime | None] = []

        def take(second: Lease = second, taken: list[datetime | None] = taken) -> None:
            taken.append(second.take())

        first = Lease(SteppedStore(store, before=at(step, take)), 600).take()
        if not taken:
            take()
        assert [first, *taken].count(None) == 1


@pytest.mark.parametrize("step", range(5))
def test_killed_at_any_step_the_next_one_waits_no_longer_than_the_lease(
    step: int, clock: Clock
) -> None:
    store = MemoryStore()
    run = Lease(store, 600)
    run.take()
    run.release()
    with suppress(KilledError):
        Lease(SteppedStore(store, after=at(step, kill)), 600).take()
    clock.now += timedelta(seconds=600)
    assert Lease(store, 600).take() is None


def test_one_that_was_stopped_in_between_does_not_get_it_too(
    store: MemoryStore, clock: Clock
) -> None:
    """It looked before two others took and cleared away the number that it then creates."""

    def others() -> None:
        for _ in range(3):
            run = Lease(store, 600)
            assert run.take() is None
            run.release()
        assert Lease(store, 600).take() is None

    assert Lease(SteppedStore(store, before=at(1, others)), 600).take() is not None
    assert Lease(store, 600).take() is not None


def test_old_leases_are_cleared_away(store: MemoryStore, clock: Clock) -> None:
    for _ in range(20):
        run = Lease(store, 600)
        assert run.take() is None
        run.release()
    assert store.names() == ["leases/00000020.end.json", "leases/00000020.json"]


def test_it_works_in_cloud_storage(cloud: Cloud) -> None:
    runs = [Lease(CloudStore(cloud.state), 600) for _ in range(2)]
    assert runs[0].take() is None
    assert runs[1].take() is not None
    runs[0].release()
    assert runs[1].take() is None
