"""Reads all that is in a warehouse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from pipeline.warehouses.duckdb import connect

INCOMING = "_pixelship_incoming_"

Tables = dict[str, list[dict[str, Any]]]


def read_duckdb(path: Path) -> Tables:
    """The tables of a DuckDB file, and those that are empty too; none where there is no file."""
    if not path.exists():
        return {}
    with connect(path, read_only=True) as db:
        names = db.execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables "
            "WHERE table_catalog = 'warehouse'"
        ).fetchall()
        found: Tables = {}
        for (name,) in sorted(names):
            result = db.execute(f"SELECT * FROM warehouse.{name} ORDER BY ALL")
            columns = [column[0] for column in result.description]
            found[name] = [dict(zip(columns, row, strict=True)) for row in result.fetchall()]
    return found


def read_bigquery(url: str, project: str) -> Tables:
    """The tables and views of a project, less those for rows on their way."""
    found: Tables = {}
    with owner_client(url, project) as client:
        for table in _tables(client):
            if INCOMING not in table.table_id:
                name = f"{table.dataset_id}.{table.table_id}"
                rows = client.query_and_wait(f"SELECT * FROM `{project}.{name}`")
                plain = [_plain(row) for row in rows]
                found[name] = sorted(plain, key=lambda row: repr(sorted(row.items())))
    return found


def find_forgotten(url: str, project: str) -> list[str]:
    """Tables for rows on their way that do not go by themselves."""
    with owner_client(url, project) as client:
        names = [
            f"{table.dataset_id}.{table.table_id}"
            for table in _tables(client)
            if INCOMING in table.table_id
        ]
        found = [client.get_table(f"{project}.{name}") for name in names]
        return [table.table_id for table in found if table.expires is None]


@contextmanager
def owner_client(url: str, project: str) -> Iterator[bigquery.Client]:
    """The client of the project's owner."""
    client = bigquery.Client(
        project=project,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": url},
    )
    try:
        yield client
    finally:
        client.close()


def _tables(client: bigquery.Client) -> Iterator[bigquery.table.TableListItem]:
    for dataset in client.list_datasets():
        yield from client.list_tables(dataset.reference)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its times in UTC and without a zone."""
    return {name: _naive(value) for name, value in row.items()}


def _naive(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(timezone.utc).replace(tzinfo=None)
    return value
