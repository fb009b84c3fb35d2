"""Runs of the main job that take turns, step by step: each access to the batch log is a step."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Semaphore, Thread, current_thread
from typing import Any

from pipeline.batchlog import BatchLog, CloudStore, Entry
from pipeline.warehouses.contract import Report
from tests.warehouses.bench import Bench

_PATIENCE_S = 60
_STRIDES = (1, 1, 2, 5, 15)


class KilledError(BaseException):
    """The run was killed."""


class Run:
    """A run in a thread of its own, which waits before each step; killed before `last_step`."""

    def __init__(
        self, bench: Bench, pattern: str = "", every: int = 20, last_step: int | None = None
    ) -> None:
        self.is_over = False
        self.report: Report | None = None
        self.error: BaseException | None = None
        self._steps_left = last_step
        self._go, self._paused = Semaphore(0), Semaphore(0)
        self._thread = Thread(target=self._run, args=(bench, pattern, every), daemon=True)
        self._thread.start()
        self._await_pause()

    def step(self) -> None:
        """Lets it take one step, and come to the next."""
        self._go.release()
        self._await_pause()

    def pause(self) -> None:
        """Waits for its turn; other threads of the run's go on."""
        if current_thread() is not self._thread:
            return
        if self._steps_left is not None:
            self._steps_left -= 1
            if self._steps_left < 0:
                raise KilledError
        self._paused.release()
        assert self._go.acquire(timeout=_PATIENCE_S)

    def _await_pause(self) -> None:
        assert self._paused.acquire(timeout=_PATIENCE_S)

    def _run(self, bench: Bench, pattern: str, every: int) -> None:
        try:
            self.report = self._load(bench, pattern, every)
        except KilledError:
            pass
        except BaseException as error:
            self.error = error
        self.is_over = True
        self._paused.release()

    def _load(self, bench: Bench, pattern: str, every: int) -> Report:
        with bench.open() as warehouse:
            log = BatchLog(SteppedStore(bench.options.state, self.pause))
            warehouse._log = warehouse._steps._log = log
            return bench.run_in(warehouse, pattern, every)


class SteppedStore(CloudStore):
    """A store each of whose calls is a step; so is coming back from one that changes something."""

    def __init__(self, url: str, pause: Callable[[], None]) -> None:
        super().__init__(url)
        self._pause = pause

    def create(self, name: str, data: bytes) -> bool:
        self._pause()
        is_ours = super().create(name, data)
        self._pause()
        return is_ours

    def read(self, name: str, generation: int | None = None) -> bytes | None:
        self._pause()
        return super().read(name, generation)

    def list(self, prefix: str) -> Sequence[Entry]:
        self._pause()
        return super().list(prefix)

    def remove(self, names: Iterable[str]) -> None:
        self._pause()
        super().remove(names)


def weave(
    runs: Sequence[Run], chance: random.Random, events: Mapping[int, Callable[[], Any]]
) -> None:
    """Takes all runs to their ends in some order; after so many steps in all, something happens."""
    taken = 0
    while running := [run for run in runs if not run.is_over]:
        run = chance.choice(running)
        for _ in range(chance.choice(_STRIDES)):
            if not run.is_over:
                run.step()
                taken += 1
                events.get(taken, lambda: None)()
    for after, event in events.items():
        if after > taken:
            event()
    for run in runs:
        if run.error:
            raise run.error
