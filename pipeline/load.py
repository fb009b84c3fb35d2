"""The main job: plan a batch, stage it with Beam, commit it, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread

from pipeline.beam.graph import Launch, run
from pipeline.beam.progress import read_progress
from pipeline.errors import SetupError
from pipeline.model import Fault, LogObject
from pipeline.options import Rules
from pipeline.sources import LocalFiles
from pipeline.staging import Job, Work, split
from pipeline.warehouses.contract import Report, Warehouse

_PROGRESS_SECONDS = 0.1

Progress = Callable[[int, int, int], None]
"""Is told stored bytes read, lines read, and stored bytes in all."""


@dataclass(frozen=True)
class Plan:
    """What of the log objects found is new."""

    objects: list[LogObject]
    unchanged: int
    faults: list[Fault]


@dataclass(frozen=True)
class Order:
    """What to load and how: files, globs and folders; rules; format; how the job is run.

    `leave_out` are files and folders that are no logs, though a pattern may name them.
    """

    patterns: Sequence[str]
    rules: Rules
    format: str = "auto"
    launch: Launch = field(default_factory=Launch)
    leave_out: Sequence[Path] = ()


def load(warehouse: Warehouse, order: Order, progress: Progress) -> Report:
    """Loads log files into an opened warehouse; what was loaded before is left alone.

    Raises SetupError, BalanceError.
    """
    began = time.monotonic()
    source = LocalFiles()
    plan = plan_batch(source, source.find(order.patterns, order.leave_out), warehouse)
    opened = report = warehouse.finish_open()
    if plan.objects:
        job = Job(warehouse.next_batch(), order.rules, warehouse.staging, order.format)
        parts = list(split(plan.objects, source.open, job.split_bytes))
        try:
            with _watching(parts, job.staging, progress):
                staged = run(job, parts, order.launch)
        finally:
            _require_unchanged(source, plan.objects)
        report = warehouse.commit(job.batch, plan.objects, staged)
        report.unparked = opened.unparked
    report.faults += plan.faults
    report.unchanged = plan.unchanged
    report.bytes = sum(item.size - item.start for item in plan.objects)
    report.seconds = time.monotonic() - began
    return report


def plan_batch(source: LocalFiles, names: Iterable[str], warehouse: Warehouse) -> Plan:
    """Tells new log objects from known ones.

    The same bytes under any name are known. A file that only grew since it was loaded is read from
    where it ended, also when it was renamed within its folder, as log rotation does.
    """
    found, faults = [], []
    for name in names:
        try:
            found.append(source.pin(name))
        except OSError as error:
            printable = name.encode("utf-8", "replace").decode()
            faults.append(Fault(printable, 0, f"cannot be read: {error.strerror}"))
    known = warehouse.known(found)
    sums = {item.sha256 for item in known}
    fresh = {}
    for item in found:
        if item.sha256 not in sums:
            sums.add(item.sha256)
            fresh[item.name] = _tail(source, item, known)
    return Plan(list(fresh.values()), len(found) - len(fresh), faults)


def _tail(source: LocalFiles, item: LogObject, known: Iterable[LogObject]) -> LogObject:
    """The object less what was loaded of it, where those bytes are still there in front."""
    before = [each for each in known if each.folder == item.folder and each.size < item.size]
    sums = source.checksums(item.name, [each.size for each in before])
    starts = [each.size for each in before if sums[each.size] == each.sha256]
    return replace(item, start=max(starts, default=0))


def _require_unchanged(source: LocalFiles, objects: Iterable[LogObject]) -> None:
    """Raises SetupError where a log object is not what was planned: its rows would be another's."""
    for item in objects:
        if not source.is_as_pinned(item):
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
