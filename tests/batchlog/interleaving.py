"""Runs that take turns, step by step, in a given order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Semaphore, Thread

from tests.batchlog.stores import MemoryStore, SteppedStore

_PATIENCE_S = 30


class Actor:
    """Something that runs in a thread of its own, one step of its store at a time."""

    def __init__(self, store: MemoryStore, act: Callable[[SteppedStore], None]) -> None:
        self.error: BaseException | None = None
        self.is_over = False
        self._act = act
        self._store = SteppedStore(store, before=self._wait)
        self._go, self._paused = Semaphore(0), Semaphore(0)
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        self._await_pause()

    def step(self) -> None:
        """Lets it take one step, and come to the next."""
        self._go.release()
        self._await_pause()

    def _await_pause(self) -> None:
        assert self._paused.acquire(timeout=_PATIENCE_S)

    def _wait(self, _number: int) -> None:
        self._paused.release()
        assert self._go.acquire(timeout=_PATIENCE_S)

    def _run(self) -> None:
        try:
            self._act(self._store)
        except BaseException as error:
            self.error = error
        self.is_over = True
        self._paused.release()


def interleave(
    store: MemoryStore, acts: Sequence[Callable[[SteppedStore], None]], turns: Sequence[int]
) -> None:
    """Runs all acts; each turn says which of those that still run takes the next step.

    When the turns are used up they begin again.
    """
    actors = [Actor(store, act) for act in acts]
    taken = 0
    while running := [each for each in actors if not each.is_over]:
        running[turns[taken % len(turns)] % len(running)].step()
        taken += 1
    for each in actors:
        if each.error:
            raise each.error
