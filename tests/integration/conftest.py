"""A real nginx and the real command line, for the integration tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.install import NoNginxError
from demo.server import Nginx
from pipeline.warehouses.duckdb import connect

SECRET = "the integration tests' secret"
PIXELSHIP = Path(sys.executable).with_name("pixelship")

ServeNginx = Callable[..., Nginx]


@dataclass(frozen=True)
class Loaded:
    """What one run of `pixelship load --json` gave."""

    status: int
    balance: dict[str, Any]
    database: Path

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query on the DuckDB file."""
        with connect(self.database, read_only=True) as connection:
            return connection.execute(sql).fetchall()


LoadLogs = Callable[..., Loaded]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[ServeNginx]:
    """Starts an nginx from the shipped files: `serve()`, `serve({"access.log": "px1_json"})`.

    Or with other choices and edits, as `Nginx` takes them: `serve(choices=["tls"])`.
    """
    with ExitStack() as running:

        def start(logs: Mapping[str, str] | None = None, **more: Any) -> Nginx:
            folder = tmp_path / f"nginx-{len(list(tmp_path.glob('nginx-*')))}"
            folder.mkdir()
            try:
                return running.enter_context(Nginx(folder, logs, **more))
            except NoNginxError as error:
                pytest.fail(str(error), pytrace=False)

        yield start


@pytest.fixture
def load(tmp_path: Path) -> LoadLogs:
    """Runs the command line's main job: `load(path, …)`, `load(path, …, into="other.duckdb")`."""

    def run(*logs: Path, into: str = "out.duckdb", secret: str = SECRET) -> Loaded:
        database = tmp_path / into
        done = subprocess.run(
            [PIXELSHIP, "load", *logs, "--to", f"duckdb:{database}", "--json"],
            env={**os.environ, "SIGNER_SECRET": secret},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        return Loaded(done.returncode, json.loads(done.stdout), database)

    return run
