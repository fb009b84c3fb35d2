"""Processes that a portable run needs: a pool of SDK workers, Beam's local job service.

Each dies with us, however we die, and is up when its port is. Workers are started by their pool on a
runner's demand, and end with the runner's process that they serve, or with the pool.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from emulators.processes import Server, Stoppable

_BEAM = "apache_beam.runners"


class Process(Stoppable):
    """A server process on a free port of loopback, with a folder for its temporary files.

    The folder goes away with it. `endpoint` is its address as Beam's options want it.
    """

    def __init__(
        self,
        command: Callable[[int, Path], Sequence[str]],
        environment: Mapping[str, str] | None = None,
        health: str | None = None,
    ) -> None:
        """Starts `command(port, folder)`; returns when it answers."""
        self._folder = tempfile.TemporaryDirectory(prefix="pixelship-runner-", ignore_cleanup_errors=True)  # fmt: skip
        folder = Path(self._folder.name)
        self._server = Server(
            lambda port: command(port, folder),
            health,
            {**os.environ, **(environment or {}), "TMPDIR": self._folder.name},
        )
        self.url = self._server.url
        self.port = int(self.url.rpartition(":")[2])
        self.endpoint = f"localhost:{self.port}"

    def stop(self) -> None:
        """SIGKILL to it and all that it started, and its folder is gone. Twice is fine."""
        self._server.close()
        self._folder.cleanup()


def worker_pool(environment: Mapping[str, str]) -> Process:
    """A pool that starts SDK workers, each a process of its own, with these variables."""

    def command(port: int, _folder: Path) -> list[str]:
        module = f"{_BEAM}.worker.worker_pool_main"
        return [sys.executable, "-m", module, "--service_port", str(port)]

    own = Path(sys.executable).parent  # the pool starts its workers as `python`
    return Process(command, {**environment, "PATH": f"{own}:{os.environ['PATH']}"})


def local_job_service() -> Process:
    """Beam's local portable job service."""

    def command(port: int, folder: Path) -> list[str]:
        module = f"{_BEAM}.portability.local_job_service_main"
        return [sys.executable, "-m", module, "--port", str(port), "--staging_dir", str(folder)]

    return Process(command)
