"""Reads log objects and writes their rows as Parquet shards: all of a worker's work, without Beam.

Only metadata leaves this module: which shards there are, and the tally of each object. Shards have
names of their own for each attempt, so those of an attempt that failed are never named.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import formats
from pipeline.blocks import Block, is_splittable, read_blocks
from pipeline.columns import encode
from pipeline.engine import Engine, Outcome, sniff
from pipeline.model import Fault, LogObject, Tally
from pipeline.options import Rules
from pipeline.shape import Origin

SPLIT_BYTES = 1 << 26
"""An uncompressed object is read in ranges of this many bytes."""
_MOST_ROWS = 200_000
_MOST_REJECTED_BYTES = 1 << 26
"""Rows, and bytes of rejected lines, that a worker holds before it writes them out."""
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
    """A Parquet file of rows of `table` ("event", "rejects" or "bot_hits")."""

    table: str
    destination: str
    path: str
    rows: int


@dataclass
class Staged:
    """What was staged: shards, the tally of each object by name, and the damage found.

    `unread` names objects that were gone before they could be read: they count as never seen.
    """

    shards: list[Shard] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def add(self, other: Staged) -> None:
        """Adds what another worker staged."""
        self.shards += other.shards
        self.faults += other.faults
        self.unread += other.unread
        for name, tally in other.tallies.items():
            self.tallies.setdefault(name, Tally()).add(tally)

    def to_json(self) -> dict[str, Any]:
        """The manifest's form."""
        return {
            "shards": [asdict(shard) for shard in self.shards],
            "tallies": {name: tally.to_json() for name, tally in self.tallies.items()},
            "faults": [fault.to_json() for fault in self.faults],
            "unread": self.unread,
        }

    @classmethod
    def from_json(cls, manifest: dict[str, Any]) -> Staged:
        """What `to_json` wrote."""
        return cls(
            [Shard(**shard) for shard in manifest["shards"]],
            {name: Tally.from_json(counts) for name, counts in manifest["tallies"].items()},
            [Fault(**fault) for fault in manifest["faults"]],
            manifest["unread"],
        )


@dataclass(frozen=True)
class Job:
    """What every worker of a batch is told.

    `format` names the log format, or is "auto"; `staging` is the folder for shards.
    """

    batch: str
    rules: Rules
    staging: str
    format: str = "auto"
    split_bytes: int = SPLIT_BYTES


def split(
    objects: Iterable[LogObject], open_object: OpenObject, split_bytes: int
) -> Iterator[Work]:
    """Cuts log objects into parts that can be read side by side, large ones first."""
    for item in sorted(objects, key=lambda item: item.size, reverse=True):
        step = item.size - item.start
        if step > split_bytes:
            with closing(open_object(item)) as stream:
                step = split_bytes if is_splittable(stream) else step
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
        self._create_file = create_file
        self._progress = progress
        self._staged = Staged()
        self._held: dict[tuple[str, str], list[pa.RecordBatch]] = defaultdict(list)
        self._held_rows = 0
        self._held_bytes = 0

    def stage(self, work: Work) -> None:
        """Reads one part; its rows are held or written."""
        name = work.object.name
        tally = self._staged.tallies.setdefault(name, Tally())
        with closing(self._open_object(work.object)) as stream:
            chosen = formats.named(self._job.format)
            format_ = chosen or sniff(stream, work.object.size)
            digest = sha256(f"{name}\n{work.object.checksum}".encode()).hexdigest()
            origin = Origin(
                self._job.batch, name, digest[:_DIGEST_CHARS], format_.name if format_ else None
            )
            done = work.start
            for block in read_blocks(stream, work.start, work.end, work.object.size):
                if isinstance(block, Block):
                    outcome = self._engine.process(block, format_, origin)
                    tally.add(outcome.tally)
                    self._hold(outcome)
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
        self._flush()
        return self._staged

    def _hold(self, outcome: Outcome) -> None:
        for destination, rows in outcome.destinations.items():
            part = outcome.events.slice(rows.start, rows.stop - rows.start)
            self._held["event", destination].append(part)
        self._held["rejects", ""] += [part for part in outcome.rejects if part.num_rows]
        self._held["bot_hits", ""] += [outcome.bot_hits] if outcome.bot_hits.num_rows else []
        self._held_rows += outcome.tally.accepted + outcome.tally.rejected.total()
        self._held_bytes += sum(part.column("raw").nbytes for part in outcome.rejects)
        if self._held_rows >= _MOST_ROWS or self._held_bytes >= _MOST_REJECTED_BYTES:
            self._flush()

    def _flush(self) -> None:
        for (table, destination), batches in self._held.items():
            if batches:
                path = f"{self._job.staging}/{table}-{uuid.uuid4().hex}.parquet"
                rows = self._write(path, batches)
                self._staged.shards.append(Shard(table, destination, path, rows))
        self._held.clear()
        self._held_rows = self._held_bytes = 0
        pa.default_memory_pool().release_unused()  # or memory would grow with the number of files

    def _write(self, path: str, batches: list[pa.RecordBatch]) -> int:
        whole = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
        columns = [_compact(column) for column in whole.columns]
        whole = pa.table(columns, schema=whole.schema)
        names = whole.column_names
        repeats = [name for name in names if name not in _HARDLY_REPEATS]
        with closing(self._create_file(path)) as sink:
            pq.write_table(
                whole,
                sink,
                compression={name: "zstd" if name in repeats else "snappy" for name in names},
                compression_level=dict.fromkeys(repeats, 1),
                use_dictionary=repeats,
                write_statistics=False,
                store_schema=False,
            )
        return int(whole.num_rows)


def _compact(column: pa.ChunkedArray) -> pa.Array:
    """A column whose dictionary holds no value of other rows: a shard is its table's alone."""
    whole = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return encode(whole).compact().dictionary() if pa.types.is_dictionary(whole.type) else whole
