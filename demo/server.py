"""A real nginx on a free loopback port, run from the files in `nginx/` in a folder of its own.

The demonstration and the integration tests start, rotate and stop nginx through this module;
`demo.site` lays out its files. Run as `python -m demo.server`, it lets `nginx -t` and gixy check
the shipped files, with and without what is optional.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType

from demo.install import NoNginxError, ensure_nginx
from demo.site import CHOICES, LOOPBACK, Site, lay_out

GIXY = Path(sys.executable).with_name("gixy")
PATIENCE_S = 20.0
POLL_S = 0.01


@dataclass(frozen=True)
class Clock:
    """A clock for nginx alone: it starts at `start` (UTC) and runs `speed` times too fast."""

    library: Path
    start: str
    speed: int

    def environment(self) -> dict[str, str]:
        """The variables that make libfaketime hand nginx this clock; its timers keep real time."""
        return {
            "LD_PRELOAD": str(self.library),
            "FAKETIME": f"@{self.start} x{self.speed}",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "TZ": "UTC",
        }


class Nginx:
    """A running nginx. Use it as a context manager: it quits, and so flushes its logs, at the end.

    `logs` maps each log's file name to the name of its `log_format`, `choices` are the optional
    files of `nginx/` to take and `edits` changes to them (`demo.site.Site`).
    """

    def __init__(
        self,
        folder: Path,
        logs: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        choices: Collection[str] = ("legacy-paths",),
        edits: Sequence[tuple[str, str, str]] = (),
    ) -> None:
        """Starts nginx in `folder`, which is made if need be, and waits until it answers."""
        self.folder = folder
        self.log_folder = folder / "log"
        self._site = Site(
            dict(logs or {"access.log": "px1"}), frozenset(choices), edits=tuple(edits)
        )
        self._clock = clock
        self._rotations = 0
        self._rotating = threading.Lock()
        self._process = self._start()

    def __enter__(self) -> Nginx:
        """The running server itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Quits."""
        self.quit()

    @property
    def port(self) -> int:
        """The port for plain HTTP."""
        return self._site.port

    @property
    def process_id(self) -> int:
        """The master's process."""
        return self._process.pid

    @property
    def tls_port(self) -> int:
        """The port for TLS; nobody listens there without the choice `tls`."""
        return self._site.tls_port

    def log(self, name: str = "access.log") -> Path:
        """The path of one log that nginx is writing."""
        return self.log_folder / name

    def rotate(self) -> list[Path]:
        """Rotates every log while requests go on; returns the old files, closed and complete."""
        with self._rotating:
            self._rotations += 1
            old = [self.log(f"{name}.{self._rotations}") for name in self._site.logs]
            for name, path in zip(self._site.logs, old, strict=True):
                self.log(name).rename(path)
            self._process.send_signal(signal.SIGUSR1)
            _wait_for(lambda: not any(map(_is_open, old)), "nginx did not close its old log")
            return old

    def quit(self) -> None:
        """Stops nginx gracefully: requests end, logs are flushed and closed. Twice is fine."""
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait(PATIENCE_S)

    def _start(self) -> subprocess.Popen[bytes]:
        program = ensure_nginx()
        for _ in range(3):  # another process may take the free port first
            self._site = replace(self._site, port=_free_port(), tls_port=_free_port())
            lay_out(self.folder, self._site, program)
            extra = self._clock.environment() if self._clock else {}
            process = subprocess.Popen(
                _command(program, self.folder),
                env={**os.environ, **extra},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            _wait_for(partial(_is_decided, process, self.port), "nginx did not start")
            if process.poll() is None:
                return process
        trouble = (self.folder / "error.log").read_text(errors="replace").strip().splitlines()
        raise NoNginxError(f"nginx would not start ({trouble[-1] if trouble else 'no reason'}).")


def check_configuration() -> str:
    """What is wrong with the shipped files, with and without what is optional; '' if nothing is."""
    program = ensure_nginx()
    few = [frozenset[str](), *(frozenset({name}) for name in sorted(CHOICES))]
    sites = [Site(choices=choices) for choices in (*few, CHOICES)]
    for site in (*sites, Site({"access.log": "px1_json"}, CHOICES)):
        with tempfile.TemporaryDirectory(prefix="pixelship-") as name:
            folder = Path(name)
            lay_out(folder, site, program)
            trouble = _tested(program, folder) or _linted(folder)
            if trouble:
                return trouble
    return ""


def _tested(program: Path, folder: Path) -> str:
    """What `nginx -t` holds against a configuration."""
    done = subprocess.run(
        [*_command(program, folder), "-t"], capture_output=True, text=True, check=False
    )
    return done.stderr.strip() if done.returncode != 0 or "[warn]" in done.stderr else ""


def _linted(folder: Path) -> str:
    """What gixy holds against a configuration."""
    done = subprocess.run(
        [GIXY, folder / "nginx.conf"], capture_output=True, text=True, check=False
    )
    return (done.stdout + done.stderr).strip() if done.returncode != 0 else ""


def _command(program: Path, folder: Path) -> list[str]:
    error_log = str(folder / "error.log")
    return [str(program), "-e", error_log, "-p", f"{folder}/", "-c", str(folder / "nginx.conf")]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def _is_decided(process: subprocess.Popen[bytes], port: int) -> bool:
    return process.poll() is not None or _answers(port)


def _answers(port: int) -> bool:
    # Connecting without a word leaves no line in the log.
    try:
        socket.create_connection((LOOPBACK, port), timeout=PATIENCE_S).close()
    except OSError:
        return False
    return True


def _is_open(path: Path) -> bool:
    """Whether any process still holds `path` open."""
    if not Path("/proc/self/fd").exists():
        found = subprocess.run(["lsof", "-t", "--", path], capture_output=True, check=False)
        return found.returncode == 0
    target = path.resolve()
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if descriptor.readlink() == target:
                return True
        except OSError:  # the process ended, or is another user's
            continue
    return False


def _wait_for(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{otherwise} within {PATIENCE_S:.0f} s")
        time.sleep(POLL_S)


def main() -> int:
    """Lets nginx and gixy check the shipped files."""
    try:
        trouble = check_configuration()
    except NoNginxError as error:
        trouble = str(error)
    print(
        trouble or "nginx -t, gixy: the files in nginx/ are fine",
        file=sys.stderr if trouble else None,
    )
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
