"""Holds a warehouse against what must be in it, and counts what is lost, doubled or unexplained."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from faults.book import Book, Expected, Fact, expect

Row = Mapping[str, Any]
Tables = Mapping[str, list[dict[str, Any]]]
"""Rows by the tables' names; times are in UTC and without a zone."""
BOOKKEEPING = "pixelship."
PARKED = f"{BOOKKEEPING}parked"
ONCE = "_once"
_COUNTS = ("lines", "header", "not_pixel", "accepted", "bot", "duplicate")


@dataclass
class Findings:
    """What is wrong: facts that should be there, facts that are there too often, and the rest."""

    lost: int = 0
    doubled: int = 0
    unexplained: int = 0
    words: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        """Adds what was found elsewhere."""
        self.lost += other.lost
        self.doubled += other.doubled
        self.unexplained += other.unexplained
        self.words += other.words

    def lose(self, what: str, count: int = 1) -> None:
        """Something is missing."""
        self.lost += count
        self.words.append(f"lost: {what}" + (f" ({count} times)" if count > 1 else ""))

    def double(self, what: str, count: int = 1) -> None:
        """Something is there too often."""
        self.doubled += count
        self.words.append(f"doubled: {what}" + (f" ({count} times)" if count > 1 else ""))

    def wonder(self, what: str) -> None:
        """Something is otherwise than it should be."""
        self.unexplained += 1
        self.words.append(f"unexplained: {what}")

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.doubled or self.unexplained)


def audit(
    tables: Tables,
    book: Book,
    *,
    once_per_batch: bool,
    has_views: bool = False,
    destinations_add_up: bool = True,
) -> Findings:
    """Holds tables against the book.

    `once_per_batch`: views that later batches bring again are in the table again. `has_views`: a view
    beside each table shows each once. `destinations_add_up`: the ledger's rows by destination are the
    tables'.
    """
    findings = Findings()
    objects = tables.get(f"{BOOKKEEPING}objects", [])
    entries = _once_each(objects, findings)
    portions, wrong = book.portions(entries)
    for each in wrong:
        findings.wonder(each)
    expected = expect(portions, once_per_batch=once_per_batch)
    _compare(expected.facts, Counter(_facts(tables)), findings)
    if has_views:
        _check_views(tables, expected, findings)
    _check_rows(tables, expected, findings)
    _check_ledger(objects, expected, findings)
    _check_counts(tables, findings)
    if destinations_add_up:
        _check_destinations(tables, findings)
    return findings


def destinations(tables: Tables) -> list[str]:
    """The tables that views are loaded into."""
    return [
        name
        for name, rows in tables.items()
        if not name.startswith(BOOKKEEPING) and not name.endswith(ONCE) and rows
    ]


def _is_compensation(row: Row) -> bool:
    """Whether a row of the ledger makes up for an earlier one: rows that waited were duplicates."""
    return row["lines"] == 0 and row["duplicate"] > 0


def _once_each(objects: Iterable[Row], findings: Findings) -> list[Row]:
    """The ledger's rows; one that says again what another says is doubled."""
    found: dict[tuple[Any, ...], Row] = {}
    for row in objects:
        identity = (row["name"], row["start"], row["checksum"])
        if _is_compensation(row):
            continue
        if identity in found:
            findings.double(f"ledger entry of {row['name']} from {row['start']}")
        found.setdefault(identity, row)
    return list(found.values())


def _facts(tables: Tables) -> Iterator[Fact]:
    for name in destinations(tables):
        for row in tables[name]:
            yield "row", name, row["event_id"]
    for row in tables.get(PARKED, ()):
        yield "row", row["destination"], row["event_id"]
    for row in tables.get(f"{BOOKKEEPING}rejects", ()):
        yield "reject", row["source_object"], row["source_position"], row["reason"]
    for row in tables.get(f"{BOOKKEEPING}bot_hits", ()):
        for _ in range(row["hits"]):
            yield "bot", row["source_object"], row["hour"], row["destination"], row["rule"]


def _compare(wanted: Counter[Fact], found: Counter[Fact], findings: Findings) -> None:
    for fact, count in (wanted - found).items():
        findings.lose(_told(fact), count)
    for fact, count in (found - wanted).items():
        if fact in wanted:
            findings.double(_told(fact), count)
        else:
            findings.wonder(f"{_told(fact)} is there and was never sent")


def _told(fact: Fact) -> str:
    return " ".join(map(str, fact))


def _check_views(tables: Tables, expected: Expected, findings: Findings) -> None:
    """The views `TABLE_once` show every row once."""
    shown: Counter[Fact] = Counter()
    for name, rows in tables.items():
        if name.endswith(ONCE):
            shown.update(("row", name.removesuffix(ONCE), row["event_id"]) for row in rows)
    beside = {f"{name}{ONCE}" for name in destinations(tables)}
    for name in sorted(beside - set(tables)):
        findings.wonder(f"the view {name} is missing")
    wanted = Counter({fact: 1 for fact in expected.once if f"{fact[1]}{ONCE}" in tables})
    for fact, count in (wanted - shown).items():
        findings.lose(f"{_told(fact)} in the view", count)
    for fact, count in (shown - wanted).items():
        findings.double(f"{_told(fact)} in the view", count)


