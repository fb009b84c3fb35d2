"""Which warehouse a command is for: `--to`, and what goes with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.errors import SetupError

if TYPE_CHECKING:
    from pipeline.batchlog.lease import Lease
    from pipeline.warehouses.bigquery import BigQueryWarehouse
    from pipeline.warehouses.duckdb import DuckDBWarehouse

_Command = TypeVar("_Command", bound=Callable[..., Any])
_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
DEFAULT = "duckdb:pixelship.duckdb"


def warehouse_options(command: _Command) -> _Command:
    """Adds `--to`, `--state` and `--location` to a command."""
    for option in reversed(
        (
            click.option("--to", "warehouse", default=DEFAULT, show_default=True, metavar="duckdb:PATH|bigquery:PROJECT", help="The warehouse."),
            click.option("--state", metavar="gs://BUCKET/FOLDER", help="BigQuery: where the batch log and staged rows are kept."),
            click.option("--location", default="US", show_default=True, help="BigQuery: where new datasets are made, such as EU."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def loading_options(command: _Command) -> _Command:
    """Adds what only matters to a command that makes tables and loads rows."""
    return click.option("--dedupe", default="view", show_default=True, type=click.Choice(("view", "merge", "off")), help="BigQuery: what is done about views that a later batch brings again: show each once in a view TABLE_once, keep them out of the table (which costs a query for each batch), or nothing.")(table_options(command))  # fmt: skip


def table_options(command: _Command) -> _Command:
    """Adds what only matters to a command that makes tables."""
    for option in reversed(
        (
            click.option("--partition", default="day", show_default=True, type=click.Choice(("day", "hour")), help="BigQuery: partitions of new tables, by the log's time."),
            click.option("--partition-expiry", type=click.IntRange(1), metavar="DAYS", help="BigQuery: drop partitions of new tables after so many days; never by default."),
            click.option("--require-partition-filter", is_flag=True, help="BigQuery: refuse queries of new tables that name no time."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def warehouse_of(
    name: str, state: str | None = None, location: str = "US", **options: Any
) -> DuckDBWarehouse | BigQueryWarehouse:
    """The warehouse that `--to` names; `options` are those of `loading_options`. Raises SetupError."""
    kind, _, place = name.partition(":")
    if kind == "duckdb" and place:
        if state:
            raise SetupError("--state is for bigquery:PROJECT: a DuckDB file keeps its own state.")
        from pipeline.warehouses.duckdb import DuckDBWarehouse

        return DuckDBWarehouse(place)
    if kind == "bigquery" and place:
        return _bigquery(place, state, location, **options)
    raise SetupError(f"--to {name!r} names no warehouse: write duckdb:PATH or bigquery:PROJECT.")


def loaded_warehouse_of(
    name: str, state: str | None = None, location: str = "US", **options: Any
) -> DuckDBWarehouse | BigQueryWarehouse:
    """The same, for what was loaded: raises SetupError for a file that is not there yet."""
    found = warehouse_of(name, state, location, **options)
    for path in found.files[:1]:
        if not path.is_file():
            raise SetupError(
                f"No DuckDB file is at {name.partition(':')[2]}: "
                "load a log first, or name it with --to."
            )
    return found


def lease_of(
    warehouse: DuckDBWarehouse | BigQueryWarehouse, state: str | None, seconds: float | None
) -> Lease | None:
    """The lease that keeps other runs away, where one is asked for. Raises SetupError."""
    if seconds is None:
        return None
    if state is None or warehouse.files:
        raise SetupError(
            "--lease is for bigquery:PROJECT: a DuckDB file lets in one run at a time."
        )
    from pipeline.batchlog import CloudStore
    from pipeline.batchlog.lease import Lease

    return Lease(CloudStore(state), seconds)


def _bigquery(
    project: str,
    state: str | None,
    location: str,
    dedupe: Any = "view",
    partition: Any = "day",
    partition_expiry: int | None = None,
    require_partition_filter: bool = False,
) -> BigQueryWarehouse:
    from pipeline import gcp
    from pipeline.warehouses.bigquery import BigQueryOptions, BigQueryWarehouse
    from pipeline.warehouses.bigquery_tables import TableOptions

    if not _PROJECT.fullmatch(project):
        raise SetupError(f"{project!r} is no project id: write --to bigquery:PROJECT.")
    if not state or not state.startswith("gs://"):
        raise SetupError("BigQuery needs --state gs://BUCKET/FOLDER, where the batch log is kept.")
    gcp.split_url(state)
    tables = TableOptions(partition, partition_expiry, require_partition_filter)
    return BigQueryWarehouse(BigQueryOptions(project, state, location, dedupe, tables))
