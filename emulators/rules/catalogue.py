"""Data sets and tables: their resources, and the DuckDB schemas and tables behind them.

https://cloud.google.com/bigquery/docs/reference/rest/v2/tables
https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from bqemulator.api.routes import datasets as inner_datasets
from bqemulator.api.routes import tables as inner_tables
from bqemulator.storage.sql_identifiers import quoted_schema, quoted_table_ref
from bqemulator.storage.type_map import bq_schema_to_duckdb_columns

from emulators.rules.errors import BigQueryError, Json, duplicate, invalid
from emulators.rules.partitions import quoted
from emulators.rules.schemas import by_name, mode_of, type_of
from emulators.rules.state import DEFAULT_LOCATION, State, TableRef, now_ms

# What a client may set; all of it is kept as it came and given back.
DATASET_FIELDS = (
    *("friendlyName", "description", "labels", "access"),
    *("defaultTableExpirationMs", "defaultPartitionExpirationMs"),
)
TABLE_FIELDS = (
    *("schema", "friendlyName", "description", "labels", "expirationTime", "timePartitioning"),
    *("rangePartitioning", "requirePartitionFilter", "clustering", "view"),
)
_SIXTY_FOUR_BITS = ("expirationTime", "defaultTableExpirationMs", "defaultPartitionExpirationMs")
_PARTITIONING_COLUMNS = {"TIMESTAMP", "DATETIME", "DATE"}
MOST_CLUSTERING_COLUMNS = 4


def create_dataset(state: State, project: str, body: Json) -> Json:
    """Makes a data set; its location is what it stays.

    https://cloud.google.com/bigquery/docs/datasets#dataset_limitations
    """
    dataset = body["datasetReference"]["datasetId"]
    if (project, dataset) in state.datasets:
        raise duplicate(f"Dataset {project}:{dataset}")
    _refuse_twins(dataset, [name for owner, name in state.datasets if owner == project])
    location = str(body.get("location") or DEFAULT_LOCATION)
    state.sql(f"CREATE SCHEMA IF NOT EXISTS {quoted_schema(project, dataset)}")
    clock = state.context.clock
    state.context.catalog.create_dataset(
        inner_datasets._rest_to_dataset_meta(project, body, clock, None)
    )
    resource = {
        "kind": "bigquery#dataset",
        "id": f"{project}:{dataset}",
        "datasetReference": {"projectId": project, "datasetId": dataset},
        "location": location.upper() if len(location) == 2 else location,
        "type": "DEFAULT",
        "creationTime": now_ms(),
        **_settable(body, DATASET_FIELDS),
    }
    state.datasets[project, dataset] = resource
    touch(state, resource)
    return resource


def drop_dataset(state: State, project: str, dataset: str, contents: bool) -> None:
    """Drops a data set; one that is not empty only with its contents."""
    state.dataset(project, dataset)
    tables = tables_of(state, project, dataset)
    if tables and not contents:
        raise BigQueryError("resourceInUse", f"Dataset {project}:{dataset} is still in use")
    state.sql(f"DROP SCHEMA IF EXISTS {quoted_schema(project, dataset)} CASCADE")
    state.context.catalog.delete_dataset(project, dataset, delete_contents=True, not_found_ok=True)
    for ref in tables:
        del state.tables[ref]
    del state.datasets[project, dataset]


def drop_project(state: State, project: str) -> None:
    """Forgets all data sets, tables and jobs of a project."""
    for owner, dataset in list(state.datasets):
        if owner == project:
            drop_dataset(state, project, dataset, contents=True)
    for key in [key for key in state.jobs if key[0] == project]:
        del state.jobs[key]


def tables_of(state: State, project: str, dataset: str) -> list[TableRef]:
    """The tables and views of a data set, by name."""
    found = [ref for ref in state.tables if (ref.project, ref.dataset) == (project, dataset)]
    return sorted(found, key=lambda ref: ref.table)


def create_table(state: State, ref: TableRef, body: Json) -> Json:
    """Makes a table; REQUIRED columns refuse NULL whoever writes.

    https://cloud.google.com/bigquery/docs/schemas#modes
    """
    dataset = state.dataset(ref.project, ref.dataset)
    if ref in state.tables:
        raise duplicate(f"Table {ref}")
    _refuse_twins(ref.table, [t.table for t in tables_of(state, ref.project, ref.dataset)])
    resource = {
        "kind": "bigquery#table",
        "id": str(ref),
        "tableReference": ref.as_json(),
        "type": "TABLE",
        "creationTime": now_ms(),
        "location": dataset["location"],
        **_settable(body, TABLE_FIELDS),
    }
    if resource.get("timePartitioning"):
        resource["timePartitioning"] = {"type": "DAY", **resource["timePartitioning"]}
    _inherit(dataset, resource)
    _check_layout(ref, resource)
    fields = fields_of(resource)
    columns = ", ".join(column_sql(field) for field in fields) or '"__placeholder" INTEGER'
    state.sql(f"CREATE TABLE {duck(ref)} ({columns})")
    register(state, ref, resource)
    return resource


def register(state: State, ref: TableRef, resource: Json) -> None:
    """Takes a table or view that DuckDB has into our catalogue and bqemulator's."""
    state.tables[ref] = resource
    touch(state, resource)
    mirror(state, ref)


