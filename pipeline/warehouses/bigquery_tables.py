"""BigQuery's datasets and tables: makes them as `schemas/` says, and says why one cannot be loaded.

Source: https://cloud.google.com/bigquery/docs/managing-table-schemas and
https://cloud.google.com/bigquery/docs/creating-partitioned-tables, read 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from threading import Lock
from typing import Literal, get_args
from uuid import uuid4

from google.api_core.exceptions import Conflict, Forbidden, NotFound, PreconditionFailed
from google.cloud import bigquery

from pipeline import gcp, schemas
from pipeline.errors import ServiceError, SetupError
from pipeline.warehouses.bigquery_jobs import refusing
from pipeline.warehouses.contract import RefusedError

Partition = Literal["day", "hour"]
PARTITIONS: tuple[Partition, ...] = get_args(Partition)
BOOKKEEPING = "pixelship"
_DAY_MS = 86_400_000
_PARTITIONED_BY = {"event": "timestamp", "rejects": "timestamp", "bot_hits": "hour", "batches": "loaded_at"}  # fmt: skip
_CLUSTERED_BY = {
    "event": ["key"],
    "rejects": ["reason", "source_object"],
    "objects": ["name"],
    "sends": ["campaign_hash", "send_id"],
}
_DESCRIBED = {
    "event": "Views of pixels, each once; written by Pixelship.",
    "rejects": "Log lines that did not become views, and why.",
    "bot_hits": "Verified views by machines, counted by hour.",
    "objects": "The ledger, by log object: what was loaded, and the fates of its lines.",
    "batches": "The ledger, by batch.",
    "sends": "E-mails that were sent with a pixel.",
}
_SAME_TYPES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
_MOST_TRIES = 5
_INCOMING = "_pixelship_incoming_"
_INCOMING_DAYS = 7
"""Longer than any job lasts."""
ONCE = "_once"
_ONCE_SQL = (
    "SELECT * FROM `{}` WHERE TRUE "
    "QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id, timestamp ORDER BY batch, source_object, source_position) = 1"
)
"""Partitioned by the time too, so that a filter on it reaches the table's partitions."""


@dataclass(frozen=True)
class TableOptions:
    """How new tables of views are made; those that exist are left as they are.

    `expiry_days` is how long a partition is kept, None for ever.
    """

    partition: Partition = "day"
    expiry_days: int | None = None
    require_partition_filter: bool = False


