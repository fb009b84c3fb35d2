"""What BigQuery's tables tell for a replay, and how a replay and an unload change them.

`batch` and `source_object` tell whose a row is; `pixelship.objects` has them as `batch` and `name`.
All that is changed is changed by jobs with ids of their own, so each change happens once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from google.cloud import bigquery

from pipeline.model import LogObject, Reason, Tally
from pipeline.staging import Staged, shard_path, write_rows
from pipeline.storage import create_file, open_file
from pipeline.warehouses.bigquery_loads import Loader, Lot
from pipeline.warehouses.bigquery_status import sum_of_ledger
from pipeline.warehouses.bigquery_tables import BOOKKEEPING
from pipeline.warehouses.maintenance import (
    REJECT_SCHEMA,
    RESOLVED,
    Choice,
    Entry,
    Selection,
)

OF_OBJECTS = ("pixelship.rejects", "pixelship.bot_hits")
"""The tables of bookkeeping that have rows of log objects."""
LEDGER = f"{BOOKKEEPING}.objects"
_OBJECT = "name, size, checksum, start, generation"
_FOLDER = "REGEXP_REPLACE(name, r'[^/]*$', '')"
_KEYS_AT_ONCE = 20_000
"""Keys that go into one statement: some megabytes."""
_ANY_TIME = "timestamp >= TIMESTAMP '1970-01-01'"
"""True of every view; tables may refuse statements that name no time."""
Parameter: TypeAlias = "bigquery.ArrayQueryParameter | bigquery.ScalarQueryParameter"


class LedgerQueries:
    """Questions to the ledger and the tables that it speaks of."""

    def __init__(self, loader: Loader, destinations: Sequence[str]) -> None:
        self._loader = loader
        self._destinations = destinations

    def read_in_parts(self, folders: Collection[str]) -> list[Entry]:
        """The ledger's rows, in some folders, of objects that grew or are what others grew from."""
        return self._entries(
            f"WITH o AS (SELECT *, {_FOLDER} AS folder FROM pixelship.objects), "
            "grown AS (SELECT DISTINCT folder, start FROM o WHERE start > 0) "
            f"SELECT {_OBJECT}, batch FROM o WHERE folder IN UNNEST(@folders) AND (start > 0 OR "
            "CONCAT(folder, '\\n', CAST(size AS STRING)) IN "
            "(SELECT CONCAT(folder, '\\n', CAST(start AS STRING)) FROM grown))",
            [_texts("folders", folders)],
        )

    def rejected(self, choice: Choice) -> list[Entry]:
        """The ledger's rows of the objects and batches that the chosen rejects are of."""
        condition, values = _chosen(choice)
        return self._entries(
            f"SELECT {_OBJECT}, batch FROM pixelship.objects WHERE CONCAT(batch, '\\n', name) IN "
            f"(SELECT CONCAT(batch, '\\n', source_object) FROM pixelship.rejects WHERE {condition})",
            values,
        )

    def read_rejects(self, choice: Choice, entries: Sequence[Entry]) -> Iterator[pa.RecordBatch]:
        """The chosen rejects of some entries, each entry's and format's together."""
        condition, values = _chosen(choice)
        pages = self._loader.ask_in_pages(
            f"SELECT {', '.join(REJECT_SCHEMA.names)} FROM pixelship.rejects WHERE {condition} "
            "AND CONCAT(batch, '\\n', source_object) IN UNNEST(@keys) "
            "ORDER BY source_object, batch, format, source_position",
            [*values, _texts("keys", keys_of(entries))],
        )
        for page in pages:
            yield page.cast(REJECT_SCHEMA)

    def entries(self, selection: Selection, waiting: Collection[str] = ()) -> list[Entry]:
        """The ledger's rows that a selection names, and all others of the same name and checksum.

        `waiting` are keys of parked rows that it names.
        """
        keys = {
            key
            for day in selection.days
            for table in (*self._destinations, *OF_OBJECTS)
            for (key,) in self._ask(
                f"SELECT DISTINCT CONCAT(batch, '\\n', source_object) FROM `{table}` "
                f"WHERE {_time_of(table)} >= TIMESTAMP '{day}' "
                f"AND {_time_of(table)} < TIMESTAMP '{day + timedelta(days=1)}'",
                table=table,
            )
        }
        return self._entries(
            f"SELECT {_OBJECT}, batch FROM pixelship.objects WHERE CONCAT(name, '\\n', checksum) IN "
            "(SELECT CONCAT(name, '\\n', checksum) FROM pixelship.objects WHERE "
            "name IN UNNEST(@names) OR batch IN UNNEST(@batches) "
            "OR CONCAT(batch, '\\n', name) IN UNNEST(@keys))",
            [
                _texts("names", selection.objects),
                _texts("batches", selection.batches),
                _texts("keys", keys | set(waiting)),
            ],
        )

    def holdings(self, entries: Sequence[Entry]) -> dict[str, int]:
        """How many rows of these entries each table holds."""
        held = {
            table: self._ask(
                f"SELECT COUNT(*) FROM `{table}` WHERE {_whose(table)}",
                [_texts("keys", keys_of(entries))],
                table,
            )[0][0]
            for table in (*self._destinations, *OF_OBJECTS)
        }
        return {
            **{table: rows for table, rows in held.items() if rows},
            f"{BOOKKEEPING}.objects": len(entries),
        }

    def total(self, entries: Sequence[Entry]) -> Tally:
        """The sum over the ledger's rows of these entries."""
        where = "CONCAT(batch, '\\n', name) IN UNNEST(@keys)"
        return sum_of_ledger(
            lambda sql: self._ask(sql, [_texts("keys", keys_of(entries))]), "objects", where
        )

    def _entries(self, query: str, values: Sequence[Parameter]) -> list[Entry]:
        found = self._ask(f"SELECT * FROM ({query}) ORDER BY batch, name", values)
        return [Entry(LogObject(*row[:-1]), row[-1]) for row in found]

    def _ask(
        self, sql: str, values: Sequence[Parameter] = (), table: str = LEDGER
    ) -> list[tuple[Any, ...]]:
        return self._loader.ask(sql, values, table)


