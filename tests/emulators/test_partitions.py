"""Partition decorators, the limit of a job, and the filter that a table may require."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.cloud import bigquery

from tests.emulators.conftest import DATASET, DAY, EVENTS, at, events, ids, row
from tests.emulators.test_loads import refusal

Put = Callable[[str, pa.Table | bytes], str]
Load = Callable[..., bigquery.LoadJob]


def partitioned(bq: bigquery.Client, unit: str) -> None:
    table = bigquery.Table(f"{bq.project}.{DATASET}.events", schema=EVENTS)
    table.time_partitioning = bigquery.TimePartitioning(field="timestamp", type_=unit)
    bq.create_table(table)


@pytest.mark.parametrize(
    ("unit", "decorator", "inside", "outside"),
    [
        ("HOUR", "2026010205", at(5), at(6)),
        ("DAY", "20260102", at(23), at(0, 3)),
        ("MONTH", "202601", at(0, 31), at(0) + timedelta(days=30)),
        ("YEAR", "2026", at(0) + timedelta(days=300), at(0) + timedelta(days=364)),
    ],
)
def test_a_decorator_names_one_partition(
    *,
    unit: str,
    decorator: str,
    inside: object,
    outside: object,
    bq: bigquery.Client,
    put: Put,
    load: Load,
) -> None:
    partitioned(bq, unit)
    target = f"events${decorator}"
    load(put("a.parquet", events(row("a", inside))), target).result()
    said = refusal(load(put("b.parquet", events(row("b", inside), row("c", outside))), target))
    assert said == (
        "invalid: Some rows belong to different partitions rather than destination partition"
        f" events${decorator}"
    )
    assert ids(bq) == ["a"]


def test_truncating_one_partition(bq: bigquery.Client, put: Put, load: Load) -> None:
    partitioned(bq, "DAY")
    load(put("a.parquet", events(row("a", at(1)), row("b", at(2)), row("c", at(1, 3))))).result()
    load(
        put("b.parquet", events(row("d", at(5)))),
        "events$20260102",
        write_disposition="WRITE_TRUNCATE",
    ).result()
    assert ids(bq) == ["c", "d"]


@pytest.mark.parametrize("decorator", ["202601", "2026010200", "20261", "tomorrow"])
def test_a_decorator_that_fits_not(
    decorator: str, bq: bigquery.Client, put: Put, load: Load
) -> None:
    partitioned(bq, "DAY")
    uri = put("a.parquet", events(row("a")))
    assert "Invalid time partition identifier" in refusal(load(uri, f"events${decorator}"))


@pytest.mark.usefixtures("table")
def test_four_thousand_partitions_a_job(bq: bigquery.Client, put: Put, load: Load) -> None:
    days = [row(f"{n:04}", DAY - timedelta(days=n)) for n in range(4001)]
    said = refusal(load(put("a.parquet", events(*days))))
    assert "Too many partitions produced by load, allowed 4000" in said
    assert ids(bq) == []
    assert load(put("b.parquet", events(*days[:4000]))).result().output_rows == 4000


@pytest.fixture
def filtered(bq: bigquery.Client, put: Put, load: Load) -> str:
    """A table that requires a filter; its quoted name."""
    table = bigquery.Table(f"{bq.project}.{DATASET}.events", schema=EVENTS)
    table.time_partitioning = bigquery.TimePartitioning(field="timestamp")
    table.require_partition_filter = True
    bq.create_table(table)
    load(put("a.parquet", events(row("a"), row("b"), row("b")))).result()
    return f"`{bq.project}.{DATASET}.events`"


NO_FILTER = "without a filter over column\\(s\\) 'timestamp' that can be used for partition elim"

REFUSED = [
    "SELECT * FROM {t}",
    "SELECT * FROM {t} WHERE event_id = 'a'",
    "SELECT * FROM {t} WHERE timestamp > '2026-01-01' OR event_id = 'a'",
    "SELECT * FROM {t} WHERE timestamp = (SELECT MAX(timestamp) FROM {t} WHERE timestamp > '2026-01-01')",
    "SELECT a.event_id FROM {t} a JOIN {t} b ON a.timestamp = b.timestamp WHERE a.timestamp > '2026-01-01'",
    "SELECT * FROM (SELECT * FROM {t} LIMIT 5) WHERE timestamp > '2026-01-01'",
    "SELECT * FROM (SELECT * FROM {t} QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id) = 1) WHERE timestamp > '2026-01-01'",
    "SELECT event_id FROM {t} GROUP BY event_id HAVING MAX(timestamp) > '2026-01-01'",
    "DELETE FROM {t} WHERE event_id = 'a'",
    "UPDATE {t} SET position = 1 WHERE TRUE",
    "WITH c AS (SELECT * FROM {t}) SELECT * FROM c",
]
ACCEPTED = [
    "SELECT * FROM {t} WHERE timestamp >= '2026-01-01' AND event_id = 'a'",
    "SELECT * FROM {t} WHERE timestamp BETWEEN '2026-01-01' AND '2026-01-03'",
    "SELECT * FROM {t} AS v WHERE DATE(v.timestamp) = '2026-01-02'",
    "SELECT * FROM {t} WHERE TIMESTAMP_TRUNC(timestamp, DAY) IN (TIMESTAMP '2026-01-02')",
    "SELECT * FROM {t} WHERE timestamp > '2026-01-03' OR timestamp < '2026-01-02'",
    "SELECT * FROM {t} WHERE timestamp > TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 3 DAY)",
    "SELECT * FROM (SELECT * FROM {t}) WHERE timestamp > '2026-01-01'",
    "SELECT * FROM (SELECT timestamp AS seen FROM {t}) WHERE seen > '2026-01-01'",
    "WITH c AS (SELECT * FROM {t}) SELECT * FROM c WHERE timestamp > '2026-01-01'",
    "SELECT * FROM (SELECT * FROM {t} WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY timestamp, event_id) = 1) WHERE timestamp > '2026-01-01'",
    "DELETE FROM {t} WHERE timestamp >= '2026-01-01' AND event_id = 'a'",
    "UPDATE {t} SET position = 1 WHERE timestamp >= '2026-01-01'",
    "INSERT INTO {t} (timestamp, event_id) VALUES (TIMESTAMP '2026-01-02', 'z')",
    "MERGE {t} t USING (SELECT TIMESTAMP '2026-01-02' AS timestamp, 'n' AS event_id) s"
    " ON t.event_id = s.event_id AND t.timestamp >= '2026-01-02'"
    " WHEN NOT MATCHED THEN INSERT (timestamp, event_id) VALUES (timestamp, event_id)",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_a_required_filter_is_missing(sql: str, filtered: str, bq: bigquery.Client) -> None:
    with pytest.raises(exceptions.BadRequest, match=NO_FILTER):
        bq.query_and_wait(sql.format(t=filtered))


@pytest.mark.parametrize("sql", ACCEPTED)
def test_a_required_filter_is_there(sql: str, filtered: str, bq: bigquery.Client) -> None:
    bq.query_and_wait(sql.format(t=filtered))


def test_a_filter_through_a_view(filtered: str, bq: bigquery.Client) -> None:
    """A filter does not reach below a window, unless its column is what the window divides by."""
    names = {"day": "DATE(timestamp), event_id", "all": "event_id"}
    for name, division in names.items():
        bq.query_and_wait(
            f"CREATE VIEW `{bq.project}.{DATASET}.{name}` AS SELECT * FROM {filtered} WHERE TRUE"
            f" QUALIFY ROW_NUMBER() OVER (PARTITION BY {division} ORDER BY timestamp) = 1"
        )
    sql = f"SELECT COUNT(*) AS n FROM `{bq.project}.{DATASET}.{{}}` WHERE timestamp > '2026-01-01'"
    with pytest.raises(exceptions.BadRequest, match=NO_FILTER):
        bq.query_and_wait(sql.format("all"))
    with pytest.raises(exceptions.BadRequest, match=NO_FILTER):
        bq.query_and_wait(f"SELECT COUNT(*) FROM `{bq.project}.{DATASET}.day`")
    with pytest.raises(exceptions.BadRequest, match=NO_FILTER):
        bq.query_and_wait(sql.format("day"))
