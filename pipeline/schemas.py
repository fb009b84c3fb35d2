"""The table schemas: `schemas/*.json` are the only definition, all else derives from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa

from pipeline.model import TIMESTAMP

_ARROW = {
    "STRING": pa.string(),
    "INTEGER": pa.int64(),
    "TIMESTAMP": TIMESTAMP,
    "BYTES": pa.binary(),
}


@dataclass(frozen=True)
class Column:
    """A column as BigQuery's JSON schema has it."""

    name: str
    type: str
    mode: str
    description: str

    @property
    def is_required(self) -> bool:
        """Whether null is refused."""
        return self.mode == "REQUIRED"


@cache
def table(name: str) -> tuple[Column, ...]:
    """The columns of `schemas/<name>.json`."""
    text = (_folder() / f"{name}.json").read_text(encoding="utf-8")
    return tuple(Column(**column) for column in json.loads(text))


@cache
def arrow(name: str) -> pa.Schema:
    """The Arrow schema of a table."""
    fields = [
        pa.field(column.name, _ARROW[column.type], nullable=not column.is_required)
        for column in table(name)
    ]
    return pa.schema(fields)


def _folder() -> Path:
    """`schemas/` inside the installed package, else beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / "schemas"
    return inside if inside.is_dir() else package.parent / "schemas"
