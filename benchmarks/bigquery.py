"""Rows into two BigQuery tables, beside Beam's own WriteToBigQuery, on the same emulators.

    python -m benchmarks.bigquery [--rows 200000] [--rounds 5] [--quick]

Whole processes, in turns, each with a project and folders of its own, against one object store and
one BigQuery on loopback. Rows are counted after each run, column by column; where they are not those
of the log, the run ends with status 1. Speed is reported and never judged.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from rich.console import Console

from benchmarks.bigquery_results import FACTS_OF_PEER, Outcome, Round, print_table, write_files
from benchmarks.generate import DEFAULT_SECRET
from benchmarks.measure import CommandError, Cost, adopt_orphans, measure
from benchmarks.two_tables import TABLES, TwoTables, make_log
from emulators.bigquery import BigQuery
from emulators.environment import client_environment, write_credentials
from emulators.install import NoEmulatorsError
from emulators.object_store import ObjectStore
from pipeline import schemas
from pipeline.storage import create_file, open_file

_ROOT: Final = Path(__file__).parent.parent
_PIXELSHIP: Final = str(Path(sys.executable).with_name("pixelship"))
_PEER: Final = _ROOT / ".venv-dataflow" / "bin" / "python"
_BUCKET: Final = "bench"
_LOG: Final = f"gs://{_BUCKET}/logs/px-000.tsv.gz"
_QUICK_ROWS: Final = 20_000
_COLUMNS: Final = tuple(column.name for column in schemas.table("event"))


class RowsError(Exception):
    """A contender left other rows than the log holds."""


@dataclass(frozen=True)
class Staged:
    """What was staged beforehand: the manifest, and the shards that hold the two tables' rows."""

    manifest: str
    shards: tuple[str, ...]


@dataclass(frozen=True)
class Contender:
    """A command; `{project}`, `{folder}` and `{manifest}` in it are filled in.

    `is_peer` says that it finds its tables made; `takes_shards` that the staged rows' files are to
    stand behind; `columns` are those in which its rows must be ours.
    """

    name: str
    label: str
    words: tuple[str, ...]
    is_peer: bool = False
    takes_shards: bool = False
    columns: tuple[str, ...] = _COLUMNS

    def argv(self, project: str, folder: str, staged: Staged) -> list[str]:
        """The command line of one run."""
        places = {"project": project, "folder": folder, "manifest": staged.manifest}
        shards = staged.shards if self.takes_shards else ()
        return [*(word.format(**places) for word in self.words), *shards]


def _beam(name: str, label: str, way: str, *files: str, **more: Any) -> Contender:
    """A way of the peer."""
    places = ("--project", "{project}", "--temp", "{folder}/tmp")
    words = (str(_PEER), "-m", "benchmarks.peers.write_to_bigquery", way, *places, *files)
    return Contender(name, label, words, is_peer=True, **more)


_TO: Final = ("--to", "bigquery:{project}", "--state", "{folder}/state")
CONTENDERS: Final = (
    Contender("load", "ours, from the log", (_PIXELSHIP, "load", _LOG, *_TO, "--json")),
    Contender(
        "staged",
        "ours, from rows",
        (
            *(sys.executable, "-m", "benchmarks.staged_rows", "--project", "{project}"),
            *("--state", "{folder}/state", "--manifest", "{manifest}", _LOG),
        ),
    ),
    _beam("beam-log", "Beam, from the log", "log", _LOG, columns=("event_id", "key", "canonical")),
    _beam("beam", "Beam, from rows", "dynamic", takes_shards=True),
    _beam("beam-fixed", "Beam, from rows, two sinks", "fixed", takes_shards=True),
)


class Ground:
    """The servers with the log and the staged rows in them; contenders run on it."""

    def __init__(self, store: ObjectStore, server: BigQuery, log: TwoTables) -> None:
        """Uploads the log, and stages it once: that run also warms what can be warmed."""
        self._store, self._server, self.log = store, server, log
        store.make_bucket(_BUCKET)
        with create_file(_LOG) as sink:
            sink.write(log.path.read_bytes())
        self._alone = ProcessPoolExecutor(1, get_context("spawn"), adopt_orphans)
        load, project = CONTENDERS[0], server.fresh_project()
        state = f"gs://{_BUCKET}/{project}/state"
        self._measure(load.argv(project, f"gs://{_BUCKET}/{project}", Staged("", ())))
        self._expected = self._contents(project, _COLUMNS)
        self._staged = _staged(state)
        server.forget(project)

    def close(self) -> None:
        """Ends the measuring process."""
        self._alone.shutdown()

    def run(self, contender: Contender) -> Round:
        """One run; RowsError where its rows are not the log's."""
        project = self._server.fresh_project()
        folder = f"gs://{_BUCKET}/{project}"
        if contender.is_peer:
            _make_tables(project)
        cost = self._measure(contender.argv(project, folder, self._staged))
        for table, found in self._contents(project, contender.columns).items():
            unlike = [name for name, count in found.items() if count != self._expected[table][name]]
            if unlike:
                raise RowsError(f"{contender.name} left other rows in {table}: {', '.join(unlike)}")
        jobs_s = _seconds_in_jobs(project)
        self._server.forget(project)
        shutil.rmtree(self._store.root / _BUCKET / project)
        return Round(cost.wall_s, cost.cpu_s, cost.peak_bytes, jobs_s)

    def _measure(self, argv: Sequence[str]) -> Cost:
        """Runs a command in a process that has no other children: the servers are ours."""
        return self._alone.submit(measure, list(argv), _ROOT).result()

    def _contents(self, project: str, columns: Sequence[str]) -> dict[str, dict[str, int]]:
        """For each table, and each of some columns: values, and distinct values."""
        counts = ", ".join(
            f"COUNT(`{name}`) AS {name}_values, COUNT(DISTINCT `{name}`) AS {name}_distinct"
            for name in columns
        )
        found: dict[str, dict[str, int]] = {}
        with _client(project) as client:
            for table, rows in self.log.rows.items():
                (row,) = client.query_and_wait(f"SELECT COUNT(*) AS r, {counts} FROM `{table}`")
                found[table] = dict(row)
                if row.r != rows:
                    raise RowsError(f"{table} has {row.r} rows, the log holds {rows}")
        return found


