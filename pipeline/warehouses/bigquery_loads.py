"""Loads staged shards into BigQuery's tables, each lot of them once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal, get_args
from uuid import uuid4

import pyarrow as pa
from google.cloud import bigquery

from pipeline import gcp, schemas
from pipeline.errors import BalanceError
from pipeline.warehouses.bigquery_jobs import Job, Jobs, Work, refusing
from pipeline.warehouses.bigquery_tables import BOOKKEEPING, Tables, columns_of

Dedupe = Literal["view", "merge", "off"]
DEDUPES: tuple[Dedupe, ...] = get_args(Dedupe)
MOST_FILES = 10_000
"""A load job takes no more URIs."""
_HASH_CHARS = 16
_PAGE_ROWS = 2048
_WRITTEN_ANEW = ("objects", "batches")
"""Each attempt writes the same rows of these into files of its own."""
LEDGER = f"{BOOKKEEPING}.objects"


@dataclass(frozen=True)
class Lot:
    """Rows of a batch for one table: Parquet files, how many rows they hold, of which schema.

    `part` tells lots of one table apart. `dedupe` was settled when the batch was planned: runs that
    load one lot in two ways would load it twice.
    """

    batch: str
    table: str
    paths: tuple[str, ...]
    rows: int
    schema: str = "event"
    part: int = 0
    dedupe: Dedupe = "off"


@dataclass
class Loaded:
    """How many rows a table got; by log object, how many it had already."""

    rows: int = 0
    duplicates: Counter[str] = field(default_factory=Counter)


class Loader:
    """Loads lots. `installation` tells the jobs of one state folder from those of another."""

    def __init__(self, client: bigquery.Client, tables: Tables, installation: str) -> None:
        self._client = client
        self._tables = tables
        self._installation = installation
        self._jobs = Jobs(client)

    def load(self, lot: Lot) -> Loaded:
        """Loads a lot; raises RefusedError with nothing loaded, ServiceError, BalanceError."""
        location = self._tables.prepare(lot.table, lot.schema)
        if lot.dedupe == "merge":
            with self._tables.incoming(lot.table) as incoming:
                return self._merge(lot, incoming, location)
        sources = () if lot.schema in _WRITTEN_ANEW else lot.paths
        self._append(lot, lot.table, self._job_id(lot, ""), location, sources)
        if lot.dedupe == "view":
            self._tables.ensure_view(lot.table)
        return Loaded(lot.rows)

    def give_up(self) -> None:
        """Has all threads stop waiting for jobs: the run ends."""
        self._jobs.give_up()

    def change(
        self, batch: str, table: str, sql: str, values: Sequence[Any], part: int = 0
    ) -> None:
        """Runs DML for a batch once, in parts; `values` are query parameters.

        Raises RefusedError, ServiceError.
        """
        location = self._tables.location(table)
        self._dml(Lot(batch, table, (), 0, part=part), "x", sql, values, location)

    def ask(
        self, sql: str, values: Sequence[Any] = (), table: str = LEDGER
    ) -> list[tuple[Any, ...]]:
        """A small query's rows; `table` is one that it reads. Raises SetupError, ServiceError."""
        location = self._tables.location(table)
        with gcp.explaining("ask BigQuery"):
            return self._rows(sql, location, values)

    def ask_in_pages(self, sql: str, values: Sequence[Any]) -> Iterator[pa.RecordBatch]:
        """A query of the bookkeeping; its rows in batches of bounded size."""
        config = bigquery.QueryJobConfig(query_parameters=list(values), use_legacy_sql=False)
        location = self._tables.location(LEDGER)
        with gcp.explaining("ask BigQuery"):
            job = self._client.query(
                sql, job_config=config, location=location, job_retry=None, **gcp.limits()
            )
            self._jobs.wait(job)
            found = job.result(page_size=_PAGE_ROWS, job_retry=None, **gcp.limits())
            yield from found.to_arrow_iterable()

    def _append(
        self, lot: Lot, table: str, job_id: str, location: str, sources: Sequence[str]
    ) -> None:
        """Appends a lot to its table, or to one beside it. Raises RefusedError, BalanceError."""
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            schema=columns_of(lot.schema),
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
        )

        def begin(id_: str) -> Job:
            return self._client.load_table_from_uri(
                lot.paths, self._tables.full_name(table), job_id=id_, location=location,
                job_config=config, **gcp.limits(),
            )  # fmt: skip

        job = self._jobs.run(Work(job_id, lot.table, location, begin, sources))
        if job.output_rows != lot.rows:
            raise BalanceError(
                f"{lot.rows} rows were staged for {lot.table}, {job.output_rows} loaded."
            )

    def _merge(self, lot: Lot, incoming: str, location: str) -> Loaded:
        """Loads a lot into a table of this attempt's own, and from there what its table lacks.

        Whichever attempt's merge it is that BigQuery ran: all of them bring the same rows.
        """
        attempt = self._job_id(lot, f"i_{uuid4().hex}")
        self._append(lot, incoming, attempt, location, ())
        earliest, latest = self._rows_of(
            lot, f"SELECT MIN(timestamp), MAX(timestamp) FROM {_quoted(incoming)}", location
        )[0]
        values = [
            bigquery.ScalarQueryParameter("earliest", "TIMESTAMP", earliest),
            bigquery.ScalarQueryParameter("latest", "TIMESTAMP", latest),
        ]
        columns = ", ".join(f"`{column.name}`" for column in schemas.table("event"))
        merge = (
            f"MERGE {_quoted(lot.table)} AS loaded USING {_quoted(incoming)} AS incoming "
            "ON loaded.event_id = incoming.event_id "
            "AND loaded.timestamp BETWEEN @earliest AND @latest "
            f"WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({columns})"
        )
        if self._dml(lot, "m", merge, values, location).num_dml_affected_rows == lot.rows:
            return Loaded(lot.rows)
        there = self._rows_of(
            lot,
            "SELECT incoming.source_object, COUNT(*) - COUNT(loaded.event_id) "
            f"FROM {_quoted(incoming)} AS incoming LEFT JOIN {_quoted(lot.table)} AS loaded "
            "ON loaded.event_id = incoming.event_id AND loaded.batch = incoming.batch "
            "AND loaded.source_object = incoming.source_object "
            "AND loaded.source_position = incoming.source_position "
            "AND loaded.timestamp BETWEEN @earliest AND @latest GROUP BY 1",
            location,
            values,
        )
        duplicates = Counter({name: count for name, count in there if count})
        return Loaded(lot.rows - duplicates.total(), duplicates)

    def _dml(
        self, lot: Lot, step: str, sql: str, values: Sequence[Any], location: str
    ) -> bigquery.QueryJob:
        config = bigquery.QueryJobConfig(query_parameters=list(values), use_legacy_sql=False)

        def begin(id_: str) -> Job:
            return self._client.query(
                sql, job_config=config, job_id=id_, location=location, job_retry=None,
                **gcp.limits(),
            )  # fmt: skip

        return self._jobs.run(Work(self._job_id(lot, step), lot.table, location, begin))

    def _rows_of(
        self, lot: Lot, sql: str, location: str, values: Sequence[Any] = ()
    ) -> list[tuple[Any, ...]]:
        """What a small query gives for a lot's table; raises RefusedError."""
        with refusing(lot.table, f"look into {lot.table}"):
            return self._rows(sql, location, values)

    def _rows(self, sql: str, location: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        config = bigquery.QueryJobConfig(query_parameters=list(values), use_legacy_sql=False)
        job = self._client.query(
            sql, job_config=config, location=location, job_retry=None, **gcp.limits()
        )
        self._jobs.wait(job)
        return [tuple(row.values()) for row in job.result(job_retry=None, **gcp.limits())]

    def _job_id(self, lot: Lot, step: str) -> str:
        """The same for the same rows, whoever loads them; its generation comes behind."""
        which = f"{self._installation}\n{lot.table}\n{lot.part}"
        return f"px_{lot.batch}_{sha256(which.encode()).hexdigest()[:_HASH_CHARS]}{step}"


def _quoted(name: str) -> str:
    """DATASET.TABLE as SQL: neither part can hold a backtick."""
    return f"`{name}`"
