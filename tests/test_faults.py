"""The quick part of the matrix of faults, and that it can fail: planted defects are found."""

from __future__ import annotations

import re

import pytest

from faults.__main__ import main
from faults.catalogue import all_cases, quick_cases

SUMMARY = re.compile(r"lost (\d+), doubled (\d+), unexplained (\d+) over (\d+) kills")


def found(capsys: pytest.CaptureFixture[str]) -> list[int]:
    """What the matrix says that it found: lost, doubled, unexplained, and over how many kills."""
    said = SUMMARY.search(capsys.readouterr().out)
    assert said is not None
    return [int(number) for number in said.groups()]


def test_nothing_is_lost_doubled_or_unexplained(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--quick", "--lanes", "2"])
    said = capsys.readouterr().out
    assert status == 0, said
    assert "lost 0, doubled 0, unexplained 0" in said


@pytest.mark.parametrize("defect", ["random-job-ids", "random-job-ids-overwritten-log"])
def test_load_jobs_with_random_ids_double_rows(
    capsys: pytest.CaptureFixture[str], defect: str
) -> None:
    assert main(["--quick", "--only", "SIGSTOP at a load job", "--plant", defect]) == 1
    lost, doubled, _, _ = found(capsys)
    assert doubled > 0
    assert lost == 0


def test_a_fault_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "no such fault"]) == 2
    assert "No fault is named like 'no such fault'" in capsys.readouterr().err


def test_the_whole_matrix_has_every_kill_that_is_asked_for() -> None:
    cases = [case for case in all_cases(60) if case.fault == "SIGKILL at random"]
    wanted = [case.scenario.keywords["kills"] for case in cases]  # type: ignore[attr-defined]
    assert sum(wanted) == 120
    assert {case.warehouse for case in quick_cases()} == {"duckdb", "bigquery"}
