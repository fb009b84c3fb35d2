"""Judges rejects again by the present keys and rules: what counts now is loaded, the rest stays.

The rejects of a log object are lines like any other, so the same engine judges them; they keep their
object and position, and get the `event_id` that they would have got at first.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import formats
from pipeline.blocks import BLOCK_BYTES, BLOCK_LINES, Lines
from pipeline.check import NOT_PIXEL
from pipeline.columns import Mask, Rows, offsets_and_bytes
from pipeline.engine import Engine, Outcome, select_pixels
from pipeline.formats import Format, detect
from pipeline.formats.maps import PREFIX
from pipeline.model import Batch, LogObject, Reason, Stage, Tally
from pipeline.options import Rules
from pipeline.staging import Shards, Staged, origin_of
from pipeline.storage import create_file
from pipeline.warehouses.contract import Report
from pipeline.warehouses.lineage import folders, lots
from pipeline.warehouses.maintenance import (
    RESOLVED,
    RESOLVED_SCHEMA,
    Choice,
    Entry,
    Replayable,
    require_closed,
)

NO_MAP = "no-map"
"""Is against rejects that were read by a map which was not named: nothing else can read them."""
_SNIFF_LINES = 1 << 16
_GROUP = ("source_object", "batch", "format", "header")
_GROUP_BYTES = BLOCK_BYTES // 2
"""Rejects are judged so many bytes at a time: what the warehouse told of them takes memory too."""
_TOLD = [*RESOLVED_SCHEMA.names, "reason"]


@dataclass(frozen=True)
class Retrial:
    """How rejects are judged again.

    `format` is how lines are read that could not be read in their log's format; None leaves that to
    their log's format, where one was recognised, and else to their content. Lines of a map's are
    read by it alone, and so only where it is named.
    """

    rules: Rules
    format: Format | None = None


@dataclass
class Replayed:
    """What a replay brought.

    `batches` is empty where nothing changed. Of the `chosen` rejects, `changes` counts those that
    became something else: under `rejected` they are negative, by the reasons they had. `kept` counts
    those that stay, by what is against them now. `destinations` are rows loaded, `parked` all rows
    that wait for their table to be mended, `parked_why` the reasons. `maps` counts those left alone,
    under `kept` as well, by the map that would have to be named.
    """

    batches: list[str] = field(default_factory=list)
    chosen: int = 0
    changes: Tally = field(default_factory=Tally)
    kept: Counter[str] = field(default_factory=Counter)
    destinations: Counter[str] = field(default_factory=Counter)
    parked: dict[str, int] = field(default_factory=dict)
    parked_why: dict[str, str] = field(default_factory=dict)
    maps: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        counts = self.changes.to_json()
        names = ("accepted", "bot", "duplicate", "not_pixel", "header")
        return {
            "batches": self.batches,
            "chosen": self.chosen,
            **{name: counts[name] for name in names},
            "resolved": {reason: -count for reason, count in counts["rejected"].items()},
            "rejected": dict(sorted(self.kept.items())),
            "destinations": dict(sorted(self.destinations.items())),
            "parked": dict(sorted(self.parked.items())),
            "maps": dict(sorted(self.maps.items())),
            "seconds": round(self.seconds, 3),
        }

    def add(self, trial: Trial, report: Report | None) -> None:
        """Adds what became of a lot; `report` tells what was committed of it, if it was."""
        self.chosen += trial.chosen
        self.kept += trial.kept
        self.maps += trial.maps
        if report is None:
            self.changes.add(trial.total)
            self.destinations += trial.destinations
        else:
            self.batches += report.batches
            self.changes.add(report.total)
            self.destinations.update(report.destinations)
            self.parked, self.parked_why = report.parked, report.parked_why


def replay(
    warehouse: Replayable, choice: Choice, retrial: Retrial, *, is_plan: bool = False
) -> Replayed:
    """Replays the chosen rejects; with `is_plan` it only says what would become of them.

    A plan does not tell duplicates from views. One batch is enough, unless log rotation gave one
    name to several log objects that have chosen rejects. Raises SetupError, BalanceError.
    """
    began = time.monotonic()
    require_closed(warehouse)
    result = Replayed()
    engine = Engine(retrial.rules)
    chosen = warehouse.rejected(choice)
    for lot in lots(chosen, warehouse.read_in_parts(folders(chosen))):
        while True:
            batch = Batch(warehouse.next_batch(), ())
            shards = None if is_plan else Shards(warehouse.staging(batch), create_file)
            trial = Trial(batch.id, lot, engine, retrial, shards)
            for rows in _groups(warehouse.read_rejects(choice, lot)):
                trial.judge(rows)
            if not trial.objects or shards is None:
                result.add(trial, None)
                break
            planned = Batch(batch.id, tuple(trial.objects.values()))
            staged = Staged(shards.finish(), trial.tallies)
            report = warehouse.commit_replay(planned, staged)
            if report is not None:
                result.add(trial, report)
                break
    result.seconds = time.monotonic() - began
    return result


class Trial:
    """One attempt at a lot of rejects. `objects` are those with changes, by name."""

    def __init__(
        self,
        batch: str,
        lot: Iterable[Entry],
        engine: Engine,
        retrial: Retrial,
        shards: Shards | None,
    ) -> None:
        self.chosen = 0
        self.tallies: dict[str, Tally] = {}
        self.kept: Counter[str] = Counter()
        self.maps: Counter[str] = Counter()
        self.destinations: Counter[str] = Counter()
        self.objects: dict[str, LogObject] = {}
        self._batch = batch
        self._of = {(entry.object.name, entry.batch): entry.object for entry in lot}
        self._engine = engine
        self._retrial = retrial
        self._shards = shards
        self._sniffed: tuple[object, Format] | None = None

    @property
    def total(self) -> Tally:
        """The changes of all objects."""
        whole = Tally()
        for tally in self.tallies.values():
            whole.add(tally)
        return whole

    def judge(self, rows: pa.Table) -> None:
        """Judges rejects of one object, batch and format."""
        self.chosen += rows.num_rows
        was_unread = pc.and_(
            pc.equal(rows["stage"], Stage.FORMAT.value),
            pc.equal(rows["reason"], Reason.MALFORMED_LINE.label),
        )
        for is_unread in (False, True):
            is_such = pc.equal(was_unread, is_unread)
            if pc.any(is_such).as_py():
                some = rows if pc.all(is_such).as_py() else rows.filter(is_such)
                self._judge(some, is_unread=is_unread)

    def _judge(self, rows: pa.Table, *, is_unread: bool) -> None:
        """Judges rejects that were all read, or all could not be read."""
        lines = _lines(rows)
        if name := self._missing_map(rows, is_unread=is_unread):
            self.kept[NO_MAP] += len(lines)
            self.maps[name] += len(lines)
            return
        format_ = self._format(rows, lines, is_unread=is_unread)
        if format_ is None:
            self.kept[Reason.MALFORMED_LINE.label] += len(lines)
            return
        item = self._of[rows["source_object"][0].as_py(), rows["batch"][0].as_py()]
        origin = origin_of(self._batch, item, format_)
        outcome = self._engine.process_lines(lines, format_, origin)
        if outcome.tally.not_pixel and not is_unread:
            is_pixel = _is_pixel(lines, format_, self._retrial.rules)
            self.kept[NOT_PIXEL] += outcome.tally.not_pixel
            rows, lines = rows.filter(pa.array(is_pixel)), lines.take(np.flatnonzero(is_pixel))
            outcome = self._engine.process_lines(lines, format_, origin)
        self.kept += outcome.tally.rejected
        places = [part.column("source_position").to_numpy() for part in outcome.rejects]
        is_resolved = ~np.isin(lines.position, np.concatenate(places))
        if is_resolved.any():
            named = rows.select(_TOLD).filter(pa.array(is_resolved))
            self._resolve(item, named, outcome)

    def _missing_map(self, rows: pa.Table, *, is_unread: bool) -> str | None:
        """The map that alone can read the lines, where it was not named."""
        ordered = self._retrial.format
        name = str(rows["format"][0].as_py() or "")
        if not name.startswith(PREFIX) or (ordered and (is_unread or ordered.name == name)):
            return None
        return name

    def _format(self, rows: pa.Table, lines: Lines, *, is_unread: bool) -> Format | None:
        """How lines are read; None where no format knows them."""
        ordered = self._retrial.format
        group = tuple(rows[name][0].as_py() for name in _GROUP)
        _, _, name, header = group
        if ordered and (is_unread or ordered.name == name):
            return ordered.bound([header.encode()] if header else [])
        if own := formats.named(name or "", header):
            return own
        if self._sniffed is None or self._sniffed[0] != group:
            found = detect(lines.raw(np.arange(min(len(lines), _SNIFF_LINES))).to_pylist())
            self._sniffed = (group, found) if found else None
        return self._sniffed and self._sniffed[1]

    def _resolve(self, item: LogObject, gone: pa.Table, outcome: Outcome) -> None:
        """Counts and stages what became of rejects that are none any more."""
        reasons = pc.value_counts(gone["reason"]).to_pylist()
        change = replace(
            outcome.tally,
            lines=0,
            rejected=Counter({entry["values"]: -entry["counts"] for entry in reasons}),
        )
        self.tallies.setdefault(item.name, Tally()).add(change)
        latest = self.objects.get(item.name, item)
        self.objects[item.name] = max(latest, item, key=lambda each: each.size)
        for name, part in outcome.destinations.items():
            self.destinations[name] += part.stop - part.start
        if self._shards:
            for part in gone.select(RESOLVED_SCHEMA.names).to_batches():
                self._shards.hold(RESOLVED, part)
            self._shards.hold_outcome(replace(outcome, rejects=[]))


def _is_pixel(lines: Lines, format_: Format, rules: Rules) -> Mask:
    """Which lines are not, by the present rules, requests for something else than a pixel.

    They were pixels' requests once: of a line that is counted as `not_pixel` the bytes are not kept,
    and a forgotten `--path` must not cost them.
    """
    requests = format_.parse(lines).requests
    pixels = select_pixels(requests, rules.all_paths)
    is_pixel = np.ones(len(lines), np.bool_)
    is_pixel[requests.column("line").to_numpy()] = False
    is_pixel[pixels.column("line").to_numpy()] = True
    return is_pixel


def _lines(rows: pa.Table) -> Lines:
    """Rejects as the lines that they were."""
    raw = rows["raw"].combine_chunks()
    ended = pc.binary_join_element_wise(raw, b"", b"\n")
    offsets, data = offsets_and_bytes(ended)
    return Lines(data.tobytes(), offsets[1:], rows["source_position"].to_numpy())


def _groups(read: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows of one object, batch and format at a time, as many as half a block holds."""
    held: list[pa.RecordBatch] = []
    for rows in read:
        for part in _parts(rows):
            if held and (_group(held[0]) != _group(part) or _is_full(held)):
                yield _taken(held)
            held.append(part)
    if held:
        yield _taken(held)


