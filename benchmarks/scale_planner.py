"""A planner that finds so many new log objects every hour: `python -m benchmarks.scale_planner HOURS OBJECTS`.

The source keeps what it has. Each hour a run reads the batch log, tells the new objects from those
known, and takes them in batches; all through the real batch log, in memory. Listing and staging are
left out. The figures of each hour, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from datetime import timedelta
from hashlib import md5
from typing import Any

from benchmarks.counting_store import CountingStore
from benchmarks.scale_staging import peak_mb
from pipeline.batchlog import BatchLog, Decision
from pipeline.model import LogObject
from pipeline.plan import make_plan
from pipeline.sources import Anywhere, Listing

_COUNTS = {"lines": 1000, "accepted": 900, "bot": 100, "rejected": "{}", "faults": "[]"}
_HOUR_US = 3_600_000_000


def main() -> None:
    """Prints the figures of each hour."""
    hours, count = map(int, sys.argv[1:3])
    store, listed = CountingStore(), list[LogObject]()
    found = []
    for hour in range(hours):
        store.now += timedelta(hours=1)
        listed += (_object(hour, number) for number in range(count))
        found.append(_run(store, listed))
    print(json.dumps(found))


def _object(hour: int, number: int) -> LogObject:
    name = f"gs://acme-logs/pixel/2026/11/{hour:04d}/edge-{number % 512:03d}.{hour:04d}.{number:07d}.log.gz"
    digest = md5(name.encode(), usedforsecurity=False).hexdigest()
    return LogObject(name, 100_000 + number, f"md5:{digest}", generation=hour * _HOUR_US + number)


def _run(store: CountingStore, listed: list[LogObject]) -> dict[str, Any]:
    """One run: what it took."""
    before = store.requests.copy()
    began_s = time.process_time()
    log = BatchLog(store)
    view = log.view()
    plan = make_plan(Anywhere(), Listing(listed), view.known_like(listed), log.quarantined())
    planned_s = time.process_time() - began_s
    lots, after = plan.batches(), view.last_id
    most_bytes = 0
    for objects in lots:
        batch = log.plan("load", objects, after=after)
        if batch is None:
            raise AssertionError("nobody else is there")
        rows = [{**asdict(item), **_COUNTS} for item in objects]
        log.stage(batch.batch, {"manifest": ""})
        log.loaded(batch.batch, Decision(objects=rows))
        log.done(batch.batch)
        after = batch.batch.id
        most_bytes = max(
            most_bytes, *(store.size(f"batches/{after}.{step}json")[1] for step in ("", "loaded."))
        )
    log.checkpoint(listed, lambda _name: True)
    asked = store.requests - before
    return {
        "listed": len(listed),
        "list_pages": -(-len(listed) // 1000),
        "new": len(plan.objects),
        "batches": len(lots),
        "plan_cpu_s": round(planned_s, 2),
        "cpu_s": round(time.process_time() - began_s, 2),
        "requests": asked.total() - asked["remove"],
        "state_bytes": store.size()[1],
        "largest_entry_bytes": most_bytes,
        "peak_mb": peak_mb(),
    }


if __name__ == "__main__":
    main()
