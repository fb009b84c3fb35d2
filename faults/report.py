"""Shows what is being tried, and at the end what came of it: on the terminal and as a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from faults.bench import Score
from faults.catalogue import Case
from faults.matrix import Results

_NUMBERS = ("runs", "kills", "lost", "doubled", "unexplained")
_NAMES = {"duckdb": "DuckDB", "bigquery": "BigQuery"}
_MOST_WORDS = 12


class Display:
    """A bar, and a line for each case that went wrong."""

    def __init__(self, cases: int) -> None:
        self._console = Console(highlight=False)
        self._bar = Progress(
            TextColumn("Faults"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[runs]:,} runs, {task.fields[kills]:,} kills"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=cases, runs=0, kills=0)
        self._whole = Score()

    def __enter__(self) -> Display:
        """Begins."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends."""
        self._bar.stop()

    def told(self, case: Case, score: Score) -> None:
        """Takes note of a case that is done."""
        self._whole.runs += score.runs
        self._whole.kills += score.kills
        name = f"{case.fault} ({_NAMES[case.warehouse]})"
        self._bar.update(
            self._task, advance=1, description=name, runs=self._whole.runs, kills=self._whole.kills
        )
        findings = score.findings
        if not (findings.words or self._console.is_terminal):
            self._console.print(Text(f"✓ {name}: {score.runs} runs, {score.kills} kills"))
        if findings.words:
            self._console.print(Text(f"✗ {name}", style="bold red"))
            for word in findings.words[:_MOST_WORDS]:
                self._console.print(Text(f"    {word}"))
            if len(findings.words) > _MOST_WORDS:
                self._console.print(f"    … and {len(findings.words) - _MOST_WORDS} more")


def sentence(results: Results) -> str:
    """What the matrix found, in a sentence."""
    total = results.total
    found = total.findings
    return (
        f"lost {found.lost}, doubled {found.doubled}, unexplained {found.unexplained} "
        f"over {total.kills:,} kills"
    )


def print_results(results: Results) -> None:
    """Prints the table and the sentence."""
    table = Table("fault", "warehouse", *_NUMBERS)
    for column in table.columns[2:]:
        column.justify = "right"
    for (_, fault, warehouse), score in results.scores.items():
        numbers = _numbers(score)
        style = "bold red" if any(numbers[2:]) else None
        table.add_row(fault, _NAMES[warehouse], *(f"{number:,}" for number in numbers), style=style)
    table.add_section()
    table.add_row("all", "", *(f"{number:,}" for number in _numbers(results.total)), style="bold")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    console.print(table)
    console.print(f"{sentence(results)} ({results.total.runs:,} runs, {results.seconds:,.0f} s).")


def as_markdown(results: Results, command: str) -> str:
    """The sentence, a table by groups, and one of all faults, as a file."""
    groups = [
        (f"{group} | {_NAMES[kind]}", score) for (group, kind), score in results.by_group().items()
    ]
    faults = [
        (f"{fault} | {_NAMES[warehouse]}", score)
        for (_, fault, warehouse), score in results.scores.items()
    ]
    lines = [
        "# The matrix of faults",
        "",
        f"**{sentence(results)}**, in {results.total.runs:,} runs and {results.seconds / 60:,.0f} "
        f"minutes. Written by `{command}`; what the faults are stands in `faults/catalogue.py`.",
        "",
        *_markdown("what happens", groups, results.total),
        "",
        "## All faults",
        "",
        *_markdown("fault", faults, results.total),
    ]
    return "\n".join(lines) + "\n"


def _markdown(title: str, rows: Sequence[tuple[str, Score]], total: Score) -> list[str]:
    whole = " | ".join(f"**{number:,}**" for number in _numbers(total))
    return [
        f"| {title} | warehouse | {' | '.join(_NUMBERS)} |",
        f"|---|---|{'---:|' * len(_NUMBERS)}",
        *(f"| {name} | {' | '.join(f'{n:,}' for n in _numbers(score))} |" for name, score in rows),
        f"| **all** | | {whole} |",
    ]


def _numbers(score: Score) -> tuple[int, int, int, int, int]:
    found = score.findings
    return score.runs, score.kills, found.lost, found.doubled, found.unexplained
