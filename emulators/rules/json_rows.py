"""Newline-delimited JSON as load jobs take it: fields by name, a missing one is NULL.

https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-json
"""

from __future__ import annotations

from collections.abc import Sequence

from bqemulator.storage.type_map import bq_schema_to_duckdb_columns

from emulators.rules.errors import BigQueryError, Json, invalid
from emulators.rules.objects import Object
from emulators.rules.partitions import literal
from emulators.rules.schemas import by_name, mode_of, type_of
from emulators.rules.state import State


def json_source(state: State, objects: Sequence[Object], fields: list[Json], lenient: bool) -> str:
    """The DuckDB source of the rows, with a column for each of `fields`.

    Refuses names that are no field's, unless the job ignores unknown values (`lenient`).
    """
    if not fields:
        raise invalid("No schema specified on job or table.")
    for field in fields:
        if mode_of(field) == "REPEATED" or type_of(field) == "RECORD":
            raise BigQueryError(
                "notImplemented", f"The emulator loads flat columns only; {field['name']} is not."
            )
    paths = ", ".join(literal(str(there.path)) for there in objects)
    if not lenient:
        _check_names(state, paths, fields, objects[0].uri)
    columns = ", ".join(
        f"{literal(name)}: {literal(kind)}" for name, kind in bq_schema_to_duckdb_columns(fields)
    )
    return f"read_json([{paths}], format = 'newline_delimited', columns = {{{columns}}})"


def _check_names(state: State, paths: str, fields: list[Json], uri: str) -> None:
    told = by_name(fields)
    found = state.sql(
        "SELECT DISTINCT unnest(json_keys(json))"
        f" FROM read_json_objects([{paths}], format = 'newline_delimited')"
    )
    for (name,) in found:
        if name.lower() not in told:
            raise invalid(
                "Error while reading data, error message: JSON table encountered too many errors,"
                f" giving up. Rows: 1; errors: 1. JSON parsing error in row: No such field: {name}."
                f" File: {uri}",
                uri,
            )
