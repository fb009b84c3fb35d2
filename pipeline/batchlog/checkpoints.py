"""Checkpoints: all that the log said up to a batch, so that older entries can go.

A checkpoint is a small entry, created once, that names Parquet files; these have names of their own
for each attempt, so that those of a writer that lost are never read. A million objects take 20 to
32 MB, more than a single request may carry (measured with names of 70 characters, CRC32C and MD5).

**The log's own clock** tells how long ago an object was listed. It goes by the store's time of
creation of the log's entries, never by the clock of the machine that runs, and from one checkpoint
to the next by no more than `MOST_TICK_DAYS` and never back. So a clock that jumps, even the store's,
makes the log remember longer or `MOST_TICK_DAYS` shorter, and what it forgets was missing from the
listings of many checkpoints on end.
"""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.batchlog import known
from pipeline.batchlog.entries import CHECKPOINTS, NO_BATCH, Decision, Json, encode
from pipeline.batchlog.store import MOST_BYTES, Entry, ObjectStore

MOST_TICK_DAYS = 31
_PART_OBJECTS = 200_000
_POINTER = re.compile(CHECKPOINTS + r"(\d{8})\.json")
_ENCODINGS = {
    "name": "DELTA_BYTE_ARRAY",
    "size": "DELTA_BINARY_PACKED",
    "checksum": "PLAIN",
    "start": "DELTA_BINARY_PACKED",
    "generation": "DELTA_BINARY_PACKED",
}
_DICTIONARIES = ["batch", "last_listed"]


@dataclass(frozen=True)
class Outcome:
    """What of a decision has to be remembered; `objects` are `known.OBJECT_SCHEMA`."""

    kind: str
    objects: pa.Table
    unloaded: Sequence[Sequence[str]] = ()
    parked: Sequence[str] = ()
    unparked: Sequence[str] = ()
    destinations: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, decision: Decision) -> Outcome:
        """What of this decision has to be remembered."""
        return cls(
            decision.kind,
            known.columns_of(decision.objects),
            decision.unloaded,
            decision.parked,
            decision.unparked,
            decision.destinations,
        )


@dataclass(frozen=True)
class Totals:
    """What all batches brought: batches by kind, log objects read, rows and last batch by table."""

    batches: Mapping[str, int] = field(default_factory=dict)
    objects: int = 0
    destinations: Mapping[str, Json] = field(default_factory=dict)

    def plus(self, id_: str, outcome: Outcome) -> Totals:
        """With one batch more."""
        destinations = dict(self.destinations)
        for name, rows in outcome.destinations.items():
            before = destinations.get(name, {"rows": 0})["rows"]
            destinations[name] = {"rows": before + rows, "last_batch": id_}
        batches = {**self.batches, outcome.kind: self.batches.get(outcome.kind, 0) + 1}
        return Totals(batches, self.objects + outcome.objects.num_rows, destinations)


@dataclass(frozen=True)
class State:
    """What the log says up to a batch and with it.

    `objects` are known (see `known.SCHEMA`), `parked` the names of entries that wait. `clock_s` is
    the log's own clock, `store_s` the store's time by which it was last set; both in seconds since
    1970, and 0 where there is no checkpoint yet.
    """

    id: str = NO_BATCH
    objects: pa.Table = field(default_factory=lambda: known.NO_OBJECTS)
    parked: tuple[str, ...] = ()
    totals: Totals = field(default_factory=Totals)
    clock_s: int = 0
    store_s: int = 0

    def after(self, id_: str, outcome: Outcome) -> State:
        """With one batch more."""
        kept = known.without(self.objects, outcome.unloaded)
        taken = known.taken(outcome.objects, int(id_), self.clock_s)
        unparked = set(outcome.unparked)
        return replace(
            self,
            id=id_,
            objects=known.joined([kept, taken]),
            parked=tuple(name for name in (*self.parked, *outcome.parked) if name not in unparked),
            totals=self.totals.plus(id_, outcome),
        )

    def at(self, store_time: datetime) -> State:
        """With the log's clock set on, to the store's time."""
        now_s = int(store_time.timestamp())
        if not self.clock_s:
            return replace(self, clock_s=now_s, store_s=now_s)
        tick_s = min(max(now_s - self.store_s, 0), MOST_TICK_DAYS * known.DAY_S)
        return replace(self, clock_s=self.clock_s + tick_s, store_s=now_s)


def pointers(entries: Sequence[Entry]) -> list[tuple[str, Entry]]:
    """The checkpoints in a listing of their folder, with their batches, oldest first."""
    found = ((_POINTER.fullmatch(each.name), each) for each in entries)
    return sorted(((match[1], each) for match, each in found if match), key=lambda pair: pair[0])


def newest(entries: Sequence[Entry]) -> tuple[str, Entry | None]:
    """The batch of the newest checkpoint in a listing, and its entry."""
    found = pointers(entries)
    return found[-1] if found else (NO_BATCH, None)


def newest_id(store: ObjectStore) -> str:
    """The batch of the newest checkpoint."""
    return newest(store.list(CHECKPOINTS))[0]


def write(store: ObjectStore, state: State) -> bool:
    """Writes the checkpoint of `state.id`; False where another run has written one first."""
    attempt = f"{CHECKPOINTS}{state.id}.{uuid.uuid4().hex}"
    parts = []
    for number, data in enumerate(_encoded(state.objects)):
        parts.append(f"{attempt}.{number}.parquet")
        store.create(parts[-1], data)
    content: dict[str, Any] = {
        "parts": parts,
        "objects": state.objects.num_rows,
        "parked": state.parked,
        "totals": asdict(state.totals),
        "clock_s": state.clock_s,
        "store_s": state.store_s,
    }
    return store.create(f"{CHECKPOINTS}{state.id}.json", encode(content))


def state_of(id_: str, content: Json, parts: Sequence[pa.Table]) -> State:
    """The state that a checkpoint's entry and its files hold."""
    return State(
        id_,
        known.joined(parts),
        tuple(content["parked"]),
        Totals(**content["totals"]),
        content["clock_s"],
        content["store_s"],
    )


def read_part(data: bytes) -> pa.Table:
    """The objects in one of a checkpoint's files."""
    return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)


def _encoded(table: pa.Table) -> Iterator[bytes]:
    """The table as Parquet files, each small enough for a single request."""
    for start in range(0, table.num_rows, _PART_OBJECTS):
        yield from _small_enough(table.slice(start, _PART_OBJECTS))


def _small_enough(table: pa.Table) -> Iterator[bytes]:
    stream = io.BytesIO()
    pq.write_table(
        table,
        stream,
        compression="zstd",
        use_dictionary=_DICTIONARIES,
        column_encoding=_ENCODINGS,
    )
    if stream.tell() <= MOST_BYTES:
        yield stream.getvalue()
    else:
        middle = table.num_rows // 2
        yield from _small_enough(table.slice(0, middle))
        yield from _small_enough(table.slice(middle))
