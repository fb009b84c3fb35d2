"""Load jobs from Parquet or JSON: all source objects or none, columns by name, modes and types checked.

https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet
https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#jobconfigurationload
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from emulators.rules import catalogue
from emulators.rules.errors import BigQueryError, Json, duplicate, invalid, not_found
from emulators.rules.json_rows import json_source
from emulators.rules.objects import MOST_URIS, Object, find_objects
from emulators.rules.parquet import read_columns
from emulators.rules.partitions import (
    MOST_MODIFIED_BY_A_JOB,
    check_decorator,
    literal,
    partition_sql,
    quoted,
    split_decorator,
)
from emulators.rules.schemas import by_name, merge_for_load, mode_of, type_of
from emulators.rules.state import Job, State, TableRef

APPEND, TRUNCATE, EMPTY = "WRITE_APPEND", "WRITE_TRUNCATE", "WRITE_EMPTY"
TRUNCATE_DATA = "WRITE_TRUNCATE_DATA"
PARQUET, JSON_LINES = "PARQUET", "NEWLINE_DELIMITED_JSON"


@dataclass(frozen=True)
class Load:
    """A load job's configuration, its defaults filled in."""

    target: TableRef
    partition: str | None
    uris: list[str]
    format: str
    write: str
    may_create: bool
    allowed: frozenset[str]
    fields: list[Json]
    ignore_unknown: bool
    layout: Json


def read_load(project: str, configuration: Json) -> Load:
    """Checks a load job's configuration, as jobs.insert does before there is a job.

    https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationLoad
    (schemaUpdateOptions); https://cloud.google.com/bigquery/quotas#load_jobs (URIs)
    """
    load = configuration["load"]
    destination = load.get("destinationTable") or {}
    if not destination.get("datasetId") or not destination.get("tableId"):
        raise BigQueryError("required", "Required parameter is missing: destinationTable")
    table, partition = split_decorator(destination["tableId"])
    target = TableRef(destination.get("projectId", project), destination["datasetId"], table)
    uris = load.get("sourceUris") or []
    if not uris:
        raise BigQueryError("required", "Required parameter is missing: sourceUris")
    if len(uris) > MOST_URIS:
        raise invalid(f"Too many sources provided: {len(uris)}. Limit is {MOST_URIS}.")
    source_format = str(load.get("sourceFormat", "CSV")).upper()
    if source_format not in {PARQUET, JSON_LINES}:
        raise BigQueryError(
            "notImplemented", f"The emulator loads {PARQUET} and {JSON_LINES} only."
        )
    write = load.get("writeDisposition", APPEND)
    allowed = frozenset(load.get("schemaUpdateOptions") or ())
    if allowed and not (write == APPEND or (write == TRUNCATE and partition)):
        raise invalid(
            "Schema update options should only be specified with WRITE_APPEND disposition, or with"
            " WRITE_TRUNCATE disposition on a table partition."
        )
    return Load(
        target=target,
        partition=partition,
        uris=list(uris),
        format=source_format,
        write=write,
        may_create=load.get("createDisposition", "CREATE_IF_NEEDED") != "CREATE_NEVER",
        allowed=allowed,
        fields=list((load.get("schema") or {}).get("fields") or []),
        ignore_unknown=bool(load.get("ignoreUnknownValues")),
        layout={name: load[name] for name in ("timePartitioning", "clustering") if load.get(name)},
    )


def run_load(state: State, job: Job, root: Path) -> None:
    """Runs a load job: all of it, or none of it and a `BigQueryError`.

    https://cloud.google.com/bigquery/docs/batch-loading-data (a load job is atomic); its statistics:
    https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobStatistics3
    """
    load = read_load(job.project, job.configuration)
    target = load.target
    state.permissions.check(True, target.project, target.dataset, target.table)
    state.dataset(target.project, target.dataset, job.location)
    _check_target(state, load)
    objects = find_objects(root, load.uris)
    coming = _coming_fields(state, load, objects)
    snapshot = {**state.tables[target]} if target in state.tables else None
    state.sql("BEGIN")
    try:
        rows = _write(state, load, coming, objects)
        state.sql("COMMIT")
    except BaseException as error:
        state.sql("ROLLBACK")
        _restore(state, target, snapshot)
        if isinstance(error, duckdb.Error):
            raise _as_bigquery(error, load) from error
        raise
    size = sum(there.path.stat().st_size for there in objects)
    job.statistics["load"] = {
        "inputFiles": str(len(objects)),
        "inputFileBytes": str(size),
        "outputRows": str(rows),
        "outputBytes": str(size),
        "badRecords": "0",
    }


