"""Runs of the command, each a process of its own, that may be killed, stopped and waited for.

Most are forked from a server that has everything imported, so that kills fall on the job and not on
its imports; others are the installed command itself.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults import child
from faults.mischief import Mischief

LIMIT_S = 90.0
"""A run that takes longer hangs."""
COMMAND = Path(sys.executable).with_name("pixelship")
_POLL_S = 0.001
_TEMPORARY = "tmp"
_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload(["faults.preload"])
_ASKING = threading.Lock()
"""Starting a process asks how all others are, and each one's status can be read just once."""


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit status (negative: the signal that killed it), and what it said.

    `status` is None where it did not end in time. `report` is the balance sheet, where there is one.
    """

    status: int | None
    out: str
    err: str

    @property
    def was_killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.status == -signal.SIGKILL

    @property
    def report(self) -> dict[str, Any]:
        """What `--json` printed; empty where that was nothing."""
        lines = self.out.strip().splitlines()
        try:
            found: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        except ValueError:
            return {}
        return found


@dataclass
class Run:
    """A run that was started.

    Signals go by a descriptor of the process: its number may be another's as soon as it has ended.
    """

    folder: Path
    process: Any
    _ended: Ended | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Takes hold of the process."""
        self._descriptor = os.pidfd_open(self.pid)

    @property
    def pid(self) -> int:
        """The process's id."""
        return int(self.process.pid)

    @property
    def temporary(self) -> Path:
        """The folder for its temporary files."""
        return self.folder / _TEMPORARY

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        if isinstance(self.process, subprocess.Popen):
            return self.process.poll() is None
        with _ASKING:
            return bool(self.process.is_alive())

    def wait(self, limit_s: float = LIMIT_S) -> Ended:
        """Waits for its end; a run that does not end in time is killed and has no status."""
        if self._ended is None:
            status = self._join(limit_s)
            if status is None:
                self.kill()
                self._join(LIMIT_S)
            os.close(self._descriptor)
            texts = [(self.folder / name).read_text(errors="replace") for name in ("out", "err")]
            self._ended = Ended(status, *texts)
        return self._ended

    def wait_until(self, is_so: Callable[[], bool], limit_s: float = LIMIT_S) -> bool:
        """Waits until something is so; False where the run ended, or time ran out, before."""
        return poll(lambda: is_so() or not self.is_alive, limit_s) and is_so()

    def work_on(self, seconds: float) -> None:
        """Lets it work for so long, or to its end."""
        poll(lambda: not self.is_alive, seconds)

    def wait_for_begin(self) -> bool:
        """Waits until it is at work: what comes before is the start of Python."""
        return self.wait_until((self.folder / child.BEGUN).exists)

    def kill(self) -> None:
        """Sends SIGKILL; one that is stopped dies too."""
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal, if it still runs."""
        if self._ended is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    @property
    def is_stopped(self) -> bool:
        """Whether it stands still by SIGSTOP."""
        if not self.is_alive:
            return False
        try:
            status = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return False
        return status.rpartition(")")[2].split()[0] == "T"

    def orphans(self, limit_s: float) -> list[int]:
        """The processes that it started and that outlive it for so long; they are ended."""
        poll(lambda: not self._others(), limit_s)
        left = self._others()
        for pid in left:
            with suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                if pid in self._others():
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                os.close(descriptor)
        return left

    def _others(self) -> list[int]:
        """Processes with its folder for temporary files: their own, or taken over from it."""
        mark = f"TMPDIR={self.temporary}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return [pid for pid in found if pid != self.pid]

    def _join(self, limit_s: float) -> int | None:
        if isinstance(self.process, subprocess.Popen):
            try:
                return self.process.wait(limit_s)
            except subprocess.TimeoutExpired:
                return None
        has_ended = poll(lambda: not self.is_alive, limit_s)
        status: int | None = self.process.exitcode if has_ended else None
        return status


def poll(is_so: Callable[[], bool], limit_s: float) -> bool:
    """Waits until something is so; False where time ran out before."""
    deadline = time.monotonic() + limit_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def fork(
    folder: Path,
    words: Sequence[str],
    environment: Mapping[str, str],
    mischief: Sequence[Mischief] = (),
) -> Run:
    """Starts `pixelship WORDS` in a forked process; what it says goes into the folder."""
    variables = _prepare(folder, environment)
    order = child.Order(str(folder), tuple(words), variables, tuple(mischief))
    process = _FORKED.Process(target=child.main, args=(order,), daemon=True)
    with _ASKING:
        process.start()
    return Run(folder, process)


def start_command(folder: Path, words: Sequence[str], environment: Mapping[str, str]) -> Run:
    """Starts the installed `pixelship WORDS`."""
    variables = _prepare(folder, environment)
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [str(COMMAND), *words],
            env={**child.plain_environment(), **variables},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
    return Run(folder, process)


def _prepare(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Makes a run's folder; gives its environment."""
    (folder / _TEMPORARY).mkdir(parents=True)
    return {"TMPDIR": str(folder / _TEMPORARY), **environment}
