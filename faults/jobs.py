"""BigQuery's jobs fail, are refused, or go on when nobody waits for them any more."""

from __future__ import annotations

from emulators.bigquery import JobFault
from faults.bench import DONE, INCOMPLETE, KILLED, SERVICE, SETUP, Bench
from faults.places import BigQueryPlace

_MOST_JOBS = 20
"""More than a run has: one for each destination, for rejects and bots, for the ledger's tables."""
_LASTS_S = 1.2
_IMPATIENT = {"PIXELSHIP_JOB_WAIT_S": "0.3"}


def fail(bench: Bench, reason: str, allowed: tuple[int, ...], times: int = 1, at: str = "job") -> None:  # fmt: skip
    """Each job of a run in turn fails, or is refused, `times` times."""
    project = _project(bench)
    for skip in range(_MOST_JOBS):
        bench.add()
        fault = JobFault(reason, at=at, kind="load", project=project, skip=skip, times=times)
        bench.cloud.bigquery.add_fault(fault)
        run = bench.start()
        ended = bench.end(run, (DONE, *allowed))
        has_hit = _has_hit(bench, project)
        bench.expect(ended.status in allowed or not has_hit, f"{reason} has consequences")
        bench.cloud.bigquery.clear_faults(project)
        settled = bench.settle()
        if ended.status == INCOMPLETE:
            bench.expect(settled.report.get("unparked"), "rows that waited were loaded")
        if not has_hit:
            return
    bench.wonder("a run has no end of jobs")


def outlive(bench: Bench, reason: str | None) -> None:
    """Each job in turn ends, well or not, after its caller gave up."""
    project = _project(bench)
    for skip in range(_MOST_JOBS):
        bench.add()
        fault = JobFault(reason, kind="load", project=project, skip=skip, lasts_s=_LASTS_S)
        bench.cloud.bigquery.add_fault(fault)
        ended = bench.load(environment=_IMPATIENT, allowed=(DONE, SERVICE))
        has_hit = _has_hit(bench, project)
        bench.expect(has_hit == (ended.status == SERVICE), "the caller gives up, and says so")
        bench.cloud.bigquery.clear_faults(project)
        bench.settle(allowed=(DONE, INCOMPLETE) if reason == "invalid" else (DONE,))
        if not has_hit:
            return
    bench.wonder("a run has no end of jobs")


def _has_hit(bench: Bench, project: str) -> bool:
    """Whether a fault befell a job of the project."""
    return any(each["hits"] for each in bench.cloud.bigquery.faults() if each["project"] == project)


def kill_while_they_last(bench: Bench, rounds: int) -> None:
    """SIGKILL while jobs run that end by themselves; a rival comes meanwhile."""
    project = _project(bench)
    for number in range(rounds):
        bench.add()
        reason = (None, "backendError", "invalid")[number % 3]
        fault = JobFault(reason, kind="load", project=project, lasts_s=_LASTS_S, times=3)
        bench.cloud.bigquery.add_fault(fault)
        run = bench.start()
        run.wait_until(lambda: _has_hit(bench, project))
        rival = bench.start()
        rival.wait_for_begin()
        run.kill()
        bench.end(run, (KILLED,))
        bench.end(rival, (DONE, INCOMPLETE, SETUP))
        bench.cloud.bigquery.clear_faults(project)
        bench.settle()


def _project(bench: Bench) -> str:
    """The project, its tables made."""
    bench.add()
    bench.load()
    if not isinstance(bench.place, BigQueryPlace):
        raise TypeError("this place has no jobs")
    return bench.place.project
