"""What `benchmarks.bigquery` measured: a table in the terminal, `bigquery.json`, `bigquery.md`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.machine import RESULTS_FOLDER, machine
from benchmarks.two_tables import TwoTables

_PAIRS: Final = (
    ("beam-log", "load"),
    ("beam", "staged"),
    ("beam-fixed", "staged"),
    ("beam", "load"),
    ("beam-fixed", "load"),
)
"""Peers, and what of ours they stand beside; the last two are spared the log, and ours is not."""
_HEADINGS: Final = ("contender", "rows/s", "min s", "median", "max", "CPU s", "MiB", "in jobs")
_COMPARED: Final = ("peer", "beside", "seconds", "at least", "CPU s")
_LEGEND: Final = (
    "rows/s: by the clock, median; CPU s: of the process and all it started, the servers' not among"
    " them; MiB: peak memory; in jobs: seconds that the emulated BigQuery ran load and copy jobs."
)
_COMPARED_LEGEND: Final = (
    "How many times as long the peer takes, medians; at least: its fastest run over our slowest."
)
_CHARGED: Final = (
    "**Ours, from the log**: `pixelship load`, all of it. It reads the log from the object store,"
    " verifies, classifies, writes Parquet there, makes the tables, loads them, and keeps rejects,"
    " bots by hour and the ledger besides.",
    "**Ours, from rows**: what that does once its Parquet files are there. It plans a batch,"
    " loads the files as they are, and enters the ledger.",
    "**Beam, from rows**: the same files, the same columns, tables made beforehand. It makes"
    " dicts of the rows and hands them to one `WriteToBigQuery(method=FILE_LOADS)` that picks the"
    " table for each: JSON files, loads into temporary tables, copies. With **two sinks**, one for each"
    " table, which it must know beforehand, it loads outright.",
    "**Beam, from the log**: an ordinary pipeline of a dict for each line before that same sink. It"
    " writes fewer columns, and neither rejects nor a ledger.",
    "All are spared BigQuery's own time, since the emulator answers a job when it is done: in the"
    " cloud Beam looks again every ten seconds, Pixelship after 0.2 s and then less and less often.",
)

FACTS_OF_PEER: Final = (
    "import json, platform\n"
    "from importlib.metadata import version\n"
    "names = ('apache-beam', 'google-apitools', 'google-cloud-bigquery', 'orjson', 'pyarrow')\n"
    "print(json.dumps({'python': platform.python_version(), **{n: version(n) for n in names}}))"
)
"""Prints the versions in the peer's environment."""


@dataclass(frozen=True)
class Round:
    """One run: seconds by the clock, CPU seconds, peak bytes, seconds that jobs ran."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    jobs_s: float


@dataclass
class Outcome:
    """A contender's runs."""

    name: str
    label: str
    rounds: list[Round] = field(default_factory=list)

    def middle(self, figure: Callable[[Round], float]) -> float:
        """The median of a figure."""
        return median(map(figure, self.rounds))


def wall(run: Round) -> float:
    """Seconds by the clock."""
    return run.wall_s


def cpu(run: Round) -> float:
    """CPU seconds."""
    return run.cpu_s


@dataclass(frozen=True)
class Ratio:
    """How many times as long a peer takes as one of ours: medians of seconds and of CPU seconds.

    `least` is the peer's fastest run over our slowest, by the clock.
    """

    peer: str
    ours: str
    wall: float
    least: float
    cpu: float


def ratios(outcomes: Sequence[Outcome]) -> list[Ratio]:
    """The pairs that ran."""
    by_name = {each.name: each for each in outcomes}
    pairs = (
        (by_name[peer], by_name[ours]) for peer, ours in _PAIRS if {peer, ours} <= by_name.keys()
    )
    return [
        Ratio(
            peer.label,
            ours.label,
            peer.middle(wall) / ours.middle(wall),
            min(map(wall, peer.rounds)) / max(map(wall, ours.rounds)),
            peer.middle(cpu) / ours.middle(cpu),
        )
        for peer, ours in pairs
    ]


