"""What a load left in a DuckDB file, read for the demonstration, and held against what was sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.warehouses.duckdb import connect


@dataclass(frozen=True)
class Views:
    """Views over time: one count a bucket and destination. `unit` is "minute" or "second"."""

    unit: str
    starts: tuple[datetime, ...]
    counts: Mapping[str, tuple[int, ...]]


class Results:
    """Reads what a load left in a DuckDB file."""

    def __init__(self, path: Path) -> None:
        """Opens the file for reading."""
        self._connection = connect(path, read_only=True)

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def balance(self) -> dict[str, Any]:
        """The stored balance sheet, all batches together: plain counts, and counts by name."""
        names = ("lines", "header", "not_pixel", "accepted", "bot", "duplicate")
        sums = ", ".join(f"sum({name})::BIGINT" for name in names)
        counts = self._rows(f"SELECT {sums} FROM pixelship.batches")[0]
        by_name: dict[str, dict[str, int]] = {"rejected": {}, "destinations": {}}
        for name, totals in by_name.items():
            for (text,) in self._rows(f"SELECT {name} FROM pixelship.batches"):
                for key, count in json.loads(text).items():
                    totals[key] = totals.get(key, 0) + count
        return dict(zip(names, counts, strict=True)) | by_name

    def destinations(self) -> list[tuple[Any, ...]]:
        """For each destination: rows, visitors, pages, first and last view."""
        return [
            (name, *row)
            for name in sorted(self.balance()["destinations"])
            for row in self._rows(
                "SELECT count(*), count(DISTINCT user_id), count(DISTINCT key), "
                f"min(timestamp), max(timestamp) FROM {quoted(name)}"
            )
        ]

    def rejects(self) -> list[tuple[Any, ...]]:
        """For each reason: stage, lines, and what it means."""
        return self._rows(
            "SELECT stage, reason, count(*) AS lines, any_value(detail) "
            "FROM pixelship.rejects GROUP BY stage, reason ORDER BY lines DESC, reason"
        )

    def views(self) -> Views:
        """Views over time, a minute at a time, or a second where there are few minutes."""
        spans = self.destinations()
        span = max(row[5] for row in spans) - min(row[4] for row in spans)
        unit = "minute" if span >= timedelta(minutes=10) else "second"
        step = timedelta(**{f"{unit}s": 1})
        found = {
            row[0]: dict(
                self._rows(
                    f"SELECT date_trunc('{unit}', timestamp), count(*) "
                    f"FROM {quoted(row[0])} GROUP BY 1"
                )
            )
            for row in spans
        }
        first = min(min(counts) for counts in found.values())
        last = max(max(counts) for counts in found.values())
        starts = tuple(first + number * step for number in range((last - first) // step + 1))
        counts = {
            name: tuple(counts.get(start, 0) for start in starts) for name, counts in found.items()
        }
        return Views(unit, starts, counts)

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()


def quoted(destination: str) -> str:
    """A destination as an SQL name."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in destination.split("."))


def differences(sent: Mapping[str, Any], loaded: Mapping[str, Any]) -> list[str]:
    """Where the balance sheet does not say what was sent, a sentence each; [] if all agrees."""
    found = []
    for name, expected in sent.items():
        actual = loaded[name]
        if isinstance(expected, Mapping):
            found += [
                f"{name} {key}: sent {expected.get(key, 0)}, loaded {actual.get(key, 0)}"
                for key in sorted({*expected, *actual})
                if expected.get(key, 0) != actual.get(key, 0)
            ]
        elif expected != actual:
            found.append(f"{name}: sent {expected}, loaded {actual}")
    return found
