"""The machine fails: its disk is full, its clock jumps."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from demo.install import find_faketime
from faults.bench import DONE, SERVICE, SETUP, Bench
from faults.mischief import LimitFileSize, Mischief, SpillToDisk
from faults.places import DuckDBPlace

DISK_MIB = 64
FIRST_ROOM_KIB = (256, 64, 16, 12, 8, 4, 0)
ROOM_KIB = (0, 4, 16, 64, 256, 300, 512, 768, 1024, 1280, 1536, 2048, 3072)
LIMITS_KIB = (64, 256, 274, 280, 300, 400, 512, 768, 1024, 1536)
JUMP_DAYS = 400
_FAILED = (DONE, SETUP, SERVICE)


@contextmanager
def disk(folder: Path) -> Iterator[Path]:
    """A disk of its own in memory."""
    folder.mkdir()
    size = f"size={DISK_MIB}m"
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True, capture_output=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def filled(folder: Path, room_kib: int) -> Iterator[None]:
    """Leaves so much room on a disk."""
    status = os.statvfs(folder)
    ballast = folder / "ballast"
    ballast_bytes = max(status.f_bavail * status.f_frsize - room_kib * 1024, 0)
    with ballast.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, ballast_bytes)
    try:
        yield
    finally:
        ballast.unlink()


@cache
def may_mount() -> bool:
    """Whether this process may make a disk."""
    try:
        with TemporaryDirectory() as folder, disk(Path(folder) / "disk"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def full_disk(bench: Bench) -> None:
    """DuckDB's file and its shards on a disk that is full, sooner or later; then there is room.

    Where this process may make no disk, limits on files have to do.
    """
    if not may_mount():
        limited_files(bench)
        return
    with _on_a_disk(bench) as home:
        bench.settle()
        for room_kib in ROOM_KIB:
            bench.add()
            _load_into(bench, home, room_kib)
            bench.settle()


def full_at_first(bench: Bench) -> None:
    """The disk is full when DuckDB's file is made, sooner or later: each time another file."""
    if not may_mount():
        return
    with _on_a_disk(bench) as home:
        for room_kib in FIRST_ROOM_KIB:
            _duckdb_place(bench).home = home / f"{room_kib}"
            _duckdb_place(bench).home.mkdir()
            _load_into(bench, home, room_kib)
            bench.settle()


@contextmanager
def _on_a_disk(bench: Bench) -> Iterator[Path]:
    """Has DuckDB's file on a disk of its own."""
    place = _duckdb_place(bench)
    bench.add()
    with disk(place.folder / "disk") as home:
        place.home = home
        try:
            yield home
        finally:
            place.home = place.folder


def _duckdb_place(bench: Bench) -> DuckDBPlace:
    if not isinstance(bench.place, DuckDBPlace):
        raise TypeError("this place has no file")
    return bench.place


def _load_into(bench: Bench, home: Path, room_kib: int, *mischief: Mischief, **how: Any) -> None:
    """A run with little room: it may fail, and say of what; its last line is a sentence."""
    with filled(home, room_kib):
        ended = bench.load(*mischief, allowed=_FAILED, may_trace=True, **how)
    last = (ended.err.strip().splitlines() or [""])[-1]
    bench.expect(ended.status == DONE or last.startswith("Error: "), f"a sentence, not: {last}")


def limited_files(bench: Bench) -> None:
    """No file may grow past a limit: what a quota does."""
    bench.add()
    bench.settle()
    for room_kib in LIMITS_KIB:
        bench.add()
        bench.load(LimitFileSize(room_kib * 1024), allowed=_FAILED, may_trace=True)
        bench.settle()


def full_spill(bench: Bench) -> None:
    """The folder for temporary files is full while shards go to the cloud by way of it."""
    bench.add()
    if not may_mount():
        return
    with disk(bench.place.folder / "disk") as home:
        for room_kib in ROOM_KIB[:6]:
            variables = {"TMPDIR": str(home)}
            _load_into(bench, home, room_kib, SpillToDisk(), environment=variables)
            bench.expect(not list(home.iterdir()), "no temporary files are left")
            bench.settle()
            bench.add()


def clock(days: int, file: Path | None = None) -> dict[str, str]:
    """The variables that make the machine's clock go wrong by so many days; none without libfaketime.

    Where a file is given, what it says holds, from moment to moment.
    """
    library = find_faketime()
    if library is None:
        return {}
    jump = f"{days:+d}d"
    variables = {"LD_PRELOAD": str(library), "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}  # fmt: skip
    if file is None:
        return {**variables, "FAKETIME": jump}
    file.write_text(jump)
    return {**variables, "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}


def clock_between_runs(bench: Bench) -> None:
    """Runs whose clocks are a year and more apart, one of them killed."""
    for days in (0, -JUMP_DAYS, JUMP_DAYS, -JUMP_DAYS):
        bench.add()
        run = bench.start(by_command=True, environment=clock(-days))
        bench.wait_for_work(run)
        run.work_on(bench.chance.uniform(0, 0.7))
        run.kill()
        bench.end(run, (DONE, -9))
        bench.add(1)
        bench.load(by_command=True, environment=clock(days))
        bench.settle()


def clock_within_runs(bench: Bench) -> None:
    """The clock jumps while a run is at work."""
    file = bench.place.folder / "clock"
    for days in (JUMP_DAYS, -JUMP_DAYS):
        for _ in range(2):
            bench.add()
            run = bench.start(by_command=True, environment=clock(0, file))
            bench.wait_for_work(run)
            run.work_on(bench.chance.uniform(0, 0.5))
            file.write_text(f"{days:+d}d")
            bench.end(run)
            bench.settle()


def young_logs(bench: Bench) -> None:
    """A clock behind: logs seem to come from the future, so they wait; later they are loaded."""
    bench.add()
    ended = bench.load(by_command=True, options=("--settle", "5"), environment=clock(-JUMP_DAYS))
    bench.expect(ended.report.get("waiting") == 2 or not clock(0), "young logs wait")
    bench.settle()
