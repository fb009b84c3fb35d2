"""A DuckDB file as the warehouse: events, rejects and ledger change in one transaction.

Each destination `DATASET.TABLE` is a schema and a table. Bookkeeping is in the schema `pixelship`.
A view whose `event_id` is there already is a duplicate, within the batch and against the table.
"""

from __future__ import annotations

import glob
import json
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import astuple
from pathlib import Path
from types import TracebackType

import duckdb
import pyarrow as pa

from pipeline import schemas
from pipeline.errors import SetupError
from pipeline.model import Batch, LogObject, Quarantined
from pipeline.staging import Staged
from pipeline.warehouses.contract import (
    Memory,
    NoMemory,
    RefusedError,
    Report,
    Warehouse,
    check_balance,
    ledger,
)
from pipeline.warehouses.duckdb_status import status
from pipeline.warehouses.duckdb_tables import (
    connect,
    ensure_table,
    first_line,
    literal,
    place,
    prepare,
    refusing,
)
from pipeline.warehouses.duckdb_views import DuckDBViews
from pipeline.warehouses.maintenance import RESOLVED, Status, check_replay

__all__ = ["DuckDBWarehouse", "connect"]
_BOOKKEEPING = ("batches", "objects", "quarantine", "rejects", "bot_hits")
_SCHEMA = "pixelship"
_NEW = ".new"
_MEMORY_LIMIT = "250MB"
_THREADS = 1
"""Threads each compress row groups of their own when a batch is committed: with two, that takes
twice the CPU time, as long, and 150 MB more."""
_PARKED = (
    schemas.Column("destination", "STRING", "REQUIRED", "The table that the row is for."),
    schemas.Column("why", "STRING", "REQUIRED", "What keeps it from being loaded."),
)


