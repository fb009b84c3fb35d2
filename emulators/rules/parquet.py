"""Parquet files as BigQuery sees them: their columns' types and modes.

https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet#parquet_conversions
"""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from emulators.rules.errors import Json, invalid

_PLAIN = {
    "BOOLEAN": "BOOLEAN",
    "INT32": "INTEGER",
    "INT64": "INTEGER",
    "INT96": "TIMESTAMP",
    "FLOAT": "FLOAT",
    "DOUBLE": "FLOAT",
    "BYTE_ARRAY": "BYTES",
    "FIXED_LEN_BYTE_ARRAY": "BYTES",
}
_LOGICAL = {"STRING": "STRING", "ENUM": "STRING", "JSON": "STRING", "DATE": "DATE", "TIME": "TIME"}


def read_columns(path: Path, uri: str) -> list[Json]:
    """The file's columns as BigQuery's schema fields, in its order; refuses what is no Parquet."""
    try:
        with pq.ParquetFile(path) as file:
            columns = [file.schema.column(at) for at in range(len(file.schema))]
            return [_field(column, uri) for column in columns]
    except (pa.ArrowException, OSError) as error:
        raise invalid(
            "Error while reading data, error message: Input file is not in Parquet format or is"
            f" damaged: {error}. File: {uri}",
            uri,
        ) from error


def _field(column: pq.ColumnSchema, uri: str) -> Json:
    if column.path != column.name or column.max_repetition_level:
        raise invalid(f"The emulator loads flat columns only; {column.path} is nested.", uri)
    mode = "NULLABLE" if column.max_definition_level else "REQUIRED"
    return {"name": column.name, "type": _type(column), "mode": mode}


def _type(column: pq.ColumnSchema) -> str:
    logical = column.logical_type.type
    if logical == "TIMESTAMP":
        # Nanoseconds are not among the conversions: the column is read as the integer it is.
        about = json.loads(column.logical_type.to_json())
        if about["timeUnit"] == "nanoseconds":
            return "INTEGER"
        return "TIMESTAMP" if about["isAdjustedToUTC"] else "DATETIME"
    if logical == "DECIMAL":
        return "NUMERIC"
    return _LOGICAL.get(logical) or _PLAIN[column.physical_type]
