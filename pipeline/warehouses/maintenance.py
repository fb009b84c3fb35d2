"""What a warehouse does beside loading: it tells how things stand, replays rejects, unloads objects.

A replay and an unload are batches of their own, with a row in `pixelship.batches`, taken whole or
not at all. What they do to the ledger:

- A **replay** adds to `pixelship.objects`, for each name whose rejects became something else, one row
  of changes: `lines` 0, `accepted`, `bot` and `not_pixel` above 0, `rejected` below it by as much,
  no faults. Size, checksum, start and generation are those of the object's own row, so that whoever
  asks what is known of the object learns nothing new. The row in `batches` is the sum of these.
- An **unload** removes rows from `pixelship.objects`; its row in `batches` is their sum, negative.

So the sums over `objects` and over `batches` are the same at any time, and they are the numbers of
rows in the tables: views and parked views, rejects, and hits of bots.

Rows are told by their batch and log object: `(batch, name)` is a key of `pixelship.objects`. Rotation
gives one name to several contents, so a replay takes just one of them into a batch (see `lineage`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timezone
from typing import Any, Protocol

import pyarrow as pa

from pipeline.errors import BalanceError, SetupError
from pipeline.model import COUNTS, Batch, LogObject, Quarantined, Tally
from pipeline.staging import Staged
from pipeline.warehouses.contract import Report, Warehouse, counts

RESOLVED = "resolved"
"""The table name of staged shards that tell which rejects a replay resolved: `RESOLVED_SCHEMA`."""
RESOLVED_SCHEMA = pa.schema(
    [
        pa.field("batch", pa.string(), nullable=False),
        pa.field("source_object", pa.string(), nullable=False),
        pa.field("source_position", pa.int64(), nullable=False),
    ]
)
"""The key of `pixelship.rejects`: the batch is the one that read the line."""
REJECT_SCHEMA = pa.schema(
    [
        *RESOLVED_SCHEMA,
        pa.field("stage", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("format", pa.string()),
        pa.field("header", pa.string()),
        pa.field("raw", pa.binary(), nullable=False),
    ]
)
"""What a replay reads of `pixelship.rejects`."""


@dataclass(frozen=True)
class Entry:
    """A row of `pixelship.objects`: what a batch brought of a log object, or changed of it."""

    object: LogObject
    batch: str


@dataclass(frozen=True)
class Choice:
    """Which rejects are chosen: those that pass every filter that is given.

    `since` (inclusive) and `until` (exclusive) are compared with the rejects' timestamps; where
    either is given, rejects without a timestamp are not chosen. `batches` are those that read the
    lines, `objects` the names of log objects as the ledger has them.
    """

    since: datetime | None = None
    until: datetime | None = None
    reasons: tuple[str, ...] = ()
    batches: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selection:
    """Which log objects: by name; of batches that read or replayed them; of days (UTC) with rows.

    Those count that any of the three names.
    """

    objects: tuple[str, ...] = ()
    batches: tuple[str, ...] = ()
    days: tuple[date, ...] = ()


@dataclass(frozen=True)
class BatchNote:
    """What is told of a batch: its id, its kind (load, replay, unload, …), and when it was taken."""

    id: str
    kind: str
    at: datetime


@dataclass
class Status:
    """How things stand.

    `batches` counts them by kind. `total` and `batches_total` are the sums of the ledger's two
    tables, `unbalanced` names log objects whose lines and fates differ. `rows` are those that the
    tables hold now, by table, `parked` those that wait, by destination. `objects` has a balance for
    each name, where that was asked for. `load_jobs` are those of the last 24 hours, `advice` is what
    is to be said of them, if anything.
    """

    batches: dict[str, int] = field(default_factory=dict)
    last: BatchNote | None = None
    open_batches: list[str] = field(default_factory=list)
    total: Tally = field(default_factory=Tally)
    batches_total: Tally = field(default_factory=Tally)
    unbalanced: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    parked: dict[str, int] = field(default_factory=dict)
    parked_why: dict[str, str] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    newest_view_at: datetime | None = None
    last_load_at: datetime | None = None
    load_jobs: int = 0
    advice: str | None = None
    objects: dict[str, Tally] | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing is parked or quarantined."""
        return not (self.parked or self.quarantined)

    @property
    def adds_up(self) -> bool:
        """Whether every line has one fate, and both tables of the ledger say the same."""
        agree = _without_zeros(self.total) == _without_zeros(self.batches_total)
        return agree and self.total.adds_up and not self.unbalanced

    def to_json(self) -> dict[str, Any]:
        """The status as `--json` prints it; times are ISO 8601, UTC."""
        last = self.last
        return {
            "batches": dict(sorted(self.batches.items())),
            "last": last and {"batch": last.id, "kind": last.kind, "at": last.at.isoformat()},
            "open_batches": self.open_batches,
            **_without_zeros(self.total).to_json(),
            "adds_up": self.adds_up,
            "unbalanced": self.unbalanced,
            "rows": dict(sorted(self.rows.items())),
            "parked": dict(sorted(self.parked.items())),
            "parked_why": dict(sorted(self.parked_why.items())),
            "quarantined": [asdict(each) for each in self.quarantined],
            "newest_view_at": self.newest_view_at and self.newest_view_at.isoformat(),
            "last_load_at": self.last_load_at and self.last_load_at.isoformat(),
            "load_jobs": self.load_jobs,
            "advice": self.advice,
        }


