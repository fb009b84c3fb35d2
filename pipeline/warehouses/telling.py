"""Tells of a report in the structured log."""

from __future__ import annotations

import logging
import time

from pipeline.model import COUNTS
from pipeline.structured_log import tell
from pipeline.warehouses.contract import Report


def tell_batch(report: Report, latest_us: int | None) -> None:
    """Tells of a batch: its balance sheet, its rejects by reason, its damaged objects.

    `latest_us` is the log's time of its newest view, since 1970; its age is `lag_s`.
    """
    lag = {} if latest_us is None else {"lag_s": round(time.time() - latest_us / 1e6, 1)}
    for batch in report.batches:
        total = report.total
        counts = {name: getattr(total, name) for name in COUNTS}
        tell(
            "batch_done",
            f"Batch {batch} is done: {total.lines} lines of {report.objects} log objects.",
            batch=batch,
            objects=report.objects,
            **counts,
            rejected=total.rejected.total(),
            **lag,
        )
        for reason, lines in sorted(total.rejected.items()):
            message = f"{lines} lines of batch {batch} were rejected: {reason}."
            tell("rejected", message, batch=batch, reason=reason, lines=lines)
        for fault in report.faults:
            message = f"{fault.object} is damaged at byte {fault.position}: {fault.fault}."
            about = {"batch": batch, "object": fault.object, "reason": fault.fault}
            tell("object_damaged", message, logging.WARNING, **about)


def tell_what_waits(report: Report) -> None:
    """Tells of rows that are parked and of objects in quarantine: they wait for a person."""
    for destination, rows in sorted(report.parked.items()):
        why = report.parked_why[destination]
        message = f"{rows} rows for {destination} are parked: {why}."
        about = {"destination": destination, "rows": rows, "reason": why}
        tell("parked", message, logging.WARNING, **about)
    for each in report.quarantined:
        message = f"{each.name} is quarantined: it {each.why}."
        tell("quarantined", message, logging.WARNING, object=each.name, reason=each.why)


def tell_run(report: Report) -> None:
    """Tells that a run has ended, and of all that waits."""
    tell_what_waits(report)
    tell(
        "run_done",
        f"{len(report.batches)} batches are done, {len(report.launched)} handed to a job.",
        batches=len(report.batches),
        launched=len(report.launched),
        objects=report.objects,
        waiting=report.waiting,
        parked=sum(report.parked.values()),
        quarantined=len(report.quarantined),
        damaged=len(report.faults),
        seconds=round(report.seconds, 3),
    )
