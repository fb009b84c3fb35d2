"""How many requests a second nginx answers with the shipped files, beside its bare `empty_gif`.

    python -m benchmarks.edge [--rounds 5] [--seconds 5] [--connections 64]

Real requests over loopback by wrk, one worker of nginx, both with the same log. Contenders take
turns and another one begins each round. A contender that answers anything but what it should ends
the run with status 1; speed is reported and never judged.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console

from benchmarks.generate import DEFAULT_SECRET
from benchmarks.tables import Kept, Table
from demo.install import NoNginxError, ensure_nginx
from demo.server import Nginx
from demo.site import version_of
from pipeline.signing import key_ring, sign_query

BARE: Final = "bare empty_gif"
_HEADERS: Final = {
    "Host": "px.example.org",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Referer": "https://news.example.org/2026/harbour-fire",
}
_COOKIE: Final = {"Cookie": "theme=dark; _pxid=0b9b6ad5-1d0a-4a0c-9d3c-6a1f6a0e7a11"}
_WITHOUT: Final = tuple(
    ("pixelship.conf", f"{indent}include pixelship/{name}.conf;\n", "")
    for indent, names in (("", ("variables",)), ("    ", ("connections", "headers", "cookie")))
    for name in names
)
_EMPTY_GIF: Final = (
    "pixel.conf",
    "location = /pixel.gif { }",
    "location = /pixel.gif { empty_gif; }",
)
_NO_LIMIT_IN_REACH: Final = ("limit-zone.conf", "rate=100r/s", "rate=1000000r/s")
_HOW: Final = (
    "wrk over loopback, one thread of it and one worker of nginx, connections kept open; medians of "
    "{rounds} rounds of {seconds} s with {connections} connections. All write the log `px1`."
)
_LEGEND: Final = (
    "Beside: this contender's requests a second by those of the bare one in the same round. CPU: of "
    "nginx's worker, user and system, for a request. By CPU: the bare one's by this one's, which is what "
    "beside would be if the worker had a processor to itself; where the load at the end (what else "
    "ran) was above the number of processors, believe this one."
)


class EdgeError(Exception):
    """wrk is missing, or was answered otherwise than expected: one sentence."""


@dataclass(frozen=True)
class Contender:
    """A path asked for, with what headers, of which of the servers."""

    server: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


_SERVERS: Final[Mapping[str, tuple[Sequence[str], Sequence[tuple[str, str, str]]]]] = {
    "bare": ((), (*_WITHOUT, _EMPTY_GIF)),
    "shipped": (("legacy-paths",), ()),
    "limited": (("legacy-paths", "limit"), (_NO_LIMIT_IN_REACH,)),
}
"""By name: the optional files taken, and the edits."""
CONTENDERS: Final = {
    BARE: Contender("bare", "/pixel.gif"),
    "/pixel.gif": Contender("shipped", "/pixel.gif"),
    "/pixel.gif with a cookie": Contender("shipped", "/pixel.gif", _COOKIE),
    "/pixel.gif with a limit": Contender("limited", "/pixel.gif"),
    "/r.gif": Contender("shipped", "/r.gif"),
    "/i.gif of a known visitor": Contender("shipped", "/i.gif", _COOKIE),
    "/i.gif of a new visitor (302)": Contender("shipped", "/i.gif"),
}


@dataclass(frozen=True)
class Load:
    """How wrk asks, and how often."""

    rounds: int
    seconds: int
    connections: int


@dataclass(frozen=True)
class Figure:
    """What one run gave: requests a second, and microseconds of CPU a request."""

    per_s: float
    cpu_us: float


def run_once(wrk: str, nginx: Nginx, contender: Contender, load: Load) -> Figure:
    """One run of wrk; raises EdgeError where an answer is not as it should be."""
    views = {"k": "harbour-fire", "c": _HEADERS["Referer"], "d": "news.pageviews"}
    query = sign_query(views, key_ring([DEFAULT_SECRET]).keys[0])
    headers = {**_HEADERS, **contender.headers}
    before = _worker_cpu_s(nginx)
    done = subprocess.run(
        [
            wrk, "--threads", "1", "--connections", str(load.connections),
            "--duration", f"{load.seconds}s",
            *(word for pair in headers.items() for word in ("--header", ": ".join(pair))),
            f"http://127.0.0.1:{nginx.port}{contender.path}?{query}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    cpu_s = _worker_cpu_s(nginx) - before
    said = done.stdout + done.stderr
    speed = re.search(r"Requests/sec:\s+([\d.]+)", said)
    count = re.search(r"(\d+) requests in", said)
    if done.returncode or not speed or not count or re.search("Non-2xx|Socket errors", said):
        raise EdgeError(f"wrk said of {contender.path}: {said.strip()}")
    os.truncate(nginx.log(), 0)  # nginx appends
    return Figure(float(speed[1]), cpu_s * 1e6 / int(count[1]))


def measure(wrk: str, load: Load, console: Console) -> dict[str, list[Figure]]:
    """Every contender in every round."""
    figures: dict[str, list[Figure]] = {name: [] for name in CONTENDERS}
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="pixelship-")))
        servers = {name: _start(folder / name, name, running) for name in _SERVERS}
        for number in range(load.rounds):
            first = number % len(CONTENDERS)
            for name in (*list(CONTENDERS)[first:], *list(CONTENDERS)[:first]):
                contender = CONTENDERS[name]
                figure = run_once(wrk, servers[contender.server], contender, load)
                figures[name].append(figure)
                console.print(
                    f"{name} {number + 1}/{load.rounds}: {figure.per_s:,.0f} a second, "
                    f"{figure.cpu_us:.2f} µs of CPU",
                    style="dim",
                    highlight=False,
                )
    return figures


def report(figures: Mapping[str, Sequence[Figure]], load: Load, out: Path | None) -> None:
    """Prints the table, and keeps it as `edge.md` and `edge.json`."""
    bare = figures[BARE]
    bare_us = median(one.cpu_us for one in bare)
    rows = []
    for name, each in figures.items():
        beside = median(one.per_s / other.per_s for one, other in zip(each, bare, strict=True))
        cpu_us = median(one.cpu_us for one in each)
        per_s = median(one.per_s for one in each)
        by_cpu = bare_us / cpu_us
        rows.append((name, f"{per_s:,.0f}", f"{beside:.2f}", f"{cpu_us:.2f}", f"{by_cpu:.2f}"))
    title = "Requests a second"
    table = Table(
        title, ("answer", "a second", "beside the bare one", "CPU, µs", "by CPU"), rows, _LEGEND
    )
    table.print(Console())
    how = _HOW.format(rounds=load.rounds, seconds=load.seconds, connections=load.connections)
    kept = {name: [vars(one) for one in each] for name, each in figures.items()}
    version = ".".join(map(str, version_of(ensure_nginx())))
    facts = {"nginx": version, "load at the end": f"{os.getloadavg()[0]:.1f}"}
    Kept("nginx with the pixel's files", how, [table], kept).write("edge", out, facts)


def _start(folder: Path, name: str, running: ExitStack) -> Nginx:
    folder.mkdir()
    choices, edits = _SERVERS[name]
    return running.enter_context(Nginx(folder, choices=choices, edits=edits))


def _worker_cpu_s(nginx: Nginx) -> float:
    """User and system time of nginx's workers so far."""
    ticks = 0
    master = nginx.process_id
    for worker in Path(f"/proc/{master}/task/{master}/children").read_text().split():
        fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for; 1 where it could not."""
    parser = argparse.ArgumentParser(description="Measure nginx with the pixel's files.")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each contender (5)")
    parser.add_argument("--seconds", type=int, default=5, help="how long each takes (5)")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--out", type=Path, help="folder for the results (benchmarks/results)")
    given = parser.parse_args(argv)
    load = Load(given.rounds, given.seconds, given.connections)
    console = Console()
    try:
        wrk = shutil.which("wrk")
        if wrk is None:
            raise EdgeError("wrk is missing: install it with your system's package manager.")
        figures = measure(wrk, load, console)
    except (EdgeError, NoNginxError) as error:
        console.print(str(error), style="red", markup=False)
        return 1
    report(figures, load, given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
