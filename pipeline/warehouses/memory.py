"""A warehouse in memory: for tests, and as the plainest statement of what a warehouse does."""

from __future__ import annotations

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import BalanceError, SetupError
from pipeline.model import Batch, LogObject, Quarantined, Reason, Tally
from pipeline.staging import Staged
from pipeline.warehouses.contract import Report, Warehouse, check_balance, ledger
from pipeline.warehouses.maintenance import (
    REJECT_SCHEMA,
    RESOLVED,
    BatchNote,
    Choice,
    Entry,
    Selection,
    Status,
    check_replay,
    negative,
    unload_entry,
)

Row = dict[str, Any]
_OF_OBJECTS = ("pixelship.rejects", "pixelship.bot_hits", "pixelship.parked")


class MemoryWarehouse:
    """Rows by table, such as "news.pageviews" and "pixelship.objects".

    `refused` names destinations that take no rows, and why.
    """

    def __init__(self, staging: str) -> None:
        self._staging = staging
        self._quarantined: list[Quarantined] = []
        self.tables: defaultdict[str, list[Row]] = defaultdict(list)
        self.refused: dict[str, str] = {}

    def __enter__(self) -> MemoryWarehouse:
        """Makes the staging folder anew."""
        shutil.rmtree(self._staging, ignore_errors=True)
        Path(self._staging).mkdir()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Removes the staged shards."""
        shutil.rmtree(self._staging, ignore_errors=True)

    def peek(self) -> AbstractContextManager[MemoryWarehouse]:
        """The warehouse itself."""
        return nullcontext(self)

    def elsewhere(self) -> Callable[[], Warehouse]:
        """Raises SetupError: what is in this process cannot be opened in another."""
        raise SetupError("The warehouse in memory is in this process alone: wait for the job.")

    def unpark(self) -> Report:
        """Loads parked rows whose destination has been mended."""
        report = Report()
        parked = self.tables["pixelship.parked"]
        for destination in {row["destination"] for row in parked} - self.refused.keys():
            rows = [row for row in parked if row["destination"] == destination]
            events = [_without(row, "destination", "why") for row in rows]
            duplicates = self._insert(destination, events)
            for (batch, name), count in duplicates.items():
                self._recount(batch, name, count)
            self._name_destination(destination, events, duplicates)
            report.unparked[destination] = len(events) - duplicates.total()
        self.tables["pixelship.parked"] = [
            {**row, "why": self.refused[row["destination"]]}
            for row in parked
            if row["destination"] in self.refused
        ]
        self._report_parked(report)
        return report

    def known(self, objects: Sequence[LogObject]) -> list[LogObject]:
        """Objects loaded before that share a folder or a checksum with one of these."""
        folders, sums = {item.folder for item in objects}, {item.checksum for item in objects}
        loaded = [
            LogObject(row["name"], row["size"], row["checksum"], row["start"], row["generation"])
            for row in self.tables["pixelship.objects"]
        ]
        return [item for item in loaded if item.folder in folders or item.checksum in sums]

    def open_batches(self) -> list[Batch]:
        """None: what was not committed was never planned."""
        return []

    def quarantined(self) -> list[Quarantined]:
        """The objects that were quarantined."""
        return list(self._quarantined)

    def quarantine(self, found: Sequence[Quarantined]) -> None:
        """Remembers quarantined objects."""
        self._quarantined += [each for each in found if each not in self._quarantined]

    def plan(self, objects: Sequence[LogObject]) -> Batch:
        """Batches are numbered."""
        return Batch(self.next_batch(), tuple(objects))

    def staging(self, batch: Batch) -> str:  # noqa: ARG002 - one batch at a time
        """The folder for shards."""
        return self._staging

    def tidy(self, listed: Sequence[LogObject], would_list: Callable[[str], bool]) -> None:
        """Nothing: the ledger is all there is."""

    def make_views(self, opens: str | None, hits: str | None) -> None:
        """Nothing: it answers no queries."""

    def staged(self, batch: Batch) -> None:
        """Nothing: what was not committed is forgotten."""

    def commit(self, batch: Batch, staged: Staged) -> Report:
        """Takes the batch, all or none; raises BalanceError."""
        check_balance(batch, staged)
        with self._all_or_none():
            return self._commit(batch, deepcopy(staged), "load")

    @contextmanager
    def _all_or_none(self) -> Iterator[None]:
        before = deepcopy(self.tables)
        try:
            yield
        except BaseException:
            self.tables = before
            raise

    def _commit(self, batch: Batch, staged: Staged, kind: str) -> Report:
        report = Report([batch.id], faults=staged.faults)
        for destination in sorted({shard.destination for shard in staged.shards} - {""}):
            rows = _read("event", staged, destination)
            if why := self.refused.get(destination):
                self.tables["pixelship.parked"] += [
                    {"destination": destination, "why": why, **row} for row in rows
                ]
                continue
            duplicates = self._insert(destination, rows)
            report.destinations[destination] = len(rows) - duplicates.total()
            for (_, name), count in duplicates.items():
                staged.tallies[name].accepted -= count
                staged.tallies[name].duplicate += count
        for table in ("rejects", "bot_hits"):
            self.tables[f"pixelship.{table}"] += _read(table, staged, "")
        entry, entries = ledger(report, batch, staged)
        self.tables["pixelship.batches"].append({**entry, "kind": kind})
        self.tables["pixelship.objects"] += entries
        self._report_parked(report)
        return report

    def _insert(self, destination: str, rows: list[Row]) -> Counter[tuple[str, str]]:
        """Adds the rows whose `event_id` is not there yet; counts the others by batch and object."""
        table = self.tables[destination]
        known = {row["event_id"] for row in table}
        duplicates: Counter[tuple[str, str]] = Counter()
        place = ("batch", "source_object", "source_position")
        for row in sorted(rows, key=lambda row: [row[name] for name in place]):
            if row["event_id"] in known:
                duplicates[row["batch"], row["source_object"]] += 1
            else:
                known.add(row["event_id"])
                table.append(row)
        return duplicates

    def _recount(self, batch: str, name: str, count: int) -> None:
        """Corrects the ledger: some parked views turned out to be duplicates."""
        objects = (row for row in self.tables["pixelship.objects"] if row["name"] == name)
        for entry in (*self.tables["pixelship.batches"], *objects):
            if entry["batch"] == batch:
                entry["accepted"] -= count
                entry["duplicate"] += count

    def _name_destination(
        self, destination: str, events: list[Row], duplicates: Counter[tuple[str, str]]
    ) -> None:
        """Adds rows that were loaded to what the ledger says of their batches."""
        loaded = Counter(row["batch"] for row in events)
        loaded.subtract(Counter(batch for batch, _ in duplicates.elements()))
        for entry in self.tables["pixelship.batches"]:
            if entry["batch"] in loaded:
                rows = Counter(json.loads(entry["destinations"]))
                rows[destination] += loaded[entry["batch"]]
                entry["destinations"] = json.dumps(rows, sort_keys=True)

    def _report_parked(self, report: Report) -> None:
        for row in self.tables["pixelship.parked"]:
            destination = row["destination"]
            report.parked[destination] = report.parked.get(destination, 0) + 1
            report.parked_why[destination] = row["why"]

    # Beside loading

    def status(self, *, by_object: bool = False) -> Status:
        """How things stand."""
        objects, batches = (self.tables[f"pixelship.{name}"] for name in ("objects", "batches"))
        loads = [row["loaded_at"] for row in batches if row["kind"] == "load"]
        names = self._destinations()
        views = [row["timestamp"] for name in names for row in self.tables[name]]
        told = Status(
            batches=dict(Counter(row["kind"] for row in batches)),
            total=_sum(objects),
            batches_total=_sum(batches),
            rows={name: len(self.tables[name]) for name in (*names, *_OF_OBJECTS)},
            quarantined=self.quarantined(),
            newest_view_at=max(views, default=None),
            last_load_at=max(loads, default=None),
        )
        for row in batches[-1:]:
            told.last = BatchNote(row["batch"], row["kind"], row["loaded_at"])
        told.unbalanced = sorted({row["name"] for row in objects if not _sum([row]).adds_up})
        if by_object:
            told.objects = {
                name: _sum([row for row in objects if row["name"] == name])
                for name in sorted({row["name"] for row in objects})
            }
        report = Report()
        self._report_parked(report)
        told.parked, told.parked_why = report.parked, report.parked_why
        return told

    def next_batch(self) -> str:
        """The id of the batch that comes next."""
        return f"{len(self.tables['pixelship.batches']) + 1:08d}"

    def read_in_parts(self, folders: Collection[str]) -> list[Entry]:
        """The ledger's rows, in some folders, of objects that grew or are what others grew from."""
        there = [each for each in self._ledger() if each.object.folder in folders]
        grown = {(each.object.folder, each.object.start) for each in there if each.object.start}
        return [
            each
            for each in there
            if each.object.start or (each.object.folder, each.object.size) in grown
        ]

    def _ledger(self) -> list[Entry]:
        names = [each.name for each in fields(LogObject)]
        return [
            Entry(LogObject(**{name: row[name] for name in names}), row["batch"])
            for row in self.tables["pixelship.objects"]
        ]

    def _destinations(self) -> list[str]:
        batches = self.tables["pixelship.batches"]
        return sorted({name for row in batches for name in json.loads(row["destinations"])})

    def rejected(self, choice: Choice) -> list[Entry]:
        """The ledger's rows of the objects and batches that the chosen rejects are of."""
        keys = {_key(row) for row in self.tables["pixelship.rejects"] if _is_chosen(row, choice)}
        return [each for each in self._ledger() if (each.batch, each.object.name) in keys]

    def read_rejects(self, choice: Choice, entries: Sequence[Entry]) -> Iterator[pa.RecordBatch]:
        """The chosen rejects of some entries, each entry's and format's together."""
        keys = {(each.batch, each.object.name) for each in entries}
        rows = [
            row
            for row in self.tables["pixelship.rejects"]
            if _key(row) in keys and _is_chosen(row, choice)
        ]
        rows.sort(key=lambda row: (_key(row), row["format"] or "", row["source_position"]))
        yield pa.RecordBatch.from_pylist(
            [{name: row[name] for name in REJECT_SCHEMA.names} for row in rows], REJECT_SCHEMA
        )

    def commit_replay(self, batch: Batch, staged: Staged) -> Report:
        """Takes a replay, all or none; raises BalanceError."""
        check_replay(batch, staged)
        with self._all_or_none():
            resolved = _read(RESOLVED, staged, "")
            keys = {(*_key(row), row["source_position"]) for row in resolved}
            rejects = self.tables["pixelship.rejects"]
            kept = [row for row in rejects if (*_key(row), row["source_position"]) not in keys]
            if len(rejects) - len(kept) != len(resolved):
                raise BalanceError(f"{len(resolved)} rejects were resolved that are not all there.")
            self.tables["pixelship.rejects"] = kept
            return self._commit(batch, deepcopy(staged), "replay")

    def entries(self, selection: Selection) -> list[Entry]:
        """The ledger's rows that a selection names, and all others of the same name and checksum."""
        on_days = {
            _key(row)
            for table in (*self._destinations(), *_OF_OBJECTS)
            for row in self.tables[table]
            if (time := row.get("timestamp") or row.get("hour")) and time.date() in selection.days
        }
        named = {
            (each.object.name, each.object.checksum)
            for each in self._ledger()
            if each.object.name in selection.objects
            or each.batch in selection.batches
            or (each.batch, each.object.name) in on_days
        }
        return [
            each for each in self._ledger() if (each.object.name, each.object.checksum) in named
        ]

    def holdings(self, entries: Sequence[Entry]) -> dict[str, int]:
        """How many rows of these entries each table holds."""
        keys = {(each.batch, each.object.name) for each in entries}
        held = Counter(
            table
            for table in (*self._destinations(), *_OF_OBJECTS)
            for row in self.tables[table]
            if _key(row) in keys
        )
        return {**held, "pixelship.objects": len(entries)}

    def commit_unload(self, batch: str, entries: Sequence[Entry]) -> Report:
        """Takes the rows of these entries out of all tables, all or none."""
        keys = {(each.batch, each.object.name) for each in entries}
        held = self.holdings(entries)
        report = Report([batch], objects=-len(entries))
        objects = self.tables["pixelship.objects"]
        taken = [row for row in objects if (row["batch"], row["name"]) in keys]
        report.total = negative(_sum(taken))
        report.destinations = {name: -held[name] for name in self._destinations() if name in held}
        with self._all_or_none():
            for table in (*self._destinations(), *_OF_OBJECTS):
                self.tables[table] = [row for row in self.tables[table] if _key(row) not in keys]
            self.tables["pixelship.objects"] = [row for row in objects if row not in taken]
            self.tables["pixelship.batches"].append(unload_entry(report))
        names = {name for _, name in keys}
        self._quarantined = [each for each in self._quarantined if each.name not in names]
        return report


