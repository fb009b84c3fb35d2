"""Runs whose steps are mixed in any order; and any history of runs, kills, faults and clocks."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pipeline.batchlog import BatchLog
from pipeline.errors import SetupError
from tests.batchlog.interleaving import interleave
from tests.batchlog.stores import KilledError, SteppedStore, at, kill
from tests.batchlog.test_races import a_day_of_runs, begun
from tests.batchlog.world import World

TURNS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 8)), min_size=1, max_size=40).map(
    lambda bursts: [actor for actor, steps in bursts for _ in range(steps)]
)


@settings(max_examples=100)
@given(turns=TURNS, history=st.integers(0, 3), runs=st.integers(2, 3))
def test_runs_take_turns(turns: list[int], history: int, runs: int) -> None:
    world = begun(history)
    interleave(world.store, [world.run] * runs, turns)
    world.check()


@settings(max_examples=60)
@given(turns=TURNS, history=st.integers(0, 3))
def test_a_slow_run_takes_turns_with_many_quick_ones(turns: list[int], history: int) -> None:
    """The quick ones add to the source as they go, and clear the log away under the slow one."""
    world = begun(history)

    def quick(store: SteppedStore) -> None:
        for number in range(5):
            world.add(f"quick{number}")
            world.run(store)

    interleave(world.store, [world.run, quick], turns)
    world.check()


class Histories(RuleBasedStateMachine):
    """Two folders of the source, each looked at by runs of its own, that share the log."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.added = 0

    @rule(folder=st.sampled_from("xy"), count=st.integers(1, 3))
    def add(self, folder: str, count: int) -> None:
        for _ in range(count):
            self.world.add(f"{folder}/{self.added}")
            self.added += 1

    @rule(chance=st.randoms(use_true_random=False))
    def remove(self, chance: object) -> None:
        if self.world.source:
            self.world.source.pop(chance.choice(sorted(self.world.source)))

    @rule(folder=st.sampled_from(["x/", "y/", ""]))
    def run(self, folder: str) -> None:
        try:
            self.world.run(folder=folder)
        except SetupError:
            self.abandon()

    def abandon(self) -> None:
        """The clock jumped with a batch open: a person makes sure, and abandons it."""
        log = BatchLog(self.world.store)
        batch = log.view().open[0]
        self.world.delete_rows(batch.batch.id)
        log.abandon(batch.batch)

    @rule(step=st.integers(0, 80), folder=st.sampled_from(["x/", "y/", ""]))
    def run_killed(self, step: int, folder: str) -> None:
        with suppress(KilledError, SetupError):
            self.world.run(SteppedStore(self.world.store, before=at(step, kill)), folder)

    @rule(step=st.integers(0, 80))
    def run_stopped(self, step: int) -> None:
        """Seven others run meanwhile."""
        act = at(step, lambda: a_day_of_runs(self.world))
        with suppress(SetupError):
            self.world.run(SteppedStore(self.world.store, before=act))

    @rule(days=st.integers(-4000, 4000))
    def clock_jumps(self, days: int) -> None:
        self.world.store.pass_days(days)

    @rule(is_refused=st.booleans())
    def break_or_mend(self, is_refused: bool) -> None:
        self.world.refused = is_refused

    @invariant()
    def no_row_is_there_twice(self) -> None:
        assert max(self.world.rows.values(), default=1) == 1

    def teardown(self) -> None:
        with suppress(SetupError):
            self.world.check()
            return
        self.abandon()
        self.world.check()


def test_any_history() -> None:
    run_state_machine_as_test(Histories, settings=settings(max_examples=60, stateful_step_count=30))
