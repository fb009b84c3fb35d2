"""What a warehouse is: it knows what was loaded, and takes a staged batch whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, Protocol

from pipeline.errors import BalanceError
from pipeline.model import Fault, LogObject, Tally
from pipeline.staging import Staged


@dataclass
class Report:
    """What a batch brought: the balance sheet, rows by destination, and what was parked.

    `batch` is None where there was nothing new. `unchanged` counts objects loaded before.
    `parked` holds all rows that wait for their table to be mended, `parked_why` the reasons;
    `unparked` the rows of earlier batches that this run could load.
    """

    batch: str | None
    objects: int = 0
    unchanged: int = 0
    total: Tally = field(default_factory=Tally)
    destinations: dict[str, int] = field(default_factory=dict)
    parked: dict[str, int] = field(default_factory=dict)
    parked_why: dict[str, str] = field(default_factory=dict)
    unparked: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    seconds: float = 0.0
    bytes: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was parked or damaged."""
        return not self.parked and not self.faults

    def to_json(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return {
            "batch": self.batch,
            "objects": self.objects,
            "unchanged": self.unchanged,
            **self.total.to_json(),
            "destinations": dict(sorted(self.destinations.items())),
            "parked": dict(sorted(self.parked.items())),
            "unparked": dict(sorted(self.unparked.items())),
            "faults": [fault.to_json() for fault in self.faults],
            "seconds": round(self.seconds, 3),
            "bytes": self.bytes,
        }


class Warehouse(Protocol):
    """Where rows go. Opened for one run at a time."""

    staging: str
    """The folder where a run may put its shards."""

    def finish_open(self) -> Report:
        """Finishes what earlier runs left open; reports what was unparked and what stays parked."""

    def known(self, objects: Sequence[LogObject]) -> list[LogObject]:
        """Objects loaded before that share a folder or a checksum with one of these."""

    def next_batch(self) -> str:
        """The name of the batch to come."""

    def commit(self, batch: str, objects: Sequence[LogObject], staged: Staged) -> Report:
        """Takes the batch: rows, rejects and ledger, all or none. Raises BalanceError."""

    def __enter__(self) -> Warehouse:
        """Opens the warehouse; raises SetupError where it cannot be had."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes it."""


def check_balance(objects: Sequence[LogObject], staged: Staged) -> None:
    """Refuses a staged batch in which lines, fates and rows do not agree.

    Raises BalanceError.
    """
    names = {item.name for item in objects}
    if missing := names ^ staged.tallies.keys():
        raise BalanceError(f"The staged batch and its plan differ in {sorted(missing)[0]}.")
    for name, tally in staged.tallies.items():
        if not tally.adds_up:
            raise BalanceError(f"The lines of {name} do not add up: {tally.to_json()}.")
    for table, count in (
        ("event", sum(tally.accepted for tally in staged.tallies.values())),
        ("rejects", sum(tally.rejected.total() for tally in staged.tallies.values())),
    ):
        rows = sum(shard.rows for shard in staged.shards if shard.table == table)
        if rows != count:
            raise BalanceError(f"{count} lines were counted for {table}, {rows} rows were staged.")


def ledger(
    report: Report, objects: Sequence[LogObject], staged: Staged
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A batch's rows for `pixelship.batches` and `pixelship.objects`; sums up the report's total."""
    for tally in staged.tallies.values():
        report.total.add(tally)
    faults: dict[str, list[dict[str, Any]]] = {}
    for fault in staged.faults:
        faults.setdefault(fault.object, []).append(fault.to_json())
    batch = {
        "batch": report.batch,
        "loaded_at": datetime.now(timezone.utc),
        "objects": len(objects),
        **_counts(report.total),
        "destinations": json.dumps(report.destinations, sort_keys=True),
    }
    rows = [
        {
            **asdict(item),
            "batch": report.batch,
            **_counts(staged.tallies[item.name]),
            "faults": json.dumps(faults.get(item.name, [])),
        }
        for item in objects
    ]
    return batch, rows


def _counts(tally: Tally) -> dict[str, Any]:
    counts = tally.to_json()
    return {**counts, "rejected": json.dumps(counts["rejected"])}