class Tables:
    """The tables of a project that a run loads. May be used by several threads."""

    def __init__(self, client: bigquery.Client, location: str, options: TableOptions) -> None:
        self._client = client
        self._location = location
        self._options = options
        self._locations: dict[str, str] = {}
        self._ready: set[str] = set()
        self._lock = Lock()

    def prepare_bookkeeping(self) -> str:
        """Makes the bookkeeping ready and gives its location; raises SetupError."""
        try:
            for name in ("rejects", "bot_hits", "objects", "batches"):
                location = self.prepare(f"{BOOKKEEPING}.{name}", name)
        except RefusedError as error:
            raise SetupError(f"{error.table} cannot be loaded: {error.why}.") from None
        if location.upper() != self._location.upper():
            raise SetupError(
                f"The dataset {BOOKKEEPING} is in {location}: say --location {location}."
            )
        return location

    def prepare(self, name: str, schema: str = "event") -> str:
        """Creates a table, or gives it the columns that it lacks; gives its dataset's location.

        Raises RefusedError where it cannot take rows.
        """
        dataset = name.partition(".")[0]
        with refusing(name, f"prepare the table {name}"):
            location = self._dataset_location(dataset, name)
            if name not in self._ready:
                self._ensure(name, schema)
                self._ready.add(name)
        return location

    def full_name(self, name: str) -> str:
        """The table's name with its project."""
        return f"{self._client.project}.{name}"

    def location(self, name: str) -> str:
        """Where the table's dataset is. Raises SetupError, ServiceError."""
        dataset = name.partition(".")[0]
        if dataset not in self._locations:
            with gcp.explaining(f"look at the dataset {dataset}"):
                reference = bigquery.DatasetReference(self._client.project, dataset)
                found = self._client.get_dataset(reference, **gcp.limits())
                self._locations[dataset] = found.location
        return self._locations[dataset]

    def exists(self, name: str) -> bool:
        """Whether a table is there. Raises SetupError, ServiceError."""
        return self.rows(name) is not None

    def rows(self, name: str) -> int | None:
        """How many rows a table has; None where there is no table."""
        with gcp.explaining(f"look at the table {name}"):
            try:
                found = self._client.get_table(self.full_name(name), **gcp.limits())
            except NotFound:
                return None
            return found.num_rows if found.table_type == "TABLE" else None

    def ensure_view(self, name: str) -> None:
        """Makes the view `DATASET.TABLE_once`, which shows each view of the table once.

        Where something else has its name, or it may not be made, the table does without.
        """
        view = f"{name}{ONCE}"
        if view in self._ready:
            return
        table = bigquery.Table(self.full_name(view))
        table.description = f"{name}, each event_id once."
        table.view_query = _ONCE_SQL.format(self.full_name(name))
        with suppress(RefusedError), refusing(view, f"create the view {view}"):
            try:
                self._client.get_table(table.reference, **gcp.limits())
            except NotFound:
                self._client.create_table(table, exists_ok=True, **gcp.limits())
        self._ready.add(view)

    @contextmanager
    def incoming(self, name: str) -> Iterator[str]:
        """A new table beside another, for rows on their way into it. Raises RefusedError.

        It is dropped, or goes by itself after a while: where a job may still read it.
        """
        dataset, _, table = name.partition(".")
        incoming = f"{dataset}.{_INCOMING}{uuid4().hex}_{table}"
        wanted = bigquery.Table(self.full_name(incoming), columns_of("event"))
        wanted.expires = datetime.now(timezone.utc) + timedelta(days=_INCOMING_DAYS)
        with refusing(name, f"create the table {incoming}"):
            self._client.create_table(wanted, exists_ok=True, **gcp.limits())
        try:
            yield incoming
        except RefusedError:
            self._drop(wanted)
            raise
        self._drop(wanted)

    def _drop(self, table: bigquery.Table) -> None:
        with suppress(SetupError, ServiceError), gcp.explaining(f"drop {table.table_id}"):
            self._client.delete_table(table, not_found_ok=True, **gcp.limits())

    def _dataset_location(self, dataset: str, name: str) -> str:
        """Where the dataset is; it is created where it is missing. Raises RefusedError."""
        with self._lock:
            if dataset not in self._locations:
                reference = bigquery.DatasetReference(self._client.project, dataset)
                try:
                    found = self._client.get_dataset(reference, **gcp.limits())
                except NotFound:
                    found = self._create_dataset(reference, name)
                self._locations[dataset] = found.location
            return self._locations[dataset]

    def _create_dataset(self, reference: bigquery.DatasetReference, name: str) -> bigquery.Dataset:
        wanted = bigquery.Dataset(reference)
        wanted.location = self._location
        try:
            return self._client.create_dataset(wanted, **gcp.limits())
        except Conflict:
            return self._client.get_dataset(reference, **gcp.limits())
        except Forbidden:
            why = f"the dataset {reference.dataset_id} is missing and may not be created"
            raise RefusedError(name, why) from None

    def _ensure(self, name: str, schema: str) -> None:
        for _ in range(_MOST_TRIES):
            try:
                found = self._client.get_table(self.full_name(name), **gcp.limits())
                return self._add_columns(name, found, schemas.table(schema))
            except NotFound:
                self._create(name, schema)
            except PreconditionFailed:
                continue  # another run changed it meanwhile
        raise RefusedError(name, "others keep changing it")

    def _create(self, name: str, schema: str) -> None:
        table = bigquery.Table(self.full_name(name), columns_of(schema))
        table.description = _DESCRIBED[schema]
        if schema in _PARTITIONED_BY:
            is_views = schema == "event"
            table.time_partitioning = bigquery.TimePartitioning(
                type_=self._options.partition.upper() if is_views else "DAY",
                field=_PARTITIONED_BY[schema],
                expiration_ms=(self._options.expiry_days or 0) * _DAY_MS or None
                if is_views
                else None,
            )
            table.require_partition_filter = is_views and self._options.require_partition_filter
        if schema in _CLUSTERED_BY:
            table.clustering_fields = _CLUSTERED_BY[schema]
        try:
            self._client.create_table(table, **gcp.limits())
        except Conflict:
            return  # another run created it meanwhile
        except Forbidden:
            raise RefusedError(name, "it is missing and may not be created") from None

    def _add_columns(
        self, name: str, table: bigquery.Table, columns: Sequence[schemas.Column]
    ) -> None:
        """Adds what is missing, as nullable: BigQuery adds no other. Raises RefusedError."""
        if table.table_type != "TABLE":
            raise RefusedError(name, f"a {table.table_type.lower().replace('_', ' ')} has its name")
        found = {field.name.lower(): field for field in table.schema}
        for column in columns:
            field = found.get(column.name)
            if field and (_type(field) != column.type or field.mode == "REPEATED"):
                kind = "an array" if field.mode == "REPEATED" else _type(field)
                raise RefusedError(name, f"its column {column.name} is {kind}, not {column.type}")
            if column.is_required and (field is None or field.mode != "REQUIRED"):
                kind = "is missing" if field is None else f"is {field.mode}"
                raise RefusedError(name, f"its column {column.name} {kind}, and cannot be made REQUIRED later: rename the table, and it is made anew")  # fmt: skip
        modes = {column.name: column.mode for column in columns}
        for field in table.schema:
            if field.mode == "REQUIRED" and modes.get(field.name.lower()) != "REQUIRED":
                why = f"its column {field.name} is REQUIRED: drop NOT NULL from it"
                raise RefusedError(name, why)
        missing = [column for column in columns if column.name not in found]
        if missing:
            table.schema = [*table.schema, *(_field(column, "NULLABLE") for column in missing)]
            try:
                self._client.update_table(table, ["schema"], **gcp.limits())
            except Forbidden:
                names = ", ".join(column.name for column in missing)
                raise RefusedError(name, f"it lacks {names}, which may not be added") from None


def columns_of(schema: str) -> list[bigquery.SchemaField]:
    """The columns of a table as BigQuery's client has them."""
    return [_field(column, column.mode) for column in schemas.table(schema)]


def _field(column: schemas.Column, mode: str) -> bigquery.SchemaField:
    return bigquery.SchemaField(column.name, column.type, mode, description=column.description)


def _type(field: bigquery.SchemaField) -> str:
    return _SAME_TYPES.get(field.field_type, field.field_type)
