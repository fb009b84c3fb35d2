"""Reads log objects and writes their rows as Parquet shards: all of a worker's work, without Beam.

Only metadata leaves this module: which shards there are, and the tally of each object. Shards have
names of their own for each attempt, so those of an attempt that failed are never named.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.blocks import Block, is_splittable, read_blocks
from pipeline.columns import encode
from pipeline.engine import Engine, Outcome, sniff
from pipeline.formats import Format
from pipeline.model import Fault, LogObject, Tally
from pipeline.options import Rules
from pipeline.shape import Origin

SPLIT_BYTES = 1 << 26
"""An uncompressed object is read in ranges of this many bytes."""
_MOST_ROWS = 200_000
_MOST_REJECTED_BYTES = 1 << 26
"""Rows, and bytes of rejected lines, that a worker holds before it writes them out."""
_KEPT = 4
"""The share of the rows, one in so many, that it may hold on then: those of small destinations."""
PERIOD_HOURS = 4000
"""No load job of BigQuery's changes more partitions, and the smallest are of an hour."""
_HOUR_US = 3_600_000_000
_HARDLY_REPEATS = {"timestamp", "user_id", "event_id", "source_position", "raw"}
_DIGEST_CHARS = 20

OpenObject = Callable[[LogObject], BinaryIO]
CreateFile = Callable[[str], BinaryIO]
Progress = Callable[[int, int], None]
"""Is told stored bytes and lines as they are read."""


@dataclass(frozen=True)
class Work:
    """A part of a log object: the lines that start in `[start, end)` of its stored bytes."""

    object: LogObject
    start: int
    end: int


@dataclass(frozen=True)
class Shard:
    """A Parquet file of rows of `table` ("event", "rejects" or "bot_hits").

    Events of a shard are of one period of `PERIOD_HOURS`, counted since 1970; None where that is not
    known: in other tables, and in manifests of versions before 0.1.
    """

    table: str
    destination: str
    path: str
    rows: int
    period: int | None = None


@dataclass
class Staged:
    """What was staged: shards, the tally of each object by name, and the damage found.

    `unread` names objects that were gone before they could be read: they count as never seen.
    `latest_us` is the log's time of the newest view, in microseconds since 1970.
    """

    shards: list[Shard] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    latest_us: int | None = None

    def add(self, other: Staged) -> None:
        """Adds what another worker staged."""
        self.shards += other.shards
        self.faults += other.faults
        self.unread += other.unread
        if other.latest_us is not None:
            self.latest_us = max(self.latest_us or other.latest_us, other.latest_us)
        for name, tally in other.tallies.items():
            self.tallies.setdefault(name, Tally()).add(tally)

    def to_json(self) -> dict[str, Any]:
        """The manifest's form."""
        return {
            "shards": [asdict(shard) for shard in self.shards],
            "tallies": {name: tally.to_json() for name, tally in self.tallies.items()},
            "faults": [fault.to_json() for fault in self.faults],
            "unread": self.unread,
            "latest_us": self.latest_us,
        }

    @classmethod
    def from_json(cls, manifest: dict[str, Any]) -> Staged:
        """What `to_json` wrote."""
        return cls(
            [Shard(**shard) for shard in manifest["shards"]],
            {name: Tally.from_json(counts) for name, counts in manifest["tallies"].items()},
            [Fault(**fault) for fault in manifest["faults"]],
            manifest["unread"],
            manifest.get("latest_us"),  # older manifests lack it
        )


@dataclass(frozen=True)
class Job:
    """What every worker of a batch is told.

    `format` is the log format, None where it is told from the content; `staging` is the folder for shards, `progress` one
    of this machine where workers on it tell how far they are. `keys_from` refers to the key ring where
    the rules hold none: workers fetch it.
    """

    batch: str
    rules: Rules
    staging: str
    format: Format | None = None
    split_bytes: int = SPLIT_BYTES
    progress: str = ""
    keys_from: str | None = None


