"""Logs of each dialect, one folder each, and what must come of every line in them.

A folder holds the configuration, a log (`px1`), `expected.jsonl` with the rows, those of one line in
the order of its events, and `rejects.jsonl`. `user_id` is there only where the client says it. URLs
are signed with the secret "golden", by a script that shares no code with the package. Each log has
one bot at least; what is in neither file is a bot or no pixel.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import read_config
from pipeline.dialects import DIALECTS
from pipeline.options import Rules
from pipeline.signing import key_ring
from tests.logs import FIREFOX, Reading, read

GOLDEN = Path(__file__).parent / "dialects"
EACH = pytest.mark.parametrize("name", DIALECTS)
JSON_COLUMNS = ("params", "extras")


def reading_of(name: str) -> Reading:
    config = (GOLDEN / name / "pixelship.toml").read_bytes()
    rules: Rules = replace(read_config(config, name).rules, keys=key_ring(["golden"]))
    return read((GOLDEN / name / "access.log").read_bytes(), rules)


def rows_in(name: str, file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (GOLDEN / name / file).read_text("utf-8").splitlines()]


def line_at(name: str, position: int) -> int:
    """The number of the line that starts there, from 1."""
    return (GOLDEN / name / "access.log").read_bytes()[:position].count(b"\n") + 1


def test_every_dialect_has_its_folder() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(DIALECTS)


@EACH
def test_every_view_has_its_row(name: str) -> None:
    expected = rows_in(name, "expected.jsonl")
    events = sorted(
        reading_of(name).events, key=lambda row: (row["source_position"], row["event_id"])
    )
    assert {row["dialect"] for row in events} == {name}
    assert len(events) == len(expected)
    for row, wanted in zip(events, expected, strict=True):
        found = {column: row[column] for column in wanted if column != "line"}
        found |= {column: json.loads(row[column] or "null") for column in JSON_COLUMNS}
        found["client_time"] = row["client_time"] and row["client_time"].isoformat()
        if wanted["user_id"] is None:
            assert len(row["user_id"]) == 32
            found["user_id"] = None
        assert {"line": line_at(name, row["source_position"]), **found} == wanted
        assert row["remote_agent"] == FIREFOX.decode()


@EACH
def test_every_reject_has_its_reason(name: str) -> None:
    found = [
        {
            "line": line_at(name, row["source_position"]),
            "stage": row["stage"],
            "reason": row["reason"],
        }
        for row in reading_of(name).rejects
    ]
    assert found == rows_in(name, "rejects.jsonl")


@EACH
def test_every_line_has_its_fate(name: str) -> None:
    tally = reading_of(name).tally
    views, rejects = rows_in(name, "expected.jsonl"), rows_in(name, "rejects.jsonl")
    assert tally.bot >= 1
    assert tally.accepted == len(views)
    told = {row["line"] for row in (*views, *rejects)}
    bots_and_others = tally.lines - len(told)
    events_of_bots = tally.extra_events - (len(views) - len({row["line"] for row in views}))
    assert tally.bot - events_of_bots + tally.not_pixel == bots_and_others
