"""Load jobs happen once, whatever becomes of them, of the runs that begin them, and of the replies."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.api_core.exceptions import Conflict, NotFound

from emulators.bigquery import JobFault
from emulators.fault_proxy import FaultProxy
from emulators.faults import Fault
from pipeline.batchlog import CloudStore
from pipeline.errors import ServiceError, SetupError
from pipeline.warehouses import bigquery_jobs, bigquery_steps
from pipeline.warehouses.bigquery_jobs import Jobs, Work
from pipeline.warehouses.contract import RefusedError
from tests.cloud import Cloud
from tests.logs import GOOGLEBOT, log
from tests.warehouses.bench import MAIL, NEWS, Bench
from tests.warehouses.builders import assert_balanced, view


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_FIRST_POLL_S", "_LONGEST_POLL_S", "_FIRST_DELAY_S", "_LONGEST_DELAY_S"):
        monkeypatch.setattr(bigquery_jobs, name, 0.02)


@pytest.fixture
def bench(cloud: Cloud) -> Bench:
    """One log with one view, not yet loaded."""
    bench = Bench(cloud, "off")
    bench.put("a.log", "one")
    return bench


def fail(bench: Bench, reason: str | None = None, table: str = NEWS, **details: Any) -> None:
    """Plans a fault of the jobs that load a table."""
    job_id = f"px_00000001_{bench.name_of_jobs(table)}_g"
    fault = JobFault(reason, kind="load", project=bench.cloud.project, job_id=job_id, **details)
    bench.cloud.bigquery.add_fault(fault)


def generations(bench: Bench) -> list[int]:
    """The generations of the jobs that loaded views, or tried to."""
    return sorted(int(id_.rpartition("_g")[2]) for id_ in bench.jobs("pageviews"))


# Ids


def test_ids_tell_batch_table_and_part(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.staging._MOST_ROWS", 1)
    monkeypatch.setattr(bigquery_steps, "MOST_FILES", 1)
    bench.put("b.log", "two")
    bench.put("c.log", "three", to=MAIL)
    assert bench.run().destinations == {NEWS: 2, MAIL: 1}
    jobs = bench.jobs()
    assert all(re.fullmatch(r"px_00000001_[0-9a-f]{16}_g1", id_) for id_ in jobs)
    assert len(bench.jobs("pageviews")) == 2
    assert len(jobs) == 5  # two parts, the other table, the ledger's two
    assert bench.ids() == ["one", "two"]


def test_state_folders_of_one_project_have_jobs_of_their_own(bench: Bench) -> None:
    other = bench.with_state("other")
    bench.run()
    bench.put("b.log", "two")
    other.run("b.log")
    assert len(bench.jobs("pageviews")) == 2
    assert bench.ids() == ["one", "two"]


def test_a_state_folder_that_is_made_anew_has_other_jobs(bench: Bench) -> None:
    bench.run()
    before = set(bench.jobs())
    store = CloudStore(bench.options.state)
    store.remove([each.name for each in store.list("")])
    assert bench.run().batches == ["00000001"]
    assert len(set(bench.jobs()) - before) == len(before)


def test_the_state_folder_of_another_run_may_not_be_copied(bench: Bench) -> None:
    with bench.open():
        pass
    copy = bench.with_state("copy")
    identity = CloudStore(bench.options.state).read("installation.json")
    assert identity
    CloudStore(copy.options.state).create("installation.json", identity)
    bench.run()
    bench.put("b.log", "two")
    with pytest.raises(SetupError, match=r"job px_00000001_\w+_g1 was done before, for other fil"):
        copy.run("b.log")
    assert bench.ids() == ["one"]


def test_an_identity_that_was_lost_is_missed_before_anything_is_loaded_again(bench: Bench) -> None:
    bench.run()
    CloudStore(bench.options.state).remove(["installation.json"])
    with pytest.raises(SetupError, match=r"state/installation\.json is missing: restore it"):
        bench.run()
    assert bench.ids() == ["one"]


# Jobs that last


@pytest.mark.parametrize(("reason", "last"), [(None, 1), ("invalid", 2)])
def test_a_job_that_was_given_up_is_waited_for_by_the_next_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, reason: str | None, last: int
) -> None:
    fail(bench, reason, lasts_s=0.6)
    with monkeypatch.context() as patch:
        patch.setenv("PIXELSHIP_JOB_WAIT_S", "0.1")
        with pytest.raises(ServiceError, match=r"px_00000001_\w+_g1 has not ended within"):
            bench.run()
    assert bench.run().destinations == {NEWS: 1}
    assert generations(bench) == list(range(1, last + 1))
    assert bench.ids() == ["one"]
    assert_balanced(bench)


def test_runs_at_once_wait_for_one_job(bench: Bench) -> None:
    fail(bench, lasts_s=0.3)
    with ThreadPoolExecutor() as pool:
        reports = list(pool.map(lambda _: bench.run(), range(3)))
    assert all(report.is_clean for report in reports)
    assert generations(bench) == [1]
    assert bench.ids() == ["one"]
    assert_balanced(bench)


def test_a_run_that_ends_does_not_wait_for_other_jobs(bench: Bench) -> None:
    bench.put("b.log", "two", to=MAIL)
    fail(bench, lasts_s=30)
    fail(bench, "invalid", "pixelship.bot_hits")
    bench.cloud.put("c.log", log(view("bot", user_agent=GOOGLEBOT)))
    began = time.monotonic()
    with pytest.raises(SetupError, match=r"pixelship\.bot_hits cannot be changed"):
        bench.run()
    assert time.monotonic() - began < 15


# Jobs that fail


@pytest.mark.parametrize(
    "reason", ["backendError", "internalError", "rateLimitExceeded", "jobRateLimitExceeded"]
)
def test_what_passes_is_tried_again(bench: Bench, reason: str) -> None:
    fail(bench, reason, times=3)
    report = bench.run()
    assert (report.is_clean, report.destinations) == (True, {NEWS: 1})
    assert generations(bench) == [1, 2, 3, 4]
    assert bench.ids() == ["one"]


def test_what_does_not_pass_in_time_is_parked(bench: Bench) -> None:
    fail(bench, "backendError", times=5)
    report = bench.run()
    assert (report.parked, report.destinations, report.is_clean) == ({NEWS: 1}, {}, False)
    assert report.parked_why == {
        NEWS: "BigQuery says: Error encountered during execution. Retrying may solve the problem"
    }
    assert generations(bench) == [1, 2, 3, 4, 5]
    report = bench.run()
    assert (report.unparked, report.is_clean) == ({NEWS: 1}, True)
    assert generations(bench) == [1, 2, 3, 4, 5, 6]
    assert bench.ids() == ["one"]
    assert_balanced(bench)


def test_what_fails_for_good_is_tried_once_a_run(bench: Bench) -> None:
    fail(bench, "invalid", times=6, message="The file\nis broken. gs://b/o")
    for last in range(1, 7):
        report = bench.run()
        assert report.parked_why == {NEWS: "BigQuery says: The file"}
        assert generations(bench) == list(range(1, last + 1))
    assert bench.run().unparked == {NEWS: 1}
    assert generations(bench) == [1, 2, 3, 4, 5, 6, 7]
    assert bench.ids() == ["one"]


def test_runs_at_once_do_not_outdo_each_other_at_a_broken_table(bench: Bench) -> None:
    fail(bench, "invalid", lasts_s=0.05, times=1000)
    with ThreadPoolExecutor() as pool:
        reports = list(pool.map(lambda _: bench.run(), range(3)))
    # one that came while another was at it leaves the rest to that one
    assert {NEWS: 1} in [report.parked for report in reports]
    assert [report.destinations for report in reports] == [{}] * 3
    assert len(generations(bench)) <= 2 * 3  # at most one to load and one to unpark, by each
    bench.cloud.bigquery.clear_faults(bench.cloud.project)
    bench.run()
    assert bench.ids() == ["one"]
    assert_balanced(bench)


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("quotaExceeded", "Quota exceeded: Your table exceeded quota for imports"),
        ("accessDenied", "Access Denied: Permission bigquery.tables.updateData denied"),
        ("invalid", "Error while reading data"),
        ("notFound", "Made to fail: notFound"),
    ],
)
def test_a_job_that_is_refused_costs_no_generation(bench: Bench, reason: str, message: str) -> None:
    fail(bench, reason, at="insert", times=2)
    for _ in range(2):
        report = bench.run()
        assert report.parked_why[NEWS].startswith(f"BigQuery says: {message}")
        assert generations(bench) == []
    assert bench.run().unparked == {NEWS: 1}
    assert generations(bench) == [1]
    assert bench.ids() == ["one"]


def test_a_refusal_that_passes_is_asked_again(bench: Bench) -> None:
    fail(bench, "rateLimitExceeded", at="insert", times=2)
    assert bench.run().is_clean
    assert generations(bench) == [1]


@pytest.mark.parametrize(
    ("reason", "times", "error", "said"),
    [
        ("invalid", 1, SetupError, "Error while reading data"),
        ("rateLimitExceeded", 5, ServiceError, "Exceeded rate limits"),
    ],
)
@pytest.mark.parametrize("table", ["pixelship.rejects", "pixelship.objects"])
def test_bookkeeping_that_takes_no_rows_ends_the_run_and_the_next_goes_on(  # noqa: PLR0917
    bench: Bench, reason: str, times: int, error: type[Exception], said: str, table: str
) -> None:
    bench.cloud.put("junk.log", b"junk\n")
    fail(bench, reason, table, times=times)
    with pytest.raises(error, match=rf"{table} cannot be changed: BigQuery says: {said}"):
        bench.run()
    report = bench.run()
    assert (report.batches, report.destinations) == (["00000001"], {NEWS: 1})
    assert bench.ids() == ["one"]
    assert len(bench.rows("pixelship.rejects")) == 1
    assert_balanced(bench)


# Replies that are lost or late


@pytest.fixture
def wire(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """What lies between the client and BigQuery; tables are there already."""
    bench.run("none*")
    with FaultProxy(bench.cloud.bigquery.url) as proxy:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", proxy.url)
        yield proxy


@pytest.mark.parametrize("action", ["cut", "refuse"])
def test_a_job_whose_reply_is_lost_is_found(bench: Bench, wire: FaultProxy, action: str) -> None:
    wire.add(Fault(action, "POST", "/jobs", when="after", times=2))
    report = bench.run()
    assert (report.is_clean, report.destinations) == (True, {NEWS: 1})
    assert sum(wire.hits()) == 2
    assert generations(bench) == [1]
    assert bench.ids() == ["one"]


def test_a_job_that_is_not_shown_at_once_is_looked_for_again(
    bench: Bench, wire: FaultProxy
) -> None:
    wire.add(Fault("cut", "POST", "/jobs", when="after"))
    wire.add(Fault("refuse", "GET", "/jobs/px_", status=404, times=3))
    assert bench.run().destinations == {NEWS: 1}
    assert wire.hits() == [1, 3]
    assert generations(bench) == [1]


def test_a_job_that_is_never_shown_is_left_to_a_later_run(
    bench: Bench, wire: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bigquery_jobs, "_SHOWN_WITHIN_S", 0.1)
    wire.add(Fault("cut", "POST", "/jobs", when="after"))
    wire.add(Fault("refuse", "GET", "/jobs/px_", status=404, times=1000))
    with pytest.raises(ServiceError, match=r"BigQuery has a job px_\w+_g1 and does not show it in"):
        bench.run()
    wire.clear()
    assert bench.run().destinations == {NEWS: 1}
    assert generations(bench) == [1]


# Of many jobs that failed the last is found soon


class Failed:
    """A project where so many generations of a job failed; `asked` counts what was asked."""

    def __init__(self, generations: int) -> None:
        self.asked = 0
        self._last = generations

    def get_job(self, id_: str, **_: object) -> object:
        self.asked += 1
        if int(id_.rpartition("_g")[2]) > self._last:
            raise NotFound("no such job")
        error = {"reason": "invalid", "message": "broken"}
        return SimpleNamespace(job_id=id_, state="DONE", error_result=error)

    def begin(self, id_: str) -> Any:
        self.asked += 1
        generation = int(id_.rpartition("_g")[2])
        if generation <= self._last:
            raise Conflict("known")
        assert generation == self._last + 1
        return SimpleNamespace(job_id=id_, state="DONE", error_result=None)


@pytest.mark.parametrize("failed", [*range(9), 100, 5000])
def test_the_job_after_all_that_failed_is_begun(failed: int) -> None:
    project = Failed(failed)
    job: Any = Jobs(cast(Any, project)).run(Work("px", "a.b", "US", project.begin))
    assert job.job_id == f"px_g{failed + 1}"
    assert project.asked <= 8 + 3 * failed.bit_length()


def test_a_rivals_jobs_are_waited_for_and_not_begun() -> None:
    project = Failed(0)
    rival = iter([1, 2])

    def begin(id_: str) -> Any:
        """Fails for good; then a rival, which saw that, begins another, which fails too."""
        job = project.begin(id_)
        project._last = 1 + next(rival)
        return SimpleNamespace(**{**vars(job), "error_result": {"reason": "x", "message": "bad"}})

    with pytest.raises(RefusedError, match=r"a\.b: BigQuery says: broken"):
        Jobs(cast(Any, project)).run(Work("px", "a.b", "US", begin))
    assert next(rival) == 2  # nothing more was begun
