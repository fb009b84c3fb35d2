"""The matrix itself: what it tries, how it adds up, what it shows."""

from __future__ import annotations

import re

import pytest

from faults.bench import Bench, Score
from faults.catalogue import BIGQUERY, DUCKDB, Case
from faults.matrix import Results, run_matrix
from faults.report import Display, as_markdown, print_results, sentence


def quietly(case: Case, score: Score) -> None:
    """Tells nobody."""


def clean(bench: Bench) -> None:
    bench.score.kills += 2


def test_a_scenario_that_breaks_off_is_unexplained_and_harms_no_other() -> None:
    def broken(_: Bench) -> None:
        raise OSError("made to fail")

    cases = [Case("broken", DUCKDB, broken), Case("clean", DUCKDB, clean)]
    results = run_matrix(cases, seed=1, lanes=1, told=quietly)
    (word,) = results.total.findings.words
    assert re.fullmatch(
        r"unexplained: the scenario broke off: .*made to fail.*test_matrix.py:\d+\)", word
    )
    assert results.scores["", "clean", DUCKDB].findings.is_clean
    assert sentence(results) == "lost 0, doubled 0, unexplained 1 over 2 kills"


def test_a_case_has_the_same_chance_whatever_else_is_tried() -> None:
    drawn: dict[str, list[float]] = {}

    def drawing(name: str) -> Case:
        return Case(
            name, DUCKDB, lambda bench: drawn.setdefault(name, []).append(bench.chance.random())
        )

    one, other = drawing("one"), drawing("other")
    run_matrix([other, one, one], seed=1, lanes=1, told=quietly)
    run_matrix([one, one], seed=1, lanes=1, told=quietly)
    first, second, again, second_again = drawn["one"]
    assert (first, second) == (again, second_again)
    assert len({first, second, *drawn["other"]}) == 3
    run_matrix([one], seed=2, lanes=1, told=quietly)
    assert drawn["one"][-1] != first


@pytest.fixture
def results() -> Results:
    results = Results(seconds=90.0)
    lost = Score(runs=1_000, kills=3)
    lost.findings.lose("a row", 2)
    case = Case("killed", BIGQUERY, clean, group="killed at random")
    results.add(case, lost)
    results.add(case, Score(runs=234))
    results.add(Case("raced", DUCKDB, clean, group="raced"), Score(runs=5))
    return results


def test_the_file_shows_groups_faults_and_the_sum(results: Results) -> None:
    text = as_markdown(results, "python -m faults")
    assert "**lost 2, doubled 0, unexplained 0 over 3 kills**, in 1,239 runs and 2 minutes." in text
    assert "| killed at random | BigQuery | 1,234 | 3 | 2 | 0 | 0 |" in text
    assert "| killed | BigQuery | 1,234 | 3 | 2 | 0 | 0 |" in text
    assert text.count("| **all** | | **1,239** | **3** | **2** | **0** | **0** |") == 2


def test_the_terminal_shows_faults_and_what_went_wrong(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = Score(runs=1)
    for number in range(20):
        bad.findings.wonder(f"thing {number}")
    with Display(2) as display:
        display.told(Case("raced", DUCKDB, clean), Score(runs=5, kills=1))
        display.told(Case("killed", BIGQUERY, clean), bad)
    print_results(results)
    said = capsys.readouterr().out
    for words in ("✓ raced (DuckDB): 5 runs, 1 kills", "✗ killed (BigQuery)", "thing 11", "and 8 more", "1,234", "lost 2"):  # fmt: skip
        assert words in said
    assert "thing 12" not in said
