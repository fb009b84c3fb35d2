"""The command in a warehouse of either kind, for what must be the same in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Done, Pixelship, rows
from tests.cloud import Cloud
from tests.logs import Hit, log, tsv

CONFIG = """
[email]
destination = "mail.opens"
[ping]
destination = "counts.hits"
"""
KINDS = ["duckdb", "bigquery"]


@dataclass
class Place:
    """The command, and the warehouse that it is told; `cloud` is None for a file."""

    pixelship: Pixelship
    cloud: Cloud | None

    @property
    def to(self) -> tuple[str, ...]:
        """What names the warehouse."""
        if self.cloud:
            return ("--to", f"bigquery:{self.cloud.project}", "--state", self.cloud.state)
        return ("--to", "duckdb:it.duckdb")

    def run(self, *words: str | Path, env: dict[str, str | None] | None = None) -> Done:
        """The command's end, with the warehouse named."""
        return self.pixelship(*words, *self.to, env=env or {})

    def load(self, name: str, *hits: Hit) -> Done:
        """Loads a log of some hits."""
        data = log(*map(tsv, hits))
        if self.cloud:
            path = self.cloud.put(name, data)
        else:
            path = name
            Path(path).write_bytes(data)
        return self.run("load", path, "--json")

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query that both understand."""
        if self.cloud:
            return [tuple(row.values()) for row in self.cloud.ask(sql)]
        return rows(sql, "it.duckdb")

    def change(self, *statements: str) -> None:
        """Changes the warehouse as its user may."""
        from pipeline.warehouses.duckdb import connect

        for sql in statements:
            if self.cloud:
                self.cloud.ask(sql)
            else:
                with connect(Path("it.duckdb")) as db:
                    db.execute(sql)


def place_of(request: pytest.FixtureRequest, pixelship: Pixelship) -> Place:
    """The warehouse of the kind that a fixture's parameter names."""
    Path("pixelship.toml").write_text(CONFIG)
    is_cloud = request.param == "bigquery"
    return Place(pixelship, request.getfixturevalue("cloud") if is_cloud else None)


def opened(send: str, at: int, **others: Any) -> Hit:
    """An open of an e-mail; `at` tells it from others."""
    return Hit(uri=f"/pixel.gif?sh={send}".encode(), request_id=b"open-%d" % at, **others)


def words(*pairs: str) -> Sequence[str]:
    """Options of `email new`, with the usual mailing."""
    return ("email", "new", "--job-number", "7", "--client-id", "acme", "--campaign", *pairs)
