"""How large the batch log's folder becomes in a year of runs, and how many requests a run makes.

    python -m benchmarks.state_size [--days 365] [--retention-days 90] [--remember-days 400]

A run every five minutes finds one to three new log objects; the source keeps objects for some time.
All goes through the real `BatchLog`, to a store in memory that counts. Requests are those of a run
that starts as a process does, knowing nothing; removals, which are free, are left out. Shards are a
file a batch, of no size. A line at the end of each month, over its last checkpoint's worth of runs.

What is remembered, and with it the checkpoints, stops growing `--remember-days` after the source did:
`--days 580` shows it, and sooner `--days 150 --retention-days 30 --remember-days 60`. Objects in the
folder and requests are the same from the first month on. The table is kept in `results/`.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from benchmarks.counting_store import CountingStore
from benchmarks.tables import Kept, Table
from pipeline.batchlog import BatchLog, Decision, known
from pipeline.batchlog.log import CHECKPOINT_EVERY
from pipeline.model import LogObject

_MINUTES: Final = 5
_RUNS_A_DAY: Final = 24 * 60 // _MINUTES
_MONTH_DAYS: Final = 30
_WIDTH: Final = 12
_HEADINGS: Final = ("objects", "MB", "at source", "remembered", "requests", "at most")
_LEGEND: Final = (
    "objects: least and most in the folder, and their bytes (MB); at source: log objects there; "
    "remembered: those that the log knows; requests: of a run, mean and most, removals left out."
)


class Year:
    """A source, a log, and the runs that move one into the other."""

    def __init__(self, retention_days: int) -> None:
        self.store = CountingStore()
        self._log = BatchLog(self.store)
        self._kept: deque[tuple[datetime, LogObject]] = deque()
        self._retention = timedelta(days=retention_days)
        self._chance = random.Random(1)
        self._made = 0

    def run(self) -> None:
        """One run: plans what is new, stages, loads, closes, and sums up now and then."""
        view = self._log.view()
        planned = self._log.plan("load", self._new(), after=view.last_id)
        if planned is None:
            raise AssertionError("nobody else is there")
        staging = self._log.staging(planned.batch).removeprefix(f"{self.store.url}/")
        self.store.create(f"{staging}/event.parquet", b"")
        self._log.stage(planned.batch, {"manifest": f"{self.store.url}/{staging}/staged.json"})
        rows = [
            {**asdict(item), "batch": planned.batch.id, "lines": 1000, "accepted": 900, "bot": 100}
            for item in planned.batch.objects
        ]
        self._log.loaded(planned.batch, Decision(objects=rows, destinations={"news.views": 900}))
        self._log.done(planned.batch)
        view = self._log.view()
        listed = [item for _, item in self._kept] if view.closed_batches >= CHECKPOINT_EVERY else []
        self._log.checkpoint(listed, lambda _name: True)

    def measured_run(self) -> tuple[int, int]:
        """A run by a process that knows nothing yet: its requests, and the objects it leaves."""
        self._log = BatchLog(self.store)
        before = self._requests()
        self.run()
        return self._requests() - before, self.store.size()[0]

    def _requests(self) -> int:
        return self.store.requests.total() - self.store.requests["remove"]

    def figures(self) -> list[str]:
        """Runs for a checkpoint's worth, and says how things stand then."""
        measured = [self.measured_run() for _ in range(CHECKPOINT_EVERY)]
        requests, objects = zip(*measured, strict=True)
        remembered = self._log.view().state.objects.num_rows
        return [
            f"{min(objects)} to {max(objects)}",
            f"{self.store.size()[1] / 1e6:.1f}",
            f"{len(self._kept):,}",
            f"{remembered:,}",
            f"{sum(requests) / len(requests):.0f}",
            f"{max(requests)}",
        ]

    def _new(self) -> list[LogObject]:
        """What the server has written in the last minutes; what is old goes."""
        self.store.now += timedelta(minutes=_MINUTES)
        while self._kept and self._kept[0][0] < self.store.now - self._retention:
            self._kept.popleft()
        new = [self._log_object() for _ in range(self._chance.randint(1, 3))]
        self._kept.extend((self.store.now, item) for item in new)
        return new

    def _log_object(self) -> LogObject:
        self._made += 1
        stamp = self.store.now.strftime("%Y/%m/%d/web-%Y%m%dT%H%M")
        return LogObject(
            f"gs://acme-pixel-logs/nginx/{stamp}-{self._chance.getrandbits(32):08x}.log.gz",
            self._chance.randrange(1_000, 1_000_000),
            f"md5:{self._chance.getrandbits(128):032x}",
            generation=int(self.store.now.timestamp() * 1e6) + self._made,
        )


def main() -> None:
    """Prints a line a month."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--retention-days", type=int, default=90)
    parser.add_argument("--remember-days", type=int, default=known.REMEMBER_DAYS)
    parser.add_argument("--out", type=Path, help="folder for the results (benchmarks/results)")
    options = parser.parse_args()
    known.REMEMBER_DAYS = options.remember_days
    year, began = Year(options.retention_days), time.monotonic()
    months: list[list[str]] = []
    _print("day", _HEADINGS)
    for day in range(1, options.days + 1):
        is_reported = day % _MONTH_DAYS == 0 or day == options.days
        for _ in range(_RUNS_A_DAY - (CHECKPOINT_EVERY if is_reported else 0)):
            year.run()
        if is_reported:
            months.append([str(day), *year.figures()])
            _print(months[-1][0], months[-1][1:])
    seconds = time.monotonic() - began
    print(f"{options.days * _RUNS_A_DAY:,} runs, simulated in {seconds:.0f} s")
    how = (
        f"A run every {_MINUTES} minutes; the source keeps objects for {options.retention_days} days,"
        f" the log remembers them for {options.remember_days} more."
    )
    table = Table("The batch log by month", ("day", *_HEADINGS), months, _LEGEND)
    figures = {"headings": table.headings, "rows": table.rows}
    Kept("The batch log's folder", how, [table], figures).write("state_size", options.out)


def _print(day: str, figures: Sequence[str]) -> None:
    print(f"{day:>4}", *(f"{each:>{_WIDTH}}" for each in figures), flush=True)


if __name__ == "__main__":
    main()