def _check_rows(tables: Tables, expected: Expected, findings: Findings) -> None:
    """Rows say what their lines said."""
    for name in destinations(tables):
        for row in tables[name]:
            places = expected.lines.get((name, row["event_id"]), [])
            is_true = any(
                (row["source_object"], row["source_position"]) == (object_, position)
                and row["key"] == line.key
                and _close(row["timestamp"], line.time)
                for object_, position, line in places
            )
            if places and not is_true:
                findings.wonder(f"{name} {row['event_id']} is not what its line says")


def _close(found: datetime, sent: datetime) -> bool:
    """Whether two times agree to the log's millisecond."""
    return abs((found - sent.replace(tzinfo=None)).total_seconds()) <= 0.001


def _check_ledger(objects: Sequence[Row], expected: Expected, findings: Findings) -> None:
    """Each object's tally is that of its lines."""
    for row in objects:
        if row["lines"] != _fates(row):
            findings.wonder(f"the ledger's lines of {row['name']} do not add up")
    for (name, start, size), tally in expected.tallies.items():
        rows = [row for row in objects if (row["name"], row["start"], row["size"]) == (name, start, size)]  # fmt: skip
        rows += [row for row in objects if row["name"] == name and _is_compensation(row) and row not in rows]  # fmt: skip
        said: Counter[str] = Counter()
        for row in rows:
            said.update({each: row[each] for each in _COUNTS})
            said.update(json.loads(row["rejected"]))
        if not rows:
            findings.wonder(f"the ledger lacks {name} from {start}")
        elif +said != tally.counts + tally.rejected:
            wanted = dict(tally.counts + tally.rejected)
            findings.wonder(f"the ledger has {dict(+said)} for {name} from {start}, not {wanted}")


def _fates(row: Row) -> int:
    plain = sum(int(row[name]) for name in _COUNTS if name != "lines")
    return plain + sum(json.loads(row["rejected"]).values())


def _check_counts(tables: Tables, findings: Findings) -> None:
    """The ledger's counts are the tables' counts, batch by batch and object by object."""
    batches = tables.get(f"{BOOKKEEPING}batches", [])
    objects = tables.get(f"{BOOKKEEPING}objects", [])
    known = Counter(row["batch"] for row in batches)
    for id_, times in known.items():
        if times > 1:
            findings.double(f"ledger entry of batch {id_}", times - 1)
    for row in objects:
        if row["batch"] not in known:
            findings.wonder(f"{row['name']} is of batch {row['batch']}, which the ledger lacks")
    _check_sums(batches, objects, findings)
    counted = {"accepted": _rows_by_object(tables), "bot": _hits_by_object(tables)}
    for fate, by_name in counted.items():
        said: Counter[str] = Counter()
        for row in objects:
            said[row["name"]] += row[fate]
        for name in said.keys() | by_name.keys():
            if said[name] != by_name[name]:
                findings.wonder(f"{name}: the ledger says {said[name]} {fate}, tables hold {by_name[name]}")  # fmt: skip


def _check_sums(batches: Sequence[Row], objects: Sequence[Row], findings: Findings) -> None:
    """The batches' counts are their objects': one by one, and in all where some were unloaded."""
    has_unloads = any(row["kind"] == "unload" for row in batches)
    for row in batches:
        if row["lines"] != _fates(row):
            findings.wonder(f"the ledger's lines of batch {row['batch']} do not add up")
        if not has_unloads:
            of_it = [each for each in objects if each["batch"] == row["batch"]]
            _check_batch(row, of_it, findings)
    for name in _COUNTS:
        sums = [sum(row[name] for row in rows) for rows in (batches, objects)]
        if sums[0] != sums[1]:
            findings.wonder(
                f"the batches of the ledger have {sums[0]} {name}, its objects {sums[1]}"
            )


def _check_batch(batch: Row, objects: Sequence[Row], findings: Findings) -> None:
    """A batch's counts are the sum of its objects'."""
    id_ = batch["batch"]
    if any(batch[name] != sum(row[name] for row in objects) for name in _COUNTS):
        findings.wonder(f"batch {id_} has other counts than its objects")
    if batch["kind"] == "load" and batch["objects"] != len(objects):
        findings.wonder(f"batch {id_} has {len(objects)} objects, says {batch['objects']}")


def _rows_by_object(tables: Tables) -> Counter[str]:
    rows = [row for name in [*destinations(tables), PARKED] for row in tables.get(name, ())]
    return Counter(row["source_object"] for row in rows)


def _hits_by_object(tables: Tables) -> Counter[str]:
    hits: Counter[str] = Counter()
    for row in tables.get(f"{BOOKKEEPING}bot_hits", ()):
        hits[row["source_object"]] += row["hits"]
    return hits


def _check_destinations(tables: Tables, findings: Findings) -> None:
    """The rows that the ledger's batches name by destination are the tables'."""
    said: Counter[str] = Counter()
    for row in tables.get(f"{BOOKKEEPING}batches", ()):
        said.update(json.loads(row["destinations"]))
    for name in said.keys() | set(destinations(tables)):
        if said[name] != len(tables.get(name, ())):
            findings.wonder(f"the ledger says {said[name]} rows for {name}, {len(tables.get(name, ()))} are there")  # fmt: skip
