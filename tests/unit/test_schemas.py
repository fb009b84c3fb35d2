from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline import schemas

FOLDER = Path(__file__).parents[2] / "schemas"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


def test_the_schemas_are_found_from_a_checkout() -> None:
    assert NAMES == ["batches", "bot_hits", "event", "objects", "quarantine", "rejects", "sends"]
    for name in NAMES:
        assert [vars(column) for column in schemas.table(name)] == json.loads(
            (FOLDER / f"{name}.json").read_text(encoding="utf-8")
        )


@pytest.mark.parametrize("name", NAMES)
def test_every_column_is_described_and_of_a_known_type(name: str) -> None:
    columns = schemas.table(name)
    assert len({column.name.lower() for column in columns}) == len(columns)
    for column in columns:
        assert column.name == column.name.lower()
        assert column.type in {"STRING", "INTEGER", "TIMESTAMP", "BYTES"}
        assert column.mode in {"REQUIRED", "NULLABLE"}
        assert column.description.endswith(".")


def test_arrow_schemas_follow() -> None:
    types = {
        "STRING": pa.string(),
        "INTEGER": pa.int64(),
        "TIMESTAMP": pa.timestamp("us", tz="UTC"),
        "BYTES": pa.binary(),
    }
    for name in NAMES:
        assert schemas.arrow(name) == pa.schema(
            [
                pa.field(column.name, types[column.type], nullable=column.mode != "REQUIRED")
                for column in schemas.table(name)
            ]
        )


def test_events_start_with_the_columns_that_prx_has() -> None:
    assert [column.name for column in schemas.table("event")][:9] == [
        "timestamp", "user_id", "key", "canonical", "remote_agent", "remote_referrer", "remote_ip",
        "city_geoname_id", "country_geoname_id",
    ]  # fmt: skip
