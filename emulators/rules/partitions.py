"""Time partitions: their ids, decorators such as `views$20260131`, and the limit a job has.

https://cloud.google.com/bigquery/docs/managing-partitioned-table-data
https://cloud.google.com/bigquery/quotas#partitioned_tables
"""

from __future__ import annotations

import re

from emulators.rules.errors import Json, invalid

MOST_MODIFIED_BY_A_JOB = 4000
ID_FORMAT = {"HOUR": "%Y%m%d%H", "DAY": "%Y%m%d", "MONTH": "%Y%m", "YEAR": "%Y"}
ID_LENGTH = {"HOUR": 10, "DAY": 8, "MONTH": 6, "YEAR": 4}
NULL_PARTITION = "__NULL__"


def split_decorator(table_id: str) -> tuple[str, str | None]:
    """A table id and the partition that its decorator names, if any."""
    name, _, partition = table_id.partition("$")
    return name, partition or None


def partition_sql(partitioning: Json) -> str:
    """The DuckDB expression of a row's partition id."""
    column = quoted(partitioning["field"])
    # A TIMESTAMP's partition is that of its time in UTC, whatever the server's zone.
    pattern = ID_FORMAT[partitioning.get("type", "DAY")]
    return f"coalesce(strftime({column}, '{pattern}'), '{NULL_PARTITION}')"


def check_decorator(table: str, partition: str, partitioning: Json | None) -> Json:
    """The partitioning that a decorator belongs to; refuses one that does not fit it."""
    if not partitioning or not partitioning.get("field"):
        raise invalid(f"Cannot address a partition of {table}, which has no partitioning column.")
    unit = partitioning.get("type", "DAY")
    is_id = re.fullmatch(r"\d+", partition) and len(partition) == ID_LENGTH[unit]
    if not is_id and partition != NULL_PARTITION:
        raise invalid(f"Invalid time partition identifier '{partition}' for {unit} partitioning.")
    return partitioning


def quoted(identifier: str) -> str:
    """A DuckDB identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A DuckDB string."""
    return "'" + text.replace("'", "''") + "'"