def _staged(state: str) -> Staged:
    """What the only batch of a state folder staged."""
    with open_file(f"{state}/batches/00000001.staged.json") as stream:
        manifest = json.loads(stream.read())["pointer"]["manifest"]
    with open_file(manifest) as stream:
        shards = json.loads(stream.read())["shards"]
    return Staged(manifest, tuple(s["path"] for s in shards if s["destination"] in TABLES))


def _client(project: str) -> bigquery.Client:
    credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
    return bigquery.Client(project, credentials)


def _make_tables(project: str) -> None:
    """Makes the two tables as `pixelship load` does."""
    fields = [
        bigquery.SchemaField(column.name, column.type, column.mode)
        for column in schemas.table("event")
    ]
    with _client(project) as client:
        for name in TABLES:
            client.create_dataset(name.partition(".")[0], exists_ok=True)
            table = bigquery.Table(f"{project}.{name}", schema=fields)
            table.time_partitioning = bigquery.TimePartitioning(field="timestamp")
            table.clustering_fields = ["key"]
            client.create_table(table)


def _seconds_in_jobs(project: str) -> float:
    """For how long BigQuery's load and copy jobs ran, one after the other."""
    with _client(project) as client:
        jobs = [job for job in client.list_jobs() if job.job_type in {"load", "copy"}]
    return sum((job.ended - job.started).total_seconds() for job in jobs)


@contextmanager
def prepared(rows: int, console: Console) -> Iterator[Ground]:
    """The servers, ready for the contenders; gone afterwards."""
    with ExitStack() as stack:
        log = make_log(rows)
        store = stack.enter_context(ObjectStore())
        server = stack.enter_context(BigQuery(store.root))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pixelship-bench-")))
        os.environ.update(client_environment(store.url, server.url, write_credentials(folder)))
        os.environ["SIGNER_SECRET"] = DEFAULT_SECRET
        console.print(f"staging {rows:,} views of {log.counts.lines:,} lines", style="dim")
        ground = Ground(store, server, log)
        stack.callback(ground.close)
        yield ground


def run_rounds(
    ground: Ground, rounds: int, chosen: Sequence[Contender], console: Console
) -> list[Outcome]:
    """Measures the contenders in turns, another one first each time."""
    outcomes = {each.name: Outcome(each.name, each.label) for each in chosen}
    for number in range(rounds):
        first = number % len(chosen)
        for contender in (*chosen[first:], *chosen[:first]):
            run = ground.run(contender)
            outcomes[contender.name].rounds.append(run)
            console.print(
                f"{contender.name} {number + 1}/{rounds}: {run.wall_s:.2f} s,"
                f" {run.cpu_s:.2f} CPU s, {run.peak_bytes >> 20} MiB, {run.jobs_s:.2f} s in jobs",
                style="dim",
                highlight=False,
            )
    return list(outcomes.values())


def _facts_of_peer() -> dict[str, str]:
    """The versions in the peer's environment."""
    done = subprocess.run([_PEER, "-c", FACTS_OF_PEER], capture_output=True, check=True)
    facts: dict[str, Any] = json.loads(done.stdout)
    return {name: str(value) for name, value in facts.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for; 1 where a contender failed or left other rows."""
    parser = argparse.ArgumentParser(description="Measure rows into BigQuery beside Beam's sink.")
    parser.add_argument("--rows", type=int, help="views in the log (200,000)")
    parser.add_argument("--rounds", type=int, help="runs of each contender (5)")
    parser.add_argument("--quick", action="store_true", help="20,000 views, one round")
    names = [each.name for each in CONTENDERS]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME")
    parser.add_argument("--out", type=Path, help="folder for the results (benchmarks/results)")
    given = parser.parse_args(argv)
    rows = given.rows or (_QUICK_ROWS if given.quick else 200_000)
    rounds = given.rounds or (1 if given.quick else 5)
    chosen = [each for each in CONTENDERS if each.name in (given.only or names)]
    console = Console()
    if not _PEER.exists():
        console.print(
            "Beam's Google parts are not there: `make bench` installs them into .venv-dataflow."
        )
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or a run would outlive the servers
    try:
        with prepared(rows, console) as ground:
            outcomes = run_rounds(ground, rounds, chosen, console)
    except (CommandError, NoEmulatorsError, RowsError) as error:
        console.print(str(error), style="red", markup=False)
        return 1
    print_table(outcomes, rows, console)
    write_files(outcomes, ground.log, _facts_of_peer(), given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