def _cells(outcome: Outcome, rows: int) -> tuple[str, ...]:
    seconds = [run.wall_s for run in outcome.rounds]
    return (
        outcome.label,
        f"{rows / median(seconds):,.0f}",
        *(f"{value:.2f}" for value in (min(seconds), median(seconds), max(seconds))),
        f"{outcome.middle(cpu):.2f}",
        f"{outcome.middle(lambda run: run.peak_bytes) / (1 << 20):,.0f}",
        f"{outcome.middle(lambda run: run.jobs_s):.2f}",
    )


def _compared(ratio: Ratio) -> tuple[str, ...]:
    figures = (ratio.wall, ratio.least, ratio.cpu)
    return (ratio.peer, ratio.ours, *(f"{figure:.2f}" for figure in figures))


def print_table(outcomes: Sequence[Outcome], rows: int, console: Console) -> None:
    """The runs, then what follows from them."""
    cells = [_cells(outcome, rows) for outcome in outcomes]
    _print(console, f"{rows:,} rows into two BigQuery tables", _HEADINGS, cells, _LEGEND)
    compared = [_compared(ratio) for ratio in ratios(outcomes)]
    _print(console, "Compared", _COMPARED, compared, _COMPARED_LEGEND)


def _print(
    console: Console,
    title: str,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    legend: str,
) -> None:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for at, heading in enumerate(headings):
        is_number = rows and rows[0][at].replace(",", "").replace(".", "").isdigit()
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print(legend, style="dim", highlight=False)
    console.print()


def _markdown(
    outcomes: Sequence[Outcome], log: TwoTables, facts: dict[str, str], peer: dict[str, str]
) -> str:
    rows = sum(log.rows.values())
    rounds = max(len(each.rounds) for each in outcomes)
    tables = ", ".join(f"{count:,} into {name}" for name, count in log.rows.items())
    lines = [
        f"# {rows:,} rows into two BigQuery tables",
        "",
        f"Whole processes against the emulators on the same machine, {rounds} round(s), contenders"
        f" taking turns; {tables}, from a log of {log.counts.lines:,} lines. "
        + ", ".join(f"{name} {value}" for name, value in facts.items())
        + ". The peer's environment: "
        + ", ".join(f"{name} {value}" for name, value in peer.items())
        + ".",
        "",
        *_rows(_HEADINGS, 1, [_cells(outcome, rows) for outcome in outcomes]),
        "",
        _LEGEND,
        "",
        "## Compared",
        "",
        *_rows(_COMPARED, 2, [_compared(ratio) for ratio in ratios(outcomes)]),
        "",
        _COMPARED_LEGEND,
        "",
        "## What each is charged for",
        "",
        *(f"- {sentence}" for sentence in _CHARGED),
    ]
    return "\n".join(lines) + "\n"


def _rows(headings: Sequence[str], words: int, rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table whose first columns are words, the others figures."""
    rule = ["---"] * words + ["---:"] * (len(headings) - words)
    return ["| " + " | ".join(cells) + " |" for cells in (headings, rule, *rows)]


def write_files(
    outcomes: Sequence[Outcome],
    log: TwoTables,
    peer: dict[str, str],
    folder: Path | None = None,
) -> None:
    """Keeps the results as JSON and Markdown."""
    place = folder or RESULTS_FOLDER
    place.mkdir(parents=True, exist_ok=True)
    facts = machine()
    content = {
        "machine": facts,
        "peer": peer,
        "rows": log.rows,
        "lines": log.counts.lines,
        "entries": [asdict(each) for each in outcomes],
        "ratios": [asdict(ratio) for ratio in ratios(outcomes)],
    }
    (place / "bigquery.json").write_text(json.dumps(content, indent=1) + "\n")
    (place / "bigquery.md").write_text(_markdown(outcomes, log, facts, peer))