def _check_target(state: State, load: Load) -> None:
    """What the table's being there, or not, means for the two dispositions; views are refused.

    https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobConfigurationLoad
    (createDisposition, writeDisposition)
    """
    present = state.tables.get(load.target)
    if present is None:
        if not load.may_create:
            raise not_found(f"Table {load.target}")
        return
    if present["type"] != "TABLE":
        raise invalid(
            f"{load.target} is not allowed for this operation because it is currently a"
            f" {present['type']}."
        )
    rows = state.sql(f"SELECT count(*) FROM {catalogue.duck(load.target)}")[0][0]
    if load.write == EMPTY and rows:
        raise duplicate(f"Table {load.target}")


def _coming_fields(state: State, load: Load, objects: list[Object]) -> list[Json]:
    """The fields that the files bring; the job's own schema, if it has one, speaks for them.

    JSON has no fields of its own: without a schema in the job, the table's holds.

    Files that one `*` finds have one schema, positions included
    (https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet#limitations).

    On modes there is no documentation, and reports disagree: REQUIRED in the file is heeded without
    a schema in the job (googleapis/google-cloud-python#8093) or is not (googleapis/python-bigquery
    #1981); with one, an OPTIONAL column is good for REQUIRED (#1981) or not (java-bigquery#13). What
    any of them saw refused is refused here, but for a REQUIRED column into a NULLABLE one.
    """
    if load.format == JSON_LINES:
        return load.fields or catalogue.fields_of(state.tables.get(load.target, {}))
    told = by_name(load.fields)
    union: dict[str, Json] = {}
    of_pattern: dict[str, list[Json]] = {}
    for there in objects:
        fields = read_columns(there.path, there.uri)
        if there.pattern and of_pattern.setdefault(there.pattern, fields) != fields:
            raise _unreadable("Files that a wildcard finds must have one schema.", there)
        for key, field in by_name(fields).items():
            if told:
                _check_file(told.get(key), field, there, load)
            elif type_of(union.setdefault(key, field)) != type_of(field):
                raise _mistyped(field, union[key], there)
    if told:
        return load.fields
    return [{**field, "mode": "NULLABLE"} for field in union.values()]


def _check_file(told: Json | None, field: Json, there: Object, load: Load) -> None:
    """Whether a column of a file is as the job's schema says."""
    if told is None:
        if not load.ignore_unknown:
            raise _unreadable(f"Column '{field['name']}' is not in the provided schema.", there)
    elif type_of(told) != type_of(field):
        raise _mistyped(field, told, there)
    elif mode_of(told) == "REQUIRED" != mode_of(field):
        raise _unreadable(
            f"Provided schema is not compatible with the file. Field '{field['name']}' is specified"
            f" as {mode_of(told)} in provided schema which does not match {mode_of(field)} as"
            " specified in the file.",
            there,
        )


def _mistyped(field: Json, other: Json, there: Object) -> BigQueryError:
    return _unreadable(
        f"Parquet column '{field['name']}' has type {type_of(field)} which does not match the"
        f" target cpp_type {type_of(other)}.",
        there,
    )


def _unreadable(message: str, there: Object) -> BigQueryError:
    text = f"Error while reading data, error message: {message} File: {there.uri}"
    return invalid(text, there.uri)


