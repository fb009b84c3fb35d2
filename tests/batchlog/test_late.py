"""Requests that arrive late: when their sender has given up, is killed, and all has moved on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.batchlog.stores import KilledError, MemoryStore
from tests.batchlog.test_races import ACTS, Act, begun

Request = Callable[[], object]


class SlowNetwork(MemoryStore):
    """Shares the objects of another store; one of the creates is held up, and its sender killed."""

    def __init__(self, store: MemoryStore, held_up: int) -> None:
        self.__dict__ = store.__dict__
        self._creates = 0
        self._held_up = held_up
        self.late: list[Request] = []

    def create(self, name: str, data: bytes) -> bool:
        self._creates += 1
        if self._creates == self._held_up:
            self.late.append(lambda: MemoryStore.create(self, name, data))
            raise KilledError
        return super().create(name, data)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("history", [0, 1, 2, 3])
def test_creates_that_arrive_late(history: int, act: Act) -> None:
    for held_up in range(1, 20):
        world = begun(history)
        network = SlowNetwork(world.store, held_up)
        try:
            world.run(network)
        except KilledError:
            act(world)
            network.late[0]()
            world.check()
            act(world)
            world.check()
        else:
            assert held_up > 4
            break
    else:
        pytest.fail("never ended")
