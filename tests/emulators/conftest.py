"""One object store and one BigQuery for all of these tests; each test has a project of its own."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

from emulators.bigquery import BigQuery
from emulators.object_store import ObjectStore

BUCKET = "pixelship-tests"
DATASET = "views"
DAY = datetime(2026, 1, 2, tzinfo=timezone.utc)

EVENTS = [
    bigquery.SchemaField("timestamp", "TIMESTAMP", "REQUIRED", description="When."),
    bigquery.SchemaField("event_id", "STRING", "REQUIRED", description="Which."),
    bigquery.SchemaField("position", "INTEGER"),
]
ARROW_TYPES = {
    "timestamp": pa.timestamp("us", "UTC"),
    "event_id": pa.string(),
    "position": pa.int64(),
}


def at(hour: int, day: int = 2) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=timezone.utc)


def row(event_id: str, when: datetime = DAY, position: int | None = None) -> dict[str, Any]:
    return {"timestamp": when, "event_id": event_id, "position": position}


def events(*rows: dict[str, Any], required: Sequence[str] = ("timestamp", "event_id")) -> pa.Table:
    """Rows as a table whose columns are the rows' keys, in their order."""
    names = list(rows[0])
    fields = [pa.field(name, ARROW_TYPES[name], name not in required) for name in names]
    columns = [[each[name] for each in rows] for name in names]
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, fields, strict=True)],
        schema=pa.schema(fields),
    )


@pytest.fixture(scope="session")
def store() -> Iterator[ObjectStore]:
    with ObjectStore() as store, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        store.make_bucket(BUCKET)
        yield store


@pytest.fixture(scope="session")
def server(store: ObjectStore) -> Iterator[BigQuery]:
    with BigQuery(store.root) as server:
        yield server


@pytest.fixture
def bucket(store: ObjectStore) -> Iterator[storage.Bucket]:
    client = storage.Client(
        project="p",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": store.url},
    )
    yield client.bucket(BUCKET)
    client.close()


@pytest.fixture
def project(server: BigQuery) -> Iterator[str]:
    project = server.fresh_project()
    yield project
    server.forget(project)


@pytest.fixture
def bq(server: BigQuery, project: str) -> Iterator[bigquery.Client]:
    """A client whose project has one data set, empty."""
    client = connect(server.url, project)
    client.create_dataset(DATASET)
    yield client
    client.close()


def connect(url: str, project: str) -> bigquery.Client:
    return bigquery.Client(
        project=project,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": url},
    )


@pytest.fixture
def table(bq: bigquery.Client) -> bigquery.Table:
    """A table partitioned by day, clustered, with `EVENTS`' columns."""
    table = bigquery.Table(f"{bq.project}.{DATASET}.events", schema=EVENTS)
    table.time_partitioning = bigquery.TimePartitioning(field="timestamp")
    table.clustering_fields = ["event_id"]
    return bq.create_table(table)


@pytest.fixture
def put(bucket: storage.Bucket, project: str) -> Callable[[str, pa.Table | bytes], str]:
    """Puts an object into a folder of the test's own; returns its URI."""

    def put(name: str, content: pa.Table | bytes) -> str:
        if isinstance(content, pa.Table):
            file = io.BytesIO()
            pq.write_table(content, file)
            content = file.getvalue()
        bucket.blob(f"{project}/{name}").upload_from_string(content)
        return f"gs://{BUCKET}/{project}/{name}"

    return put


@pytest.fixture
def load(bq: bigquery.Client) -> Callable[..., bigquery.LoadJob]:
    """Starts a load job of Parquet into `table`; keywords are its configuration's properties.

    Its schema is `EVENTS` unless told otherwise (`schema=None`: the job has none).
    """

    def load(
        uris: str | Sequence[str], table: str = "events", job_id: str | None = None, **options: Any
    ) -> bigquery.LoadJob:
        target = table if "." in table else f"{bq.project}.{DATASET}.{table}"
        options = {"schema": EVENTS, **options}
        config = bigquery.LoadJobConfig(
            source_format="PARQUET",
            **{name: value for name, value in options.items() if value is not None},
        )
        return bq.load_table_from_uri(uris, target, job_id=job_id, job_config=config, retry=None)

    return load


def ids(bq: bigquery.Client, table: str = "events") -> list[str]:
    """The event ids in a table, sorted."""
    rows = bq.query_and_wait(
        f"SELECT event_id FROM `{bq.project}.{DATASET}.{table}` ORDER BY event_id"
    )
    return [row.event_id for row in rows]
