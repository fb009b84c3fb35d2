"""Where a fault is tried: a warehouse with logs before it, runs, and what they must come to."""

from __future__ import annotations

import itertools
import random
import shutil
import signal
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from faults.audit import Findings, audit
from faults.book import Book
from faults.contents import Tables
from faults.mischief import Mischief
from faults.places import BigQueryPlace, Cloud, DuckDBPlace
from faults.processes import Ended, Run, fork, start_command
from faults.traffic import Log, Traffic
from pipeline.errors import SetupError

DONE, INCOMPLETE, SETUP, SERVICE = 0, 1, 2, 3
"""The command's exit statuses."""
INTERRUPTED = 130
KILLED = -signal.SIGKILL
TERMINATED = -signal.SIGTERM
_TROUBLE = ("Traceback (most recent call last)", "Exception in thread", "Exception ignored in")
_MOST_WORDS = 600


def killed_by(number: signal.Signals) -> int:
    """The exit status of a run that a signal ended: Ctrl-C is taken note of."""
    return INTERRUPTED if number == signal.SIGINT else -number


@dataclass
class Score:
    """What came of a fault."""

    runs: int = 0
    kills: int = 0
    findings: Findings = field(default_factory=Findings)

    def add(self, other: Score) -> None:
        """Adds another scenario's."""
        self.runs += other.runs
        self.kills += other.kills
        self.findings.add(other.findings)


