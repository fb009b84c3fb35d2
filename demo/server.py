"""A real nginx on a free loopback port, run from the files in `nginx/` in a folder of its own.

The demonstration and the integration tests start, rotate and stop nginx through this module.
Three settings of the shipped files are rewritten on the way, as a user would edit them: the
address listened on, the folder of the pixel, and where the log goes. Run as
`python -m demo.server`, it lets `nginx -t` check the shipped files.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from demo.install import NoNginxError, ensure_nginx

SHIPPED = Path(__file__).resolve().parent.parent / "nginx"
LOOPBACK = "127.0.0.1"
PATIENCE_S = 20.0
POLL_S = 0.01

MAIN_CONF = """\
{user}
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path tmp;
    proxy_temp_path tmp;
    fastcgi_temp_path tmp;
    uwsgi_temp_path tmp;
    scgi_temp_path tmp;
    include pixelship/pixelship.conf;
}}
"""


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

    `logs` maps each log's file name to the name of its `log_format`.
    """

    def __init__(
        self, folder: Path, logs: Mapping[str, str] | None = None, clock: Clock | None = None
    ) -> None:
        """Starts nginx in `folder`, which is made if need be, and waits until it answers."""
        self.folder = folder
        self.log_folder = folder / "log"
        self._logs = dict(logs or {"access.log": "px1"})
        self._clock = clock
        self._rotations = 0
        self._rotating = threading.Lock()
        self.port, self._process = self._start()

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

    def log(self, name: str = "access.log") -> Path:
        """The path of one log that nginx is writing."""
        return self.log_folder / name

    def rotate(self) -> list[Path]:
        """Rotates every log while requests go on; returns the old files, closed and complete."""
        with self._rotating:
            self._rotations += 1
            old = [self.log(f"{name}.{self._rotations}") for name in self._logs]
            for name, path in zip(self._logs, old, strict=True):
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

    def _start(self) -> tuple[int, subprocess.Popen[bytes]]:
        program = ensure_nginx()
        for _ in range(3):  # another process may take the free port first
            port = _free_port()
            lay_out(self.folder, port, self._logs)
            extra = self._clock.environment() if self._clock else {}
            process = subprocess.Popen(
                _command(program, self.folder),
                env={**os.environ, **extra},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            _wait_for(partial(_is_decided, process, port), "nginx did not start")
            if process.poll() is None:
                return port, process
        trouble = (self.folder / "error.log").read_text(errors="replace").strip().splitlines()
        raise NoNginxError(f"nginx would not start ({trouble[-1] if trouble else 'no reason'}).")


def lay_out(folder: Path, port: int, logs: Mapping[str, str]) -> None:
    """Writes a whole nginx configuration into `folder`, with the shipped files under pixelship/."""
    own = folder / "pixelship"
    shutil.copytree(SHIPPED, own, dirs_exist_ok=True)
    (folder / "log").mkdir(exist_ok=True)
    # The master may be root in a folder that is closed to everyone else; so is the worker then.
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN_CONF.format(user=user))
    _rewrite(own / "pixelship.conf", "listen 80;", f"listen {LOOPBACK}:{port} backlog=1024;")
    _rewrite(own / "pixel.conf", "root /etc/nginx/pixelship;", f'root "{own}";')
    shipped = "access_log /var/log/nginx/pixelship.log px1 buffer=64k flush=5s;"
    directives = (
        shipped.replace("/var/log/nginx/pixelship.log", f"log/{name}").replace(" px1 ", f" {kind} ")
        for name, kind in logs.items()
    )
    _rewrite(own / "access-log.conf", shipped, "\n".join(directives))


def check_configuration() -> str:
    """What `nginx -t` says against the shipped files, with either format; '' if all is well."""
    program = ensure_nginx()
    for log_format in ("px1", "px1_json"):
        with tempfile.TemporaryDirectory(prefix="pixelship-") as name:
            folder = Path(name)
            lay_out(folder, _free_port(), {"access.log": log_format})
            done = subprocess.run(
                [*_command(program, folder), "-t"], capture_output=True, text=True, check=False
            )
            if done.returncode != 0 or "[warn]" in done.stderr:
                return done.stderr.strip()
    return ""


def _command(program: Path, folder: Path) -> list[str]:
    error_log = str(folder / "error.log")
    return [str(program), "-e", error_log, "-p", f"{folder}/", "-c", str(folder / "nginx.conf")]


def _rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    if text.count(old) != 1:
        raise ValueError(f"{path.name}: expected {old!r} exactly once")
    path.write_text(text.replace(old, new))


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
    """Lets nginx check the shipped files."""
    try:
        trouble = check_configuration()
    except NoNginxError as error:
        trouble = str(error)
    print(trouble or "nginx -t: the files in nginx/ are fine", file=sys.stderr if trouble else None)
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
