"""Tables and data sets: what is set comes back, and what may not change does not."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.cloud import bigquery

from emulators.bigquery import BigQuery
from tests.emulators.conftest import DATASET, EVENTS, connect, events, ids, row
from tests.emulators.test_loads import refusal

Put = Callable[[str, pa.Table | bytes], str]
Load = Callable[..., bigquery.LoadJob]
Field = bigquery.SchemaField


def test_a_table_keeps_what_it_was_given(bq: bigquery.Client) -> None:
    table = bigquery.Table(f"{bq.project}.{DATASET}.kept", schema=EVENTS)
    table.description = "Views."
    table.labels = {"made-by": "pixelship"}
    table.time_partitioning = bigquery.TimePartitioning(
        field="timestamp", type_="HOUR", expiration_ms=1000 * 86_400 * 400
    )
    table.require_partition_filter = True
    table.clustering_fields = ["event_id", "position"]
    table.expires = datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)
    bq.create_table(table)
    found = bq.get_table(table)
    for name in (
        *("schema", "description", "labels", "time_partitioning", "require_partition_filter"),
        *("clustering_fields", "expires"),
    ):
        assert getattr(found, name) == getattr(table, name)
    assert [field.description for field in found.schema] == ["When.", "Which.", None]
    assert (found.num_rows, found.table_type, found.location) == (0, "TABLE", "US")
    assert found.etag


def test_a_table_is_made_once(bq: bigquery.Client, table: bigquery.Table) -> None:
    with pytest.raises(exceptions.Conflict, match=f"Already Exists: Table {bq.project}:"):
        bq.create_table(table)
    assert bq.create_table(table, exists_ok=True).schema == EVENTS


def test_names_of_tables_heed_case(bq: bigquery.Client, table: bigquery.Table) -> None:
    with pytest.raises(exceptions.NotFound):
        bq.get_table(f"{bq.project}.{DATASET}.EVENTS")


def test_a_table_inherits_its_expiry(bq: bigquery.Client) -> None:
    dataset = bigquery.Dataset(f"{bq.project}.brief")
    dataset.default_partition_expiration_ms = 86_400_000
    dataset.default_table_expiration_ms = 7_200_000
    bq.create_dataset(dataset)
    table = bigquery.Table(f"{bq.project}.brief.by_day", schema=EVENTS)
    table.time_partitioning = bigquery.TimePartitioning(field="timestamp")
    made = bq.create_table(table)
    assert (made.time_partitioning.expiration_ms, made.expires) == (86_400_000, None)
    plain = bq.create_table(bigquery.Table(f"{bq.project}.brief.plain", schema=EVENTS))
    assert plain.expires - plain.created < datetime.timedelta(hours=2, seconds=1)


def test_names_that_differ_by_case_alone(bq: bigquery.Client, table: bigquery.Table) -> None:
    with pytest.raises(exceptions.MethodNotImplemented, match="apart by case"):
        bq.create_table(bigquery.Table(f"{bq.project}.{DATASET}.Events", schema=EVENTS))


@pytest.mark.parametrize("kind", ["STRING", "INTEGER"])
def test_a_partitioning_column_is_a_time_of_the_table(kind: str, bq: bigquery.Client) -> None:
    for column in ("a", "b"):
        table = bigquery.Table(f"{bq.project}.{DATASET}.t", schema=[Field("a", kind)])
        table.time_partitioning = bigquery.TimePartitioning(field=column)
        with pytest.raises(exceptions.BadRequest):
            bq.create_table(table)


def test_a_column_is_added(
    bq: bigquery.Client, table: bigquery.Table, put: Put, load: Load
) -> None:
    load(put("a.parquet", events(row("a")))).result()
    table.schema = [*table.schema, Field("browser", "STRING", description="By its agent.")]
    changed = bq.update_table(table, ["schema"])
    assert changed.schema == bq.get_table(table).schema == table.schema
    assert changed.etag != table.etag
    found = bq.query_and_wait(f"SELECT browser FROM `{bq.project}.{DATASET}.events`")
    assert [each.browser for each in found] == [None]


def test_a_column_is_relaxed(
    bq: bigquery.Client, table: bigquery.Table, put: Put, load: Load
) -> None:
    table.schema = [table.schema[0], Field("event_id", "STRING"), table.schema[2]]
    bq.update_table(table, ["schema"])
    uri = put("a.parquet", events(row("a"), required=["timestamp"]))
    load(uri, schema=table.schema).result()
    assert ids(bq) == ["a"]


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (EVENTS[:2], "Field position is missing in new schema"),
        ([*EVENTS[:2], Field("position", "STRING")], "has changed type from INTEGER to STRING"),
        ([*EVENTS, Field("x", "STRING", "REQUIRED")], "Cannot add required fields"),
        ([*EVENTS[:2], Field("position", "INTEGER", "REQUIRED")], "has changed mode from NULLABLE"),
        ([*EVENTS[:2], Field("place", "INTEGER")], "Field position is missing in new schema"),
    ],
)
def test_what_a_schema_may_not_become(
    schema: list[Field], why: str, bq: bigquery.Client, table: bigquery.Table
) -> None:
    table.schema = schema
    with pytest.raises(exceptions.BadRequest, match=why) as refused:
        bq.update_table(table, ["schema"])
    assert refused.value.errors[0]["reason"] == "invalid"
    assert bq.get_table(table).schema == EVENTS


def test_descriptions_change(bq: bigquery.Client, table: bigquery.Table) -> None:
    table.schema = [Field(f.name, f.field_type, f.mode, description="New.") for f in EVENTS]
    table.description = "Old."
    bq.update_table(table, ["schema", "description"])
    found = bq.get_table(table)
    assert [field.description for field in found.schema] == ["New."] * 3
    assert found.description == "Old."
    assert found.time_partitioning == table.time_partitioning


def test_only_the_version_that_was_seen_is_changed(
    bq: bigquery.Client, table: bigquery.Table
) -> None:
    first, second = bq.get_table(table), bq.get_table(table)
    first.description = "First."
    bq.update_table(first, ["description"])
    second.description = "Second."
    with pytest.raises(exceptions.PreconditionFailed):
        bq.update_table(second, ["description"])
    assert bq.get_table(table).description == "First."


def test_rows_and_tables_are_listed(
    bq: bigquery.Client, table: bigquery.Table, put: Put, load: Load
) -> None:
    load(put("a.parquet", events(row("a"), row("b")))).result()
    assert [dict(each) for each in bq.list_rows(table)] == [row("a"), row("b")]
    assert [each.table_id for each in bq.list_tables(DATASET)] == ["events"]
    assert bq.get_table(table).num_rows == 2


def test_a_table_is_deleted(bq: bigquery.Client, table: bigquery.Table) -> None:
    bq.delete_table(table)
    with pytest.raises(exceptions.NotFound):
        bq.get_table(table)
    with pytest.raises(exceptions.NotFound):
        bq.delete_table(table)
    bq.create_table(table)


def test_a_dataset_is_made_once(bq: bigquery.Client) -> None:
    with pytest.raises(exceptions.Conflict):
        bq.create_dataset(DATASET)
    with pytest.raises(exceptions.NotFound):
        bq.get_dataset("nowhere")
    dataset = bq.get_dataset(DATASET)
    dataset.description = "All views."
    bq.update_dataset(dataset, ["description"])
    assert bq.get_dataset(DATASET).description == "All views."


def test_a_dataset_is_dropped_with_its_contents(bq: bigquery.Client, table: bigquery.Table) -> None:
    with pytest.raises(exceptions.BadRequest, match="is still in use"):
        bq.delete_dataset(DATASET)
    bq.delete_dataset(DATASET, delete_contents=True)
    with pytest.raises(exceptions.NotFound):
        bq.get_table(table)


def test_a_dataset_stays_where_it_is(bq: bigquery.Client, put: Put, load: Load) -> None:
    far = bigquery.Dataset(f"{bq.project}.far")
    far.location = "europe-west1"
    bq.create_dataset(far)
    table = bq.create_table(bigquery.Table(f"{bq.project}.far.events", schema=EVENTS))
    assert table.location == "europe-west1"
    uri = put("a.parquet", events(row("a")))
    # Without a location, the job runs where the data set is.
    assert load(uri, str(table.reference)).result().location == "europe-west1"
    config = bigquery.LoadJobConfig(source_format="PARQUET", schema=EVENTS)
    job = bq.load_table_from_uri(uri, table, location="US", job_config=config)
    elsewhere = f"Not found: Dataset {bq.project}:far was not found in location US"
    assert refusal(job) == f"notFound: {elsewhere}"
    sql = f"SELECT COUNT(*) AS n FROM `{bq.project}.far.events`"
    with pytest.raises(exceptions.NotFound, match=elsewhere):
        bq.query(sql, location="US").result()
    assert [each.n for each in bq.query(sql).result()] == [1]
    assert bq.query(sql).location == "europe-west1"


def test_a_dataset_that_is_denied(
    bq: bigquery.Client, server: BigQuery, table: bigquery.Table, put: Put, load: Load
) -> None:
    server.deny(bq.project, DATASET)
    uri = put("a.parquet", events(row("a")))
    assert refusal(load(uri)).startswith("accessDenied: Access Denied: Table")
    for call in (
        lambda: bq.get_table(table),
        lambda: bq.get_dataset(DATASET),
        lambda: list(bq.list_tables(DATASET)),
        lambda: bq.query(f"SELECT * FROM {DATASET}.events").result(),
        lambda: bq.create_table(bigquery.Table(f"{bq.project}.{DATASET}.t", schema=EVENTS)),
    ):
        with pytest.raises(exceptions.Forbidden, match="Access Denied"):
            call()
    server.allow(bq.project)
    load(uri).result()


def test_a_table_that_may_not_be_written(
    bq: bigquery.Client, server: BigQuery, table: bigquery.Table, put: Put, load: Load
) -> None:
    uri = put("a.parquet", events(row("a")))
    load(uri).result()
    server.deny(bq.project, DATASET, "events", what="write")
    assert refusal(load(uri)).startswith("accessDenied: ")
    with pytest.raises(exceptions.Forbidden):
        bq.query(f"DELETE FROM {DATASET}.events WHERE TRUE").result()
    table.description = "x"
    with pytest.raises(exceptions.Forbidden):
        bq.update_table(table, ["description"])
    assert ids(bq) == ["a"]
    bq.create_table(bigquery.Table(f"{bq.project}.{DATASET}.other", schema=EVENTS))


def test_datasets_may_not_be_made(bq: bigquery.Client, server: BigQuery) -> None:
    server.deny(bq.project, what="create_datasets")
    with pytest.raises(exceptions.Forbidden, match=r"bigquery\.datasets\.create"):
        bq.create_dataset("another")
    assert bq.get_dataset(DATASET)


def test_a_project_is_forgotten(bq: bigquery.Client, server: BigQuery) -> None:
    bq.query("SELECT 1", job_id="px_1", job_retry=None).result()
    server.forget(bq.project)
    with pytest.raises(exceptions.NotFound):
        bq.get_job("px_1")
    assert list(bq.list_datasets()) == []
    other = connect(server.url, server.fresh_project())
    assert list(other.list_datasets()) == []
    other.close()
