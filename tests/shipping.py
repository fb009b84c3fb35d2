"""Logs to ship, where they go, and what is in there afterwards."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from backports import zstd

from pipeline.ship.contract import Order, Report
from pipeline.ship.shipping import ship
from pipeline.ship.spool import FOLDER, Spool
from pipeline.ship.stores import Folder, Store
from tests.logs import NOON_US, SECOND_US, Hit, log, tsv

HOST = "edge-1"


def lines(number: int, count: int = 3) -> bytes:
    """A small log; each number gives another, a minute later than the one before."""
    begin_us = NOON_US + number * 60 * SECOND_US
    return log(
        *(
            tsv(Hit(time_us=begin_us + at, request_id=b"%08x%08x" % (number, at)))
            for at in range(count)
        )
    )


@dataclass
class Place:
    """A folder of logs, and a store that is a folder too."""

    root: Path
    logs: Path = field(init=False)
    out: Path = field(init=False)
    order: Order = field(init=False)

    def __post_init__(self) -> None:
        self.logs, self.out = self.root / "logs", self.root / "out"
        self.logs.mkdir()
        self.order = Order(self.logs, HOST, settle_s=0)

    @property
    def spool(self) -> Spool:
        return Spool(self.logs)

    def put(self, name: str, data: bytes, age_s: float = 0) -> Path:
        """A log of a name, last written to some time ago."""
        hidden = self.logs / ".being-written"
        hidden.write_bytes(data)
        at = time.time() - age_s
        os.utime(hidden, (at, at))
        return hidden.rename(self.logs / name)

    def ship(self, store: Store | None = None, **changes: Any) -> Report:
        """One run, with some of the order changed."""
        with self.spool.locked():
            return ship(replace(self.order, **changes), store or Folder(self.out), self.spool)

    def left(self) -> list[str]:
        """What is in the folder of logs, the spool aside."""
        return sorted(path.name for path in self.logs.iterdir() if path.name != FOLDER)

    def parts(self) -> dict[str, int]:
        """How many files each part of the spool holds."""
        names = ("taken", "packing", "ready", "shipped")
        return {name: len(list((self.logs / FOLDER / name).iterdir())) for name in names}

    def stored(self) -> dict[str, bytes]:
        """The objects, inflated."""
        return {
            str(path.relative_to(self.out)): zstd.decompress(path.read_bytes())
            for path in sorted(self.out.rglob("*"))
            if path.is_file()
        }


class Failing:
    """A store that fails in a given way, for some objects or for all."""

    url = "failing"

    def __init__(self, behind: Store, error: Exception, only: str = "") -> None:
        self._behind = behind
        self._error = error
        self._only = only
        self.asked: list[str] = []

    def put(self, name: str, stream: BinaryIO) -> bool:
        """Fails, or has the store behind do it."""
        self.asked.append(name)
        if self._only in name:
            raise self._error
        return self._behind.put(name, stream)
