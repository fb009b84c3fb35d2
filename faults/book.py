"""What was put where, and so what must be in the warehouse when all is done."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from faults.traffic import BOT, BOT_RULE, HEADER, NOT_PIXEL, REJECT, VIEW, Line, Log

Fact = tuple[Any, ...]
"""One thing that must be there once: its kind, and what tells it from others."""


@dataclass(frozen=True)
class Portion:
    """A part of a log object that a batch read: lines with their positions in it.

    `start` and `size` are stored bytes; `batch` is empty where the ledger knows of none.
    """

    name: str
    start: int
    size: int
    lines: Sequence[tuple[int, Line]]
    batch: str = ""


@dataclass
class Tally:
    """The fates of a portion's lines."""

    counts: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)


@dataclass
class Entry:
    """A log object: the names that it may be read under, and what it holds by now."""

    names: set[str]
    log: Log

    def is_read_by(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of the ledger speaks of these bytes."""
        algorithm, _, digest = str(row["checksum"]).partition(":")
        data = self.log.data[: row["size"]]
        return (
            row["name"] in self.names
            and len(data) == row["size"]
            and hashlib.new(algorithm, data, usedforsecurity=False).hexdigest() == digest
        )


class Book:
    """The log objects that are to be loaded, each once, by the names that the ledger gives them."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def put(self, name: str, log: Log) -> None:
        """Notes a new object."""
        self.entries.append(Entry({name}, log))

    def grow(self, name: str, log: Log) -> None:
        """Notes that an object grew."""
        self._find(name).log = log

    def also(self, name: str, other: str) -> None:
        """Notes that an object has another name too: it may be read under either."""
        self._find(name).names.add(other)

    def forget(self, name: str) -> None:
        """Notes that an object is gone, and that nothing is to come of it."""
        self.entries.remove(self._find(name))

    def _find(self, name: str) -> Entry:
        return next(entry for entry in reversed(self.entries) if name in entry.names)

    def portions(self, ledger: Iterable[Mapping[str, Any]]) -> tuple[list[Portion], list[str]]:
        """All that was put, as the ledger says it was read; and what is wrong with that.

        `ledger` are rows of `pixelship.objects`. What it does not cover is there all the same, as
        portions without a batch.
        """
        found: list[Portion] = []
        wrong: list[str] = []
        unused = sorted(ledger, key=lambda row: (row["start"], row["size"]))
        for entry in self.entries:
            done = 0
            for row in [row for row in unused if entry.is_read_by(row)]:
                unused.remove(row)
                name, start, size = row["name"], row["start"], row["size"]
                lines = entry.log.portion(start, size)
                if lines is None or start != done:
                    wrong.append(f"{name} was read from {start} to {size} after {done}")
                    continue
                found.append(Portion(name, start, size, lines, row["batch"]))
                done = size
            whole = len(entry.log.data)
            if done < whole and (rest := entry.log.portion(done, whole)) is not None:
                found.append(Portion(sorted(entry.names)[0], done, whole, rest))
        wrong += [
            f"the ledger has {row['name']} of {row['size']} bytes, never put" for row in unused
        ]
        return found, wrong


@dataclass
class Expected:
    """What must be there: facts with how often, and the tallies of portions by (name, start, size)."""

    facts: Counter[Fact] = field(default_factory=Counter)
    once: Counter[Fact] = field(default_factory=Counter)
    tallies: dict[tuple[str, int, int], Tally] = field(default_factory=dict)
    lines: dict[tuple[str, str], list[tuple[str, int, Line]]] = field(default_factory=dict)


def expect(portions: Iterable[Portion], *, once_per_batch: bool) -> Expected:
    """What portions must come to.

    A view that comes again is a duplicate: within its batch, or (`once_per_batch` false) whenever.
    """
    expected = Expected()
    seen: set[tuple[str, ...]] = set()
    for portion in sorted(portions, key=_order):
        tally = expected.tallies.setdefault((portion.name, portion.start, portion.size), Tally())
        for position, line in portion.lines:
            fate = line.fate
            if fate == VIEW:
                identity = (line.destination, line.id)
                expected.lines.setdefault(identity, []).append((portion.name, position, line))
                expected.once[("row", *identity)] = 1
                mark = (*identity, portion.batch) if once_per_batch else identity
                fate = "duplicate" if mark in seen else "accepted"
                seen.add(mark)
            for fact in _facts(portion, position, line, fate):
                expected.facts[fact] += 1
            _count(tally, line, fate)
    return expected


def _order(portion: Portion) -> tuple[str, str, int]:
    return (portion.batch or "~", portion.name, portion.start)


def _facts(portion: Portion, position: int, line: Line, fate: str) -> Iterator[Fact]:
    if fate == "accepted":
        yield "row", line.destination, line.id
    elif fate == REJECT:
        yield "reject", portion.name, position, line.reason
    elif fate == BOT:
        yield "bot", portion.name, _naive(line.hour), line.destination, BOT_RULE


def _count(tally: Tally, line: Line, fate: str) -> None:
    tally.counts["lines"] += 1
    if fate == REJECT:
        tally.rejected[line.reason] += 1
    else:
        tally.counts[{HEADER: "header", NOT_PIXEL: "not_pixel", BOT: "bot"}.get(fate, fate)] += 1


def _naive(time: datetime) -> datetime:
    """A UTC time without its zone: warehouses differ in whether they give one."""
    return time.replace(tzinfo=None)
