"""Real logs, one folder each, and what must come of every line in them.

A folder is named after its format, with a variant behind it: `combined-apache` is read as
`combined`. `expected.jsonl` holds the hits (requests for the pixel) with all their fields, bytes as
UTF-8 and those that are none as `\\udcXX`; `rejects.jsonl` the lines refused, with stage and reason.
Lines count from 1. The logs of nginx were written by a real one (1.22.1, the addresses made up), the
one of Apache after its documents; lines cut, torn and damaged were put between by hand. The URLs
are signed with the secret "golden".
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.blocks import Block
from pipeline.engine import select_pixels, sniff
from pipeline.formats import FORMATS, Format
from pipeline.options import PIXEL_PATHS, Rules
from pipeline.signing import key_ring
from tests.logs import read, told

GOLDEN = Path(__file__).parent / "golden"
FOLDERS = sorted(path for path in GOLDEN.iterdir() if path.is_dir())
RULES = Rules(key_ring(["golden"]))
EACH = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def format_of(folder: Path) -> Format | None:
    """The format that a folder's name begins with."""
    fitting = [each for each in FORMATS if f"{folder.name}-".startswith(f"{each.name}-")]
    return max(fitting, key=lambda each: len(each.name), default=None)


def rows_in(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text("utf-8").splitlines()]


def as_json(row: dict[str, Any], line: int) -> dict[str, Any]:
    """A request as `expected.jsonl` has it."""
    texts = {
        name: value.decode("utf-8", "surrogateescape")
        for name, value in row.items()
        if isinstance(value, bytes)
    }
    time = row["timestamp"] and row["timestamp"].isoformat()
    return {**told(row), **texts, "timestamp": time, "line": line}


def hits_in(format_: Format, data: bytes) -> list[dict[str, Any]]:
    """The pixel's requests in the log, with their lines' numbers."""
    every = Block(0, data).lines()
    lines = every.take(np.flatnonzero(every.lengths))
    pixels = select_pixels(format_.parse(lines).requests, PIXEL_PATHS).to_pylist()
    number = np.searchsorted(every.position, lines.position) + 1
    hits = [as_json(row, int(number[row["line"]])) for row in pixels]
    return sorted(hits, key=lambda row: row["line"])


@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
def test_every_format_has_a_golden_folder(format_: Format) -> None:
    assert format_ in map(format_of, FOLDERS)


@EACH
def test_every_golden_folder_is_of_a_format_and_complete(folder: Path) -> None:
    assert format_of(folder) is not None
    assert {path.name for path in folder.iterdir()} == {
        "access.log", "expected.jsonl", "rejects.jsonl",
    }  # fmt: skip


@EACH
def test_the_format_is_told_from_the_log(folder: Path) -> None:
    data = (folder / "access.log").read_bytes()
    found, wanted = sniff(io.BytesIO(data), len(data)), format_of(folder)
    assert found is not None
    assert wanted is not None
    assert found.name == wanted.name


@EACH
def test_every_hit_has_all_its_fields(folder: Path) -> None:
    data = (folder / "access.log").read_bytes()
    format_ = sniff(io.BytesIO(data), len(data), format_of(folder))
    assert format_ is not None
    assert hits_in(format_, data) == rows_in(folder, "expected.jsonl")


@EACH
def test_every_reject_has_its_reason(folder: Path) -> None:
    data = (folder / "access.log").read_bytes()
    starts = [0, *(at + 1 for at, byte in enumerate(data) if byte == ord("\n"))]
    found = [
        {
            "line": starts.index(row["source_position"]) + 1,
            "stage": row["stage"],
            "reason": row["reason"],
        }
        for row in read(data, RULES).rejects
    ]
    assert found == rows_in(folder, "rejects.jsonl")


@EACH
def test_every_line_has_one_fate(folder: Path) -> None:
    data = (folder / "access.log").read_bytes()
    tally = read(data, RULES).tally
    hits = {row["line"] for row in rows_in(folder, "expected.jsonl")}
    rejected = {row["line"] for row in rows_in(folder, "rejects.jsonl")}
    assert tally.lines == data.count(b"\n")
    assert tally.accepted + tally.bot == len(hits - rejected)
    assert tally.bot == 1
    assert tally.rejected.total() == len(rejected)
    assert tally.not_pixel + tally.header == tally.lines - len(hits | rejected)
