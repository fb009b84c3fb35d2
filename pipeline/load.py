"""The main job: finish what is open, plan batches, stage them with Beam, commit them, report.

Where nobody waits for Beam's job, that job stages the batches and commits them by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from pipeline.batchlog.lease import Lease
from pipeline.beam.graph import BatchWork, run, run_alone
from pipeline.beam.launch import Launch
from pipeline.beam.progress import read_progress
from pipeline.errors import ServiceError, SetupError
from pipeline.formats import Format
from pipeline.model import Batch, Fault, LogObject
from pipeline.options import Rules
from pipeline.plan import MOST_OBJECTS, Plan, make_plan
from pipeline.signing import KeyRing
from pipeline.sources import Anywhere, Listing, Search
from pipeline.staging import Job, Staged, Work, split
from pipeline.structured_log import tell
from pipeline.warehouses.contract import Report, Warehouse
from pipeline.warehouses.handover import Handover
from pipeline.warehouses.telling import tell_batch, tell_run

_PROGRESS_SECONDS = 0.1
_GONE = "was gone or changed before it could be read: it counts as never seen"

Progress = Callable[[int, int, int], None]
"""Is told stored bytes read, lines read, and stored bytes in all."""


@dataclass(frozen=True)
class Order:
    """What to load and how: where to look, the rules, the format (None: told), how the job is run.

    `keys_from` refers to the key ring where remote workers can fetch it, `lease` keeps other runs away.
    """

    search: Search
    rules: Rules
    format: Format | None = None
    launch: Launch = field(default_factory=Launch)
    keys_from: str | None = None
    lease: Lease | None = None

    def __post_init__(self) -> None:
        """Raises SetupError for what Dataflow's workers could not get at, or others could."""
        if not self.launch.is_on_dataflow:
            return
        if not all(pattern.startswith("gs://") for pattern in self.search.patterns):
            raise SetupError(
                "Dataflow's workers cannot read logs of this machine: name logs as gs://BUCKET/…."
            )
        if self.rules.keys.keys and not self.keys_from:
            raise SetupError(
                "The keys would stand in Dataflow's job, for others to read: keep the key ring in "
                "Secret Manager, and name it with --keys sm://projects/P/secrets/S/versions/V."
            )
        if not self.launch.brings_packages:
            raise SetupError(
                "Dataflow's workers have no Pixelship: name an image that has it with "
                "--sdk_container_image, or its sdist with --extra_package."
            )