def remove(loader: Loader, batch: str, tables: Sequence[str], keys: Sequence[str]) -> None:
    """Takes rows out of tables for a batch, once; `keys` are batches and log objects, as `keys_of` gives them.

    The ledger's own rows go last. Raises RefusedError.
    """
    for table in (*tables, *OF_OBJECTS, LEDGER):
        for part, first in enumerate(range(0, len(keys), _KEYS_AT_ONCE)):
            some = _texts("keys", keys[first : first + _KEYS_AT_ONCE])
            loader.change(
                batch, table, f"DELETE FROM `{table}` WHERE {_whose(table)}", [some], part
            )


def resolve(loader: Loader, batch: str, staged: Staged) -> None:
    """Takes the rejects that a replay resolved out of their table, once. Raises RefusedError."""
    keys: list[str] = []
    for shard in staged.shards:
        if shard.table == RESOLVED:
            with open_file(shard.path) as stream:
                columns = pq.read_table(stream).to_pydict().values()
            keys += ["\n".join(map(str, row)) for row in zip(*columns, strict=True)]
    table = f"{BOOKKEEPING}.rejects"
    for part, first in enumerate(range(0, len(keys), _KEYS_AT_ONCE)):
        loader.change(
            batch,
            table,
            f"DELETE FROM `{table}` WHERE CONCAT(batch, '\\n', source_object, '\\n', "
            "CAST(source_position AS STRING)) IN UNNEST(@keys)",
            [_texts("keys", keys[first : first + _KEYS_AT_ONCE])],
            part,
        )


def rows_of(lot: Lot, keys: Collection[str]) -> list[str]:
    """For each row of a lot that is of one of these keys, the key."""
    return [key for path in lot.paths for key in _row_keys(path) if key in keys]


def rows_of_days(lot: Lot, days: Collection[date]) -> set[str]:
    """The keys of a lot's rows of these days (UTC)."""
    keys: set[str] = set()
    for path in lot.paths:
        with open_file(path) as stream:
            times = pq.read_table(stream, columns=["timestamp"])["timestamp"]
        is_wanted = pc.is_in(times.cast(pa.date32()), value_set=pa.array(sorted(days), pa.date32()))
        keys.update(pa.array(_row_keys(path)).filter(is_wanted.combine_chunks()).to_pylist())
    return keys


def without_rows(lot: Lot, keys: Collection[str], folder: str) -> Lot:
    """The lot without the rows of these keys, its files written anew."""
    paths, rows = [], 0
    for path in lot.paths:
        with open_file(path) as stream:
            table = pq.read_table(stream)
        left = table.filter(pa.array([key not in keys for key in _row_keys(path)], pa.bool_()))
        if len(left):
            paths.append(shard_path(folder, "event"))
            write_rows(left, paths[-1], create_file)
            rows += len(left)
    return replace(lot, paths=tuple(paths), rows=rows)


def _row_keys(path: str) -> list[str]:
    with open_file(path) as stream:
        columns = pq.read_table(stream, columns=["batch", "source_object"])
    return pc.binary_join_element_wise(columns["batch"], columns["source_object"], "\n").to_pylist()


def keys_of(entries: Sequence[Entry]) -> list[str]:
    """What tells the rows of some entries: their batches and names."""
    return sorted({f"{entry.batch}\n{entry.object.name}" for entry in entries})


def _whose(table: str) -> str:
    """A condition for the rows of the entries that `@keys` tells."""
    if table == f"{BOOKKEEPING}.objects":
        return "CONCAT(batch, '\\n', name) IN UNNEST(@keys)"
    condition = "CONCAT(batch, '\\n', source_object) IN UNNEST(@keys)"
    return condition if table in OF_OBJECTS else f"{_ANY_TIME} AND {condition}"


def _time_of(table: str) -> str:
    return "hour" if table == f"{BOOKKEEPING}.bot_hits" else "timestamp"


def _chosen(choice: Choice) -> tuple[str, list[Parameter]]:
    """A condition for the chosen rejects, and its parameters."""
    conditions = [f"reason <> '{Reason.TOO_LONG.label}'", "BYTE_LENGTH(raw) > 0"]
    values: list[Parameter] = []
    for name, than, time in (("since", ">=", choice.since), ("until", "<", choice.until)):
        if time:
            conditions.append(f"timestamp {than} @{name}")
            values.append(bigquery.ScalarQueryParameter(name, "TIMESTAMP", time))
    for column, wanted in (
        ("reason", choice.reasons), ("batch", choice.batches), ("source_object", choice.objects),
    ):  # fmt: skip
        if wanted:
            conditions.append(f"{column} IN UNNEST(@{column})")
            values.append(_texts(column, wanted))
    return " AND ".join(conditions), values


def _texts(name: str, values: Collection[str]) -> bigquery.ArrayQueryParameter:
    return bigquery.ArrayQueryParameter(name, "STRING", sorted(values))
