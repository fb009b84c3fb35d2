"""The warehouses under test, each with a way to look inside and to put something in its way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow.parquet as pq
import pytest
from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from pipeline import load as main_job
from pipeline.batchlog import BatchLog, CloudStore
from pipeline.beam.launch import Launch
from pipeline.engine import Engine
from pipeline.load import Order
from pipeline.sources import Anywhere, Search
from pipeline.staging import Job, Staged, Stager, Work
from pipeline.storage import create_file, open_file
from pipeline.warehouses.bigquery import BigQueryOptions, BigQueryWarehouse
from pipeline.warehouses.bigquery_loads import Dedupe
from pipeline.warehouses.contract import Report, Warehouse
from pipeline.warehouses.duckdb import DuckDBWarehouse, connect
from pipeline.warehouses.memory import MemoryWarehouse
from tests.cloud import Cloud
from tests.logs import RULES

Rows = list[dict[str, Any]]


class Place(Protocol):
    """Where a warehouse is, whether it is open or not."""

    def open(self) -> Warehouse:
        """The warehouse, to be entered."""

    def rows(self, table: str) -> Rows:
        """A table's rows, their times in UTC; none where there is no such table."""

    def tables(self) -> dict[str, Rows]:
        """All tables that hold rows."""

    def refuse(self, destination: str) -> None:
        """Makes the destination one that takes no rows."""

    def mend(self, destination: str) -> None:
        """Makes it take rows again."""


class MemoryPlace:
    def __init__(self, folder: Path) -> None:
        self._warehouse = MemoryWarehouse(str(folder / "staging"))

    def open(self) -> Warehouse:
        return self._warehouse

    def rows(self, table: str) -> Rows:
        return [dict(row) for row in self._warehouse.tables.get(table, [])]

    def tables(self) -> dict[str, Rows]:
        return {name: self.rows(name) for name, rows in self._warehouse.tables.items() if rows}

    def refuse(self, destination: str) -> None:
        self._warehouse.refused[destination] = "a view has its name"

    def mend(self, destination: str) -> None:
        del self._warehouse.refused[destination]


class DuckDBPlace:
    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> Warehouse:
        return DuckDBWarehouse(str(self.path))

    def run(self, sql: str) -> None:
        """Changes something in the file, as its user may."""
        with connect(self.path) as db:
            db.execute(sql)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with connect(self.path, read_only=True) as db:
            return db.execute(sql).fetchall()

    def rows(self, table: str) -> Rows:
        return self.tables().get(table, [])

    def tables(self) -> dict[str, Rows]:
        if not self.path.exists():
            return {}
        with connect(self.path, read_only=True) as db:
            names = db.execute(
                "SELECT table_schema, table_name FROM information_schema.tables "
                "WHERE table_catalog = 'warehouse'"
            ).fetchall()
            found = {".".join(name): _rows(db, ".".join(name)) for name in names}
        return {name: rows for name, rows in found.items() if rows}

    def refuse(self, destination: str) -> None:
        self.run(f"CREATE SCHEMA IF NOT EXISTS {destination.partition('.')[0]}")
        self.run(f"CREATE VIEW {destination} AS SELECT 1 AS one")

    def mend(self, destination: str) -> None:
        self.run(f"DROP VIEW {destination}")


class BigQueryPlace:
    def __init__(self, cloud: Cloud, dedupe: Dedupe = "merge") -> None:
        self.cloud = cloud
        self.options = BigQueryOptions(cloud.project, cloud.state, dedupe=dedupe)

    def open(self) -> BigQueryWarehouse:
        return BigQueryWarehouse(self.options)

    def rows(self, table: str) -> Rows:
        if table == "pixelship.parked":
            return self._parked()
        try:
            return self.cloud.ask(f"SELECT * FROM `{table}`")
        except NotFound:
            return []

    def tables(self) -> dict[str, Rows]:
        found = {name: self.rows(name) for name in self.cloud.tables()}
        found["pixelship.parked"] = self._parked()
        return {name: rows for name, rows in found.items() if rows}

    def refuse(self, destination: str) -> None:
        with self.cloud.client() as client:
            client.create_dataset(destination.partition(".")[0], exists_ok=True)
            view = bigquery.Table(f"{self.cloud.project}.{destination}")
            view.view_query = "SELECT 1 AS one"
            client.create_table(view)

    def mend(self, destination: str) -> None:
        with self.cloud.client() as client:
            client.delete_table(f"{self.cloud.project}.{destination}")

    def _parked(self) -> Rows:
        log = BatchLog(CloudStore(self.cloud.state))
        return [
            {"destination": entry["table"], "why": entry["why"], **row}
            for entry in log.parked(log.view()).values()
            for path in entry["paths"]
            for row in _read_parquet(path)
        ]


def _read_parquet(path: str) -> Rows:
    with open_file(path) as stream:
        return pq.read_table(stream).to_pylist()


def _rows(db: duckdb.DuckDBPyConnection, table: str) -> Rows:
    found = db.execute(f"SELECT * FROM warehouse.{table}")
    names = [column[0] for column in found.description]
    return [dict(zip(names, map(_in_utc, row), strict=True)) for row in found.fetchall()]


def _in_utc(value: object) -> object:
    return value.replace(tzinfo=timezone.utc) if isinstance(value, datetime) else value


@pytest.fixture
def duckdb_place(tmp_path: Path) -> DuckDBPlace:
    return DuckDBPlace(tmp_path / "warehouse" / "pixelship.duckdb")


@pytest.fixture
def bigquery_place(cloud: Cloud) -> BigQueryPlace:
    return BigQueryPlace(cloud)


@pytest.fixture(params=["duckdb", "memory"])
def transactional_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A warehouse that takes a batch in one transaction."""
    return _place(request, tmp_path)


@pytest.fixture(params=["duckdb", "memory", "bigquery"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return _place(request, tmp_path)


def _place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "memory":
        return MemoryPlace(tmp_path)
    found: Place = request.getfixturevalue(f"{request.param}_place")
    return found


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path) -> None:
    (tmp_path / "warehouse").mkdir()
    (tmp_path / "logs").mkdir()


@pytest.fixture(autouse=True)
def _without_beam(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages in this thread: what Beam adds is tested beside it, and takes its time."""

    def run(job: Job, parts: Sequence[Work], launch: Launch) -> Staged:
        stager = Stager(job, Engine(job.rules), Anywhere().open, create_file)
        for part in parts:
            stager.stage(part)
        return stager.finish()

    monkeypatch.setattr(main_job, "run", run)


def load(place: Place, *patterns: Path) -> Report:
    """One run of the main job."""
    order = Order(Search([str(pattern) for pattern in patterns]), RULES)
    with place.open() as warehouse:
        return main_job.load(warehouse, order, lambda *_: None)
