"""The job on other runners than the default one: what it leaves must be the same, to the row."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from emulators.sample import make_sample
from pipeline.signing import Key
from pipeline.warehouses.duckdb import connect
from tests.cloud import Cloud
from tests.logs import SECRET

PIXELSHIP = Path(sys.executable).with_name("pixelship")
PATIENCE_S = 540
_PART_S = 300
_OF_THE_RUN = {"loaded_at"}
"""Columns that differ from run to run on one machine too."""

_Found = TypeVar("_Found")
Contents = dict[str, list[str]]
"""For each table its rows, as JSON, sorted."""


def sample_logs() -> dict[str, bytes]:
    """The recorded traffic of the demonstration as some ten logs; its lines have all fates."""
    logs = make_sample(Key(SECRET.encode()), _PART_S).logs
    assert len(logs) >= 8
    return logs


def wait_for(look: Callable[[], _Found], what: str) -> _Found:
    """What `look` finds, once it finds anything."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


@dataclass(frozen=True)
class Loading:
    """Loads the logs of a cloud's folder into a project of its own."""

    cloud: Cloud

    @classmethod
    def fresh(cls, cloud: Cloud) -> Loading:
        """One that shares nothing but the logs."""
        return cls(replace(cloud, project=cloud.bigquery.fresh_project()))

    def start(self, *options: str, tmp: Path) -> subprocess.Popen[str]:
        """`pixelship load` with Beam's options; `tmp` is where it may leave nothing behind."""
        state = f"{self.cloud.folder}/{self.cloud.project}"
        words = ("load", f"{self.cloud.folder}/logs/", "--to", f"bigquery:{self.cloud.project}")
        return start(*words, "--state", state, *options, variables=self.cloud.environment(), tmp=tmp)  # fmt: skip

    def contents(self) -> Contents:
        """What is in the project's tables."""
        return {
            name: _as_text(self.cloud.ask(f"SELECT * FROM `{name}`"))
            for name in self.cloud.tables()
        }


def start(*words: str, variables: Mapping[str, str], tmp: Path) -> subprocess.Popen[str]:
    """Starts `pixelship` with the tests' secret; the balance sheet comes as JSON."""
    tmp.mkdir(exist_ok=True)
    return subprocess.Popen(
        [PIXELSHIP, *words, "--json"],
        env={**variables, "SIGNER_SECRET": SECRET, "TMPDIR": str(tmp)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def balance(run: subprocess.Popen[str]) -> dict[str, Any]:
    """The balance sheet of a run that ends well, less what it took."""
    stdout, stderr = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, stderr
    sheet: dict[str, Any] = json.loads(stdout)
    return sheet | {"seconds": 0}


def contents_of(database: Path) -> Contents:
    """What is in a DuckDB file's tables."""
    with connect(database, read_only=True) as db:
        listed = db.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_type = 'BASE TABLE'"
        ).fetchall()
        found: Contents = {}
        for schema, table in listed:
            rows = db.sql(f'SELECT * FROM "{schema}"."{table}"').to_arrow_table()
            found[f"{schema}.{table}"] = _as_text(rows.to_pylist())
        return found


def _as_text(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted(
        json.dumps({k: v for k, v in row.items() if k not in _OF_THE_RUN}, default=str)
        for row in rows
    )
