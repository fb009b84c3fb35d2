"""Logs for the warehouses' tests, and what is in a warehouse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.engine import Engine
from pipeline.model import Batch
from pipeline.sources import LocalFiles
from pipeline.staging import Job, Staged, Stager, Work
from pipeline.storage import create_file
from pipeline.warehouses.contract import Warehouse
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
    "lines": 12, "header": 1, "not_pixel": 1, "accepted": 3, "bot": 4, "duplicate": 0,
    "rejected": {"malformed": 1, "tampered": 1, "unsigned": 1},
}  # fmt: skip