def _taken(held: list[pa.RecordBatch]) -> pa.Table:
    """What was held, which is let go here: nobody but the taker keeps it in memory."""
    taken = pa.Table.from_batches(held)
    held.clear()
    return taken


def _parts(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The rows cut where their group changes, and where they are more than a block."""
    offsets, _ = offsets_and_bytes(rows.column("raw"))
    cuts = [np.searchsorted(offsets, np.arange(_GROUP_BYTES, offsets[-1], _GROUP_BYTES))]
    for name in _GROUP:
        column = rows.column(name).fill_null("")
        changes = pc.not_equal(column[1:], column[:-1])
        cuts.append(np.flatnonzero(changes.to_numpy(zero_copy_only=False)) + 1)
    edges: Rows = np.unique(np.concatenate([[0], *cuts, [rows.num_rows]]))
    for start, end in itertools.pairwise(edges):
        yield rows.slice(start, end - start)


def _group(rows: pa.RecordBatch) -> Sequence[object]:
    return [rows.column(name)[0].as_py() for name in _GROUP]


def _is_full(held: Sequence[pa.RecordBatch]) -> bool:
    held_bytes = sum(part.column("raw").nbytes for part in held)
    return held_bytes >= _GROUP_BYTES or sum(part.num_rows for part in held) >= BLOCK_LINES