def _source(state: State, load: Load, coming: list[Json], objects: list[Object]) -> str:
    """What DuckDB reads the rows from."""
    if load.format == JSON_LINES:
        return json_source(state, objects, coming, load.ignore_unknown)
    paths = ", ".join(literal(str(there.path)) for there in objects)
    return f"read_parquet([{paths}], union_by_name = true)"


def _write(state: State, load: Load, coming: list[Json], objects: list[Object]) -> int:
    """Within a transaction: makes or changes the table, and inserts; returns the rows written."""
    target = catalogue.duck(load.target)
    if load.target not in state.tables:
        body = {"schema": {"fields": coming}, **load.layout}
        catalogue.create_table(state, load.target, body)
    elif load.write == TRUNCATE and load.partition is None:
        catalogue.replace_table(state, load.target, coming)
    else:
        present = catalogue.fields_of(state.tables[load.target])
        merged = merge_for_load(str(load.target), present, coming, load.allowed)
        if merged != present:
            catalogue.set_fields(state, load.target, merged)
    resource = state.tables[load.target]
    source = _source(state, load, coming, objects)
    in_files = {row[0].lower(): row[0] for row in state.sql(f"DESCRIBE SELECT * FROM {source}")}
    names = [
        (field["name"], in_files[field["name"].lower()])
        for field in catalogue.fields_of(resource)
        if field["name"].lower() in in_files and field["name"].lower() in by_name(coming)
    ]
    into = ", ".join(quoted(name) for name, _ in names)
    columns = ", ".join(f"{quoted(column)} AS {quoted(name)}" for name, column in names)
    rows = f"(SELECT {columns} FROM {source})"
    _check_partitions(state, load, resource, rows)
    if load.write in {TRUNCATE, TRUNCATE_DATA}:
        if load.partition is None:
            state.sql(f"DELETE FROM {target}")
        else:
            expression = partition_sql(resource["timePartitioning"])
            state.sql(f"DELETE FROM {target} WHERE {expression} = {literal(load.partition)}")
    return int(state.sql(f"INSERT INTO {target} ({into}) SELECT {into} FROM {rows}")[0][0])


def _check_partitions(state: State, load: Load, resource: Json, rows: str) -> None:
    """Rows lie in the partition that the decorator names, and in 4,000 at most.

    https://cloud.google.com/bigquery/docs/load-data-partitioned-tables#load_data_into_a_partition
    https://cloud.google.com/bigquery/quotas#partitioned_tables
    """
    partitioning = resource.get("timePartitioning")
    if load.partition is not None:
        partitioning = check_decorator(str(load.target), load.partition, partitioning)
        expression = partition_sql(partitioning)
        strays = state.sql(
            f"SELECT count(*) FROM {rows} WHERE {expression} <> {literal(load.partition)}"
        )
        if strays[0][0]:
            raise invalid(
                "Some rows belong to different partitions rather than destination partition"
                f" {load.target.table}${load.partition}"
            )
    elif partitioning and partitioning.get("field"):
        count = state.sql(f"SELECT count(DISTINCT {partition_sql(partitioning)}) FROM {rows}")
        if count[0][0] > MOST_MODIFIED_BY_A_JOB:
            raise invalid(
                f"Too many partitions produced by load, allowed {MOST_MODIFIED_BY_A_JOB}, load"
                f" produces at least {count[0][0]} partitions"
            )


def _restore(state: State, target: TableRef, snapshot: Json | None) -> None:
    """Puts the catalogues back to where they were; DuckDB has rolled back by itself."""
    if snapshot is None:
        state.tables.pop(target, None)
        state.context.catalog.delete_table(
            target.project, target.dataset, target.table, not_found_ok=True
        )
    else:
        state.tables[target] = snapshot
        catalogue.mirror(state, target)


def _as_bigquery(error: duckdb.Error, load: Load) -> BigQueryError:
    text = str(error)
    if "NOT NULL constraint failed" in text:
        column = text.rsplit(".", 1)[-1].strip()
        return invalid(
            f"Error while reading data, error message: Required field {column} cannot be null."
        )
    return invalid(f"Error while reading data, error message: {text}", load.uris[0])