def mirror(state: State, ref: TableRef) -> None:
    """Tells bqemulator's catalogue, which its SQL translation asks, what ours says of a table."""
    catalog = state.context.catalog
    body = {"tableReference": ref.as_json(), **state.tables[ref]}
    meta = inner_tables._rest_to_table_meta(
        ref.project, ref.dataset, copy.deepcopy(body), state.context.clock
    )
    if catalog.get_table(ref.project, ref.dataset, ref.table) is None:
        catalog.create_table(meta)
    else:
        catalog.update_table(meta)


def drop_table(state: State, ref: TableRef) -> None:
    """Drops a table or view."""
    kind = "VIEW" if state.table(ref)["type"] == "VIEW" else "TABLE"
    state.sql(f"DROP {kind} IF EXISTS {duck(ref)}")
    state.context.catalog.delete_table(ref.project, ref.dataset, ref.table, not_found_ok=True)
    del state.tables[ref]


def set_fields(state: State, ref: TableRef, fields: Sequence[Json]) -> None:
    """Gives a table other fields, which must be known to be permitted."""
    resource = state.table(ref)
    before = by_name(fields_of(resource))
    if not before and fields:
        state.sql(f"DROP TABLE {duck(ref)}")
        state.sql(f"CREATE TABLE {duck(ref)} ({', '.join(map(column_sql, fields))})")
    for field in fields if before else ():
        old = before.get(field["name"].lower())
        column = quoted(field["name"])
        if old is None:
            state.sql(f"ALTER TABLE {duck(ref)} ADD COLUMN {column_sql(field)}")
        elif mode_of(old) == "REQUIRED" and mode_of(field) != "REQUIRED":
            state.sql(f"ALTER TABLE {duck(ref)} ALTER COLUMN {column} DROP NOT NULL")
    resource["schema"] = {"fields": [dict(field) for field in fields]}
    touch(state, resource)
    mirror(state, ref)


def replace_table(state: State, ref: TableRef, fields: Sequence[Json]) -> None:
    """Empties a table and gives it another schema, as WRITE_TRUNCATE does."""
    resource = state.table(ref)
    columns = ", ".join(column_sql(field) for field in fields)
    state.sql(f"CREATE OR REPLACE TABLE {duck(ref)} ({columns})")
    resource["schema"] = {"fields": [dict(field) for field in fields]}
    _check_layout(ref, resource)
    touch(state, resource)
    mirror(state, ref)


def table_as_json(state: State, ref: TableRef) -> Json:
    """A table's resource with its size as it is now."""
    resource = state.table(ref)
    if resource["type"] == "VIEW":
        return resource
    (rows,) = state.sql(f"SELECT count(*) FROM {duck(ref)}")[0]
    size = str(rows * 8 * len(fields_of(resource)))
    return {**resource, "numRows": str(rows), "numBytes": size, "numLongTermBytes": "0"}


