"""The part of the demonstration that makes a log: nginx, the requests, and a rotation meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from demo.command import shown
from demo.install import ensure_faketime
from demo.server import Clock, Nginx
from demo.traffic import Shot, Sign, Tally, plan, send

RECORDED = Path(__file__).resolve().parent / "recorded"
RECORDED_SECRET = "the recorded log of the demonstration"  # noqa: S105 - signs made-up views only
RECORDED_START = "2026-11-16 06:00:00"
SECONDS = 7.0
SPEED = 420  # 7 s of requests make 49 minutes of log
ROTATE_AT = 0.5


@dataclass(frozen=True)
class Log:
    """A folder of closed logs, and the tally of what was sent to make them."""

    folder: Path
    tally: dict[str, Any]


def perform(console: Console, sign: Sign, folder: Path, start: str) -> Log:
    """Runs nginx in `folder`, its clock from `start` (UTC) on, and sends all requests."""
    library = ensure_faketime()
    clock = Clock(library, start, SPEED) if library else None
    shots = plan(sign)
    with Nginx(folder, clock=clock) as nginx:
        pace = f", its clock {SPEED} times too fast" if clock else ""
        console.print(f"· started nginx on 127.0.0.1:{nginx.port}{pace}", highlight=False)
        began = time.monotonic()
        asyncio.run(_send_all(console, nginx, shots))
        seconds = time.monotonic() - began
        console.print(
            f"· sent {len(shots):,} requests in {seconds:.1f} s; the log was rotated meanwhile",
            highlight=False,
        )
    return Log(nginx.log_folder, Tally.of(shots).to_json())


def record(console: Console, sign: Sign, folder: Path) -> None:
    """Performs in `folder`, and keeps the log and its tally as the recorded ones."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log = perform(console, sign, folder, RECORDED_START)
    parts = [(log.folder / name).read_bytes() for name in ("access.log.1", "access.log")]
    RECORDED.mkdir(exist_ok=True)
    (RECORDED / "access.log.gz").write_bytes(gzip.compress(b"".join(parts), mtime=0))
    (RECORDED / "tally.json").write_text(json.dumps(log.tally, indent=2) + "\n")
    console.print(f"· recorded {shown(RECORDED / 'access.log.gz')}", highlight=False)


def recorded(folder: Path) -> Log:
    """The recorded log, copied into `folder`; the key of its URLs is `RECORDED_SECRET`."""
    folder.mkdir(parents=True)
    shutil.copy(RECORDED / "access.log.gz", folder)
    return Log(folder, json.loads((RECORDED / "tally.json").read_text()))


async def _send_all(console: Console, nginx: Nginx, shots: list[Shot]) -> None:
    rotation: list[asyncio.Task[list[Path]]] = []
    columns = (TextColumn("  sending"), BarColumn(), MofNCompleteColumn())
    quiet = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
        bar = progress.add_task("sending", total=len(shots))

        def count(shot: Shot) -> None:
            progress.advance(bar)
            if not rotation and shot.at >= ROTATE_AT:
                rotation.append(asyncio.create_task(asyncio.to_thread(nginx.rotate)))

        await send(shots, nginx.port, SECONDS, count)
        await asyncio.gather(*rotation)
