"""Runs beside each other: at every step of one, others come, or it is killed, or stops for long."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.batchlog.stores import KilledError, SteppedStore, at, kill
from tests.batchlog.world import World

Act = Callable[[World], None]
_MOST_STEPS = 200


def begun(batches: int) -> World:
    """A world with some history, and something new to load."""
    world = World()
    for number in range(batches):
        world.add(f"old{number}")
        world.run()
    world.add("a", "b")
    return world


def another_run(world: World) -> None:
    world.run()


def a_day_of_runs(world: World) -> None:
    """So many that all batches there were are cleared away, and more than one checkpoint is."""
    for number in range(7):
        world.add(f"day{number}")
        world.run()


def a_run_that_parks(world: World) -> None:
    world.refused = True
    world.run()
    world.refused = False


def a_day_with_a_broken_table(world: World) -> None:
    """Rows wait, over some checkpoints, and are loaded in the end."""
    world.refused = True
    a_day_of_runs(world)
    world.refused = False
    world.add("mended")
    world.run()
    a_day_of_runs(world)


ACTS = [another_run, a_day_of_runs, a_run_that_parks, a_day_with_a_broken_table]
HISTORIES = [0, 1, 2]
"""Batches before: at the next, the third of these writes a checkpoint and clears away."""


def every_step(history: int) -> range:
    """The numbers of the steps of a run."""
    world = begun(history)
    store = SteppedStore(world.store)
    world.run(store)
    assert 20 < store.steps < _MOST_STEPS
    return range(store.steps)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("history", HISTORIES)
def test_others_come_at_any_step(history: int, act: Act) -> None:
    """The run was stopped, and goes on when the others are done."""
    for step in every_step(history):
        world = begun(history)
        world.run(SteppedStore(world.store, before=at(step, lambda: act(world))))  # noqa: B023
        world.check()


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("history", HISTORIES)
def test_killed_at_any_step(history: int, act: Act) -> None:
    """After the step was taken, so before the next."""
    for step in every_step(history):
        world = begun(history)
        with pytest.raises(KilledError):
            world.run(SteppedStore(world.store, after=at(step, kill)))
        act(world)
        world.check()


@pytest.mark.parametrize("act", [another_run, a_day_of_runs])
def test_others_come_at_any_step_while_the_table_is_broken(act: Act) -> None:
    """All of them park; the table is mended when all is calm."""
    for step in every_step(1):
        world = begun(1)
        world.refused = True
        world.run(SteppedStore(world.store, before=at(step, lambda: act(world))))  # noqa: B023
        world.check()


@pytest.mark.parametrize("act", ACTS)
def test_stopped_at_any_step_then_killed_at_the_next(act: Act) -> None:
    """What a stale writer leaves behind when it dies before it looks at the checkpoints."""
    for step in every_step(2):
        world = begun(2)
        store = SteppedStore(
            world.store,
            before=at(step, lambda: act(world)),  # noqa: B023
            after=at(step, kill),
        )
        with pytest.raises(KilledError):
            world.run(store)
        world.check()


@pytest.mark.parametrize(("history", "stride"), [(0, 1), (2, 5)])
def test_a_third_comes_at_any_step_of_a_second_that_came_at_any_step_of_a_first(
    history: int, stride: int
) -> None:
    """All pairs of steps; of those of a run that also sums up, a fifth."""
    steps = every_step(history)
    for step in steps:
        for inner in steps[step % stride :: stride]:
            world = begun(history)
            second = SteppedStore(world.store, before=at(inner, world.run))
            first = SteppedStore(world.store, before=at(step, lambda: world.run(second)))  # noqa: B023
            world.run(first)
            world.check()


@pytest.mark.parametrize("act", ACTS)
def test_objects_that_vanish_at_any_step(act: Act) -> None:
    """They are loaded or count as never seen; one that comes back is loaded then."""
    for step in every_step(1):
        world = begun(1)
        gone = world.source["a"]

        def vanish(world: World = world) -> None:
            world.source.pop("a", None)
            act(world)

        world.run(SteppedStore(world.store, before=at(step, vanish)))
        world.check()
        world.source["a"] = gone
        world.check()
