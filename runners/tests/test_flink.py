"""The job on a real Flink cluster: rows as on one machine, whatever dies meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emulators.faults import HANG, Fault
from runners.tests.conftest import TASK_MANAGERS, Flink, OnOneMachine
from tests.portable import PATIENCE_S, Loading, balance, wait_for

HELD_READS = Fault(HANG, "GET", r"logs%2F.*alt=media", skip=5, times=1_000_000, seconds=PATIENCE_S)
"""The first logs are read; then every worker hangs in the middle of a part."""


def hold_mid_job(flink: Flink) -> dict[str, Any]:
    """Waits until each task manager is held in the step Stage; gives the job."""
    (job,) = wait_for(flink.cluster.running, "a job")
    wait_for(lambda: flink.proxy.hits()[0] >= TASK_MANAGERS, "two reads that are held")
    everywhere = sorted(flink.cluster.task_managers)
    wait_for(lambda: flink.cluster.staging_on(job) == everywhere, "both at work")
    return job


def test_rows_are_those_of_one_machine(
    flink: Flink, expected: OnOneMachine, tmp_path: Path
) -> None:
    there = Loading.fresh(expected.cloud)
    assert balance(there.start(*flink.options, tmp=tmp_path / "there")) == expected.balance
    assert there.contents() == expected.contents


def test_a_task_manager_killed_mid_job_costs_no_row_and_doubles_none(
    flink: Flink, expected: OnOneMachine, tmp_path: Path
) -> None:
    flink.proxy.add(HELD_READS)
    there = Loading.fresh(expected.cloud)
    run = there.start(*flink.options, tmp=tmp_path / "there")
    job = hold_mid_job(flink)
    killed = flink.cluster.kill_task_manager()
    flink.proxy.clear()
    assert balance(run) == expected.balance
    assert there.contents() == expected.contents
    assert killed in {failure["taskManagerId"] for failure in flink.cluster.failures(job)}


def test_a_job_that_nobody_waits_for_loads_what_it_staged(
    flink: Flink, expected: OnOneMachine, tmp_path: Path
) -> None:
    there, before = Loading.fresh(expected.cloud), len(flink.cluster.jobs())
    balance(there.start(*flink.options, "--no_wait_until_finish", tmp=tmp_path / "there"))
    wait_for(lambda: len(flink.cluster.jobs()) > before, "the job, which is on its way")
    wait_for(flink.cluster.is_idle, "the end of the job")
    assert there.contents() == expected.contents


def test_a_job_that_flink_gives_up_is_finished_by_the_next_run(
    flink: Flink, expected: OnOneMachine, tmp_path: Path
) -> None:
    flink.proxy.add(HELD_READS)
    there = Loading.fresh(expected.cloud)
    run = there.start(*flink.options, tmp=tmp_path / "there")
    flink.cluster.cancel(hold_mid_job(flink))
    _, stderr = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 3
    assert "running it again does no harm" in stderr
    flink.proxy.clear()
    assert "news.pageviews" not in there.cloud.tables()
    again = balance(there.start(*flink.options, tmp=tmp_path / "there"))
    of_the_plan = {"bytes": 0, "unchanged": 0}  # that run found its batch planned
    assert again | of_the_plan == expected.balance | of_the_plan
    assert there.contents() == expected.contents