def load(warehouse: Warehouse, order: Order, progress: Progress) -> Report:
    """Loads log objects into an opened warehouse; what was loaded before is left alone.

    Open batches of earlier runs come first. Where another run plans a batch meanwhile, that one is
    finished too, and what is left is planned anew. Raises SetupError, ServiceError, BalanceError.
    """
    began = time.monotonic()
    run_ = _Run(warehouse, order, progress)
    is_handed_over = False
    try:
        if order.lease and (until := order.lease.take()):
            tell("lease_held", f"Another run holds the lease until {until:%H:%M:%S} UTC.")
            report = Report(held_until=until)
        else:
            report = run_.load()
        is_handed_over = run_.hand_over()
    finally:
        if order.lease and not is_handed_over:
            order.lease.release()
    report.seconds = time.monotonic() - began
    if not report.held_until:
        tell_run(report)
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
        self._source = Anywhere()
        self._warehouse = warehouse
        self._order = order
        self._progress = progress
        rules = order.rules
        self._opens, self._hits = rules.destination_of("email"), rules.destination_of("ping")
        self._report = Report()
        self._aside: dict[str, BatchWork] = {}
        self._ending: Handover | None = None
        if order.launch.is_detached:
            open_elsewhere = warehouse.elsewhere()
            self._ending = Handover(open_elsewhere, self._opens, self._hits, order.lease)

    def load(self) -> Report:
        """Loads what is open and what is new, or sets it aside for a job that nobody waits for."""
        warehouse, report, search = self._warehouse, self._report, self._order.search
        listing = self._source.list_objects(search)
        self._finish_open()
        if not self._aside:
            report.add(warehouse.unpark())
        plan = self._take_new(listing)
        warehouse.quarantine(plan.quarantined)
        report.quarantined, report.waiting = plan.quarantined, plan.waiting
        report.faults += plan.faults
        warehouse.tidy(listing.objects, lambda name: self._source.would_list(search, name))
        warehouse.make_views(self._opens, self._hits)
        return report

    def hand_over(self) -> bool:
        """Launches the job that nobody waits for, where there is something for it to do.

        A launcher that wants a graph gets one in any case. Gives whether that job ends the run.
        """
        if self._ending is None or not (self._aside or self._order.launch.is_template):
            return False
        run_alone(list(self._aside.values()), self._ending, self._order.launch)
        return True

    def _take_new(self, listing: Listing) -> Plan:
        """Loads new objects, batch by batch; gives the last plan, of which the rest is left."""
        taken_before = 0
        while True:
            known = self._warehouse.known(listing.objects)
            plan = make_plan(self._source, listing, known, self._warehouse.quarantined())
            self._report.unchanged = plan.unchanged - taken_before
            lots = plan.batches()
            taken = list(takewhile(self._take, lots))
            if len(taken) == len(lots) or self._aside:
                self._report.left = sum(map(len, lots[len(taken) :]))
                return plan
            taken_before += sum(map(len, taken))
            self._finish_open()

    def _take(self, objects: Sequence[LogObject]) -> bool:
        """Loads new objects as a batch; False where that is for another run, or has been."""
        if self._aside and self._objects_aside() + len(objects) > MOST_OBJECTS:
            return False
        batch = self._warehouse.plan(objects)
        if batch is None:
            return False
        stored_bytes = sum(item.size - item.start for item in objects)
        message = f"Batch {batch.id}: {len(objects)} log objects, {stored_bytes} bytes."
        tell("batch_planned", message, batch=batch.id, objects=len(objects), bytes=stored_bytes)
        self._bring(batch, batch.objects, Staged())
        self._report.bytes += stored_bytes
        return True

    def _finish_open(self) -> None:
        """Finishes the batches that runs before or beside this one left open."""
        for batch in self._warehouse.open_batches():
            if batch.id in self._aside:
                continue
            if staged := self._warehouse.staged(batch):
                self._commit(batch, staged)
                continue
            left = [item for item in batch.objects if self._source.is_as_pinned(item)]
            gone = sorted({item.name for item in batch.objects} - {item.name for item in left})
            faults = [Fault(name, 0, _GONE) for name in gone]
            self._bring(batch, left, Staged(faults=faults, unread=gone))

    def _bring(self, batch: Batch, objects: Sequence[LogObject], known: Staged) -> None:
        """Stages a batch and commits it, or sets it aside; `known` is what need not be read."""
        if not objects:
            self._commit(batch, known)
        elif self._ending:
            job = self._job(batch, self._warehouse.staging(batch))
            self._aside[batch.id] = BatchWork(job, self._parts(job, objects), known)
            self._report.launched.append(batch.id)
        else:
            staged = self._stage(batch, objects)
            staged.add(known)
            self._commit(batch, staged)

    def _commit(self, batch: Batch, staged: Staged) -> None:
        report = self._warehouse.commit(batch, staged)
        tell_batch(report, staged.latest_us)
        self._report.add(report)

    def _objects_aside(self) -> int:
        return len({part.object for work in self._aside.values() for part in work.parts})

    def _job(self, batch: Batch, staging: str, progress: str = "") -> Job:
        """The job, without secrets where remote workers can fetch them."""
        order = self._order
        if order.keys_from is None:
            return Job(batch.id, order.rules, staging, order.format, progress=progress)
        rules = replace(order.rules, keys=KeyRing())
        return Job(batch.id, rules, staging, order.format, keys_from=order.keys_from)

    def _parts(self, job: Job, objects: Sequence[LogObject]) -> list[Work]:
        return list(split(objects, self._source.open, job.split_bytes, job.format))

    def _stage(self, batch: Batch, objects: Sequence[LogObject]) -> Staged:
        staging = self._warehouse.staging(batch)
        with _local_folder(staging) as folder:
            job = self._job(batch, staging, folder)
            parts = self._parts(job, objects)
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
            source = self._source.of(item.name)
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
