"""What a warehouse is: it knows what was loaded, and takes a staged batch whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, Protocol

from pipeline.errors import BalanceError
from pipeline.model import Batch, Fault, LogObject, Quarantined, Tally
from pipeline.staging import Staged


class RefusedError(Exception):
    """A table that cannot take its rows, and why; `is_passing` where it may be mended by itself."""

    def __init__(self, table: str, why: str, *, is_passing: bool = False) -> None:
        super().__init__(f"{table}: {why}")
        self.table = table
        self.why = why
        self.is_passing = is_passing


@dataclass
class Report:
    """What a run brought: the balance sheet, rows by destination, and what was parked.

    `batches` is empty where there was nothing new. `unchanged` counts objects loaded before,
    `waiting` those too young. `parked` holds all rows that wait for their table to be mended,
    `parked_why` the reasons; `unparked` the rows of earlier batches that this run could load.
    `launched` are batches that a job ends of which this run does not wait, `left` counts objects that
    are for the next run. Where another run holds the lease, `held_until` says for how long.
    """

    batches: list[str] = field(default_factory=list)
    objects: int = 0
    unchanged: int = 0
    waiting: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)
    total: Tally = field(default_factory=Tally)
    destinations: dict[str, int] = field(default_factory=dict)
    parked: dict[str, int] = field(default_factory=dict)
    parked_why: dict[str, str] = field(default_factory=dict)
    unparked: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    seconds: float = 0.0
    bytes: int = 0
    launched: list[str] = field(default_factory=list)
    left: int = 0
    held_until: datetime | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing was parked, quarantined or damaged."""
        return not (self.parked or self.quarantined or self.faults)

    def add(self, later: Report) -> None:
        """Adds what a later batch of the same run brought; `later` knows best what is parked."""
        self.batches += later.batches
        self.objects += later.objects
        self.total.add(later.total)
        self.faults += later.faults
        for sums, more in (
            (self.destinations, later.destinations), (self.unparked, later.unparked),
        ):  # fmt: skip
            for destination, rows in more.items():
                sums[destination] = sums.get(destination, 0) + rows
        self.parked, self.parked_why = later.parked, later.parked_why

    def to_json(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return {
            "batches": self.batches,
            "objects": self.objects,
            "unchanged": self.unchanged,
            "waiting": self.waiting,
            "quarantined": [asdict(each) for each in self.quarantined],
            **self.total.to_json(),
            "destinations": dict(sorted(self.destinations.items())),
            "parked": dict(sorted(self.parked.items())),
            "unparked": dict(sorted(self.unparked.items())),
            "faults": [fault.to_json() for fault in self.faults],
            "seconds": round(self.seconds, 3),
            "bytes": self.bytes,
            "launched": self.launched,
            "left": self.left,
            "held_until": self.held_until and self.held_until.isoformat(timespec="seconds"),
        }


class Memory(Protocol):
    """What a warehouse remembers."""

    def open_batches(self) -> list[Batch]:
        """Batches that were planned and are not committed, oldest first."""

    def known(self, objects: Sequence[LogObject]) -> list[LogObject]:
        """Objects loaded or planned before that share a folder or a checksum with one of these."""

    def quarantined(self) -> list[Quarantined]:
        """The objects that were quarantined and are remembered."""


class NoMemory:
    """The memory of a warehouse that was never used."""

    def open_batches(self) -> list[Batch]:
        """None."""
        return []

    def known(self, objects: Sequence[LogObject]) -> list[LogObject]:  # noqa: ARG002
        """None."""
        return []

    def quarantined(self) -> list[Quarantined]:
        """None."""
        return []


class Warehouse(Memory, Protocol):
    """Where rows go. Opened by `with`; `peek` is for what only looks."""

    def peek(self) -> AbstractContextManager[Memory]:
        """The memory, to be read alone: nothing is made or changed. Not to be opened beside."""

    def elsewhere(self) -> Callable[[], Warehouse]:
        """How another process opens it: can be sent there. Raises SetupError where it cannot."""

    def unpark(self) -> Report:
        """Loads parked rows whose table was mended; reports them and what stays parked.

        To be called while no batch is open.
        """

    def quarantine(self, found: Sequence[Quarantined]) -> None:
        """Remembers quarantined objects."""

    def plan(self, objects: Sequence[LogObject]) -> Batch | None:
        """A new batch of these objects; None where another run has planned one meanwhile."""

    def staging(self, batch: Batch) -> str:
        """A folder for the shards of one attempt at a batch."""

    def staged(self, batch: Batch) -> Staged | None:
        """What an earlier run staged of an open batch, where it got that far."""

    def commit(self, batch: Batch, staged: Staged) -> Report:
        """Takes the batch: rows, rejects and ledger, all or none. Raises BalanceError."""

    def tidy(self, listed: Sequence[LogObject], would_list: Callable[[str], bool]) -> None:
        """Ends a run that found these objects: keeps the memory of what was loaded small.

        `would_list` says of a name whether the run would have found it, were it there.
        """

    def make_views(self, opens: str | None, hits: str | None) -> None:
        """Makes the views of e-mail opens and of hits by key; None: there is no such table."""

    def __enter__(self) -> Warehouse:
        """Opens the warehouse; raises SetupError where it cannot be had."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes it."""


def check_balance(batch: Batch, staged: Staged) -> None:
    """Refuses a staged batch in which lines, fates and rows do not agree.

    Raises BalanceError.
    """
    names = {item.name for item in batch.objects} - set(staged.unread)
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
    report: Report, batch: Batch, staged: Staged
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A batch's rows for `pixelship.batches` and `pixelship.objects`; sums up the report's total."""
    objects = [item for item in batch.objects if item.name not in staged.unread]
    report.objects = len(objects)
    for tally in staged.tallies.values():
        report.total.add(tally)
    faults: dict[str, list[dict[str, Any]]] = {}
    for fault in staged.faults:
        faults.setdefault(fault.object, []).append(fault.to_json())
    entry = {
        "batch": batch.id,
        "kind": "load",
        "loaded_at": datetime.now(timezone.utc),
        "objects": len(objects),
        **counts(report.total),
        "destinations": json.dumps(report.destinations, sort_keys=True),
    }
    rows = [
        {
            **asdict(item),
            "batch": batch.id,
            **counts(staged.tallies[item.name]),
            "faults": json.dumps(faults.get(item.name, [])),
        }
        for item in objects
    ]
    return entry, rows


def counts(tally: Tally) -> dict[str, Any]:
    """A tally as the ledger's columns."""
    plain = tally.to_json()
    return {**plain, "rejected": json.dumps(plain["rejected"])}
