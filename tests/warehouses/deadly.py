"""Replays and unloads of a DuckDB file that kill themselves; little is imported, as each is a process."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pipeline.options import Rules
from pipeline.replay import Retrial, replay
from pipeline.signing import key_ring
from pipeline.unload import unload
from pipeline.warehouses.duckdb import DuckDBWarehouse, connect
from pipeline.warehouses.maintenance import Choice, Selection
from tests.logs import SECRET

BOTH = Rules(key_ring([SECRET, "an older secret"]))


class Deadly:
    """A connection that kills the process `before` or `after` the nth statement with some words."""

    def __init__(self, db: Any, step: str) -> None:
        self._db = db
        self._when, number, self._words = step.split(" ", 2)
        self._number = int(number)
        self._seen = itertools.count(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def execute(self, sql: str, *values: Any) -> Any:
        is_last = self._words in sql and next(self._seen) == self._number
        if is_last and self._when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = self._db.execute(sql, *values)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


def replay_and_die(path: Path, step: str) -> None:
    with deadly(step), DuckDBWarehouse(str(path)) as warehouse:
        replay(warehouse, Choice(), Retrial(BOTH))


def unload_and_die(path: Path, step: str) -> None:
    with deadly(step), DuckDBWarehouse(str(path)) as warehouse:
        unload(warehouse, Selection(batches=("00000001",)))


def deadly(step: str) -> Any:
    return patch("pipeline.warehouses.duckdb.connect", lambda path: Deadly(connect(path), step))
