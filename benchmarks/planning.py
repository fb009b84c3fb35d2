"""What it takes to find the new log objects among very many, most of which are known.

    python -m benchmarks.planning [--objects 100000] [--known 99000] [--listed 3000]

The batch log lies in an object store on loopback and knows most objects, from a checkpoint and some
batches after it. A process that knows nothing gets a listing, reads the log and plans: its time, step
by step, and its peak memory, imports included. The figures are printed, and kept in `results/`.

Listing is measured apart, in another process and of fewer objects: the emulator goes through all of
its files for each page of a thousand, which Cloud Storage does not. Nothing is judged.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from hashlib import md5
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from emulators.environment import client_environment
from emulators.object_store import ObjectStore
from pipeline.batchlog import BatchLog, CloudStore, Decision
from pipeline.model import LogObject
from pipeline.plan import MOST_OBJECTS, make_plan
from pipeline.sources import Anywhere, Listing, Search

_ROOT: Final = Path(__file__).parent.parent
_BUCKET: Final = "planning"
_STATE: Final = f"gs://{_BUCKET}/state"
_LOGS: Final = f"gs://{_BUCKET}/logs/"
_FOLDER_OBJECTS: Final = 576
_BATCH_OBJECTS: Final = 50
_BATCHES_AFTER: Final = 10
_UPLOADERS: Final = 4
_NO_MATTER_BYTES: Final = 100
_BEGIN_US: Final = 1_767_225_600_000_000
_APART_US: Final = 150_000_000
_STEPS: Final = {"plan": "From a listing to a plan", "list": "Listing"}
_LEGEND: Final = "s: seconds by the clock; MB: the most resident memory so far, imports included."
_HOW: Final = "A process that knows nothing; the batch log is in an object store on loopback."


def main() -> None:
    """Makes the store ready, measures processes, prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--known", type=int, default=99_000)
    parser.add_argument("--listed", type=int, default=3_000)
    parser.add_argument("--out", type=Path, help="folder for the results (benchmarks/results)")
    parser.add_argument("--step", choices=tuple(_STEPS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        found = _plan(_objects(options.objects)) if options.step == "plan" else _list()
        print(json.dumps(found | {"the process, s of CPU": round(time.process_time(), 2)}))
        return
    from rich.console import Console

    from benchmarks.tables import Kept, Table  # not for the measured process: they draw much in

    with ObjectStore() as store:
        store.make_bucket(_BUCKET)
        os.environ.update(client_environment(store.url))
        _upload(store.url, options.listed)
        _remember(_objects(options.known))
        figures = {title: _measure(step, options.objects) for step, title in _STEPS.items()}
    tables = [
        Table(
            title,
            ("figure", "value"),
            [(name, f"{each:,}") for name, each in found.items()],
            _LEGEND,
        )
        for title, found in figures.items()
    ]
    for table in tables:
        table.print(Console())
    Kept("Planning among many log objects", _HOW, tables, figures).write("planning", options.out)


def _measure(step: str, objects: int) -> dict[str, float]:
    """What a process of its own found."""
    argv = [sys.executable, "-m", "benchmarks.planning", "--step", step, "--objects", str(objects)]
    done = subprocess.run(argv, cwd=_ROOT, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _objects(count: int) -> list[LogObject]:
    """What a listing would hold: names of a server's hourly logs, and checksums as they come."""
    return [
        LogObject(
            f"gs://{_BUCKET}/{_name(number)}",
            100_000 + number,
            f"md5:{md5(b'%d' % number, usedforsecurity=False).hexdigest()}",
            generation=_BEGIN_US + number * _APART_US,
        )
        for number in range(count)
    ]


def _name(number: int) -> str:
    return f"logs/{number // _FOLDER_OBJECTS:05d}/web-1.access.{number:08d}.log.gz"


def _upload(url: str, count: int) -> None:
    """Puts log objects into the bucket: no bytes of matter, but no two the same."""
    host = urlsplit(url).netloc

    def upload(first: int) -> None:
        connection = HTTPConnection(host)
        for number in range(first, count, _UPLOADERS):
            name = quote(_name(number), safe="")
            path = f"/upload/storage/v1/b/{_BUCKET}/o?uploadType=media&name={name}"
            connection.request("POST", path, f"{number}".zfill(_NO_MATTER_BYTES))
            connection.getresponse().read()
        connection.close()

    with ThreadPoolExecutor(_UPLOADERS) as pool:
        list(pool.map(upload, range(_UPLOADERS)))


def _remember(objects: Sequence[LogObject]) -> None:
    """Has the log know these: most of them by a checkpoint, some by batches after it."""
    log = BatchLog(CloudStore(_STATE), checkpoint_every=1)
    middle = len(objects) - _BATCHES_AFTER * _BATCH_OBJECTS
    for start in range(0, middle, MOST_OBJECTS):
        _load(log, objects[start : min(start + MOST_OBJECTS, middle)])
    log.checkpoint(objects)
    for start in range(middle, len(objects), _BATCH_OBJECTS):
        _load(log, objects[start : start + _BATCH_OBJECTS])


def _load(log: BatchLog, objects: Sequence[LogObject]) -> None:
    planned = log.plan("load", objects, after=log.view().last_id)
    if planned is None:
        raise AssertionError("nobody else is there")
    counts = {"lines": 1000, "accepted": 900, "bot": 100, "rejected": "{}", "faults": "[]"}
    log.loaded(planned.batch, Decision(objects=[{**asdict(item), **counts} for item in objects]))
    log.done(planned.batch)


def _plan(objects: list[LogObject]) -> dict[str, float | int]:
    """What a run does between listing and loading: objects, seconds by step, megabytes."""
    source, listing, listed_mb = Anywhere(), Listing(objects), _peak_mb()
    times = [time.monotonic()]
    log = BatchLog(CloudStore(_STATE))
    view = log.view()
    times.append(time.monotonic())
    known = view.known_like(objects)
    times.append(time.monotonic())
    plan = make_plan(source, listing, known, log.quarantined())
    times.append(time.monotonic())
    view_s, known_s, plan_s = (round(end - start, 2) for start, end in pairwise(times))
    return {
        "objects": len(objects),
        "known": len(known),
        "new": len(plan.objects),
        "reading the log, s": view_s,
        "finding the known, s": known_s,
        "planning, s": plan_s,
        "peak with listing, MB": listed_mb,
        "peak at the end, MB": _peak_mb(),
    }


def _list() -> dict[str, float | int]:
    """Lists the bucket."""
    began = time.monotonic()
    objects = Anywhere().list_objects(Search([_LOGS])).objects
    return {"listed": len(objects), "listing, s": round(time.monotonic() - began, 2)}


def _peak_mb() -> int:
    """The most resident memory so far, of this program alone: `ru_maxrss` is the parent's at first."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1000


if __name__ == "__main__":
    main()
