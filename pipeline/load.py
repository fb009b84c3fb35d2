"""The main job: finish what is open, plan batches, stage them with Beam, commit them, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from pipeline.beam.graph import Launch, run
from pipeline.beam.progress import read_progress
from pipeline.errors import ServiceError, SetupError
from pipeline.formats import Format
from pipeline.model import Batch, Fault, LogObject
from pipeline.options import Rules
from pipeline.plan import Plan, make_plan
from pipeline.sources import Anywhere, Search
from pipeline.staging import Job, Staged, Work, split
from pipeline.warehouses.contract import Report, Warehouse

_PROGRESS_SECONDS = 0.1
_GONE = "was gone or changed before it could be read: it counts as never seen"

Progress = Callable[[int, int, int], None]
"""Is told stored bytes read, lines read, and stored bytes in all."""


@dataclass(frozen=True)
class Order:
    """What to load and how: where to look, the rules, the format (None: told), how the job is run."""

    search: Search
    rules: Rules
    format: Format | None = None
    launch: Launch = field(default_factory=Launch)


def load(warehouse: Warehouse, order: Order, progress: Progress) -> Report:
    """Loads log objects into an opened warehouse; what was loaded before is left alone.

    Open batches of earlier runs come first. Where another run plans a batch meanwhile, that one is
    finished too, and what is left is planned anew. Raises SetupError, BalanceError.
    """
    began = time.monotonic()
    run_ = _Run(warehouse, order, progress)
    listing = run_.source.list_objects(order.search)
    report = Report()
    run_.finish_open(report)
    report.add(warehouse.unpark())
    taken_before = 0
    while True:
        plan = make_plan(
            run_.source, listing, warehouse.known(listing.objects), warehouse.quarantined()
        )
        report.unchanged = plan.unchanged - taken_before
        lots = plan.batches()
        taken = list(takewhile(lambda objects: run_.take(objects, report), lots))
        if len(taken) == len(lots):
            break
        taken_before += sum(map(len, taken))
        run_.finish_open(report)
    warehouse.quarantine(plan.quarantined)
    report.quarantined, report.waiting = plan.quarantined, plan.waiting
    report.faults += plan.faults
    warehouse.tidy(listing.objects, lambda name: run_.source.would_list(order.search, name))
    warehouse.make_views(order.rules.destination_of("email"), order.rules.destination_of("ping"))
    report.seconds = time.monotonic() - began
    return report


@dataclass(frozen=True)
class Preview:
    """What a run would do: the open batches it would finish, and the plan for the rest."""

    open_batches: list[Batch]
    plan: Plan


def preview(warehouse: Warehouse, search: Search) -> Preview:
    """Looks and changes nothing. Raises SetupError, ServiceError."""
    source = Anywhere()
    listing = source.list_objects(search)
    with warehouse.peek() as memory:
        known = memory.known(listing.objects)
        plan = make_plan(source, listing, known, memory.quarantined())
        return Preview(memory.open_batches(), plan)


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
        with _local_folder(staging) as folder:
            job = Job(batch.id, self._order.rules, staging, self._order.format, progress=folder)
            parts = list(split(objects, self.source.open, job.split_bytes, job.format))
            try:
                with _watching(parts, folder, self._progress):
                    return run(job, parts, self._order.launch)
            except (FileNotFoundError, RuntimeError) as error:
                if FileNotFoundError.__name__ not in repr(error):  # Beam makes others of errors
                    raise
                raise ServiceError(
                    f"A log object of batch {batch.id}, or what was staged of it, was removed or "
                    "replaced meanwhile; running again does no harm."
                ) from None
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


def _local_folder(staging: str) -> AbstractContextManager[str]:
    """The staging folder where it is on this machine, else one for the time being."""
    is_local = Path(staging).is_dir()
    return nullcontext(staging) if is_local else TemporaryDirectory(prefix="pixelship-")


@contextmanager
def _watching(parts: Sequence[Work], folder: str, progress: Progress) -> Iterator[None]:
    """Tells how far the workers are while the body runs."""
    total_bytes = sum(part.end - part.start for part in parts)
    done = Event()

    def watch() -> None:
        while not done.wait(_PROGRESS_SECONDS):
            progress(*read_progress(folder), total_bytes)

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    progress(*read_progress(folder), total_bytes)
