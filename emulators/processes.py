"""Server processes on loopback: started on a free port, polled until they answer, never orphaned."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from emulators.install import ROOT, NoEmulatorsError

LOOPBACK = "127.0.0.1"
PATIENCE_S = 60.0
POLL_S = 0.02

_Own = TypeVar("_Own", bound="Stoppable")

_TETHER = Path(__file__).resolve().parent / "tether.py"


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def is_answering(url: str) -> bool:
    """Whether a GET of `url` is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def is_listening(port: int) -> bool:
    """Whether a port of the loopback interface takes connections."""
    with socket.socket() as probe:
        probe.settimeout(PATIENCE_S)
        return probe.connect_ex((LOOPBACK, port)) == 0


class Stoppable(ABC):
    """What runs until it is stopped: at the end of a `with` block, or before."""

    def __enter__(self: _Own) -> _Own:
        """It itself, running."""
        return self

    def __exit__(self, *error: object) -> None:
        """Stops."""
        self.stop()

    @abstractmethod
    def stop(self) -> None:
        """Stops. Twice is fine."""


class Server:
    """A server process and its URL; it dies with us, however we die."""

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        health: str | None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Starts `command(port)` on a free port; returns when the path `health` answers.

        Without such a path it is enough that the port takes connections. Raises `NoEmulatorsError`
        with the server's last words.
        """
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the server
        for _ in range(3):  # another process may take the free port first
            port = free_port()
            self.url = f"http://{LOOPBACK}:{port}"
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_TETHER), *command(port)],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # an interrupt at the terminal is the clients' first
            )
            if self._is_up(port, health):
                return
            self.stop()
        said = self.last_words()
        self._log.close()
        raise NoEmulatorsError(f"{Path(command(0)[0]).name} would not start ({said}).")

    def stop(self) -> None:
        """Kills the process and what it started; twice is fine."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(PATIENCE_S)

    def close(self) -> None:
        """Stops, and forgets what the server said."""
        self.stop()
        self._log.close()

    def last_words(self) -> str:
        """The last line that the server printed."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def _is_up(self, port: int, health: str | None) -> bool:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                return False
            if is_listening(port) if health is None else is_answering(self.url + health):
                # Not of another process that took the port between our look and our start.
                return self._process.poll() is None
            time.sleep(POLL_S)
        return False
