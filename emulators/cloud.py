"""The cloud on this machine, run by `make cloud`: `python -m emulators.cloud [--once]`.

An object store and BigQuery on loopback, a bucket with sample logs, and the commands to load them:
the cloud path tried without an account. It stays until Ctrl-C. With `--once` it runs the commands
itself, holds what was loaded against what the logs hold, and ends.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from demo.command import KEY_VARIABLES, CommandError, line, output, shown
from demo.results import Results, differences
from emulators.bigquery import BigQuery
from emulators.install import ROOT, NoEmulatorsError
from emulators.object_store import ObjectStore
from emulators.query import ask
from emulators.sample import Sample, make_sample
from pipeline.errors import ServiceError, SetupError
from pipeline.keyfile import read_key_file
from pipeline.storage import create_file

BUCKET = "pixel-logs"
PROJECT = "pixelship-demo"
LOGS = f"gs://{BUCKET}/nginx/"
STATE = f"gs://{BUCKET}/state"
SQL = (
    "SELECT os, browser, COUNT(*) AS views FROM news.pageviews"
    " GROUP BY os, browser ORDER BY views DESC LIMIT 5"
)


@dataclass(frozen=True)
class Step:
    """A command to run, and what it is for."""

    purpose: str
    command: str


@dataclass(frozen=True)
class Cloud:
    """The running servers with the logs in them.

    `variables` lead clients to them, `steps` are the commands to try, `database` is where the
    DuckDB file will be.
    """

    sample: Sample
    variables: Mapping[str, str]
    database: Path

    @property
    def steps(self) -> Sequence[Step]:
        """What to try, in order."""
        to_bigquery = ("--to", f"bigquery:{PROJECT}", "--state", STATE)
        duckdb = shown(self.database)
        python = shown(Path(sys.executable))
        return (
            Step("each view once into BigQuery", line("load", LOGS, *to_bigquery)),
            Step("again: nothing changes", line("load", LOGS, *to_bigquery)),
            Step("how things stand", line("status", *to_bigquery)),
            Step("ask BigQuery", shlex.join([python, "-m", "emulators.query", SQL])),
            Step("the same logs into DuckDB", line("load", LOGS, "--to", f"duckdb:{duckdb}")),
            Step("ask DuckDB", line("query", SQL, "--db", duckdb)),
        )


@contextmanager
def running(console: Console) -> Iterator[Cloud]:
    """Starts the servers and fills the bucket; all of it is gone afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pixelship-cloud-")))
        began = time.monotonic()
        store = stack.enter_context(ObjectStore())
        bigquery = stack.enter_context(BigQuery(store.root))
        say(
            console,
            f"· started an object store and BigQuery on 127.0.0.1 in"
            f" {time.monotonic() - began:.1f} s; no account, no charges",
        )
        keys = folder / "keys.json"
        output("keys", "new", "--keys", str(keys))
        variables = {
            "STORAGE_EMULATOR_HOST": store.url,
            "BIGQUERY_EMULATOR_HOST": bigquery.url,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "PIXELSHIP_KEYS": str(keys),
        }
        os.environ.update(variables)
        sample = upload(store, keys)
        say(
            console,
            f"· put {len(sample.logs)} logs of a real nginx into {LOGS}:"
            f" {sample.tally['lines']:,} requests, signed with {keys}",
        )
        yield Cloud(sample, variables, folder / "pixelship.duckdb")


def upload(store: ObjectStore, keys: Path) -> Sample:
    """Makes the bucket and puts the sample logs into it."""
    signer = read_key_file(keys).signer
    if signer is None:
        raise CommandError("The key ring holds no key that signs.")
    sample = make_sample(signer)
    store.make_bucket(BUCKET)
    for name, log in sample.logs.items():
        with create_file(LOGS + name) as sink:
            sink.write(log)
    return sample


def show(console: Console, cloud: Cloud) -> None:
    """Prints what to type, in a form that can be pasted."""
    console.print("\n[bold]In another terminal[/bold]")
    say(console, f"  cd {shlex.quote(str(Path.cwd()))}")
    for name, value in cloud.variables.items():
        say(console, f"  export {name}={shlex.quote(value)}")
    for step in cloud.steps:
        console.print(f"\n  [dim]# {step.purpose}[/dim]", highlight=False)
        say(console, f"  {step.command}")


def stay(console: Console) -> None:
    """Waits for Ctrl-C."""
    console.print("\n[bold green]●[/bold green] It is up until Ctrl-C.", highlight=False)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        console.print("\n· stopped the servers; nothing is left of them", highlight=False)


def run_through(console: Console, cloud: Cloud) -> bool:
    """Runs all commands as they are shown; whether everything came out as the logs are."""
    for step in cloud.steps:
        console.print(f"\n[dim]# {step.purpose}[/dim]", highlight=False)
        console.print(f"[bold]$ {step.command}[/bold]", highlight=False, soft_wrap=True)
        run(step.command, cloud.variables)
    unlike = differences(cloud.sample.tally, in_bigquery())
    unlike += differences(cloud.sample.tally, in_duckdb(cloud.database))
    if unlike:
        console.print("\n[bold red]What was loaded is not what the logs hold:[/bold red]")
        console.print("\n".join(f"  {sentence}" for sentence in unlike), highlight=False)
        return False
    console.print(
        "\n[bold green]✓[/bold green] BigQuery and DuckDB agree with the tally of the logs: each of"
        f" {cloud.sample.tally['lines']:,} requests met its fate, once.",
        highlight=False,
    )
    return True


def run(command: str, variables: Mapping[str, str]) -> None:
    """Runs a command for all to see; raises CommandError where it fails."""
    mine = {name: value for name, value in os.environ.items() if name not in KEY_VARIABLES}
    done = subprocess.run(shlex.split(command), env={**mine, **variables}, check=False)
    if done.returncode != 0:
        raise CommandError(f"`{command}` ended with status {done.returncode}.")


def in_bigquery() -> dict[str, Any]:
    """The balance sheet in BigQuery, all batches together."""
    _, batches = ask("SELECT * FROM pixelship.batches")
    sums: Counter[str] = Counter()
    by_name: dict[str, Counter[str]] = {"rejected": Counter(), "destinations": Counter()}
    for batch in batches:
        sums.update({name: batch[name] for name in ("lines", "not_pixel", "accepted", "bot")})
        for name, totals in by_name.items():
            totals.update(json.loads(batch[name]))
    return {**sums, **by_name}


def in_duckdb(path: Path) -> dict[str, Any]:
    """The balance sheet in the DuckDB file."""
    results = Results(path)
    try:
        return results.balance()
    finally:
        results.close()


def say(console: Console, text: str) -> None:
    """Prints a line as it is: it may be copied from."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> int:
    """Brings the cloud up; the exit status of `--once` says whether all came out right."""
    parser = argparse.ArgumentParser(prog="python -m emulators.cloud", description=__doc__)
    parser.add_argument("--once", action="store_true", help="run the commands, then end")
    console = Console()
    is_once = parser.parse_args(arguments).once
    for number in (signal.SIGTERM, signal.SIGINT):  # ignored in a job of the shell's background
        signal.signal(number, signal.default_int_handler)
    try:
        os.chdir(ROOT)
        with running(console) as cloud:
            if is_once:
                return 0 if run_through(console, cloud) else 1
            show(console, cloud)
            stay(console)
    except (CommandError, NoEmulatorsError, SetupError, ServiceError) as error:
        console.print(f"[bold red]{error}[/bold red]", highlight=False)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
