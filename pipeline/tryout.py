"""Tries a format on a log's first lines: what each column reads, what breaks, what would be missing."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from pipeline.blocks import MOST_LINE_BYTES, Block, Lines, read_blocks
from pipeline.columns import Rows
from pipeline.engine import select_pixels
from pipeline.formats import Format
from pipeline.formats.contract import requests
from pipeline.formats.maps import Mapped
from pipeline.formats.maps.diagnosis import unread_times, why
from pipeline.hits import Hits, Row
from pipeline.model import Reason

FIRST_LINES = 1000
_MOST_EXAMPLES = 3
_MOST_BROKEN = 5
_MOST_PATHS = 3
_READ_BYTES = 1 << 16


@dataclass(frozen=True)
class Broken:
    """A line that is no record: its number from 1, why (in words that follow "it"), its text."""

    line: int
    why: str
    text: str

    def to_json(self) -> dict[str, Any]:
        """The line as `--json` prints it."""
        return {"line": self.line, "why": self.why, "text": self.text}


@dataclass(frozen=True)
class Tryout:
    """What became of a log's first lines.

    `lines` is the sum of `requests`, `header`, `other` and `malformed` (those that are too long among
    them). `filled` counts for each column that the format may fill the requests that have it; `times`
    counts those whose time could be read, `unread` are some times that could not. `pixels` counts the
    requests that a run would take for the pixel's, `others` the commonest of the rest.
    """

    format: str
    lines: int
    requests: int
    header: int
    other: int
    malformed: int
    times: int
    pixels: int
    filled: dict[str, int]
    examples: list[Row]
    broken: list[Broken] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)
    others: list[tuple[str, int]] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    lacks_header: bool = False

    @property
    def empty(self) -> list[str]:
        """The columns that no request has."""
        return [name for name, count in self.filled.items() if self.requests and not count]

    @property
    def is_clean(self) -> bool:
        """Whether every line could be read, and every time."""
        return not self.malformed and not self.damage and self.times == self.requests

    def to_json(self) -> dict[str, Any]:
        """The tryout as `--json` prints it."""
        names = ("format", "lines", "requests", "header", "other", "malformed", "times", "pixels", "filled", "empty", "examples")  # fmt: skip
        return {
            **{name: getattr(self, name) for name in names},
            "broken": [each.to_json() for each in self.broken],
            "unread": [{"time": time, "why": reason} for time, reason in self.unread],
            "damage": self.damage,
        }


def try_out(
    stream: BinaryIO, size: int, chosen: Format, paths: Sequence[str], most_lines: int = FIRST_LINES
) -> Tryout:
    """Reads a log's first lines as a run would, with a format that was chosen."""
    data, damage = _first_lines(stream, size, most_lines)
    hits = Hits(io.BytesIO(data), len(data), chosen)
    rows = list(hits.rows())
    seen = hits.seen
    lines = Block(0, data).lines()
    format_ = hits.format or chosen
    is_pixel = _are_pixels(rows, paths)
    names = _columns_of(format_, rows)
    pixels = [row for row, is_one in zip(rows, is_pixel, strict=True) if is_one]
    others = [row for row, is_one in zip(rows, is_pixel, strict=True) if not is_one]
    commonest = Counter(
        f"{row['method']} {row['path']} {row['status']}" for row in others
    ).most_common(_MOST_PATHS)
    return Tryout(
        format_.name,
        seen.lines,
        seen.hits,
        seen.header,
        seen.other,
        seen.rejected.total(),
        sum(row["timestamp"] is not None for row in rows),
        len(pixels),
        {name: sum(row.get(name) is not None for row in rows) for name in names},
        (pixels + others)[:_MOST_EXAMPLES],
        [_broken(lines, each.line, each.reason, format_) for each in seen.refused[:_MOST_BROKEN]],
        unread_times(format_, lines.take(_records(lines))) if isinstance(format_, Mapped) else [],
        commonest,
        damage,
        hits.lacks_header,
    )


def _first_lines(stream: BinaryIO, size: int, most: int) -> tuple[bytes, list[str]]:
    """The bytes of the first lines, inflated, and the damage met on the way."""
    data, count = b"", 0
    damage = []
    for found in read_blocks(stream, 0, size, size, _READ_BYTES):
        if not isinstance(found, Block):
            damage.append(f"at stored byte {found.position:,}: {found.fault}")
            continue
        ends = np.flatnonzero(np.frombuffer(found.data, np.uint8) == ord("\n")) + 1
        end = ends[min(most - count, len(ends)) - 1]
        data += found.data[:end]
        count += len(ends)
        if count >= most:
            break
    return data, damage


def _are_pixels(rows: Sequence[Row], paths: Sequence[str]) -> list[bool]:
    """Which requests a run would take for the pixel's."""
    batch = requests(
        np.arange(len(rows)),
        {name: _bytes([row[name] for row in rows]) for name in ("path", "method", "status")},
    )
    chosen = set(select_pixels(batch, tuple(paths)).column("line").to_pylist())
    return [at in chosen for at in range(len(rows))]


def _bytes(texts: Sequence[str | None]) -> pa.Array:
    return pa.array([text and text.encode("utf-8", "replace") for text in texts], pa.binary())


def _columns_of(format_: Format, rows: Sequence[Row]) -> list[str]:
    """The columns to show: those that a map fills, or that some request has."""
    own = format_.columns if isinstance(format_, Mapped) else ()
    has = {name for row in rows for name, value in row.items() if value is not None}
    every = dict.fromkeys([name for row in rows[:1] for name in row] + sorted(has))
    return [name for name in (*every, *own) if name != "format" and (name in has or name in own)]


def _broken(lines: Lines, number: int, reason: Reason, format_: Format) -> Broken:
    line = lines.raw(np.array([number - 1]))[0].as_py()
    text = line.decode("utf-8", "replace")
    if reason is Reason.MALFORMED_LINE and isinstance(format_, Mapped):
        return Broken(number, why(format_.reader, line), text)
    return Broken(number, reason.meaning.removeprefix("the line "), text)


def _records(lines: Lines) -> Rows:
    return np.flatnonzero((lines.lengths > 0) & (lines.lengths <= MOST_LINE_BYTES))
