"""Load jobs: all or nothing, by name, and refused for the reasons that BigQuery gives."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.cloud import bigquery

from tests.emulators.conftest import DATASET, DAY, EVENTS, at, events, ids, row

Put = Callable[[str, pa.Table | bytes], str]
Load = Callable[..., bigquery.LoadJob]
pytestmark = pytest.mark.usefixtures("table")


def refusal(job: bigquery.LoadJob) -> str:
    """Why a job failed: its reason and message. The job itself was taken in."""
    with pytest.raises(exceptions.GoogleAPICallError):
        job.result()
    assert job.state == "DONE"
    assert job.errors == [job.error_result]
    return f"{job.error_result['reason']}: {job.error_result['message']}"


def test_rows_and_bytes_are_the_jobs_own(put: Put, load: Load, bq: bigquery.Client) -> None:
    first = load(put("a.parquet", events(row("a"), row("b")))).result()
    second = load(put("b.parquet", events(row("c")))).result()
    assert (first.output_rows, second.output_rows) == (2, 1)
    assert 0 < second.output_bytes < first.output_bytes + second.output_bytes
    assert second.input_files == 1
    assert ids(bq) == ["a", "b", "c"]


@pytest.mark.parametrize("damage", ["no Parquet", "cut", "damaged page"])
def test_one_bad_file_and_no_row(damage: str, put: Put, load: Load, bq: bigquery.Client) -> None:
    import io

    import pyarrow.parquet as pq

    good = put("a.parquet", events(row("a")))
    file = io.BytesIO()
    many = events(*(row(f"event {n}", position=n) for n in range(5000)))
    pq.write_table(many, file, write_page_checksum=True, compression="zstd")
    whole = file.getvalue()
    bad = {
        "no Parquet": b"not at all",
        "cut": whole[: len(whole) // 2],
        "damaged page": whole[:100] + bytes(200) + whole[300:],
    }[damage]
    job = load([good, put("b.parquet", bad)])
    assert refusal(job).startswith("invalid: Error while reading data")
    assert ids(bq) == []
    assert load([good]).result().output_rows == 1


def test_a_uri_that_matches_nothing(put: Put, load: Load, bq: bigquery.Client) -> None:
    good = put("a.parquet", events(row("a")))
    for missing in (good + "x", good.replace("a.parquet", "z*"), "gs://no-such-bucket/a"):
        assert refusal(load([good, missing])) == f"notFound: Not found: URI {missing}"
    assert ids(bq) == []


def test_wildcards(put: Put, load: Load, bq: bigquery.Client) -> None:
    uri = put("x/1.parquet", events(row("a")))
    put("x/deep/er/2.parquet", events(row("b")))
    put("y/3.parquet", events(row("c")))
    job = load(uri.replace("1.parquet", "*.parquet")).result()
    assert (job.input_files, job.output_rows) == (2, 2)
    assert ids(bq) == ["a", "b"]


def test_a_wildcard_finds_files_of_one_schema(put: Put, load: Load) -> None:
    uri = put("x/1.parquet", events(row("a")))
    put("x/2.parquet", events({"event_id": "b", "timestamp": DAY, "position": 1}))
    said = refusal(load(uri.replace("1.parquet", "*")))
    assert "Files that a wildcard finds must have one schema" in said


def test_a_uri_names_no_generation(put: Put, load: Load) -> None:
    said = refusal(load(put("a.parquet", events(row("a"))) + "#1700000000000001"))
    assert said.startswith("invalid: A source URI may not name a generation")


def test_ten_thousand_uris_at_most(load: Load) -> None:
    with pytest.raises(exceptions.BadRequest, match="Too many sources provided: 10001"):
        load([f"gs://bucket/{n}" for n in range(10_001)])


def test_columns_by_name_whatever_their_order_and_case(
    put: Put, load: Load, bq: bigquery.Client
) -> None:
    there = events({"position": 7, "event_id": "a", "timestamp": DAY})
    there = there.rename_columns(["POSITION", "Event_Id", "timestamp"])
    schema = pa.schema([field.with_nullable(field.name == "POSITION") for field in there.schema])
    load(put("a.parquet", there.cast(schema))).result()
    load(put("b.parquet", events(row("b", position=8)))).result()
    found = bq.query_and_wait(f"SELECT * FROM `{bq.project}.{DATASET}.events` ORDER BY event_id")
    assert [dict(each) for each in found] == [row("a", position=7), row("b", position=8)]


def test_files_of_one_job_may_differ_in_order(put: Put, load: Load, bq: bigquery.Client) -> None:
    turned = events({"position": 7, "event_id": "b", "timestamp": DAY})
    load([put("a.parquet", events(row("a", position=1))), put("b.parquet", turned)]).result()
    found = bq.query_and_wait(f"SELECT position FROM `{bq.project}.{DATASET}.events` ORDER BY 1")
    assert [each.position for each in found] == [1, 7]


@pytest.mark.parametrize(
    ("column", "kind", "wanted", "found"),
    [
        ("event_id", pa.binary(), "STRING", "BYTES"),
        ("event_id", pa.int64(), "STRING", "INTEGER"),
        ("position", pa.string(), "INTEGER", "STRING"),
        ("position", pa.float64(), "INTEGER", "FLOAT"),
        ("position", pa.bool_(), "INTEGER", "BOOLEAN"),
        ("timestamp", pa.string(), "TIMESTAMP", "STRING"),
        ("timestamp", pa.timestamp("us"), "TIMESTAMP", "DATETIME"),
        ("timestamp", pa.timestamp("ns", "UTC"), "TIMESTAMP", "INTEGER"),
    ],
)
def test_types_are_checked(
    *,
    column: str,
    kind: pa.DataType,
    wanted: str,
    found: str,
    put: Put,
    load: Load,
    bq: bigquery.Client,
) -> None:
    there = events(row("a", position=1))
    at_column = there.schema.get_field_index(column)
    values = {pa.int64(): [1], pa.float64(): [1.0], pa.bool_(): [True], pa.binary(): [b"x"]}
    array = pa.array(values.get(kind, ["x"] if kind == pa.string() else [DAY]), kind)
    there = there.set_column(at_column, pa.field(column, kind, False), array)
    uri = put("a.parquet", there)
    said = refusal(load(uri))
    assert f"Parquet column '{column}' has type {found} which does not match the target" in said
    said = refusal(load(uri, schema=None, schema_update_options=["ALLOW_FIELD_RELAXATION"]))
    assert said.startswith("invalid: Provided Schema does not match Table")
    assert f"Field {column} has changed type from {wanted} to {found}" in said
    assert ids(bq) == []


def test_all_types_of_a_table(put: Put, load: Load, bq: bigquery.Client) -> None:
    kinds = {
        "STRING": ("x", pa.string()),
        "INTEGER": (2**60, pa.int64()),
        "FLOAT": (0.5, pa.float64()),
        "BOOLEAN": (True, pa.bool_()),
        "BYTES": (b"\x00\xff", pa.binary()),
        "TIMESTAMP": (at(5), pa.timestamp("us", "UTC")),
        "DATE": (DAY.date(), pa.date32()),
    }
    fields = [bigquery.SchemaField(f"a_{kind.lower()}", kind) for kind in kinds]
    bq.create_table(bigquery.Table(f"{bq.project}.{DATASET}.kinds", schema=fields))
    arrays = [pa.array([value, None], kind) for value, kind in kinds.values()]
    there = pa.table(arrays, names=[field.name for field in fields])
    load(put("a.parquet", there), "kinds", schema=fields).result()
    found = bq.query_and_wait(f"SELECT * FROM `{bq.project}.{DATASET}.kinds` ORDER BY a_integer")
    assert [tuple(each) for each in found] == [
        (None,) * len(kinds),
        tuple(value for value, _ in kinds.values()),
    ]
    assert [field.field_type for field in found.schema] == list(kinds)


BROWSER = bigquery.SchemaField("browser", "STRING")
ADDITION = ["ALLOW_FIELD_ADDITION"]


def test_a_column_that_the_table_lacks(put: Put, load: Load, bq: bigquery.Client) -> None:
    uri = put("a.parquet", events(row("a")).append_column("browser", pa.array(["Firefox"])))
    assert "Column 'browser' is not in the provided schema" in refusal(load(uri))
    more = [*EVENTS, BROWSER]
    said = refusal(load(uri, schema=more))
    assert said.startswith("invalid: Provided Schema does not match Table")
    assert said.endswith("Cannot add fields (field: browser)")
    load(uri, schema=more, schema_update_options=ADDITION).result()
    table = bq.get_table(f"{bq.project}.{DATASET}.events")
    assert [field.name for field in table.schema] == [*(f.name for f in EVENTS), "browser"]
    assert table.schema[0].description == "When."
    assert table.clustering_fields == ["event_id"]
    load(put("b.parquet", events(row("b")))).result()
    found = bq.query_and_wait(f"SELECT browser FROM `{bq.project}.{DATASET}.events` ORDER BY 1")
    assert [each.browser for each in found] == [None, "Firefox"]


def test_an_unknown_column_may_be_ignored(put: Put, load: Load, bq: bigquery.Client) -> None:
    uri = put("a.parquet", events(row("a")).append_column("browser", pa.array(["Firefox"])))
    load(uri, ignore_unknown_values=True).result()
    assert bq.get_table(f"{bq.project}.{DATASET}.events").schema == EVENTS


def test_an_addition_may_not_be_required(put: Put, load: Load) -> None:
    field = pa.field("browser", pa.string(), False)
    uri = put("a.parquet", events(row("a")).append_column(field, pa.array(["Firefox"])))
    more = [*EVENTS, bigquery.SchemaField("browser", "STRING", "REQUIRED")]
    said = refusal(load(uri, schema=more, schema_update_options=ADDITION))
    assert "Cannot add required fields to an existing schema" in said


def test_a_failed_addition_adds_nothing(put: Put, load: Load, bq: bigquery.Client) -> None:
    more = events(row("a"), row("b", at(0, 3))).append_column("browser", pa.array(["x", "y"]))
    job = load(
        put("a.parquet", more),
        "events$20260102",
        schema=[*EVENTS, BROWSER],
        schema_update_options=ADDITION,
    )
    assert "Some rows belong to different partitions" in refusal(job)
    assert len(bq.get_table(f"{bq.project}.{DATASET}.events").schema) == len(EVENTS)
    assert ids(bq) == []


def test_options_that_do_not_go_with_the_disposition(put: Put, load: Load) -> None:
    uri = put("a.parquet", events(row("a")))
    with pytest.raises(exceptions.BadRequest, match="Schema update options should only"):
        load(uri, schema_update_options=ADDITION, write_disposition="WRITE_TRUNCATE")


def test_without_a_schema_in_the_job(put: Put, load: Load, bq: bigquery.Client) -> None:
    uri = put("a.parquet", events(row("a")))
    said = refusal(load(uri, schema=None))
    assert said.endswith("Field timestamp has changed mode from REQUIRED to NULLABLE")
    relaxation = ["ALLOW_FIELD_RELAXATION"]
    load(uri, schema=None, schema_update_options=relaxation).result()
    table = bq.get_table(f"{bq.project}.{DATASET}.events")
    assert [field.mode for field in table.schema] == ["NULLABLE"] * 3
    load(uri, schema=None).result()
    assert ids(bq) == ["a", "a"]


LOOSE = [EVENTS[0], bigquery.SchemaField("event_id", "STRING"), EVENTS[2]]


def test_an_optional_column_into_a_required_one(put: Put, load: Load) -> None:
    uri = put("a.parquet", events(row("a"), required=["timestamp"]))
    assert (
        "Field 'event_id' is specified as REQUIRED in provided schema which does not match NULLABLE"
        " as specified in the file"
    ) in refusal(load(uri))


def test_a_required_column_into_an_optional_one(put: Put, load: Load, bq: bigquery.Client) -> None:
    bq.create_table(bigquery.Table(f"{bq.project}.{DATASET}.loose", schema=LOOSE))
    uri = put("a.parquet", events(row("a")))
    load(uri, "loose", schema=LOOSE).result()
    said = refusal(load(uri, "loose"))
    assert said.endswith("Field event_id has changed mode from NULLABLE to REQUIRED")
    assert ids(bq, "loose") == ["a"]


def test_the_jobs_schema_must_fit_the_table(put: Put, load: Load) -> None:
    said = refusal(load(put("a.parquet", events(row("a"))), schema=LOOSE))
    assert said.endswith("Field event_id has changed mode from REQUIRED to NULLABLE")


def test_a_missing_column(put: Put, load: Load, bq: bigquery.Client) -> None:
    load(put("a.parquet", events({"event_id": "a", "timestamp": DAY}))).result()
    found = bq.query_and_wait(f"SELECT * FROM `{bq.project}.{DATASET}.events`")
    assert [dict(each) for each in found] == [row("a")]
    uri = put("b.parquet", events({"timestamp": DAY, "position": 1}))
    assert "Required field event_id cannot be null" in refusal(load(uri))
    said = refusal(load(uri, schema=[EVENTS[0], EVENTS[2]]))
    assert said.endswith("Field event_id is missing in new schema")
    assert ids(bq) == ["a"]


def test_append_truncate_empty(put: Put, load: Load, bq: bigquery.Client) -> None:
    a, b = put("a.parquet", events(row("a"))), put("b.parquet", events(row("b")))
    load(a, write_disposition="WRITE_EMPTY").result()
    said = refusal(load(b, write_disposition="WRITE_EMPTY"))
    assert said == f"duplicate: Already Exists: Table {bq.project}:{DATASET}.events"
    load(b, write_disposition="WRITE_APPEND").result()
    assert ids(bq) == ["a", "b"]
    load(b, write_disposition="WRITE_TRUNCATE").result()
    assert ids(bq) == ["b"]


def test_truncating_takes_the_files_schema(put: Put, load: Load, bq: bigquery.Client) -> None:
    """WRITE_TRUNCATE is documented to overwrite the schema; WRITE_TRUNCATE_DATA keeps it."""
    uri = put("a.parquet", events({"event_id": "a", "timestamp": DAY}))
    name, schema = f"{bq.project}.{DATASET}.events", [EVENTS[1], EVENTS[0]]
    load(uri, schema=schema, write_disposition="WRITE_TRUNCATE_DATA").result()
    assert bq.get_table(name).schema == EVENTS
    load(uri, schema=schema, write_disposition="WRITE_TRUNCATE").result()
    assert [field.name for field in bq.get_table(name).schema] == ["event_id", "timestamp"]


def test_creating(put: Put, load: Load, bq: bigquery.Client) -> None:
    uri = put("a.parquet", events(row("a")))
    said = refusal(load(uri, "other", create_disposition="CREATE_NEVER"))
    assert said == f"notFound: Not found: Table {bq.project}:{DATASET}.other"
    job = load(
        uri,
        "other",
        time_partitioning=bigquery.TimePartitioning(field="timestamp", type_="HOUR"),
        clustering_fields=["event_id"],
    )
    assert job.result().output_rows == 1
    made = bq.get_table(f"{bq.project}.{DATASET}.other")
    assert made.time_partitioning.field == "timestamp"
    assert made.time_partitioning.type_ == "HOUR"
    assert made.clustering_fields == ["event_id"]
    assert [field.mode for field in made.schema] == ["REQUIRED", "REQUIRED", "NULLABLE"]


def test_a_failed_creation_leaves_no_table(put: Put, load: Load, bq: bigquery.Client) -> None:
    job = load(
        put("a.parquet", events(row("a"))),
        "other$20260103",
        time_partitioning=bigquery.TimePartitioning(field="timestamp"),
    )
    assert "Some rows belong to different partitions" in refusal(job)
    with pytest.raises(exceptions.NotFound):
        bq.get_table(f"{bq.project}.{DATASET}.other")


def test_a_missing_dataset(put: Put, load: Load, bq: bigquery.Client) -> None:
    said = refusal(load(put("a.parquet", events(row("a"))), f"{bq.project}.nowhere.events"))
    assert said.startswith(f"notFound: Not found: Dataset {bq.project}:nowhere")


def test_a_view_is_not_loaded_into(put: Put, load: Load, bq: bigquery.Client) -> None:
    bq.query_and_wait(f"CREATE VIEW `{bq.project}.{DATASET}.v` AS SELECT 'a' AS event_id")
    said = refusal(load(put("a.parquet", events(row("a"))), "v"))
    assert said.endswith("because it is currently a VIEW.")