def _without_zeros(tally: Tally) -> Tally:
    """The tally less the reasons that came to nothing."""
    rejected = {reason: count for reason, count in tally.rejected.items() if count}
    return replace(tally, rejected=Counter(rejected))


class Inspectable(Protocol):
    """What tells how things stand."""

    def status(self, *, by_object: bool = False) -> Status:
        """How things stand; nothing is made or changed. Not to be opened beside.

        Raises SetupError where there is no warehouse, or it is busy.
        """


class Ledger(Warehouse, Protocol):
    """An opened warehouse whose ledger can be asked and added to. No batch may be open."""

    def next_batch(self) -> str:
        """The id of the batch that comes next. A commit under it fails if another takes it first."""

    def read_in_parts(self, folders: Collection[str]) -> list[Entry]:
        """The ledger's rows, in some folders, of objects that grew or are what others grew from.

        These are rows with a `start` above 0, and rows whose `size` is the `start` of one in the
        same folder.
        """


class Replayable(Ledger, Protocol):
    """A warehouse whose rejects can be judged again."""

    def rejected(self, choice: Choice) -> list[Entry]:
        """The ledger's rows of the objects and batches that the chosen rejects are of.

        Rejects that cannot be judged again are never chosen: lines that were cut (`too-long`), rows
        without bytes, rows that the ledger does not know.
        """

    def read_rejects(self, choice: Choice, entries: Sequence[Entry]) -> Iterator[pa.RecordBatch]:
        """The chosen rejects of some entries, as `REJECT_SCHEMA`, in batches of bounded size.

        Those of one entry and format stand together, in the order of their positions.
        """

    def commit_replay(self, batch: Batch, staged: Staged) -> Report | None:
        """Takes a replay: rows, bots, ledger, and what it resolved leaves the rejects; all or none.

        `batch` has the id that `next_batch` gave before the rejects were read, and one log object
        for each name in `staged.tallies`, which hold the changes. Shards of `RESOLVED` tell which
        rejects go. None where another run took the id meanwhile: nothing was changed. Raises
        BalanceError.
        """


class Unloadable(Ledger, Protocol):
    """A warehouse from which log objects can be taken out again."""

    def entries(self, selection: Selection) -> list[Entry]:
        """The ledger's rows that a selection names, and all others of the same name and checksum."""

    def holdings(self, entries: Sequence[Entry]) -> dict[str, int]:
        """How many rows of these entries each table holds, such as "news.pageviews".

        Tables that hold none are left out, but for `pixelship.objects`.
        """

    def commit_unload(self, batch: str, entries: Sequence[Entry]) -> Report | None:
        """Takes the rows of these entries out of all tables, all or none.

        Quarantined objects of their names are forgotten. The report's total and destinations are
        negative. None where another run took the batch's id meanwhile: nothing was changed.
        """


def require_closed(warehouse: Warehouse) -> None:
    """Raises SetupError where a batch is open: what it brings is not in the ledger yet."""
    for batch in warehouse.open_batches():
        raise SetupError(
            f"Batch {batch.id} is open: run `pixelship load` first, which finishes it."
        )


def check_replay(batch: Batch, staged: Staged) -> None:
    """Refuses a staged replay in which changes and rows do not agree. Raises BalanceError."""
    if difference := {item.name for item in batch.objects} ^ staged.tallies.keys():
        raise BalanceError(f"The staged replay and its plan differ in {sorted(difference)[0]}.")
    for name, change in staged.tallies.items():
        if change.lines or not change.adds_up:
            raise BalanceError(f"The changes of {name} do not add up: {change.to_json()}.")
    for table, count in (
        ("event", sum(change.accepted for change in staged.tallies.values())),
        (RESOLVED, -sum(change.rejected.total() for change in staged.tallies.values())),
    ):
        rows = sum(shard.rows for shard in staged.shards if shard.table == table)
        if rows != count:
            raise BalanceError(f"{count} lines were counted for {table}, {rows} rows were staged.")


def unload_entry(report: Report) -> dict[str, Any]:
    """An unload's row for `pixelship.batches`."""
    return {
        "batch": report.batches[0],
        "kind": "unload",
        "loaded_at": datetime.now(timezone.utc),
        "objects": report.objects,
        **counts(report.total),
        "destinations": json.dumps(report.destinations, sort_keys=True),
    }


def negative(tally: Tally) -> Tally:
    """What makes up for a tally."""
    plain = {name: -getattr(tally, name) for name in COUNTS}
    rejected = {reason: -count for reason, count in tally.rejected.items() if count}
    return Tally(**plain, rejected=Counter(rejected))
