"""The main job: finish what is open, plan batches, stage them with Beam, commit them, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

from pipeline.beam.graph import Launch, run
from pipeline.beam.progress import read_progress
from pipeline.errors import SetupError
from pipeline.model import Batch, Fault, LogObject
from pipeline.options import Rules
from pipeline.plan import make_plan
from pipeline.sources import Anywhere, Search
from pipeline.staging import Job, Staged, Work, split
from pipeline.warehouses.contract import Report, Warehouse

_PROGRESS_SECONDS = 0.1
_GONE = "was gone or changed before it could be read: it counts as never seen"

Progress = Callable[[int, int, int], None]
"""Is told stored bytes read, lines read, and stored bytes in all."""


@dataclass(frozen=True)
class Order:
    """What to load and how: where to look, the rules, the format, how the job is run."""

    search: Search
    rules: Rules
    format: str = "auto"
    launch: Launch = field(default_factory=Launch)


def load(warehouse: Warehouse, order: Order, progress: Progress) -> Report:
    """Loads log objects into an opened warehouse; what was loaded before is left alone.

    Open batches of earlier runs come first. Where another run plans a batch meanwhile, that one is
    finished too, and what is left is planned anew. Raises SetupError, BalanceError.
    """
    began = time.monotonic()
    run_ = _Run(warehouse, order, progress)
    listing = run_.source.list_objects(order.search)
    report = warehouse.unpark()
    run_.finish_open(report)
    while True:
        plan = make_plan(
            run_.source, listing, warehouse.known(listing.objects), warehouse.quarantined()
        )
        if all(run_.take(objects, report) for objects in plan.batches()):
            break
        run_.finish_open(report)
    warehouse.quarantine(plan.quarantined)
    report.quarantined, report.waiting = plan.quarantined, plan.waiting
    report.unchanged = plan.unchanged
    report.faults += plan.faults
    report.seconds = time.monotonic() - began
    return report


class _Run:
    """One run of the main job."""

    def __init__(self, warehouse: Warehouse, order: Order, progress: Progress) -> None:
        self.source = Anywhere()
        self._warehouse = warehouse
        self._order = order
        self._progress = progress

    def finish_open(self, report: Report) -> None:
        """Finishes the batches that runs before or beside this one left open."""
        for batch in self._warehouse.open_batches():
            staged = self._warehouse.staged(batch) or self._stage_what_is_left(batch)
            report.add(self._warehouse.commit(batch, staged))

    def take(self, objects: Sequence[LogObject], report: Report) -> bool:
        """Loads new objects as a batch; False where another run planned one first."""
        batch = self._warehouse.plan(objects)
        if batch is None:
            return False
        report.add(self._warehouse.commit(batch, self._stage(batch, batch.objects)))
        report.bytes += sum(item.size - item.start for item in objects)
        return True

    def _stage_what_is_left(self, batch: Batch) -> Staged:
        """Stages a batch that was planned a while ago: some objects may be gone."""
        left = [item for item in batch.objects if self.source.is_as_pinned(item)]
        staged = self._stage(batch, left)
        gone = {item.name for item in batch.objects} - {item.name for item in left}
        staged.unread += sorted(gone)
        staged.faults += [Fault(name, 0, _GONE) for name in staged.unread]
        return staged

    def _stage(self, batch: Batch, objects: Sequence[LogObject]) -> Staged:
        staging = self._warehouse.staging(batch)
        job = Job(batch.id, self._order.rules, staging, self._order.format)
        parts = list(split(objects, self.source.open, job.split_bytes))
        try:
            with _watching(parts, staging, self._progress):
                return run(job, parts, self._order.launch)
        finally:
            self._require_unchanged(objects)

    def _require_unchanged(self, objects: Iterable[LogObject]) -> None:
        """Raises SetupError where a file is not what was planned: its rows would be another's."""
        for item in objects:
            source = self.source.of(item.name)
            if source.reuses_names and not source.is_as_pinned(item):
                raise SetupError(
                    f"{item.name} was changed or renamed while it was read, so nothing was loaded: "
                    "load logs that are no longer written, and run again."
                )


@contextmanager
def _watching(parts: Sequence[Work], staging: str, progress: Progress) -> Iterator[None]:
    """Tells how far the workers are while the body runs."""
    total_bytes = sum(part.end - part.start for part in parts)
    done = Event()

    def watch() -> None:
        while not done.wait(_PROGRESS_SECONDS):
            progress(*read_progress(staging), total_bytes)

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    progress(*read_progress(staging), total_bytes)
