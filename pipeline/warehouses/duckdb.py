"""A DuckDB file as the warehouse: events, rejects and ledger change in one transaction.

Each destination `DATASET.TABLE` is a schema and a table. Bookkeeping is in the schema `pixelship`.
A view whose `event_id` is there already is a duplicate, within the batch and against the table.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa

from pipeline import schemas
from pipeline.errors import SetupError
from pipeline.model import LogObject, Tally
from pipeline.staging import Staged
from pipeline.warehouses.contract import Report, check_balance

_TYPES = {"STRING": "VARCHAR", "INTEGER": "BIGINT", "TIMESTAMP": "TIMESTAMP", "BYTES": "BLOB"}
_BOOKKEEPING = ("batches", "objects", "rejects", "bot_hits")
_MEMORY_LIMIT = "384MB"
_PARKED = (
    schemas.Column("destination", "STRING", "REQUIRED", "The table that the row is for."),
    schemas.Column("why", "STRING", "REQUIRED", "What keeps it from being loaded."),
)


def connect(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A connection to the file; raises SetupError where it is busy or no DuckDB file.

    The file is attached under a name of its own: by default DuckDB would name it after its file,
    and `pixelship.duckdb` would clash with the schema `pixelship` inside.
    """
    db = duckdb.connect()
    try:
        db.execute(
            f"ATTACH {_literal(str(path))} AS warehouse{' (READ_ONLY)' if read_only else ''}"
        )
    except duckdb.Error as error:
        db.close()
        if "lock" in str(error):
            raise SetupError(
                f"{path} is busy: another process has it open; try again when it is done."
            ) from None
        why = str(error).splitlines()[0]
        raise SetupError(f"{path} cannot be opened as a DuckDB file: {why}") from None
    db.execute("USE warehouse")
    return db


