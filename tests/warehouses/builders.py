"""Logs for the warehouses' tests, and what is in a warehouse."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from pipeline import load as main_job
from pipeline.engine import Engine
from pipeline.formats import Format
from pipeline.load import Order
from pipeline.model import Batch, Tally
from pipeline.options import Rules
from pipeline.replay import Replayed, Retrial
from pipeline.replay import replay as replay_
from pipeline.sources import LocalFiles, Search
from pipeline.staging import Job, Staged, Stager, Work
from pipeline.storage import create_file
from pipeline.unload import Unloaded
from pipeline.unload import unload as unload_
from pipeline.warehouses.contract import Report, Warehouse
from pipeline.warehouses.maintenance import (
    Choice,
    Inspectable,
    Replayable,
    Selection,
    Status,
    Unloadable,
)
from tests.logs import GOOGLEBOT, NOON_US, RULES, SECOND_US, Hit, log, signed, tsv
from tests.warehouses.conftest import Place, Rows


def view(name: str, destination: str = "news.pageviews", **changes: Any) -> bytes:
    """A line with a view whose request id is `name`."""
    uri = b"/i.gif?" + signed(d=destination, k=f"key of {name}")
    return tsv(Hit(**{"request_id": name.encode(), "uri": uri, **changes}))


def views(*names: str, destination: str = "news.pageviews") -> bytes:
    return log(*(view(name, destination) for name in names))


def save(place_folder: Path, name: str, data: bytes) -> Path:
    path = place_folder / "logs" / name
    path.write_bytes(data)
    return path


def everything(place: Place) -> dict[str, Rows]:
    """All that is in the warehouse, in a fixed order."""
    return {
        table: sorted(rows, key=lambda row: json.dumps(row, default=str))
        for table, rows in place.tables().items()
    }


def ids(place: Place, table: str = "news.pageviews") -> list[str]:
    return sorted(row["event_id"] for row in place.rows(table))


def stage(warehouse: Warehouse, id_: str, *paths: Path) -> tuple[Batch, Staged]:
    """A staged batch, not yet committed."""
    source = LocalFiles()
    batch = warehouse.plan([source.pin(str(path)) for path in paths])
    assert batch is not None
    assert batch.id == id_
    job = Job(batch.id, RULES, warehouse.staging(batch))
    stager = Stager(job, Engine(RULES), source.open, create_file)
    for item in batch.objects:
        stager.stage(Work(item, 0, item.size))
    return batch, stager.finish()


MIXED = log(
    view("one"),
    view("two", time_us=NOON_US + 123_000),
    view("other", destination="mail.opens"),
    view("crawler", user_agent=GOOGLEBOT),
    view("crawler again", user_agent=GOOGLEBOT, time_us=NOON_US + 3599 * SECOND_US),
    view("crawler later", user_agent=GOOGLEBOT, time_us=NOON_US + 3600 * SECOND_US),
    view("crawler elsewhere", "mail.opens", user_agent=GOOGLEBOT),
    b"",
    tsv(Hit(uri=b"/robots.txt")),
    tsv(Hit(uri=b"/i.gif?" + signed().replace(b"story-1", b"story-2"))),
    tsv(Hit(uri=b"/i.gif")),
    b"px1\tneither \xff nor \x01",
)
MIXED_COUNTS = {
    "lines": 12, "extra_events": 0, "header": 1, "not_pixel": 1, "accepted": 3, "bot": 4, "duplicate": 0,
    "rejected": {"malformed": 1, "tampered": 1, "unsigned": 1},
}  # fmt: skip


# Beside loading


def load_by(place: Place, rules: Rules, *paths: Path, format_: Format | None = None) -> Report:
    """One run of the main job by other rules."""
    order = Order(Search([str(path) for path in paths]), rules, format_)
    with place.open() as warehouse:
        return main_job.load(warehouse, order, lambda *_: None)


def replay(
    place: Place, choice: Choice | None = None, rules: Rules = RULES, **options: Any
) -> Replayed:
    """Replays rejects, all by default."""
    retrial = Retrial(rules, options.pop("format_", None))
    with place.open() as warehouse:
        return replay_(cast(Replayable, warehouse), choice or Choice(), retrial, **options)


def unload(place: Place, *paths: Path, **options: Any) -> Unloaded:
    """Takes out files, or what a selection names."""
    switches = {name: options.pop(name) for name in ("is_plan", "force") if name in options}
    selection = Selection(tuple(map(str, paths)), **options)
    with place.open() as warehouse:
        return unload_(cast(Unloadable, warehouse), selection, **switches)


def status(place: Place, *, by_object: bool = False) -> Status:
    return cast(Inspectable, place.open()).status(by_object=by_object)


def assert_balanced(place: Place) -> None:
    """Lines, fates, ledger and rows agree: over all, and for each log object's name."""
    tables = place.tables()
    objects, batches = (tables.get(f"pixelship.{name}", []) for name in ("objects", "batches"))
    keys = [(row["batch"], row["name"]) for row in objects]
    assert len(keys) == len(set(keys))
    assert all(tally_of([row]).adds_up for row in (*objects, *batches))
    assert _counted(tally_of(objects)) == _counted(tally_of(batches))

    loaded = {name: rows for name, rows in tables.items() if "event_id" in rows[0]}
    parked = loaded.pop("pixelship.parked", [])
    views = [row for rows in (*loaded.values(), parked) for row in rows]
    found = Holdings.of(views, tables)
    assert found.keys <= set(keys)
    for name in {row["name"] for row in objects} | {name for _, name in found.keys}:
        tally = tally_of([row for row in objects if row["name"] == name])
        assert tally.adds_up
        assert (tally.accepted, tally.bot) == (found.accepted[name], found.bot[name]), name
        rejected = {reason: count for reason, count in tally.rejected.items() if count}
        assert rejected == dict(found.rejected.get(name, {})), name

    by_destination: Counter[str] = Counter()
    for row in batches:
        by_destination.update(json.loads(row["destinations"]))
    assert {name: rows for name, rows in by_destination.items() if rows} == {
        name: len(rows) for name, rows in loaded.items()
    }


@dataclass
class Holdings:
    """What the tables hold of each log object, by name; `keys` are batches and names."""

    keys: set[tuple[str, str]] = field(default_factory=set)
    accepted: Counter[str] = field(default_factory=Counter)
    bot: Counter[str] = field(default_factory=Counter)
    rejected: dict[str, Counter[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, views: Rows, tables: dict[str, Rows]) -> Holdings:
        found = cls()
        rejects, hits = (tables.get(f"pixelship.{name}", []) for name in ("rejects", "bot_hits"))
        for row in (*views, *rejects, *hits):
            found.keys.add((row["batch"], row["source_object"]))
        found.accepted.update(row["source_object"] for row in views)
        for row in hits:
            found.bot[row["source_object"]] += row["hits"]
        for row in rejects:
            found.rejected.setdefault(row["source_object"], Counter())[row["reason"]] += 1
        return found


def tally_of(rows: Rows) -> Tally:
    """The sum of some rows of the ledger."""
    total = Tally()
    for row in rows:
        total.add(Tally.from_json({**row, "rejected": json.loads(row["rejected"])}))
    return total


def _counted(tally: Tally) -> Tally:
    kept = {reason: count for reason, count in tally.rejected.items() if count}
    return replace(tally, rejected=Counter(kept))
