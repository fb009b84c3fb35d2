"""The command line, run in this process in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.warehouses.duckdb import connect
from tests.logs import SECRET


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What was printed, as JSON and nothing else."""
        return json.loads(self.stdout)


class Pixelship(Protocol):
    def __call__(
        self, *words: str | Path, stdin: bytes | str = "", env: Mapping[str, str | None] = ...
    ) -> Done:
        """Runs the command with some words; `env` changes the environment."""


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pixelship:
    """The command without any key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("SIGNER_SECRET", "PIXELSHIP_KEYS", "PIXELSHIP_BASE"):
        monkeypatch.delenv(name, raising=False)

    def run(
        *words: str | Path, stdin: bytes | str = "", env: Mapping[str, str | None] | None = None
    ) -> Done:
        done = CliRunner(env=env).invoke(main, [str(word) for word in words], input=stdin)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Done(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def pixelship(bare: Pixelship, monkeypatch: pytest.MonkeyPatch) -> Pixelship:
    """The command with the tests' secret in the environment."""
    monkeypatch.setenv("SIGNER_SECRET", SECRET)
    return bare


def rows(sql: str, path: str = "pixelship.duckdb") -> list[tuple[Any, ...]]:
    """The rows of a query on a DuckDB file."""
    with connect(Path(path), read_only=True) as db:
        return db.execute(sql).fetchall()
