"""Jobs: an id is used once, insert is answered with 200, and what became of a job can be asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.cloud import bigquery

from emulators.bigquery import BigQuery, JobFault
from tests.emulators.conftest import DATASET, connect, events, ids, row
from tests.emulators.test_loads import refusal

Put = Callable[[str, pa.Table | bytes], str]
Load = Callable[..., bigquery.LoadJob]
pytestmark = pytest.mark.usefixtures("table")


def already(bq: bigquery.Client, job_id: str) -> str:
    return f"Already Exists: Job {bq.project}:US.{job_id}"


def test_a_job_id_is_used_once(put: Put, load: Load, bq: bigquery.Client) -> None:
    uri = put("a.parquet", events(row("a")))
    load(uri, job_id="px_1").result()
    for again in (
        lambda: load(uri, job_id="px_1"),
        lambda: bq.query("SELECT 1", job_id="px_1", job_retry=None, retry=None),
    ):
        with pytest.raises(exceptions.Conflict, match=already(bq, "px_1")) as refused:
            again()
        assert refused.value.errors[0]["reason"] == "duplicate"
    assert ids(bq) == ["a"]
    found = bq.get_job("px_1")
    assert (found.state, found.output_rows, found.error_result) == ("DONE", 1, None)


def test_the_id_of_a_failed_job_is_used_too(put: Put, load: Load, bq: bigquery.Client) -> None:
    bad = put("bad.parquet", b"no Parquet")
    said = refusal(load(bad, job_id="px_1"))
    with pytest.raises(exceptions.Conflict, match=already(bq, "px_1")):
        load(put("a.parquet", events(row("a"))), job_id="px_1")
    found = bq.get_job("px_1")
    assert f"{found.error_result['reason']}: {found.error_result['message']}" == said


def test_a_query_id_is_used_once(bq: bigquery.Client) -> None:
    sql = f"INSERT INTO `{bq.project}.{DATASET}.events` (timestamp, event_id) VALUES (CURRENT_TIMESTAMP(), 'a')"
    bq.query(sql, job_id="px_q", job_retry=None).result()
    with pytest.raises(exceptions.Conflict, match=already(bq, "px_q")):
        bq.query(sql, job_id="px_q", job_retry=None)
    assert ids(bq) == ["a"]
    bad = bq.query("SELECT no_such_column FROM views.events", job_id="px_bad", job_retry=None)
    with pytest.raises(exceptions.BadRequest):
        bad.result()
    with pytest.raises(exceptions.Conflict, match=already(bq, "px_bad")):
        bq.query("SELECT 1", job_id="px_bad", job_retry=None)


def test_ids_belong_to_a_project_and_a_location(
    server: BigQuery, bq: bigquery.Client, project: str
) -> None:
    bq.query("SELECT 1", job_id="px_1", location="US", job_retry=None).result()
    bq.query("SELECT 1", job_id="px_1", location="EU", job_retry=None).result()
    other = connect(server.url, server.fresh_project())
    other.query("SELECT 1", job_id="px_1", job_retry=None).result()
    other.close()


def test_a_job_is_found_by_its_location(bq: bigquery.Client) -> None:
    bq.query("SELECT 1", job_id="px_far", location="europe-west1", job_retry=None).result()
    assert bq.get_job("px_far", location="europe-west1").state == "DONE"
    for location in (None, "US"):
        with pytest.raises(exceptions.NotFound):
            bq.get_job("px_far", location=location)
    bq.query("SELECT 1", job_id="px_near", location="EU", job_retry=None).result()
    assert bq.get_job("px_near").location == "EU"


def test_an_unknown_job(bq: bigquery.Client) -> None:
    with pytest.raises(exceptions.NotFound, match=f"Not found: Job {bq.project}:nobody"):
        bq.get_job("nobody")


def test_a_job_that_lasts(put: Put, load: Load, bq: bigquery.Client, server: BigQuery) -> None:
    server.add_fault(JobFault(project=bq.project, lasts_s=0.7))
    job = load(put("a.parquet", events(row("a"))), job_id="px_1")
    assert job.state in {"PENDING", "RUNNING"}
    assert ids(bq) == []
    with pytest.raises(exceptions.Conflict):  # while it runs, too
        load(put("a.parquet", events(row("a"))), job_id="px_1")
    assert job.result().output_rows == 1
    assert ids(bq) == ["a"]


def test_a_job_goes_on_without_its_caller(
    put: Put, load: Load, bq: bigquery.Client, server: BigQuery
) -> None:
    server.add_fault(JobFault(project=bq.project, lasts_s=0.5))
    load(put("a.parquet", events(row("a"))), job_id="px_1")
    deadline = time.monotonic() + 20
    while bq.get_job("px_1").state != "DONE" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ids(bq) == ["a"]


def test_a_running_job_may_be_cancelled(
    put: Put, load: Load, bq: bigquery.Client, server: BigQuery
) -> None:
    server.add_fault(JobFault(project=bq.project, lasts_s=30))
    job = load(put("a.parquet", events(row("a"))))
    job.cancel()
    assert refusal(job).startswith("stopped: ")
    assert ids(bq) == []


@pytest.mark.parametrize(
    "reason",
    [
        "backendError",
        "internalError",
        "quotaExceeded",
        "rateLimitExceeded",
        "invalid",
        "accessDenied",
    ],
)
def test_a_job_made_to_fail(
    reason: str, put: Put, load: Load, bq: bigquery.Client, server: BigQuery
) -> None:
    server.add_fault(JobFault(reason, project=bq.project, kind="load", times=2))
    uri = put("a.parquet", events(row("a")))
    for attempt in (1, 2):
        assert refusal(load(uri, job_id=f"px_{attempt}")).startswith(f"{reason}: ")
        assert ids(bq) == []
    load(uri, job_id="px_3").result()
    assert ids(bq) == ["a"]


def test_a_fault_chooses_its_jobs(
    put: Put, load: Load, bq: bigquery.Client, server: BigQuery
) -> None:
    fault = JobFault("invalid", project=bq.project, kind="load", job_id="px_.*_g1$", skip=1)
    server.add_fault(fault)
    uri = put("a.parquet", events(row("a")))
    load(uri, job_id="px_1_g1").result()
    load(uri, job_id="px_2_g2").result()
    assert refusal(load(uri, job_id="px_3_g1")).startswith("invalid: ")
    load(uri, job_id="px_4_g1").result()
    (planned,) = [each for each in server.faults() if each["project"] == bq.project]
    assert (planned["times"], planned["hits"]) == (0, 1)
    server.clear_faults(bq.project)
    assert not [each for each in server.faults() if each["project"] == bq.project]


@pytest.mark.parametrize("reason", ["quotaExceeded", "rateLimitExceeded"])
def test_an_insert_is_refused(
    reason: str, put: Put, load: Load, bq: bigquery.Client, server: BigQuery
) -> None:
    server.add_fault(JobFault(reason, at="insert", project=bq.project))
    uri = put("a.parquet", events(row("a")))
    with pytest.raises(exceptions.Forbidden) as refused:
        load(uri, job_id="px_1")
    assert refused.value.errors[0]["reason"] == reason
    with pytest.raises(exceptions.NotFound):
        bq.get_job("px_1")
    load(uri, job_id="px_1").result()


def test_of_many_inserts_under_one_id_one_wins(put: Put, load: Load, bq: bigquery.Client) -> None:
    uri = put("a.parquet", events(row("a")))

    def insert(_: int) -> bool:
        try:
            load(uri, job_id="px_1").result()
        except exceptions.Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(insert, range(8))) == [False] * 7 + [True]
    assert ids(bq) == ["a"]


def test_jobs_are_listed(put: Put, load: Load, bq: bigquery.Client) -> None:
    load(put("a.parquet", events(row("a"))), job_id="px_1").result()
    assert [job.job_id for job in bq.list_jobs()] == ["px_1"]


def test_no_such_job_fault() -> None:
    with pytest.raises(ValueError, match="no such fault"):
        JobFault("invalid", kind="copy")
    with pytest.raises(ValueError, match="needs a reason"):
        JobFault(at="insert")
