"""Run a command as a whole process and say what it cost, its descendants included."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SAMPLE_S: Final = 0.1
_ORPHAN_GRACE_S: Final = 10.0
_PR_SET_CHILD_SUBREAPER: Final = 36
_PAGE_BYTES: Final = resource.getpagesize()


class CommandError(Exception):
    """A measured command ended with another status than 0."""


@dataclass(frozen=True)
class Cost:
    """What a run took.

    `cpu_s` is user and system time of the process and all it started; `peak_bytes` the largest sum
    of their resident sets seen, so pages they share count twice.
    """

    cpu_s: float
    wall_s: float
    peak_bytes: int
    stdout: str


def adopt_orphans() -> None:
    """Make descendants that outlive their parent children of ours, so that their time is counted.

    Linux only; elsewhere such time goes missing.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _children(pid: int) -> list[int]:
    """The living children of a process; none where /proc does not tell."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except OSError:
        pass
    return found


def _tree_bytes(pid: int) -> int:
    """Resident bytes of a process and its descendants."""
    try:
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0
    return resident + sum(map(_tree_bytes, _children(pid)))


class _PeakSampler(threading.Thread):
    """Watches the resident bytes of a process tree until told to stop."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._stopped = threading.Event()
        self.peak_bytes = 0

    def run(self) -> None:
        while not self._stopped.wait(_SAMPLE_S):
            self.peak_bytes = max(self.peak_bytes, _tree_bytes(self._pid))

    def stop(self) -> int:
        self._stopped.set()
        self.join()
        return self.peak_bytes


def _reap_orphans() -> float:
    """CPU seconds of adopted processes; those still there after a grace are ended."""
    cpu_s, deadline = 0.0, time.monotonic() + _ORPHAN_GRACE_S
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return cpu_s
        if pid:
            cpu_s += usage.ru_utime + usage.ru_stime
            continue
        if time.monotonic() > deadline:
            for child in _children(os.getpid()):
                os.kill(child, signal.SIGKILL)
        time.sleep(0.01)


def _maxrss_bytes(usage: resource.struct_rusage) -> int:
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(argv: Sequence[str], cwd: Path) -> Cost:
    """Run `argv` to its end; CommandError with the end of its standard error where it fails."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(argv, stdout=stdout, stderr=stderr, cwd=cwd)
        sampler = _PeakSampler(process.pid)
        sampler.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        peak_bytes = max(sampler.stop(), _maxrss_bytes(usage))
        cpu_s = usage.ru_utime + usage.ru_stime + _reap_orphans()
        stdout.seek(0)
        stderr.seek(0)
        printed, complaint = stdout.read().decode(), stderr.read().decode(errors="replace")
    if process.returncode:
        end = "\n".join(complaint.splitlines()[-15:])
        raise CommandError(f"{' '.join(argv)} ended with {process.returncode}:\n{end}")
    return Cost(cpu_s, wall_s, peak_bytes, printed)