def _sum(rows: Iterable[Row]) -> Tally:
    """The sum of some rows of the ledger."""
    total = Tally()
    for row in rows:
        total.add(Tally.from_json({**row, "rejected": json.loads(row["rejected"])}))
    return total


def _key(row: Row) -> tuple[str, str]:
    """What tells whose a row is."""
    return row["batch"], row["source_object"]


def _is_chosen(row: Row, choice: Choice) -> bool:
    """Whether a reject passes every filter and can be judged again."""
    time = row["timestamp"]
    return (
        row["reason"] != Reason.TOO_LONG.label
        and bool(row["raw"])
        and (choice.since is None or (time is not None and time >= choice.since))
        and (choice.until is None or (time is not None and time < choice.until))
        and row["reason"] in (choice.reasons or (row["reason"],))
        and row["batch"] in (choice.batches or (row["batch"],))
        and row["source_object"] in (choice.objects or (row["source_object"],))
    )


def _read(table: str, staged: Staged, destination: str) -> list[Row]:
    """The staged rows of a table."""
    return [
        row
        for shard in staged.shards
        if shard.table == table and shard.destination == destination
        for row in pq.read_table(shard.path).to_pylist()
    ]


def _without(row: Row, *names: str) -> Row:
    return {name: value for name, value in row.items() if name not in names}