def split(
    objects: Iterable[LogObject],
    open_object: OpenObject,
    split_bytes: int,
    chosen: Format | None = None,
) -> Iterator[Work]:
    """Cuts log objects into parts that can be read side by side, large ones first.

    Where lines need the header before them, an object stays whole: it may hold several.
    """
    for item in sorted(objects, key=lambda item: item.size, reverse=True):
        step = item.size - item.start
        if step > split_bytes:
            with closing(open_object(item)) as stream:
                if is_splittable(stream):
                    found = sniff(stream, item.size, chosen)
                    step = step if found and found.needs_header else split_bytes
        for start in range(item.start, max(item.size, item.start + 1), max(step, 1)):
            yield Work(item, start, min(start + step, item.size))


class Stager:
    """One worker's attempt at some parts of a batch."""

    def __init__(
        self,
        job: Job,
        engine: Engine,
        open_object: OpenObject,
        create_file: CreateFile,
        progress: Progress | None = None,
    ) -> None:
        self._job = job
        self._engine = engine
        self._open_object = open_object
        self._progress = progress
        self._staged = Staged()
        self._shards = Shards(job.staging, create_file)

    def stage(self, work: Work) -> None:
        """Reads one part; its rows are held or written."""
        name = work.object.name
        tally = self._staged.tallies.setdefault(name, Tally())
        with closing(self._open_object(work.object)) as stream:
            format_ = sniff(stream, work.object.size, self._job.format)
            origin = origin_of(self._job.batch, work.object, format_)
            done = work.start
            for block in read_blocks(stream, work.start, work.end, work.object.size):
                if isinstance(block, Block):
                    outcome = self._engine.process(block, format_, origin)
                    if outcome.format is not format_:
                        format_ = outcome.format
                        origin = origin_of(self._job.batch, work.object, format_)
                    tally.add(outcome.tally)
                    self._staged.add(Staged(latest_us=_latest_us(outcome.events)))
                    self._shards.hold_outcome(outcome)
                    if self._progress:
                        self._progress(stream.tell() - done, outcome.tally.lines)
                    done = stream.tell()
                else:
                    self._staged.faults.append(Fault(name, block.position, block.fault))
        is_first = work.start == work.object.start
        if format_ is None and is_first and tally.lines > tally.header:
            self._staged.faults.append(Fault(name, 0, "its lines are in no known log format"))

    def finish(self) -> Staged:
        """Writes what is held; gives all that this attempt staged."""
        self._staged.shards = self._shards.finish()
        return self._staged


