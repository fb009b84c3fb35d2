"""Show results: a table in the terminal, and `results.json`, `results.md`, `results.svg`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib
from matplotlib import pyplot
from rich.console import Console
from rich.table import Table

from benchmarks.contenders import CONTENDERS, STARTUP, Scenario
from benchmarks.machine import RESULTS_FOLDER, machine
from benchmarks.results import Entry, Results

_HEADINGS: Final = (
    "contender",
    "lines/CPU-s",
    "lines/s",
    "CPU s",
    "MiB",
    "/ chDB",
    "/ per-line",
)
_LEGEND: Final = (
    "lines/CPU-s: lines per CPU-second of the whole process; lines/s: by the clock; MiB: peak "
    "memory; / chDB, / per-line: times as many lines per CPU-second as ClickHouse and as the "
    "per-line Beam pipeline."
)
_COLOURS: Final = {
    "core": "#1b6e53",
    "beam": "#3fa37f",
    "beam-2": "#8fd0b8",
    "chdb": "#d08c2e",
    "duckdb": "#b9a44c",
    "beam-per-line": "#8a8f98",
}


def _number(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _cells(results: Results, entry: Entry) -> tuple[str, ...]:
    contender = CONTENDERS[entry.contender]
    if entry.scenario == STARTUP:
        cost = (_number(entry.cpu_s, 2), _number(entry.peak_mib))
        return contender.label, "", "", *cost, "", ""
    speed = results.speed(entry)
    return (
        contender.label + (" *" if entry.lines < entry.of_lines else ""),
        _number(speed.lines_per_cpu_s),
        _number(speed.lines_per_s),
        _number(results.seconds(entry)[0], 2),
        _number(entry.peak_mib),
        _number(speed.to_reference, 2),
        _number(speed.to_per_line, 1),
    )


def _notes(results: Results, scenario: Scenario) -> list[str]:
    """What a reader must know beside a scenario's table."""
    notes = []
    for entry in results.of(scenario.name):
        contender = CONTENDERS[entry.contender]
        if entry.lines < entry.of_lines:
            notes.append(
                f"* {contender.label} read {entry.lines:,} lines; CPU and time beyond its start-up "
                "are scaled to the others' lines, memory is as measured."
            )
        if entry.differs:
            columns = ", ".join(entry.differs)
            notes.append(f"{contender.label}: other values than chDB's in {columns}.")
    return notes


def print_tables(results: Results, console: Console) -> None:
    """A table for each scenario that was run, then the figures derived."""
    for scenario in results.scenarios:
        entries = results.of(scenario.name)
        if not entries:
            continue
        table = Table(title=scenario.title, title_justify="left", box=None, padding=(0, 2, 0, 0))
        for index, heading in enumerate(_HEADINGS):
            table.add_column(heading, justify="right" if index else "left", no_wrap=True)
        for entry in entries:
            table.add_row(*_cells(results, entry))
        console.print(table)
        for note in _notes(results, scenario):
            console.print(note, markup=False)
        console.print()
    console.print(_LEGEND, style="dim", highlight=False)
    for label, value in results.derived().items():
        console.print(f"{label}: {_number(value, 2)}", markup=False, highlight=False)


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown(results: Results, facts: dict[str, str], rounds: int) -> str:
    lines = [
        "# Benchmark results",
        "",
        f"Whole processes, median of {rounds} round(s), contenders taking turns. "
        + ", ".join(f"{name} {value}" for name, value in facts.items())
        + ".",
        "",
        _LEGEND,
    ]
    for scenario in results.scenarios:
        entries = results.of(scenario.name)
        if not entries:
            continue
        lines += ["", f"## {scenario.title}", "", _markdown_row(_HEADINGS)]
        lines.append(_markdown_row(["---", *["---:"] * (len(_HEADINGS) - 1)]))
        lines += [_markdown_row(_cells(results, entry)) for entry in entries]
        notes = _notes(results, scenario)
        lines += ["", *(note.replace("*", "\\*") for note in notes)] if notes else []
    derived = results.derived()
    if derived:
        lines += ["", "## Compared", ""]
        lines += [f"- {label}: {_number(value, 2)}" for label, value in derived.items()]
    return "\n".join(lines) + "\n"


def _draw_chart(results: Results, path: Path) -> None:
    """Bars of lines per CPU-second, a group for each scenario."""
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "benchmarks"
    shown = [s for s in results.scenarios if s.name != STARTUP and results.of(s.name)]
    bars = [
        (scenario, entry, results.speed(entry).lines_per_cpu_s)
        for scenario in shown
        for entry in results.of(scenario.name)
    ]
    if not bars:
        return
    figure, axes = pyplot.subplots(figsize=(9, 0.28 * len(bars) + 0.35 * len(shown) + 1.2))
    place, ticks = 0.0, []
    for scenario in shown:
        first = place
        for _, entry, speed in (bar for bar in bars if bar[0] is scenario):
            axes.barh(place, speed, height=0.85, color=_COLOURS[entry.contender])
            axes.annotate(
                f"{speed:,.0f}  {CONTENDERS[entry.contender].label}",
                (speed, place),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
            place += 1
        ticks.append(((first + place - 1) / 2, scenario.title))
        place += 1
    axes.set_yticks([at for at, _ in ticks], [title for _, title in ticks], fontsize=8)
    axes.set_ylim(place - 1, -1)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlim(0, max(speed for *_, speed in bars) * 1.35)
    axes.set_xlabel("lines per CPU-second, whole process", fontsize=8)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def write_files(results: Results, rounds: int, folder: Path = RESULTS_FOLDER) -> None:
    """Keep the results as JSON, Markdown and a chart."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = machine()
    content = {
        "machine": facts,
        "rounds": rounds,
        "entries": results.to_json(),
        "derived": results.derived(),
    }
    (folder / "results.json").write_text(json.dumps(content, indent=1) + "\n")
    (folder / "results.md").write_text(_markdown(results, facts, rounds))
    _draw_chart(results, folder / "results.svg")