class DuckDBWarehouse(DuckDBViews):
    """The warehouse `duckdb:PATH`.

    None but DuckDB may open its `files` meanwhile: closing one would give up the lock on it.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        whole = self.path.resolve()
        self._staging = f"{whole}.staging"
        self.files = (whole, Path(f"{whole}.wal"), Path(self._staging))

    def __enter__(self) -> DuckDBWarehouse:
        """Opens the file, which locks it; forgets what a killed run had staged."""
        if not self.path.resolve().parent.is_dir():
            raise SetupError(f"The folder of {self.path} does not exist: make it first.")
        self._make_file()
        self._db = connect(self.path)
        try:
            self._make_ready()
        except (OSError, RefusedError, duckdb.Error) as error:
            self._db.close()
            raise SetupError(f"{self.path} cannot be made ready: {first_line(error)}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Removes the staged shards and closes the file.

        In this order: a closed file is unlocked, and another process may stage in the same folder.
        """
        shutil.rmtree(self._staging, ignore_errors=True)
        self._db.close()

    @contextmanager
    def peek(self) -> Iterator[Memory]:
        """What the file remembers, opened for reading; nothing where there is no file of ours."""
        if not self.path.exists():
            yield NoMemory()
            return
        with connect(self.path, read_only=True) as self._db:
            names = [
                row[0] for row in self._rows("SELECT schema_name FROM information_schema.schemata")
            ]
            yield self if _SCHEMA in names else NoMemory()

    def status(self, *, by_object: bool = False) -> Status:
        """How things stand in the file, opened for reading; raises SetupError where it cannot be."""
        if not self.path.is_file():
            raise SetupError(
                f"No DuckDB file is at {self.path}: load a log first, or name it with --to."
            )
        with connect(self.path, read_only=True) as db:
            try:
                return status(db, by_object=by_object)
            except duckdb.Error as error:
                raise SetupError(f"{self.path} holds no ledger: {first_line(error)}") from None

    def _make_file(self) -> None:
        """An empty DuckDB file where there is none; it gets its name when it is whole.

        One that a full disk left half made could never be opened again.
        """
        whole = self.path.resolve()
        new = whole.with_name(f".{whole.name}.{uuid.uuid4().hex}{_NEW}")
        if whole.exists():
            return
        try:
            connect(new).close()
            with suppress(OSError):  # it is there by now, or files can have no second name here
                whole.hardlink_to(new)
        except SetupError as error:
            if not whole.exists():
                raise SetupError(f"{self.path} cannot be made ready: {first_line(error)}") from None
        finally:
            with suppress(OSError):
                new.unlink()

    def _make_ready(self) -> None:
        """An empty folder for shards, and the tables for bookkeeping."""
        shutil.rmtree(self._staging, ignore_errors=True)
        Path(self._staging).mkdir()
        whole = self.path.resolve()
        for left in whole.parent.glob(f".{glob.escape(whole.name)}.*{_NEW}"):  # by a killed run
            left.unlink(missing_ok=True)
        for setting in (
            f"memory_limit = '{_MEMORY_LIMIT}'",
            f"threads = {_THREADS}",
            "preserve_insertion_order = false",
            f"temp_directory = {literal(self._staging + '/spill')}",
            "enable_progress_bar = false",
        ):
            self._db.execute(f"SET {setting}")
        tables = {name: schemas.table(name) for name in _BOOKKEEPING}
        tables["parked"] = (*_PARKED, *schemas.table("event"))
        with self._transaction():
            for name, columns in tables.items():
                ensure_table(self._db, f"pixelship.{name}", columns)

    def elsewhere(self) -> Callable[[], Warehouse]:
        """Raises SetupError: one process has the file."""
        raise SetupError(
            "A DuckDB file is filled by the process that has it open: leave out "
            "--no_wait_until_finish and --template_location, or load into bigquery:PROJECT."
        )

    def unpark(self) -> Report:
        """Loads parked rows whose destination has been mended."""
        report = Report()
        for (destination,) in self._rows("SELECT DISTINCT destination FROM pixelship.parked"):
            where = f"WHERE destination = {literal(destination)}"
            try:
                with self._transaction():
                    report.unparked[destination] = self._unpark(destination, where)
            except RefusedError as error:
                self._db.execute(f"UPDATE pixelship.parked SET why = {literal(error.why)} {where}")
        self._report_parked(report)
        return report

    def _unpark(self, destination: str, where: str) -> int:
        """Loads a destination's parked rows; gives their number. Raises RefusedError."""
        prepare(self._db, destination)
        self._stage(f"SELECT * EXCLUDE (destination, why) FROM pixelship.parked {where}")
        rows = Counter(dict(self._rows("SELECT batch, count(*) FROM staged GROUP BY batch")))
        loaded, duplicates = self._insert(destination, ["FROM staged"])
        for batch, name, count in duplicates:
            change = f"SET accepted = accepted - {count}, duplicate = duplicate + {count}"
            rows[batch] -= count
            self._db.execute(f"UPDATE pixelship.batches {change} WHERE batch = ?", [batch])
            self._db.execute(
                f"UPDATE pixelship.objects {change} WHERE batch = ? AND name = ?", [batch, name]
            )
        for batch, count in rows.items():
            self._name_destination(batch, destination, count)
        self._db.execute(f"DELETE FROM pixelship.parked {where}")
        return loaded

    def _name_destination(self, batch: str, destination: str, rows: int) -> None:
        """Adds rows that were loaded to what the ledger says of a batch."""
        batches = "pixelship.batches"
        ((text,),) = self._rows(f"SELECT destinations FROM {batches} WHERE batch = ?", [batch])
        loaded = Counter(json.loads(text))
        loaded[destination] += rows
        text = json.dumps(loaded, sort_keys=True)
        self._db.execute(f"UPDATE {batches} SET destinations = ? WHERE batch = ?", [text, batch])

    def known(self, objects: Sequence[LogObject]) -> list[LogObject]:
        """Objects loaded before that share a folder or a checksum with one of these."""
        folders, sums = ([getattr(item, key) for item in objects] for key in ("folder", "checksum"))
        self._db.register("asked", pa.table({"folder": folders, "checksum": sums}))
        rows = self._rows(
            "SELECT name, size, checksum, start, generation FROM pixelship.objects "
            "WHERE regexp_replace(name, '[^/]*$', '') IN (SELECT folder FROM asked) "
            "OR checksum IN (SELECT checksum FROM asked) ORDER BY batch"
        )
        self._db.unregister("asked")
        return [LogObject(*row) for row in rows]

    def open_batches(self) -> list[Batch]:
        """None: plan, rows and ledger change in one transaction."""
        return []

    def quarantined(self) -> list[Quarantined]:
        """The objects that were quarantined."""
        found = self._rows("SELECT name, generation, size, why FROM pixelship.quarantine")
        return [Quarantined(*row) for row in found]

    def quarantine(self, found: Sequence[Quarantined]) -> None:
        """Remembers quarantined objects."""
        for each in set(found) - set(self.quarantined()):
            self._db.execute(
                "INSERT INTO pixelship.quarantine (name, generation, size, why) VALUES (?, ?, ?, ?)",
                astuple(each),
            )

    def plan(self, objects: Sequence[LogObject]) -> Batch:
        """Batches are numbered; only one run at a time holds the file."""
        return Batch(self.next_batch(), tuple(objects))

    def staging(self, batch: Batch) -> str:  # noqa: ARG002 - one batch at a time
        """The folder for shards, beside the file."""
        return self._staging

    def tidy(self, listed: Sequence[LogObject], would_list: Callable[[str], bool]) -> None:
        """Nothing: the ledger is all there is."""

    def staged(self, batch: Batch) -> None:
        """Nothing: what was not committed is forgotten."""

    def commit(self, batch: Batch, staged: Staged) -> Report:
        """Takes the batch in one transaction; raises BalanceError."""
        check_balance(batch, staged)
        return self._commit(batch, staged, "load")

    def commit_replay(self, batch: Batch, staged: Staged) -> Report:
        """Takes a replay in one transaction; raises BalanceError."""
        check_replay(batch, staged)
        return self._commit(batch, staged, "replay")

    def _commit(self, batch: Batch, staged: Staged, kind: str) -> Report:
        refused: dict[str, str] = {}
        while True:
            try:
                return self._try_to_commit(batch, deepcopy(staged), kind, refused)
            except RefusedError as error:
                refused[error.table] = error.why

    def _try_to_commit(
        self, batch: Batch, staged: Staged, kind: str, refused: dict[str, str]
    ) -> Report:
        """Takes the batch, parking the rows of refused destinations.

        Raises RefusedError for a further one that must be parked; nothing is written then.
        """
        report = Report([batch.id], faults=staged.faults)
        destinations = sorted({shard.destination for shard in staged.shards} - {""})
        with self._transaction():
            for destination in destinations:
                if destination not in refused:
                    prepare(self._db, destination)
            for destination in destinations:
                self._stage(_read("event", _paths("event", staged, destination)))
                if destination in refused:
                    self._park(destination, refused[destination])
                else:
                    self._load(destination, staged, report)
            for table in ("rejects", "bot_hits"):
                for path in _paths(table, staged, ""):
                    self._db.execute(
                        f"INSERT INTO pixelship.{table} BY NAME {_read(table, [path])}"
                    )
            self._resolve(_paths(RESOLVED, staged, ""))
            entry, objects = ledger(report, batch, staged)
            self._enter({**entry, "kind": kind}, objects)
        self._report_parked(report)
        return report

    def _park(self, destination: str, why: str) -> None:
        columns = f"{literal(destination)} AS destination, {literal(why)} AS why"
        self._db.execute(f"INSERT INTO pixelship.parked BY NAME SELECT {columns}, * FROM staged")

    def _load(self, destination: str, staged: Staged, report: Report) -> None:
        """Loads the staged rows of one destination."""
        parts = [_read("event", [path]) for path in _paths("event", staged, destination)]
        report.destinations[destination], duplicates = self._insert(destination, parts)
        for _, name, count in duplicates:
            staged.tallies[name].accepted -= count
            staged.tallies[name].duplicate += count

    def _stage(self, select: str) -> None:
        self._db.execute(f"CREATE OR REPLACE TEMP VIEW staged AS {select}")

    def _insert(
        self, destination: str, parts: Sequence[str]
    ) -> tuple[int, list[tuple[str, str, int]]]:
        """Inserts the staged rows that are not there yet; gives their number and the duplicates'.

        The duplicates are counted by batch and object. Only identities are compared, and only with
        rows of the same span of time. `parts` are queries that together give the staged rows: one
        after the other, so that memory does not grow with the batch. Raises RefusedError.
        """
        table = place(destination)
        self._db.execute(
            "CREATE OR REPLACE TEMP TABLE suspects AS "
            "SELECT event_id, false AS is_loaded FROM staged GROUP BY event_id HAVING count(*) > 1 "
            f"UNION ALL SELECT event_id, true FROM staged SEMI JOIN (SELECT event_id FROM {table} "
            "WHERE timestamp BETWEEN (SELECT min(timestamp) FROM staged) "
            "AND (SELECT max(timestamp) FROM staged)) AS loaded USING (event_id)"
        )
        self._db.execute(
            "CREATE OR REPLACE TEMP TABLE duplicates AS "
            "SELECT event_id, batch, source_object, source_position FROM staged "
            "WHERE event_id IN (SELECT event_id FROM suspects) "
            "QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY batch, source_object, source_position) > 1 "
            "OR event_id IN (SELECT event_id FROM suspects WHERE is_loaded)"
        )
        duplicates = self._rows(
            "SELECT batch, source_object, count(*) FROM duplicates GROUP BY ALL"
        )
        less = "ANTI JOIN duplicates USING (event_id, batch, source_object, source_position)"
        count = 0
        with refusing(destination):
            for part in parts:
                fresh = f"SELECT * FROM ({part}) {less if duplicates else ''}"
                count += self._rows(f"INSERT INTO {table} BY NAME {fresh}")[0][0]
        return count, duplicates

    def _report_parked(self, report: Report) -> None:
        for destination, why, rows in self._rows(
            "SELECT destination, any_value(why), count(*) FROM pixelship.parked GROUP BY destination"
        ):
            report.parked[destination], report.parked_why[destination] = rows, why


def _paths(table: str, staged: Staged, destination: str) -> list[str]:
    """The shards of a table's rows."""
    return [
        shard.path
        for shard in staged.shards
        if shard.table == table and shard.destination == destination
    ]


def _read(table: str, paths: Sequence[str]) -> str:
    """A query for the rows in shards; DuckDB's timestamps are UTC and without a zone."""
    casts = ", ".join(
        f"make_timestamp(epoch_us({column.name})) AS {column.name}"
        for column in schemas.table(table)
        if column.type == "TIMESTAMP"
    )
    return f"SELECT * REPLACE ({casts}) FROM read_parquet([{', '.join(map(literal, paths))}])"
