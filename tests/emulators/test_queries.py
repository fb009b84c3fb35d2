"""Query jobs: DML counts and atomicity, views, dry runs, and what is not found."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.cloud import bigquery

from tests.emulators.conftest import DATASET, DAY, EVENTS, at, events, ids, row

Put = Callable[[str, pa.Table | bytes], str]
Load = Callable[..., bigquery.LoadJob]
Run = Callable[..., bigquery.QueryJob]


@pytest.fixture
def run(bq: bigquery.Client, table: bigquery.Table, put: Put, load: Load) -> Run:
    """Runs a statement to its end; `{t}` is a table with the events a, b and c, `{s}` a second."""
    load(put("a.parquet", events(row("a", at(1), 1), row("b", at(2), 2), row("c", at(3))))).result()
    bq.create_table(bigquery.Table(f"{bq.project}.{DATASET}.staged", schema=EVENTS))
    load(put("b.parquet", events(row("c", at(3), 33), row("d", at(4), 4))), "staged").result()
    names = {"t": f"`{bq.project}.{DATASET}.events`", "s": f"`{bq.project}.{DATASET}.staged`"}

    def run(sql: str, job_id: str | None = None, **parameters: Any) -> bigquery.QueryJob:
        job = bq.query(
            sql.format(**names, d=f"{bq.project}.{DATASET}"),
            job_id=job_id,
            job_retry=None,
            job_config=bigquery.QueryJobConfig(
                query_parameters=[
                    bigquery.ScalarQueryParameter(name, kind, value)
                    for name, (kind, value) in parameters.items()
                ]
            ),
        )
        job.result()
        return job

    return run


def rows(run: Run, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
    return [tuple(each) for each in run(sql, **parameters).result()]


def test_insert_select_with_parameters(run: Run, bq: bigquery.Client) -> None:
    job = run(
        "INSERT INTO {t} (timestamp, event_id, position)"
        " SELECT timestamp, event_id, @p FROM {s} WHERE event_id = @id AND timestamp >= @from",
        job_id="px_insert",
        p=("INT64", 7),
        id=("STRING", "d"),
        **{"from": ("TIMESTAMP", DAY)},
    )
    assert job.num_dml_affected_rows == 1
    assert job.statement_type == "INSERT"
    assert bq.get_job("px_insert").num_dml_affected_rows == 1
    assert ids(bq) == ["a", "b", "c", "d"]
    assert rows(run, "SELECT position FROM {t} WHERE event_id = 'd'") == [(7,)]


@pytest.mark.parametrize(
    "action",
    [
        "INSERT (timestamp, event_id, position) VALUES (timestamp, event_id, position)",
        "INSERT (event_id, position, timestamp) VALUES (s.event_id, s.position, s.timestamp)",
        "INSERT ROW",
    ],
)
@pytest.mark.parametrize("source", ["{s}", "(SELECT * FROM {s} WHERE position >= @p)"])
def test_merge_inserts_what_is_missing(
    action: str, source: str, run: Run, bq: bigquery.Client
) -> None:
    sql = (
        f"MERGE {{t}} t USING {source} s ON t.event_id = s.event_id AND t.timestamp >= '2026-01-01'"
        f" WHEN NOT MATCHED THEN {action}"
    )
    assert run(sql, p=("INT64", 1)).num_dml_affected_rows == 1
    found = rows(run, "SELECT * FROM {t} WHERE event_id IN ('c', 'd') ORDER BY event_id")
    assert found == [(at(3), "c", None), (at(4), "d", 4)]
    assert run(sql, p=("INT64", 1)).num_dml_affected_rows == 0
    assert ids(bq) == ["a", "b", "c", "d"]


def test_insert_row_goes_by_position(run: Run, bq: bigquery.Client) -> None:
    source = "(SELECT timestamp, 'n' AS who, 9 AS place)"
    sql = "MERGE {t} t USING %s s ON FALSE WHEN NOT MATCHED THEN INSERT ROW"
    run(sql % source.replace("timestamp,", "TIMESTAMP '2026-01-02' AS moment,"))
    assert rows(run, "SELECT position FROM {t} WHERE event_id = 'n'") == [(9,)]
    with pytest.raises(exceptions.BadRequest, match="Inserted row has wrong column count"):
        run(sql % "(SELECT TIMESTAMP '2026-01-02' AS moment, 'n' AS who)")


def test_merge_updates_and_deletes(run: Run) -> None:
    job = run(
        "MERGE INTO {t} t USING {s} s ON t.event_id = s.event_id"
        " WHEN MATCHED THEN UPDATE SET position = s.position"
        " WHEN NOT MATCHED BY SOURCE AND t.event_id = 'a' THEN DELETE"
    )
    assert job.num_dml_affected_rows == 2
    assert rows(run, "SELECT event_id, position FROM {t} ORDER BY 1") == [("b", 2), ("c", 33)]


def test_delete(run: Run, bq: bigquery.Client) -> None:
    job = run("DELETE FROM {t} WHERE event_id IN UNNEST(['a', @id])", id=("STRING", "b"))
    assert job.num_dml_affected_rows == 2
    assert job.dml_stats.deleted_row_count == 2
    assert run("DELETE FROM {t} WHERE event_id = 'nobody'").num_dml_affected_rows == 0
    assert ids(bq) == ["c"]


def test_delete_what_a_query_finds(run: Run, bq: bigquery.Client) -> None:
    sql = "DELETE FROM {t} WHERE event_id IN (SELECT event_id FROM {s})"
    assert run(sql).num_dml_affected_rows == 1
    assert ids(bq) == ["a", "b"]


def test_update_from(run: Run) -> None:
    job = run(
        "UPDATE {t} t SET position = s.position + 1, event_id = CONCAT(t.event_id, '!')"
        " FROM {s} s WHERE t.event_id = s.event_id"
    )
    assert job.num_dml_affected_rows == 1
    assert rows(run, "SELECT position FROM {t} WHERE event_id = 'c!'") == [(34,)]


def test_a_merge_inserts_twins_of_its_source(run: Run, bq: bigquery.Client) -> None:
    """What is missing is looked for in the table as it was: the source must name each row once."""
    twins = "(SELECT * FROM {s} UNION ALL SELECT * FROM {s})"
    sql = (
        f"MERGE {{t}} t USING {twins} s ON t.event_id = s.event_id WHEN NOT MATCHED THEN INSERT ROW"
    )
    assert run(sql).num_dml_affected_rows == 2
    assert ids(bq) == ["a", "b", "c", "d", "d"]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE {t} t SET position = s.n FROM (SELECT 'a' AS id, n FROM UNNEST([1, 2]) AS n) s"
        " WHERE t.event_id = s.id",
        "MERGE {t} t USING (SELECT 'a' AS id, n FROM UNNEST([1, 2]) AS n) s ON t.event_id = s.id"
        " WHEN MATCHED THEN UPDATE SET position = s.n",
    ],
)
def test_a_row_is_changed_by_one_row_at_most(sql: str, run: Run) -> None:
    with pytest.raises(exceptions.BadRequest, match="must match at most one source row"):
        run(sql)
    run(sql.replace("[1, 2]", "[1]"))
    assert rows(run, "SELECT position FROM {t} WHERE event_id = 'a'") == [(1,)]


@pytest.mark.parametrize("sql", ["DELETE FROM {t}", "UPDATE {t} SET position = 1"])
def test_a_change_has_a_where(sql: str, run: Run) -> None:
    with pytest.raises(exceptions.BadRequest, match="must have a WHERE clause"):
        run(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO {t} (timestamp, event_id) SELECT timestamp, NULLIF(event_id, 'd') FROM {s}",
        "INSERT INTO {t} (event_id) VALUES ('x')",
        "UPDATE {t} SET event_id = NULLIF(event_id, 'b') WHERE TRUE",
        "UPDATE {t} SET position = CAST(1 / (position - 2) AS INT64) WHERE TRUE",
        "MERGE {t} t USING {s} s ON FALSE WHEN NOT MATCHED THEN"
        " INSERT (timestamp, event_id) VALUES (timestamp, NULLIF(event_id, 'd'))",
    ],
)
def test_a_statement_that_fails_changes_nothing(sql: str, run: Run, bq: bigquery.Client) -> None:
    before = rows(run, "SELECT * FROM {t} ORDER BY event_id")
    with pytest.raises(exceptions.BadRequest):
        run(sql, job_id="px_fails")
    job = bq.get_job("px_fails")
    assert job.state == "DONE"
    assert job.error_result is not None
    assert rows(run, "SELECT * FROM {t} ORDER BY event_id") == before


def test_a_view_of_each_event_once(run: Run, bq: bigquery.Client) -> None:
    run("INSERT INTO {t} (timestamp, event_id, position) SELECT timestamp, event_id, 0 FROM {t}")
    view = (
        "CREATE OR REPLACE VIEW `{d}.once` AS SELECT * FROM {t} WHERE TRUE"
        " QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY position) = 1"
    )
    for _ in range(2):
        job = run(view)
    assert job.statement_type == "CREATE_VIEW"
    assert rows(run, "SELECT event_id FROM `{d}.once` ORDER BY 1") == [("a",), ("b",), ("c",)]
    made = bq.get_table(f"{bq.project}.{DATASET}.once")
    assert made.table_type == "VIEW"
    assert "QUALIFY" in made.view_query
    with pytest.raises(exceptions.Conflict):
        run(view.replace("OR REPLACE ", ""))
    run("CREATE VIEW IF NOT EXISTS `{d}.once` AS SELECT 1 AS one")
    assert "QUALIFY" in bq.get_table(f"{bq.project}.{DATASET}.once").view_query
    run("DROP VIEW `{d}.once`")
    with pytest.raises(exceptions.NotFound):
        bq.get_table(f"{bq.project}.{DATASET}.once")


def test_columns_are_altered(run: Run, bq: bigquery.Client, table: bigquery.Table) -> None:
    run("ALTER TABLE {t} ADD COLUMN browser STRING")
    run("ALTER TABLE {t} ALTER COLUMN event_id DROP NOT NULL")
    found = bq.get_table(table)
    assert found.schema == [
        EVENTS[0],
        bigquery.SchemaField("event_id", "STRING", "NULLABLE", description="Which."),
        EVENTS[2],
        bigquery.SchemaField("browser", "STRING", "NULLABLE"),
    ]
    assert found.time_partitioning == table.time_partitioning
    run("UPDATE {t} SET event_id = NULL, browser = 'Firefox' WHERE event_id = 'a'")
    assert rows(run, "SELECT browser FROM {t} WHERE event_id IS NULL") == [("Firefox",)]


def test_a_table_in_sql(run: Run, bq: bigquery.Client) -> None:
    run("CREATE TABLE `{d}.plain` (a STRING NOT NULL, b INT64)")
    made = bq.get_table(f"{bq.project}.{DATASET}.plain")
    assert [(f.name, f.field_type, f.mode) for f in made.schema] == [
        ("a", "STRING", "REQUIRED"),
        ("b", "INTEGER", "NULLABLE"),
    ]
    run("INSERT INTO `{d}.plain` VALUES ('x', 1)")
    with pytest.raises(exceptions.Conflict):
        run("CREATE TABLE `{d}.plain` (a STRING)")
    for layout in ("PARTITION BY DATE(c)", "CLUSTER BY a", "OPTIONS (description = 'x')"):
        with pytest.raises(exceptions.MethodNotImplemented):
            run(f"CREATE TABLE `{{d}}.laid_out` (a STRING, c TIMESTAMP) {layout}")
    run("CREATE TABLE `{d}.copied` AS SELECT event_id FROM {t}")
    assert ids(bq, "copied") == ["a", "b", "c"]
    run("DROP TABLE `{d}.plain`")
    assert [each.table_id for each in bq.list_tables(DATASET)] == ["copied", "events", "staged"]


def test_the_information_schema(run: Run) -> None:
    sql = "SELECT table_name FROM `{d}`.INFORMATION_SCHEMA.TABLES ORDER BY 1"
    assert rows(run, sql) == [("events",), ("staged",)]


def test_a_transaction_is_all_or_nothing(run: Run, bq: bigquery.Client) -> None:
    change = "BEGIN TRANSACTION; DELETE FROM {t} WHERE event_id = 'a'; %s COMMIT TRANSACTION;"
    with pytest.raises(exceptions.BadRequest):
        run(change % "SELECT 1 / 0;")
    assert ids(bq) == ["a", "b", "c"]
    run(change % "")
    assert ids(bq) == ["b", "c"]


def test_a_view_through_the_api(run: Run, bq: bigquery.Client) -> None:
    view = bigquery.Table(f"{bq.project}.{DATASET}.early")
    view.view_query = f"SELECT event_id FROM `{bq.project}.{DATASET}.events` WHERE position < 3"
    view.description = "The first."
    bq.create_table(view)
    assert rows(run, "SELECT * FROM `{d}.early` ORDER BY 1") == [("a",), ("b",)]
    found = bq.get_table(view)
    assert (found.table_type, found.description) == ("VIEW", "The first.")
    assert found.view_query == view.view_query
    with pytest.raises(exceptions.Conflict):
        bq.create_table(view)
    found.view_query = found.view_query.replace("< 3", "< 2")
    bq.update_table(found, ["view_query"])
    assert rows(run, "SELECT * FROM `{d}.early`") == [("a",)]
    bq.delete_table(view)
    with pytest.raises(exceptions.NotFound):
        bq.get_table(view)


def test_a_dry_run_runs_nothing(run: Run, bq: bigquery.Client) -> None:
    config = bigquery.QueryJobConfig(dry_run=True)
    for sql in ("SELECT * FROM {}", "DELETE FROM {} WHERE TRUE"):
        job = bq.query(sql.format(f"`{bq.project}.{DATASET}.events`"), job_config=config)
        assert job.total_bytes_processed > 0
        assert job.state == "DONE"
    assert ids(bq) == ["a", "b", "c"]
    assert not [each for each in bq.list_jobs() if each.job_id == job.job_id]
    with pytest.raises(exceptions.BadRequest):
        bq.query("SELECT * FROM", job_config=config)
    with pytest.raises(exceptions.NotFound):
        bq.query(f"SELECT * FROM {DATASET}.nothing", job_config=config)


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("SELECT * FROM `{d}.nothing`", "Table {p}:views.nothing was not found in location US"),
        ("SELECT * FROM nowhere.events", "Dataset {p}:nowhere was not found in location US"),
        ("DELETE FROM `{d}.nothing` WHERE TRUE", "Table {p}:views.nothing was not found"),
        ("INSERT INTO nowhere.t (a) VALUES (1)", "Dataset {p}:nowhere was not found"),
        ("CREATE VIEW nowhere.v AS SELECT 1 AS one", "Dataset {p}:nowhere was not found"),
    ],
)
def test_what_is_not_found(sql: str, what: str, run: Run, bq: bigquery.Client) -> None:
    with pytest.raises(exceptions.NotFound, match="Not found: " + what.format(p=bq.project)):
        run(sql)


def test_wrong_sql(run: Run) -> None:
    with pytest.raises(exceptions.BadRequest) as refused:
        run("SELECT FROM WHERE")
    assert refused.value.errors[0]["reason"] == "invalidQuery"
    with pytest.raises(exceptions.BadRequest):
        run("SELECT nothing FROM {t}")


def test_a_default_dataset(run: Run, bq: bigquery.Client) -> None:
    config = bigquery.QueryJobConfig(default_dataset=f"{bq.project}.{DATASET}")
    found = bq.query_and_wait("SELECT COUNT(*) AS n FROM events", job_config=config)
    assert [each.n for each in found] == [3]


def test_parameters_of_all_types(run: Run) -> None:
    values = {
        "a": ("STRING", "it's `@b` \\ ü"),
        "b": ("INT64", 2**62),
        "c": ("FLOAT64", 0.25),
        "d": ("BOOL", True),
        "e": ("BYTES", b"\x00\xff"),
        "f": ("TIMESTAMP", at(5)),
        "g": ("DATE", datetime.date(2026, 1, 2)),
        "h": ("STRING", None),
    }
    names = ", ".join(f"@{name} AS {name}" for name in values)
    (found,) = rows(run, f"SELECT {names}", **values)
    assert found == tuple(value for _, value in values.values())


def test_arrays_of_parameters(run: Run, bq: bigquery.Client) -> None:
    config = bigquery.QueryJobConfig(
        query_parameters=[bigquery.ArrayQueryParameter("ids", "STRING", ["a", "c", "z"])]
    )
    sql = f"SELECT event_id FROM `{bq.project}.{DATASET}.events` WHERE event_id IN UNNEST(@ids)"
    found = bq.query_and_wait(f"{sql} ORDER BY 1", job_config=config)
    assert [each.event_id for each in found] == ["a", "c"]


def test_results_come_in_pages(run: Run, bq: bigquery.Client) -> None:
    job = bq.query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 25)) AS n ORDER BY n")
    result = job.result(page_size=10)
    assert [each.n for each in result] == list(range(1, 26))
    assert result.total_rows == 25


def test_a_sum_of_counts(run: Run) -> None:
    sql = (
        "SELECT TIMESTAMP_TRUNC(timestamp, DAY) AS day, COUNT(*) AS n, COUNTIF(position > 1) AS m,"
        " COUNT(DISTINCT event_id) AS d FROM {t} GROUP BY day"
    )
    assert rows(run, sql) == [(DAY, 3, 1, 3)]
