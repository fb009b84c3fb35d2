"""Each log format's reading, beside the nearest peer on the same file; and what repairs cost.

    python -m benchmarks.formats [--lines 200000] [--rounds 5] [--quick] [--only NAME]

A log of made-up requests in each format, not compressed. What is measured is CPU time of fresh
processes, one thread at work, start-up taken off; the contenders take turns. Where one of them reads
fewer requests than the log holds, the run ends with status 1. Speed is reported and never judged.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.format_logs import WRITERS, make_log
from benchmarks.format_results import CHDB, GOACCESS, OURS, Outcome, report
from benchmarks.ladder import measure_ladder
from benchmarks.measure import CommandError, adopt_orphans, measure
from benchmarks.peers import goaccess
from pipeline.formats import FORMATS

_ROOT: Final = Path(__file__).parent.parent
_CHDB: Final = (
    "nginx-tsv", "nginx-json", "cloudfront-json", "google-lb", "cloudflare", "fastly", "akamai",
    "azure-front-door", "caddy", "traefik",
)  # fmt: skip
"""The formats that ClickHouse reads; its module lists them too, but takes half a second to import."""
_LEAST_READ: Final = 0.985
"""Of a hundred lines one is ugly, and some of these are cut: nobody need read them, or the next."""

Reader = Callable[[Path], tuple[float, int]]
"""Reads a log; gives CPU seconds, and how many requests it found."""


class ReadError(Exception):
    """A contender did not read a log."""


def _module(module: str, name: str) -> Reader:
    def read(log: Path) -> tuple[float, int]:
        cost = measure([sys.executable, "-m", module, name, str(log)], _ROOT)
        found = json.loads(cost.stdout.splitlines()[-1])
        return found["cpu_s"], found["rows"]

    return read


def _goaccess(program: str, name: str) -> Reader:
    """GoAccess's CPU seconds less those for the log's first lines alone."""

    def run(log: Path, report: Path) -> tuple[float, int]:
        cost = measure(goaccess.argv(program, name, log, report), _ROOT)
        return cost.cpu_s, json.loads(report.read_bytes())["general"]["valid_requests"]

    def read(log: Path) -> tuple[float, int]:
        with tempfile.TemporaryDirectory() as folder:
            short, report = Path(folder, "short.log"), Path(folder, "report.json")
            with log.open("rb") as lines:
                short.write_bytes(b"".join(next(lines) for _ in range(10)))
            start_s, _ = run(short, report)
            cpu_s, rows = run(log, report)
        return cpu_s - start_s, rows

    return read


def _contenders(name: str, program: str) -> Mapping[str, Reader]:
    """Who reads a format: ours, and the nearest peer."""
    readers = {OURS: _module("benchmarks.reading", name)}
    if name in goaccess.LOG_FORMATS:
        readers[GOACCESS] = _goaccess(program, name)
    elif name in _CHDB:
        readers[CHDB] = _module("benchmarks.peers.clickhouse_formats", name)
    return readers


def run_format(name: str, lines: int, rounds: int, program: str, console: Console) -> Outcome:
    """Measures a format's contenders in turns; raises ReadError."""
    log = make_log(name, lines)
    log.read_bytes()
    outcome = Outcome(name, lines, log.stat().st_size)
    readers = list(_contenders(name, program).items())
    for number in range(rounds):
        first = number % len(readers)
        for who, read in (*readers[first:], *readers[:first]):
            cpu_s, rows = read(log)
            if not _LEAST_READ * lines <= rows <= lines:
                raise ReadError(f"{who} read {rows:,} of {lines:,} requests in {log}")
            outcome.rounds.setdefault(who, []).append(cpu_s)
    told = ", ".join(f"{who} {min(each):.2f} s" for who, each in outcome.rounds.items())
    console.print(f"{name}: {told} (the fastest round)", style="dim", highlight=False)
    return outcome


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for; 1 where a contender failed or read too little."""
    parser = argparse.ArgumentParser(description="Measure how fast each log format is read.")
    parser.add_argument("--lines", type=int, help="requests in each log (200,000)")
    parser.add_argument("--rounds", type=int, help="runs of each contender (5)")
    parser.add_argument("--quick", action="store_true", help="50,000 requests, one round")
    names = [format_.name for format_ in FORMATS if format_.name in WRITERS]
    parser.add_argument("--only", action="append", choices=[*names, "ladder"], metavar="NAME")
    parser.add_argument("--out", type=Path, help="folder for the results (benchmarks/results)")
    given = parser.parse_args(argv)
    lines = given.lines or (50_000 if given.quick else 200_000)
    rounds = given.rounds or (1 if given.quick else 5)
    chosen = given.only or [*names, "ladder"]
    console = Console()
    adopt_orphans()
    try:
        program = goaccess.find()
        outcomes = [
            run_format(name, lines, rounds, program, console) for name in names if name in chosen
        ]
        costs = measure_ladder(lines, rounds) if "ladder" in chosen else []
    except (CommandError, ReadError, goaccess.NoGoAccessError) as error:
        console.print(str(error), style="red", markup=False)
        return 1
    report(outcomes, costs, goaccess.version(program), given.out, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
