"""What a DuckDB file's tables tell for a replay, and how an unload takes rows out of them.

`batch` and `source_object` tell whose a row is; `pixelship.objects` has them as `batch` and `name`.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import BalanceError
from pipeline.model import LogObject, Reason
from pipeline.warehouses.contract import Report
from pipeline.warehouses.duckdb_status import OF_OBJECTS, destinations, sum_of
from pipeline.warehouses.duckdb_tables import literal, place
from pipeline.warehouses.maintenance import (
    REJECT_SCHEMA,
    RESOLVED_SCHEMA,
    Choice,
    Entry,
    Selection,
    negative,
    unload_entry,
)

_READ_ROWS = 2048
"""Rejects that are read at a time: 128 MiB at most."""
_OBJECT = "name, size, checksum, start, generation"
_FOLDER = "regexp_replace(name, '[^/]*$', '')"


class DuckDBMaintenance:
    """An open DuckDB file, and what is done in it beside loading.

    `_staging` is a folder for files that are needed meanwhile.
    """

    _db: duckdb.DuckDBPyConnection
    _staging: str

    # The ledger

    def next_batch(self) -> str:
        """The id of the batch that comes next."""
        return f"{self._rows('SELECT count(*) FROM pixelship.batches')[0][0] + 1:08d}"

    def read_in_parts(self, folders: Collection[str]) -> list[Entry]:
        """The ledger's rows, in some folders, of objects that grew or are what others grew from."""
        return self._entries(
            f"WITH o AS (SELECT *, {_FOLDER} AS folder FROM pixelship.objects WHERE "
            f"{_is_in('folder', folders)}) SELECT {_OBJECT}, batch FROM o WHERE start > 0 "
            "OR (folder, size) IN (SELECT (folder, start) FROM o WHERE start > 0)"
        )

    def _entries(self, query: str) -> list[Entry]:
        found = self._rows(f"FROM ({query}) ORDER BY batch, name")
        return [Entry(LogObject(*row[:-1]), row[-1]) for row in found]

    # Replay

    def rejected(self, choice: Choice) -> list[Entry]:
        """The ledger's rows of the objects and batches that the chosen rejects are of."""
        return self._entries(
            f"SELECT {_OBJECT}, batch FROM pixelship.objects SEMI JOIN (SELECT batch, "
            f"source_object AS name FROM pixelship.rejects WHERE {_chosen(choice)}) AS chosen "
            "USING (batch, name)"
        )

    def read_rejects(self, choice: Choice, entries: Sequence[Entry]) -> Iterator[pa.RecordBatch]:
        """The chosen rejects of some entries, each entry's and format's together.

        DuckDB sorts them into a file, so that neither memory nor the connection is held meanwhile.
        """
        path = Path(self._staging, f"chosen-{uuid.uuid4().hex}.parquet")
        with self._keys("wanted", entries):
            self._db.execute(
                f"COPY (SELECT {', '.join(REJECT_SCHEMA.names)} FROM pixelship.rejects "
                f"SEMI JOIN wanted USING (batch, source_object) WHERE {_chosen(choice)} "
                "ORDER BY source_object, batch, format, source_position) "
                f"TO {literal(str(path))} (FORMAT parquet, ROW_GROUP_SIZE {_READ_ROWS})"
            )
        try:
            with pq.ParquetFile(path) as file:
                for rows in file.iter_batches(_READ_ROWS):
                    yield rows.cast(REJECT_SCHEMA)
        finally:
            path.unlink(missing_ok=True)

    def _resolve(self, paths: Sequence[str]) -> None:
        """Removes the rejects that shards name; raises BalanceError where one is not there."""
        for path in paths:
            shard = f"read_parquet({literal(path)})"
            ((removed, named),) = self._rows(
                f"SELECT (SELECT count(*) FROM pixelship.rejects SEMI JOIN {shard} AS s "
                f"USING ({', '.join(RESOLVED_SCHEMA.names)})), (SELECT count(*) FROM {shard})"
            )
            if removed != named:
                raise BalanceError(f"{named} rejects were resolved, but {removed} are there.")
            self._db.execute(
                f"DELETE FROM pixelship.rejects AS r USING {shard} AS s WHERE "
                + " AND ".join(f"r.{name} = s.{name}" for name in RESOLVED_SCHEMA.names)
            )

    # Unload

    def entries(self, selection: Selection) -> list[Entry]:
        """The ledger's rows that a selection names, and all others of the same name and checksum."""
        keys = [
            "SELECT batch, name FROM pixelship.objects "
            f"WHERE {_is_in('name', selection.objects)} OR {_is_in('batch', selection.batches)}"
        ]
        tables = [(table, "timestamp") for table in (*destinations(self._db), *OF_OBJECTS)]
        for table, time in tables:
            column = "hour" if table == "pixelship.bot_hits" else time
            for day in selection.days:
                keys.append(
                    f"SELECT batch, source_object FROM {place(table)} WHERE {column} >= '{day}' "
                    f"AND {column} < '{day + timedelta(days=1)}'"
                )
        return self._entries(
            f"SELECT {_OBJECT}, batch FROM pixelship.objects SEMI JOIN (SELECT name, checksum "
            f"FROM pixelship.objects SEMI JOIN ({' UNION '.join(keys)}) AS keys "
            "USING (batch, name)) AS named USING (name, checksum)"
        )

    def holdings(self, entries: Sequence[Entry]) -> dict[str, int]:
        """How many rows of these entries each table holds."""
        held: dict[str, int] = {}
        with self._keys("gone", entries):
            for table in (*destinations(self._db), *OF_OBJECTS):
                ((rows,),) = self._rows(
                    f"SELECT count(*) FROM {place(table)} SEMI JOIN gone USING (batch, source_object)"
                )
                held |= {table: rows} if rows else {}
        return {**held, "pixelship.objects": len(entries)}

    def commit_unload(self, batch: str, entries: Sequence[Entry]) -> Report:
        """Takes the rows of these entries out of all tables, in one transaction."""
        with self._transaction(), self._keys("gone", entries):
            loaded = destinations(self._db)
            removed = {table: self._remove(table) for table in (*loaded, *OF_OBJECTS)}
            self._db.execute(
                "CREATE OR REPLACE TEMP TABLE taken AS FROM pixelship.objects AS o SEMI JOIN gone "
                "ON o.batch = gone.batch AND o.name = gone.source_object"
            )
            report = Report([batch], objects=-len(entries))
            report.total = negative(sum_of(self._db, "taken"))
            report.destinations = {name: -removed[name] for name in loaded if removed[name]}
            self._remove("pixelship.objects", "name")
            self._db.execute(
                "DELETE FROM pixelship.quarantine WHERE name IN (SELECT source_object FROM gone)"
            )
            self._enter(unload_entry(report))
        return report

    def _remove(self, table: str, name: str = "source_object") -> int:
        """Removes the rows of what is gone; gives their number."""
        ((removed,),) = self._rows(
            f"DELETE FROM {place(table)} AS t USING gone "
            f"WHERE t.batch = gone.batch AND t.{name} = gone.source_object"
        )
        return int(removed)

    # The connection

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

    def _enter(self, batch: Mapping[str, Any], objects: Sequence[Mapping[str, Any]] = ()) -> None:
        """Writes the ledger: a row for the batch, one for each object."""
        batch = {**batch, "loaded_at": _plain(batch["loaded_at"])}
        for table, rows in (("objects", objects), ("batches", [batch])):
            if rows:
                self._db.register("ledger", pa.Table.from_pylist(list(rows)))
                self._db.execute(f"INSERT INTO pixelship.{table} BY NAME FROM ledger")
                self._db.unregister("ledger")

    @contextmanager
    def _keys(self, name: str, entries: Iterable[Entry]) -> Iterator[None]:
        """What tells the rows of some entries, under a name for SQL."""
        pairs = sorted({(entry.batch, entry.object.name) for entry in entries})
        columns = {
            "batch": pa.array([batch for batch, _ in pairs], pa.string()),
            "source_object": pa.array([name for _, name in pairs], pa.string()),
        }
        self._db.register(name, pa.table(columns))
        try:
            yield
        finally:
            self._db.unregister(name)


def _chosen(choice: Choice) -> str:
    """A condition for the chosen rejects."""
    conditions = [f"reason <> {literal(Reason.TOO_LONG.label)}", "octet_length(raw) > 0"]
    conditions += [
        f"timestamp {than} '{_plain(time)}'"
        for than, time in ((">=", choice.since), ("<", choice.until))
        if time
    ]
    conditions += [
        _is_in(column, wanted)
        for column, wanted in (
            ("reason", choice.reasons), ("batch", choice.batches), ("source_object", choice.objects),
        )
        if wanted
    ]  # fmt: skip
    return " AND ".join(conditions)


def _is_in(column: str, wanted: Collection[str]) -> str:
    """A condition that a column has one of some values."""
    return f"{column} IN ({', '.join(map(literal, sorted(wanted)))})" if wanted else "false"


def _plain(time: datetime) -> datetime:
    """A time as DuckDB has it: UTC, without a zone."""
    return time.astimezone(timezone.utc).replace(tzinfo=None)