class DuckDBWarehouse:
    """The warehouse `duckdb:PATH`."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.staging = f"{self.path.resolve()}.staging"

    def __enter__(self) -> DuckDBWarehouse:
        """Opens the file, which locks it; forgets what a killed run had staged."""
        if not self.path.resolve().parent.is_dir():
            raise SetupError(f"The folder of {self.path} does not exist: make it first.")
        self._db = connect(self.path)
        shutil.rmtree(self.staging, ignore_errors=True)
        Path(self.staging).mkdir()
        for setting in (
            f"memory_limit = '{_MEMORY_LIMIT}'",
            "preserve_insertion_order = false",
            f"temp_directory = {_literal(self.staging + '/spill')}",
            "enable_progress_bar = false",
        ):
            self._db.execute(f"SET {setting}")
        for name in _BOOKKEEPING:
            self._create(f"pixelship.{name}", schemas.table(name))
        self._create("pixelship.parked", (*_PARKED, *schemas.table("event")))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the file and removes the staged shards."""
        self._db.close()
        shutil.rmtree(self.staging, ignore_errors=True)

    def finish_open(self) -> Report:
        """Loads parked rows whose destination has been mended."""
        report = Report(batch=None)
        with self._transaction():
            waiting = self._rows("SELECT DISTINCT destination FROM pixelship.parked")
            for (destination,) in waiting:
                if self._prepare(destination) is None:
                    where = f"destination = {_literal(destination)}"
                    self._stage(
                        f"SELECT * EXCLUDE (destination, why) FROM pixelship.parked WHERE {where}"
                    )
                    report.unparked[destination], _ = self._insert(destination)
                    self._db.execute(f"DELETE FROM pixelship.parked WHERE {where}")
        self._report_parked(report)
        return report

    def known(self, objects: Sequence[LogObject]) -> list[LogObject]:
        """Objects loaded before that share a name or a checksum with one of these."""
        names, sums = ([getattr(item, field) for item in objects] for field in ("name", "sha256"))
        self._db.register("asked", pa.table({"name": names, "sha256": sums}))
        rows = self._rows(
            "SELECT name, size, sha256, start FROM pixelship.objects WHERE name IN "
            "(SELECT name FROM asked) OR sha256 IN (SELECT sha256 FROM asked) ORDER BY batch"
        )
        self._db.unregister("asked")
        return [LogObject(*row) for row in rows]

    def next_batch(self) -> str:
        """Batches are numbered; only one run at a time holds the file."""
        return f"{self._rows('SELECT count(*) FROM pixelship.batches')[0][0] + 1:08d}"

    def commit(self, batch: str, objects: Sequence[LogObject], staged: Staged) -> Report:
        """Takes the batch in one transaction; raises BalanceError."""
        check_balance(objects, staged)
        report = Report(batch, objects=len(objects), faults=staged.faults)
        with self._transaction():
            for destination in sorted({shard.destination for shard in staged.shards} - {""}):
                self._stage(_read("event", staged, destination))
                self._load(destination, staged, report)
            for table in ("rejects", "bot_hits"):
                if any(shard.table == table for shard in staged.shards):
                    rows = _read(table, staged, "")
                    self._db.execute(f"INSERT INTO pixelship.{table} BY NAME {rows}")
            self._record(report, objects, staged)
        self._report_parked(report)
        return report

    def _load(self, destination: str, staged: Staged, report: Report) -> None:
        """Loads the staged rows of one destination, or parks them."""
        if why := self._prepare(destination):
            columns = f"{_literal(destination)} AS destination, {_literal(why)} AS why"
            self._db.execute(
                f"INSERT INTO pixelship.parked BY NAME SELECT {columns}, * FROM staged"
            )
            return
        report.destinations[destination], duplicates = self._insert(destination)
        for name, count in duplicates:
            staged.tallies[name].accepted -= count
            staged.tallies[name].duplicate += count

    def _prepare(self, destination: str) -> str | None:
        """Creates the destination, or gives it columns it lacks; says what forbids that."""
        schema, table = destination.split(".")
        found = self._rows(
            "SELECT table_schema, table_name, table_type FROM information_schema.tables "
            "WHERE table_catalog = 'warehouse' AND lower(table_schema) = lower(?) AND lower(table_name) = lower(?)",
            [schema, table],
        )
        cased = self._rows(
            "SELECT schema_name FROM information_schema.schemata "
            "WHERE catalog_name = 'warehouse' AND lower(schema_name) = lower(?)",
            [schema],
        )
        taken = [f"{row[0]}.{row[1]}" for row in found] or [f"{row[0]}.{table}" for row in cased]
        if taken and taken[0] != destination:
            return f"its name differs only in case from {taken[0]}, and DuckDB folds case"
        if not found:
            self._create(destination, schemas.table("event"))
            return None
        if found[0][2] != "BASE TABLE":
            return "a view has its name"
        return self._add_columns(destination)

    def _add_columns(self, destination: str) -> str | None:
        schema, table = destination.split(".")
        types = dict(
            self._rows(
                "SELECT column_name, data_type FROM information_schema.columns "
                "WHERE table_catalog = 'warehouse' AND table_schema = ? AND table_name = ?",
                [schema, table],
            )
        )
        wanted = schemas.table("event")
        for column in wanted:
            if types.get(column.name, _TYPES[column.type]) != _TYPES[column.type]:
                return (
                    f"its column {column.name} is {types[column.name]}, not {_TYPES[column.type]}"
                )
        for column in wanted:
            if column.name not in types:
                definition = f"{_quoted(column.name)} {_TYPES[column.type]}"
                self._db.execute(f"ALTER TABLE {_quoted(destination)} ADD COLUMN {definition}")
        return None

    def _create(self, name: str, columns: Sequence[schemas.Column]) -> None:
        """Creates a table with described columns where it is missing."""
        definitions = [
            f"{_quoted(column.name)} {_TYPES[column.type]}{' NOT NULL' if column.is_required else ''}"
            for column in columns
        ]
        self._db.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(name.split('.', maxsplit=1)[0])}")
        self._db.execute(f"CREATE TABLE IF NOT EXISTS {_quoted(name)} ({', '.join(definitions)})")
        for column in columns:
            place = f"{_quoted(name)}.{_quoted(column.name)}"
            self._db.execute(f"COMMENT ON COLUMN {place} IS {_literal(column.description)}")

    def _stage(self, select: str) -> None:
        self._db.execute(f"CREATE OR REPLACE TEMP VIEW staged AS {select}")

    def _insert(self, destination: str) -> tuple[int, list[tuple[str, int]]]:
        """Inserts the staged rows that are not there yet; gives their number and the duplicates'.

        The duplicates are counted by object. Only identities are compared, and only with rows of
        the same span of time.
        """
        table = _quoted(destination)
        self._db.execute(
            "CREATE OR REPLACE TEMP TABLE suspects AS "
            "SELECT event_id, false AS is_loaded FROM staged GROUP BY event_id HAVING count(*) > 1 "
            f"UNION ALL SELECT event_id, true FROM staged SEMI JOIN (SELECT event_id FROM {table} "
            "WHERE timestamp BETWEEN (SELECT min(timestamp) FROM staged) "
            "AND (SELECT max(timestamp) FROM staged)) AS loaded USING (event_id)"
        )
        self._db.execute(
            "CREATE OR REPLACE TEMP TABLE duplicates AS "
            "SELECT event_id, source_object, source_position FROM staged "
            "WHERE event_id IN (SELECT event_id FROM suspects) "
            "QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY source_object, source_position) > 1 "
            "OR event_id IN (SELECT event_id FROM suspects WHERE is_loaded)"
        )
        fresh = "SELECT * FROM staged"
        duplicates = self._rows(
            "SELECT source_object, count(*) FROM duplicates GROUP BY source_object"
        )
        if duplicates:
            fresh += " ANTI JOIN duplicates USING (event_id, source_object, source_position)"
        count = self._rows(f"INSERT INTO {table} BY NAME {fresh}")[0][0]
        return count, duplicates

    def _record(self, report: Report, objects: Sequence[LogObject], staged: Staged) -> None:
        """Writes the ledger: a row for each object, one for the batch."""
        for tally in staged.tallies.values():
            report.total.add(tally)
        faults: dict[str, list[dict[str, Any]]] = {}
        for fault in staged.faults:
            faults.setdefault(fault.object, []).append(fault.to_json())
        ledger = [
            {
                **asdict(item),
                "batch": report.batch,
                **_counts(staged.tallies[item.name]),
                "faults": json.dumps(faults.get(item.name, [])),
            }
            for item in objects
        ]
        batch = {
            "batch": report.batch,
            "loaded_at": datetime.now(timezone.utc).replace(tzinfo=None),
            "objects": len(objects),
            **_counts(report.total),
            "destinations": json.dumps(report.destinations, sort_keys=True),
        }
        for table, rows in (("objects", ledger), ("batches", [batch])):
            self._db.register("ledger", pa.Table.from_pylist(rows))
            self._db.execute(f"INSERT INTO pixelship.{table} BY NAME FROM ledger")
            self._db.unregister("ledger")

    def _report_parked(self, report: Report) -> None:
        for destination, why, rows in self._rows(
            "SELECT destination, any_value(why), count(*) FROM pixelship.parked GROUP BY destination"
        ):
            report.parked[destination], report.parked_why[destination] = rows, why

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        return self._db.execute(sql, list(values)).fetchall()


def _read(table: str, staged: Staged, destination: str) -> str:
    """A query for a table's staged rows; DuckDB's timestamps are UTC and without a zone."""
    paths = [
        _literal(shard.path)
        for shard in staged.shards
        if shard.table == table and shard.destination == destination
    ]
    casts = ", ".join(
        f"make_timestamp(epoch_us({column.name})) AS {column.name}"
        for column in schemas.table(table)
        if column.type == "TIMESTAMP"
    )
    return f"SELECT * REPLACE ({casts}) FROM read_parquet([{', '.join(paths)}])"


def _counts(tally: Tally) -> dict[str, Any]:
    return {**tally.to_json(), "rejected": json.dumps(dict(sorted(tally.rejected.items())))}


def _quoted(name: str) -> str:
    """A dotted name as SQL identifiers."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
