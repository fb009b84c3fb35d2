"""A warehouse in memory: for tests, and as the plainest statement of what a warehouse does."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow.parquet as pq

from pipeline.model import Batch, LogObject, Quarantined
from pipeline.staging import Staged
from pipeline.warehouses.contract import Report, check_balance, ledger

Row = dict[str, Any]


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
        return Batch(f"{len(self.tables['pixelship.batches']) + 1:08d}", tuple(objects))

    def staging(self, batch: Batch) -> str:  # noqa: ARG002 - one batch at a time
        """The folder for shards."""
        return self._staging

    def staged(self, batch: Batch) -> None:
        """Nothing: what was not committed is forgotten."""

    def commit(self, batch: Batch, staged: Staged) -> Report:
        """Takes the batch, all or none; raises BalanceError."""
        check_balance(batch, staged)
        before = deepcopy(self.tables)
        try:
            return self._commit(batch, deepcopy(staged))
        except BaseException:
            self.tables = before
            raise

    def _commit(self, batch: Batch, staged: Staged) -> Report:
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
        self.tables["pixelship.batches"].append(entry)
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

    def _report_parked(self, report: Report) -> None:
        for row in self.tables["pixelship.parked"]:
            destination = row["destination"]
            report.parked[destination] = report.parked.get(destination, 0) + 1
            report.parked_why[destination] = row["why"]


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