class Bench:
    """A place, its traffic, and the book of what was put there. Chance comes from its seed alone."""

    def __init__(
        self,
        place: DuckDBPlace | BigQueryPlace,
        seed: int,
        defects: Sequence[Mischief] = (),
    ) -> None:
        self.place = place
        self.score = Score()
        self.chance = random.Random(seed)
        self.traffic = Traffic(seed)
        self.book = Book()
        self.environment: dict[str, str] = {}
        self.has_parked = False
        self._defects = tuple(defects)
        self._numbers = itertools.count(1)
        self._logs: dict[str, Log] = {}
        self._runs: list[Run] = []

    # Logs

    def add(self, count: int = 2, lines: int = 24) -> list[str]:
        """Puts new logs there; gives their names."""
        return [self.put(f"{next(self._numbers):05d}.log", self.traffic.log(lines)) for _ in range(count)]  # fmt: skip

    def put(self, name: str, log: Log) -> str:
        """Puts a new log there that is to be loaded."""
        self._logs[name] = log
        self.place.put(name, log.data)
        self.book.put(self.place.name(name), log)
        return name

    def grow(self, name: str, lines: int = 8) -> None:
        """Adds lines to a log."""
        self._logs[name] = self._logs[name].grown(self.traffic.lines(lines))
        self.place.put(name, self._logs[name].data)
        self.book.grow(self.place.name(name), self._logs[name])

    def copy(self, name: str, other: str) -> None:
        """Puts the same bytes there under another name: nothing new."""
        self.place.put(other, self._logs[name].data)
        self.book.also(self.place.name(name), self.place.name(other))

    def rename(self, name: str, other: str) -> None:
        """Gives a log another name."""
        self.copy(name, other)
        self.place.remove(name)
        self._logs[other] = self._logs.pop(name)

    def take_away(self, name: str) -> Log:
        """Deletes a log that was never read; gives what it held."""
        self.place.remove(name)
        self.book.forget(self.place.name(name))
        return self._logs.pop(name)

    def log(self, name: str) -> Log:
        """What was put under a name."""
        return self._logs[name]

    # Runs

    def start(
        self, *mischief: Mischief, options: Sequence[str] = (), by_command: bool = False,
        environment: Mapping[str, str] | None = None, words: Sequence[str] | None = None,
    ) -> Run:  # fmt: skip
        """Starts a run; `by_command` has the installed command do it.

        `words` make it another command than that which loads all logs.
        """
        self.score.runs += 1
        folder = self.place.folder / "runs" / f"{self.score.runs:05d}"
        whole = [*(words or self.place.words()), *options]
        variables = {**self.place.environment(), **self.environment, **(environment or {})}
        if by_command:
            run = start_command(folder, whole, variables)
        else:
            run = fork(folder, whole, variables, (*self._defects, *mischief))
        self._runs.append(run)
        return run

    def end(self, run: Run, allowed: Collection[int] = (DONE,), may_trace: bool = False) -> Ended:
        """Waits for a run's end and looks at how it ended; `may_trace`: a traceback is in order."""
        ended = run.wait()
        if run in self._runs:
            self._runs.remove(run)
        self.score.kills += ended.status in (KILLED, TERMINATED, INTERRUPTED)
        said = ended.err.strip()[-_MOST_WORDS:]
        if ended.status is None:
            self.wonder(f"a run hung; it said: {said}")
        elif ended.status not in allowed:
            self.wonder(f"a run ended with {ended.status}, not {sorted(allowed)}: {said}")
        if not may_trace and any(trouble in ended.err for trouble in _TROUBLE):
            self.wonder(f"a run spoke as no user should be spoken to: {said}")
        ended_well = ended.status in (DONE, INCOMPLETE, SETUP, SERVICE)
        left = list(run.temporary.iterdir()) if ended_well else []
        for each in left:
            self.wonder(f"left behind: {each.name} among temporary files")
        shutil.rmtree(run.folder, ignore_errors=True)
        return ended

    def load(
        self, *mischief: Mischief, allowed: Collection[int] = (DONE,), may_trace: bool = False,
        **how: Any,
    ) -> Ended:  # fmt: skip
        """A run, to its end."""
        return self.end(self.start(*mischief, **how), allowed, may_trace)

    def usual_s(self) -> float:
        """How long a run takes from its begin to its end; it loads what is there."""
        run = self.start()
        run.wait_for_begin()
        began = time.monotonic()
        self.end(run)
        return time.monotonic() - began

    def wait_for_work(self, run: Run) -> None:
        """Waits until the installed command is past the start of Python."""
        if isinstance(self.place, DuckDBPlace):
            staging = self.place.path.with_name(f"{self.place.path.name}.staging")
            run.wait_until(staging.exists)
        else:
            proxies = (self.cloud.store_proxy, self.cloud.bigquery_proxy)
            before = [len(proxy.seen()) for proxy in proxies]
            run.wait_until(lambda: [len(proxy.seen()) for proxy in proxies] != before)

    def kill_after(
        self, seconds: float, *mischief: Mischief, number: signal.Signals = signal.SIGKILL,
        allowed: Collection[int] = (), **how: Any,
    ) -> Ended:  # fmt: skip
        """A run that is killed so many seconds after it began, if it still runs then."""
        run = self.start(*mischief, **how)
        run.wait_for_begin()
        run.work_on(seconds)
        run.send(number)
        return self.end(run, (DONE, INCOMPLETE, killed_by(number), *allowed))

    # What must come of it

    def settle(
        self, allowed: Collection[int] = (DONE,), steady: int = DONE, environment: Mapping[str, str] | None = None
    ) -> Ended:  # fmt: skip
        """Runs to the end, audits, runs again, and sees that nothing changed.

        `allowed` are the statuses of the first of these runs, `steady` that of the second.
        """
        ended = self.load(allowed=allowed, environment=environment)
        before = self._read()
        self.score.findings.add(
            audit(
                before,
                self.book,
                once_per_batch=self.place.once_per_batch,
                has_views=self.place.has_views,
                destinations_add_up=not (self.has_parked and self.place.kind == "duckdb"),
            )
        )
        again = self.load(allowed=(steady,), environment=environment)
        if again.status in (DONE, INCOMPLETE):
            for what in ("batches", "unparked", "parked", "destinations"):
                if again.report.get(what):
                    self.wonder(f"a run with nothing to do had {what}: {again.report[what]}")
        if self._read() != before:
            self.wonder("a run with nothing to do changed the tables")
        for left in self.place.leftovers():
            self.wonder(f"left behind: {left}")
        return ended

    def _read(self) -> Tables:
        try:
            return self.place.read()
        except SetupError as error:
            self.wonder(f"the warehouse cannot be read: {error}")
            return {}

    def wonder(self, what: str) -> None:
        """Counts something that nobody can explain."""
        self.score.findings.wonder(what)

    def expect(self, is_so: object, what: str) -> None:
        """Counts something that should be so and is not."""
        if not is_so:
            self.wonder(f"expected: {what}")

    @property
    def cloud(self) -> Cloud:
        """The emulators behind a BigQuery place."""
        if not isinstance(self.place, BigQueryPlace):
            raise TypeError("this place is not in the cloud")
        return self.place.cloud

    def close(self) -> None:
        """Ends the runs that are left, and removes all."""
        for run in self._runs:
            run.kill()
            run.wait()
        self.place.close()
