"""Run every contender on every scenario and report what was measured.

    python -m benchmarks.run [--lines 1000000] [--rounds 3] [--quick]

Makes the logs that are missing. A contender whose counts are not the generator's ends the run with
status 1; speed is reported and never judged.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.compare import differing, digest_rows
from benchmarks.contenders import CONTENDERS, REFERENCE, STARTUP, Contender, Scenario, scenarios
from benchmarks.generate import DATA_FOLDER, DEFAULT_SECRET, generate
from benchmarks.measure import CommandError, Cost, adopt_orphans, measure
from benchmarks.report import print_tables, write_files
from benchmarks.results import Results, Round
from benchmarks.task import Counts

_ROOT: Final = Path(__file__).parent.parent
_MANY_FILES: Final = 20
_QUICK_LINES: Final = 100_000
_QUICK_MANY_FILES: Final = 5


class CountsError(Exception):
    """A contender counted other than the generator."""


@dataclass(frozen=True)
class Assignment:
    """A contender and the logs it gets in a scenario."""

    contender: Contender
    files: tuple[Path, ...]
    expected: Counts


def assign(scenario: Scenario, contender: Contender) -> Assignment:
    """Make sure that a contender's logs are there, and in the file cache."""
    lines = min(scenario.data.lines, contender.max_lines or scenario.data.lines)
    data = replace(scenario.data, lines=lines)
    manifest, paths = generate(data, scenario.files, DATA_FOLDER / data.folder_name)
    for path in paths:
        with path.open("rb") as log:
            while log.read(1 << 24):
                pass
    return Assignment(contender, tuple(paths), manifest.total([path.name for path in paths]))


def run_once(assignment: Assignment, out: Path) -> Cost:
    """One measured run into `out`; CountsError where its counts are not the manifest's."""
    contender = assignment.contender
    argv = contender.argv(DEFAULT_SECRET, out, list(assignment.files))
    cost = measure(argv, _ROOT)
    lines = cost.stdout.splitlines()
    try:
        counts = Counts.of_json(json.loads(lines[-1]))
    except (IndexError, KeyError, ValueError) as error:
        raise CountsError(f"{contender.name} printed no counts: {error}") from error
    if counts != assignment.expected:
        raise CountsError(f"{contender.name} counted {counts}, there are {assignment.expected}")
    return cost


def _turns(assignments: Sequence[Assignment], number: int) -> Iterable[Assignment]:
    """The contenders in the order of a round: another one begins each time."""
    first = number % len(assignments)
    return (*assignments[first:], *assignments[:first])


def run_scenario(
    scenario: Scenario, chosen: Sequence[Contender], rounds: int, results: Results, console: Console
) -> None:
    """Measure the chosen contenders in turns, and compare the rows of the first round."""
    assignments = [assign(scenario, c) for c in chosen if c.name in scenario.contenders]
    for assignment in assignments:  # in the table's order, whoever begins
        results.entry(scenario, assignment.contender.name, assignment.expected.lines)
    digests: dict[str, dict[str, str]] = {}
    rounds = min(rounds, scenario.max_rounds)
    for number in range(rounds):
        for assignment in _turns(assignments, number):
            name = assignment.contender.name
            with tempfile.TemporaryDirectory(dir=DATA_FOLDER, prefix="out-") as folder:
                cost = run_once(assignment, Path(folder))
                if number == 0:
                    digests[name] = digest_rows(Path(folder))
            entry = results.entry(scenario, name, assignment.expected.lines)
            entry.rounds.append(Round(cost.cpu_s, cost.wall_s, cost.peak_bytes))
            console.print(
                f"{scenario.name} {name} {number + 1}/{rounds}: {cost.cpu_s:.2f} CPU s, "
                f"{cost.wall_s:.2f} s, {cost.peak_bytes >> 20} MiB",
                style="dim",
                highlight=False,
            )
    _compare(scenario, assignments, digests, results)


def _compare(
    scenario: Scenario,
    assignments: Sequence[Assignment],
    digests: dict[str, dict[str, str]],
    results: Results,
) -> None:
    """Note where a contender wrote other rows than the reference from the same logs."""
    files = {a.contender.name: a.files for a in assignments}
    for assignment in assignments:
        name = assignment.contender.name
        entry = results.entry(scenario, name, assignment.expected.lines)
        if REFERENCE in digests and files[name] == files[REFERENCE]:
            entry.differs = differing(digests[name], digests[REFERENCE])


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure this pipeline beside other engines.")
    parser.add_argument("--lines", type=int, help="lines a file (1,000,000)")
    parser.add_argument("--rounds", type=int, help="runs of each contender (3)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--quick", action="store_true", help="100,000 lines a file, one round, fewer files"
    )
    parser.add_argument("--only", action="append", choices=tuple(CONTENDERS), metavar="NAME")
    names = [scenario.name for scenario in scenarios(1, 1, 1)]
    parser.add_argument("--scenario", action="append", choices=names, metavar="NAME")
    parser.add_argument("--out", type=Path, help="folder for the results (benchmarks/results)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 where a contender failed or counted wrong."""
    given = _arguments(argv)
    lines = given.lines or (_QUICK_LINES if given.quick else 1_000_000)
    rounds = given.rounds or (1 if given.quick else 3)
    many = _QUICK_MANY_FILES if given.quick else _MANY_FILES
    chosen = [c for name, c in CONTENDERS.items() if name in (given.only or CONTENDERS)]
    planned = scenarios(lines, many, given.seed)
    results, console = Results(planned), Console()
    adopt_orphans()
    try:
        for scenario in planned:
            wanted = given.scenario is None or scenario.name in (*given.scenario, STARTUP)
            if wanted and not {c.name for c in chosen}.isdisjoint(scenario.contenders):
                run_scenario(scenario, chosen, rounds, results, console)
    except (CommandError, CountsError) as error:
        print_tables(results, console)
        console.print(str(error), style="red", markup=False)
        return 1
    print_tables(results, console)
    if given.out:
        write_files(results, rounds, given.out)
    else:
        write_files(results, rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
