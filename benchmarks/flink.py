"""The job on a real Flink cluster of one and of two task managers, beside one machine's own workers.

    python -m benchmarks.flink [--files 8] [--lines 100000] [--rounds 3] [--quick]

Whole commands, `pixelship load gs://… --to bigquery:…`, against an object store and BigQuery on loopback,
each run with a project of its own. Views are counted after each; where they are not those of the logs,
it ends with status 1. All processes share this machine. Figures are printed, and kept in `results/` unless
it was `--quick`. Speed is never judged.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console

from benchmarks.generate import DATA_FOLDER, DEFAULT_SECRET, DataSet, generate
from benchmarks.tables import Kept, Table
from emulators.bigquery import BigQuery
from emulators.environment import client_environment
from emulators.install import NoEmulatorsError
from emulators.object_store import ObjectStore
from pipeline.storage import create_file
from runners.flink import Cluster
from runners.install import NoRunnersError
from runners.processes import worker_pool

_PIXELSHIP: Final = str(Path(sys.executable).with_name("pixelship"))
_BUCKET: Final = "bench"
_LOGS: Final = f"gs://{_BUCKET}/logs/"
_PARALLELISM: Final = 2
_QUICK_LINES: Final = 20_000
_HOW: Final = (
    "Whole commands, from an object store on loopback into BigQuery's rules on loopback; all of them and"
    f" the cluster share the machine. Flink runs with parallelism {_PARALLELISM} each time."
)
_LEGEND: Final = (
    "seconds by the clock, median of all rounds; in Flink: of these, from the job's start to its end, as"
    " Flink tells; load: the machine's load average before the runs, its own earlier ones in it."
)
_HEADINGS: Final = ("where", "seconds", "least", "most", "in Flink", "lines/s", "load")


class CountsError(Exception):
    """A run loaded other views than the logs hold."""


@dataclass
class Outcome:
    """What the runs in one place took; `job_s` where Flink told it."""

    name: str
    wall_s: list[float] = field(default_factory=list)
    job_s: list[float] = field(default_factory=list)
    load_before: float = 0.0

    def cells(self, lines: int) -> tuple[str, ...]:
        """Its row of the table."""
        middle = median(self.wall_s)
        seconds = (f"{each:.1f}" for each in (middle, min(self.wall_s), max(self.wall_s)))
        in_flink = f"{median(self.job_s):.1f}" if self.job_s else ""
        return (self.name, *seconds, in_flink, f"{lines / middle:,.0f}", f"{self.load_before:.1f}")


@dataclass(frozen=True)
class Ground:
    """The servers with the logs in them."""

    bigquery: BigQuery
    variables: dict[str, str]
    lines: int
    accepted: int

    def load(self, options: Sequence[str]) -> float:
        """One run with Beam's options: seconds by the clock. Raises CountsError."""
        project = self.bigquery.fresh_project()
        place = ("--to", f"bigquery:{project}", "--state", f"gs://{_BUCKET}/state/{project}")
        began = time.perf_counter()
        done = subprocess.run(
            [_PIXELSHIP, "load", _LOGS, *place, "--json", *options],
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        took = time.perf_counter() - began
        self.bigquery.forget(project)
        if done.returncode:
            raise CountsError(f"A run ended with {done.returncode}: {done.stderr[-2000:]}")
        accepted = json.loads(done.stdout)["accepted"]
        if accepted != self.accepted:
            raise CountsError(f"A run loaded {accepted} views, the logs hold {self.accepted}")
        return took


@contextmanager
def prepared(files: int, lines: int) -> Iterator[Ground]:
    """The servers, ready; gone afterwards."""
    data = DataSet(lines=lines)
    manifest, paths = generate(data, files, DATA_FOLDER / data.folder_name)
    counts = manifest.total([path.name for path in paths])
    with ObjectStore() as store, BigQuery(store.root) as bigquery:
        variables = client_environment(store.url, bigquery.url)
        os.environ.update(variables)
        store.make_bucket(_BUCKET)
        for path in paths:
            with create_file(_LOGS + path.name) as sink:
                sink.write(path.read_bytes())
        mine = {**os.environ, "SIGNER_SECRET": DEFAULT_SECRET}
        yield Ground(bigquery, mine, counts.lines, counts.accepted)


def measure(ground: Ground, rounds: int, console: Console) -> list[Outcome]:
    """Runs here with one and two workers, then on Flink with one and two task managers."""
    outcomes: list[Outcome] = []

    def run(name: str, options: Sequence[str], job_s: Callable[[], float] | None = None) -> None:
        outcome = Outcome(name, load_before=os.getloadavg()[0])
        outcomes.append(outcome)
        for number in range(rounds):
            outcome.wall_s.append(ground.load(options))
            if job_s:
                outcome.job_s.append(job_s())
            told = f"{name} {number + 1}/{rounds}: {outcome.wall_s[-1]:.1f} s"
            console.print(told, style="dim", highlight=False)

    run("here, 1 worker", ("--workers", "1"))
    run("here, 2 workers", ("--workers", "2"))
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster())
        pool = stack.enter_context(worker_pool(ground.variables))
        options = cluster.beam_options(pool, _PARALLELISM)
        for name in ("Flink, 1 task manager", "Flink, 2 task managers"):
            cluster.add_task_managers(1)
            ground.load(
                options
            )  # what a Java process is slow at the first time is not what is asked
            run(name, options, cluster.last_job_s)
    return outcomes


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for; 1 where a run failed or loaded other views."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flink")
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--lines", type=int, help="lines a file (100,000)")
    parser.add_argument("--rounds", type=int, help="runs in each place (3)")
    parser.add_argument("--quick", action="store_true", help="20,000 lines a file, one round")
    parser.add_argument("--out", type=Path, help="folder for the results (benchmarks/results)")
    given = parser.parse_args(argv)
    console = Console()
    lines = given.lines or (_QUICK_LINES if given.quick else 100_000)
    try:
        with prepared(given.files, lines) as ground:
            outcomes = measure(ground, given.rounds or (1 if given.quick else 3), console)
    except (CountsError, NoEmulatorsError, NoRunnersError) as error:
        console.print(str(error), style="red", markup=False)
        return 1
    rows = [outcome.cells(ground.lines) for outcome in outcomes]
    title = f"{given.files} logs of {lines:,} lines each"
    table = Table(title, _HEADINGS, rows, _LEGEND)
    table.print(console)
    if not given.quick:
        figures = {"lines": ground.lines, "runs": [vars(each) for each in outcomes]}
        Kept("One machine, and a Flink cluster on it", _HOW, [table], figures).write("flink", given.out)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