class Shards:
    """Rows that are held until there are enough of them to be written as Parquet files.

    Of many destinations the large ones are written first, and the small ones held on: a file for
    each of thousands at a time would cost more than all the rest.
    """

    def __init__(self, folder: str, create_file: CreateFile) -> None:
        self._folder = folder
        self._create_file = create_file
        self._written: list[Shard] = []
        self._events: list[tuple[pa.RecordBatch, Mapping[str, slice]]] = []
        self._held: dict[str, list[pa.RecordBatch]] = defaultdict(list)
        self._held_rows = self._held_bytes = 0

    def hold_outcome(self, outcome: Outcome) -> None:
        """Takes all rows of an outcome."""
        if outcome.events.num_rows:
            self._events.append((outcome.events, outcome.destinations))
            self._held_rows += outcome.events.num_rows
        for part in outcome.rejects:
            self.hold("rejects", part)
            self._held_bytes += part.column("raw").nbytes
        self.hold("bot_hits", outcome.bot_hits)
        if self._held_rows >= _MOST_ROWS or self._held_bytes >= _MOST_REJECTED_BYTES:
            self._write(_MOST_ROWS // _KEPT)

    def hold(self, table: str, rows: pa.RecordBatch) -> None:
        """Takes rows of a table of ours."""
        if rows.num_rows:
            self._held[table].append(rows)
            self._held_rows += rows.num_rows

    def finish(self) -> list[Shard]:
        """Writes what is held; gives all shards that were written."""
        self._write(0)
        return self._written

    def _write(self, most_rows_kept: int) -> None:
        for table, batches in self._held.items():
            self._write_shard(table, pa.Table.from_batches(batches).unify_dictionaries())
        self._held.clear()
        self._held_rows = self._held_bytes = 0
        if self._events:
            self._write_events(most_rows_kept)
        pa.default_memory_pool().release_unused()  # or memory would grow with the number of files

    def _write_events(self, most_rows_kept: int) -> None:
        """Writes events, the largest destinations first, until few enough are left."""
        whole = pa.Table.from_batches([rows for rows, _ in self._events]).unify_dictionaries()
        places: dict[str, list[tuple[int, int]]] = defaultdict(list)
        at = 0
        for batch, destinations in self._events:
            for destination, rows in destinations.items():
                places[destination].append((at + rows.start, rows.stop - rows.start))
            at += batch.num_rows
        counts = {destination: sum(n for _, n in places[destination]) for destination in places}
        left = sorted(counts, key=counts.__getitem__)
        periods, rows_left = _periods(whole), len(whole)
        while rows_left > most_rows_kept:
            destination = left.pop()
            rows_left -= counts[destination]
            events = pa.concat_tables(whole.slice(*place) for place in places[destination])
            for period in periods:
                some = events if len(periods) == 1 else events.filter(_is_of(events, period))
                if len(some):
                    self._write_shard("event", some, destination, period)
        self._events.clear()
        if left:
            self._keep(whole, {destination: places[destination] for destination in left})

    def _keep(self, whole: pa.Table, places: Mapping[str, Sequence[tuple[int, int]]]) -> None:
        """Holds events on, in memory of their own: that of the blocks they came in is freed."""
        rows = [
            np.concatenate([np.arange(at, at + n) for at, n in each]) for each in places.values()
        ]
        kept = compacted(whole.take(pa.array(np.concatenate(rows))))
        ends = np.cumsum([len(each) for each in rows]).tolist()
        slices = {
            name: slice(*both) for name, both in zip(places, pairwise([0, *ends]), strict=True)
        }
        self._events.append((kept.to_batches()[0], slices))
        self._held_rows = len(kept)

    def _write_shard(
        self, table: str, rows: pa.Table, destination: str = "", period: int | None = None
    ) -> None:
        path = shard_path(self._folder, table)
        write_rows(rows, path, self._create_file)
        self._written.append(Shard(table, destination, path, len(rows), period))


def _period(events: pa.Table) -> pa.ChunkedArray:
    return pc.divide(events.column("timestamp").cast(pa.int64()), PERIOD_HOURS * _HOUR_US)


def _periods(events: pa.Table) -> list[int]:
    """The periods that events are of: mostly one."""
    return sorted(pc.unique(_period(events)).to_pylist())


def _is_of(events: pa.Table, period: int) -> pa.ChunkedArray:
    return pc.equal(_period(events), period)


def _latest_us(events: pa.RecordBatch) -> int | None:
    """The time of the newest of some events; None where there are none."""
    return pc.max(events.column("timestamp").cast(pa.int64())).as_py()


def origin_of(batch: str, item: LogObject, format_: Format | None) -> Origin:
    """Where an object's lines come from; rows without a request id are known by its name and content."""
    digest = sha256(f"{item.name}\n{item.checksum}".encode()).hexdigest()
    known = (format_.name, format_.header) if format_ else (None, None)
    return Origin(batch, item.name, digest[:_DIGEST_CHARS], *known)


def shard_path(folder: str, table: str) -> str:
    """A name for a shard that no other attempt has."""
    return f"{folder}/{table}-{uuid.uuid4().hex}.parquet"


def write_rows(rows: pa.Table, path: str, create_file: CreateFile) -> None:
    """Writes rows as a Parquet file."""
    whole = compacted(rows)
    names = whole.column_names
    repeats = [name for name in names if name not in _HARDLY_REPEATS]
    with closing(create_file(path)) as sink:
        pq.write_table(
            whole,
            sink,
            compression={name: "zstd" if name in repeats else "snappy" for name in names},
            compression_level=dict.fromkeys(repeats, 1),
            use_dictionary=repeats,
            write_statistics=False,
            store_schema=False,
        )


def compacted(rows: pa.Table) -> pa.Table:
    """Rows as one chunk whose dictionaries hold no value of other rows."""
    combined = rows.combine_chunks()
    return pa.table([_compact(column) for column in combined.columns], schema=combined.schema)


def _compact(column: pa.ChunkedArray) -> pa.Array:
    """A column whose dictionary holds no value of other rows: a shard is its table's alone."""
    whole = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return encode(whole).compact().dictionary() if pa.types.is_dictionary(whole.type) else whole
