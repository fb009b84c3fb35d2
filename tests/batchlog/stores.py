"""Stores for tests: one in memory, and one that lets something happen at any step of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from threading import RLock

from pipeline.batchlog import Entry

NOON = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Stored:
    data: bytes
    created_at: datetime
    generation: int


class MemoryStore:
    """A store with strong consistency, as Cloud Storage has; its clock is set by hand."""

    url = "gs://bucket/state"

    def __init__(self) -> None:
        self.objects: dict[str, Stored] = {}
        self.now = NOON
        self.calls: list[tuple[str, str]] = []
        self._generation = 0
        self._lock = RLock()

    def create(self, name: str, data: bytes) -> bool:
        with self._lock:
            self.calls.append(("create", name))
            if name not in self.objects:
                self._generation += 1
                self.objects[name] = Stored(data, self.now, self._generation)
            return self.objects[name].data == data

    def read(self, name: str, generation: int | None = None) -> bytes | None:
        with self._lock:
            self.calls.append(("read", name))
            found = self.objects.get(name)
            if found is None or generation not in {None, found.generation}:
                return None
            return found.data

    def list(self, prefix: str) -> Sequence[Entry]:
        with self._lock:
            self.calls.append(("list", prefix))
            return [
                Entry(name, found.created_at, found.generation)
                for name, found in sorted(self.objects.items())
                if name.startswith(prefix)
            ]

    def remove(self, names: Iterable[str]) -> None:
        with self._lock:
            for name in names:
                self.calls.append(("remove", name))
                self.objects.pop(name, None)

    def names(self, prefix: str = "") -> list[str]:
        return sorted(name for name in self.objects if name.startswith(prefix))

    def pass_days(self, days: float) -> None:
        self.now += timedelta(days=days)


class KilledError(BaseException):
    """The process was killed."""


Hook = Callable[[int], None]


class SteppedStore:
    """A view of a store that calls hooks before and after each step, with the step's number.

    A removal of many objects is as many steps.
    """

    def __init__(self, store: MemoryStore, before: Hook | None = None, after: Hook | None = None):
        self.url = store.url
        self.steps = 0
        self._store = store
        self._before = before
        self._after = after

    def create(self, name: str, data: bytes) -> bool:
        return self.step(lambda: self._store.create(name, data))

    def read(self, name: str, generation: int | None = None) -> bytes | None:
        return self.step(lambda: self._store.read(name, generation))

    def list(self, prefix: str) -> Sequence[Entry]:
        return self.step(lambda: self._store.list(prefix))

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            self.step(lambda name=name: self._store.remove([name]))

    def step(self, act: Callable) -> object:
        number = self.steps
        self.steps += 1
        if self._before:
            self._before(number)
        done = act()
        if self._after:
            self._after(number)
        return done


def at(step: int, act: Callable[[], object]) -> Hook:
    """A hook that does something at one step."""

    def hook(number: int) -> None:
        if number == step:
            act()

    return hook


def kill() -> None:
    raise KilledError
