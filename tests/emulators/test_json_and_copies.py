"""What Beam's own sink needs besides: loads of newline-delimited JSON, and copy jobs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.cloud import bigquery

from tests.emulators.conftest import DATASET, EVENTS, ids
from tests.emulators.test_loads import refusal

Put = Callable[[str, pa.Table | bytes], str]
Load = Callable[..., bigquery.LoadJob]
pytestmark = pytest.mark.usefixtures("table")

TIME = "2026-01-02 03:04:05.678000+00:00"


def lines(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def view(event_id: str, **more: Any) -> dict[str, Any]:
    return {"event_id": event_id, "timestamp": TIME, **more}


@pytest.fixture
def load_json(put: Put, bq: bigquery.Client) -> Callable[..., bigquery.LoadJob]:
    """Starts a load job of JSON; keywords are its configuration's properties."""

    def load_json(*rows: dict[str, Any], table: str = "events", **options: Any) -> bigquery.LoadJob:
        options = {"source_format": "NEWLINE_DELIMITED_JSON", "schema": EVENTS, **options}
        config = bigquery.LoadJobConfig(**{k: v for k, v in options.items() if v is not None})
        target = f"{bq.project}.{DATASET}.{table}"
        return bq.load_table_from_uri(put("a.json", lines(*rows)), target, job_config=config)

    return load_json


@pytest.mark.parametrize("schema", [EVENTS, None])
def test_json_by_name(schema: list[Any] | None, load_json: Load, bq: bigquery.Client) -> None:
    job = load_json(view("a", position=7), view("b"), schema=schema).result()
    assert job.output_rows == 2
    rows = bq.query_and_wait(f"SELECT * FROM {DATASET}.events ORDER BY event_id")
    when = datetime.fromisoformat(TIME)
    assert [row.values() for row in rows] == [(when, "a", 7), (when, "b", None)]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (view("b", colour="red"), "No such field: colour."),
        (view("b", position="many"), "many"),
        ({"event_id": "b"}, "Required field timestamp cannot be null."),
    ],
)
def test_one_bad_row_and_none(
    bad: dict[str, Any], why: str, load_json: Load, bq: bigquery.Client
) -> None:
    said = refusal(load_json(view("a"), bad))
    assert said.startswith("invalid: Error while reading data, error message:")
    assert why in said
    assert ids(bq) == []


def test_unknown_values_may_be_ignored(load_json: Load, bq: bigquery.Client) -> None:
    load_json(view("a", colour="red"), ignore_unknown_values=True).result()
    assert ids(bq) == ["a"]


def test_json_without_any_schema(load_json: Load, bq: bigquery.Client) -> None:
    said = refusal(load_json(view("a"), table="new", schema=None))
    assert said == "invalid: No schema specified on job or table."
    with pytest.raises(exceptions.NotFound):
        bq.get_table(f"{DATASET}.new")


def copy(bq: bigquery.Client, target: str, **options: Any) -> bigquery.CopyJob:
    names = [f"{bq.project}.{DATASET}.{table}" for table in ("events", target)]
    return bq.copy_table(*names, job_config=bigquery.CopyJobConfig(**options))


def test_a_copy_makes_its_target_alike(load_json: Load, bq: bigquery.Client) -> None:
    load_json(view("a")).result()
    copy(bq, "copy").result()
    source, made = (bq.get_table(f"{DATASET}.{name}") for name in ("events", "copy"))
    assert made.schema == source.schema
    assert made.time_partitioning == source.time_partitioning
    assert made.clustering_fields == source.clustering_fields
    assert ids(bq, "copy") == ["a"]


def test_what_a_copy_does_to_rows_that_are_there(load_json: Load, bq: bigquery.Client) -> None:
    load_json(view("a")).result()
    copy(bq, "copy").result()
    with pytest.raises(exceptions.Conflict, match="Already Exists"):
        copy(bq, "copy").result()
    copy(bq, "copy", write_disposition="WRITE_APPEND").result()
    assert ids(bq, "copy") == ["a", "a"]
    copy(bq, "copy", write_disposition="WRITE_TRUNCATE").result()
    assert ids(bq, "copy") == ["a"]


def test_refused_copies(bq: bigquery.Client) -> None:
    with pytest.raises(exceptions.NotFound, match=r"Table .*\.copy"):
        copy(bq, "copy", create_disposition="CREATE_NEVER").result()
    bq.create_table(bigquery.Table(f"{bq.project}.{DATASET}.other", schema=EVENTS[:2]))
    with pytest.raises(exceptions.BadRequest, match="Provided Schema does not match"):
        copy(bq, "other", write_disposition="WRITE_APPEND").result()
    with pytest.raises(exceptions.NotFound, match=r"Table .*\.nothing"):
        bq.copy_table(f"{bq.project}.{DATASET}.nothing", f"{bq.project}.{DATASET}.copy").result()


def test_a_copy_jobs_id_is_used_once(bq: bigquery.Client) -> None:
    names = [f"{bq.project}.{DATASET}.{table}" for table in ("events", "copy")]
    bq.copy_table(*names, job_id="px_c").result()
    with pytest.raises(exceptions.Conflict, match="Already Exists: Job"):
        bq.copy_table(*names, job_id="px_c")