def fields_of(resource: Json) -> list[Json]:
    """A table's fields."""
    return list((resource.get("schema") or {}).get("fields") or [])


def touch(state: State, resource: Json) -> None:
    """Marks a resource as changed."""
    resource["etag"] = state.new_etag()
    resource["lastModifiedTime"] = now_ms()


def duck(ref: TableRef) -> str:
    """The table's name in DuckDB."""
    return str(quoted_table_ref(ref.project, ref.dataset, ref.table))


def column_sql(field: Json) -> str:
    """A field as a column of a DuckDB table."""
    ((name, kind),) = bq_schema_to_duckdb_columns([{**field, "mode": mode_of(field)}])
    return f"{quoted(name)} {kind}" + (" NOT NULL" if mode_of(field) == "REQUIRED" else "")


def update(resource: Json, body: Json, settable: Sequence[str], whole: bool) -> None:
    """Takes over what a client sets: all of it (PUT), or what it names (PATCH; null removes)."""
    for name in settable:
        if name in body or whole:
            value = body.get(name)
            if value is None:
                resource.pop(name, None)
            elif name == "labels" and not whole:
                merged = {**resource.get("labels", {}), **value}
                resource["labels"] = {key: text for key, text in merged.items() if text is not None}
            else:
                resource[name] = _text(name, value)


def _inherit(dataset: Json, resource: Json) -> None:
    """A new table's expiry where only its data set has one.

    https://cloud.google.com/bigquery/docs/updating-datasets#default-partition-expiration
    """
    partitioning = resource.get("timePartitioning")
    partitions_last = dataset.get("defaultPartitionExpirationMs")
    tables_last = dataset.get("defaultTableExpirationMs")
    if partitioning and partitions_last:
        partitioning.setdefault("expirationMs", partitions_last)
    elif tables_last:
        resource.setdefault("expirationTime", str(int(now_ms()) + int(tables_last)))


def _refuse_twins(name: str, others: Sequence[str]) -> None:
    """DuckDB's names do not differ by case alone; BigQuery's may."""
    if any(name.lower() == other.lower() for other in others):
        raise BigQueryError(
            "notImplemented", f"The emulator can't tell names apart by case: {name}."
        )


def _settable(body: Json, settable: Sequence[str]) -> Json:
    kept: Json = {}
    update(kept, body, settable, whole=True)
    return kept


def _text(name: str, value: object) -> object:
    """64-bit numbers are strings in BigQuery's JSON, however they came."""
    if name in _SIXTY_FOUR_BITS:
        return str(value)
    if isinstance(value, dict) and "expirationMs" in value:
        return {**value, "expirationMs": str(value["expirationMs"])}
    return copy.deepcopy(value)


def _check_layout(ref: TableRef, resource: Json) -> None:
    """Partitioning and clustering columns are columns of the table, of a fit type.

    https://cloud.google.com/bigquery/docs/partitioned-tables#date_timestamp_partitioned_tables
    https://cloud.google.com/bigquery/docs/clustered-tables#limitations
    """
    columns = by_name(fields_of(resource))
    partitioning = resource.get("timePartitioning") or {}
    column = partitioning.get("field")
    if column is not None:
        field = columns.get(column.lower())
        if field is None:
            raise invalid(
                "The field specified for partitioning cannot be found in the schema of"
                f" {ref}: {column}"
            )
        if type_of(field) not in _PARTITIONING_COLUMNS:
            raise invalid(f"The field {column} cannot be used for partitioning: {type_of(field)}.")
    clustering = (resource.get("clustering") or {}).get("fields") or []
    if len(clustering) > MOST_CLUSTERING_COLUMNS:
        raise invalid(f"Too many clustering fields: {len(clustering)}, allowed 4.")
    for name in clustering:
        if name.lower() not in columns:
            raise invalid(f"The field specified for clustering cannot be found: {name}")
    if resource.get("requirePartitionFilter") and not partitioning:
        raise invalid(f"requirePartitionFilter needs a partitioned table: {ref}")
