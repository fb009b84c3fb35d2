"""What a million views cost, and what many destinations and many log objects add to it.

    python -m benchmarks.scale [--quick]

The real job, whole processes, on generated logs against the emulators; a proxy before each counts its
requests. Two logs of one kind and of different size tell what a run costs from what a view does; logs
for more and more destinations, what a destination does. Workers alone stage for thousands of
destinations, and a planner is given 100,000 log objects an hour, hour after hour, in memory.

CPU seconds and counts are kept, not the clock: they hold on a busy machine too. The results are in
`results/scale.json`, from which `benchmarks.scale_page` makes the tables of `docs/scale.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from rich.console import Console

from benchmarks import scale_page
from benchmarks.generate import DEFAULT_SECRET
from benchmarks.measure import adopt_orphans, measure
from benchmarks.scale_logs import make_log
from benchmarks.scale_model import Measured, destinations, per_million, planning, staging
from benchmarks.scale_page import HOUR_HEADINGS, STAGING_HEADINGS, TABLES_HEADINGS
from benchmarks.tables import Kept, Table
from emulators.bigquery import BigQuery
from emulators.environment import client_environment
from emulators.fault_proxy import FaultProxy
from emulators.object_store import ObjectStore
from pipeline.storage import create_file

_ROOT: Final = Path(__file__).parent.parent
_PIXELSHIP: Final = str(Path(sys.executable).with_name("pixelship"))
_BUCKET: Final = "scale"
_LINES: Final = (50_000, 500_000)
_DESTINATIONS: Final = (3, 30, 300)
_LINES_OF_MANY: Final = 100_000
_STAGED: Final = (3, 300, 1000, 5000)
_LINES_STAGED: Final = 300_000
_HOURS: Final = 4
_LEGEND: Final = "CPU s: of whole processes, the emulators' not among them."
_QUICK: Final = 10
"""How many times less `--quick` does."""
_STORE_KINDS: Final = (
    ("DELETE", "", "removals"),
    ("POST", "/upload/", "writes"),
    ("PUT", "/upload/", "writes"),
    ("GET", "/download/", "reads"),
    ("GET", "/o/", "reads"),
    ("GET", "/o", "listings"),
)
_BIGQUERY_KINDS: Final = (
    ("POST", "/jobs", "jobs.insert"),
    ("GET", "/jobs/", "jobs.get"),
    ("GET", "/tables/", "tables.get"),
    ("POST", "/tables", "tables.insert"),
)


class Ground:
    """The emulators, and what is asked of them."""

    def __init__(self, store: ObjectStore, store_proxy: FaultProxy, asked: FaultProxy) -> None:
        self._root = Path(store.root)
        self._proxies = {"store": store_proxy, "bigquery": asked}
        self._alone = ProcessPoolExecutor(1, get_context("spawn"), adopt_orphans)
        store.make_bucket(_BUCKET)

    def close(self) -> None:
        """Ends the measuring process."""
        self._alone.shutdown()

    def load(self, log: Path, name: str) -> dict[str, Any]:
        """Loads one log in a fresh project; gives what that took."""
        project, url = f"scale-{name}", f"gs://{_BUCKET}/{name}"
        urls = {kind: proxy.url for kind, proxy in self._proxies.items()}
        variables = client_environment(urls["store"], urls["bigquery"], project=project)
        os.environ.update(variables)
        with create_file(f"{url}/logs/{log.name}") as sink:
            sink.write(log.read_bytes())
        for proxy in self._proxies.values():
            proxy.forget()
        to = ("--to", f"bigquery:{project}", "--state", f"{url}/state", "--json")
        argv = ["env", *(f"{name}={value}" for name, value in variables.items())]
        argv += [_PIXELSHIP, "load", f"{url}/logs/{log.name}", *to]
        cost = self._alone.submit(measure, argv, _ROOT).result()
        report = json.loads(cost.stdout)
        requests = {
            **_counted(self._proxies["store"], _STORE_KINDS),
            **_counted(self._proxies["bigquery"], _BIGQUERY_KINDS),
        }
        return {
            "lines": report["lines"],
            "views": report["accepted"],
            "tables": len(report["destinations"]),
            "log_bytes": log.stat().st_size,
            "cpu_s": round(cost.cpu_s, 2),
            "peak_mb": cost.peak_bytes // 1_000_000,
            **_staged(self._root / _BUCKET / name / "state" / "staging"),
            "load_jobs": _load_jobs(project),
            "requests": requests,
        }


def _counted(proxy: FaultProxy, kinds: tuple[tuple[str, str, str], ...]) -> dict[str, int]:
    """Requests by what they are; those of no kind under `other`."""
    found: Counter[str] = Counter()
    for seen in proxy.seen():
        path = seen.path
        found[
            next(
                (
                    kind
                    for method, part, kind in kinds
                    if seen.method == method
                    and (path.endswith(part) if not part.endswith("/") else part in path)
                ),
                "other",
            )
        ] += 1
    return dict(found)


def _staged(folder: Path) -> dict[str, int]:
    """The shards of a state folder, and their bytes."""
    shards = [path for path in folder.rglob("*.parquet*") if path.is_file()]
    return {"shards": len(shards), "staged_bytes": sum(path.stat().st_size for path in shards)}


def _load_jobs(project: str) -> int:
    with bigquery.Client(project=project, credentials=AnonymousCredentials()) as client:  # type: ignore[no-untyped-call]
        return sum(job.job_type == "load" for job in client.list_jobs())


@contextmanager
def _ground() -> Iterator[Ground]:
    with (
        ObjectStore() as store,
        BigQuery(store.root) as warehouse,
        FaultProxy(store.url) as before_store,
        FaultProxy(warehouse.url) as before_warehouse,
    ):
        os.environ["BIGQUERY_EMULATOR_HOST"] = warehouse.url
        ground = Ground(store, before_store, before_warehouse)
        yield ground
        ground.close()


def _own_process(module: str, *words: str) -> dict[str, Any]:
    cost = measure([sys.executable, "-m", module, *words], _ROOT)
    found: dict[str, Any] = json.loads(cost.stdout)
    return found


def figures(share: int = 1) -> dict[str, Any]:
    """All that is measured; `share` is how many times less than usual."""
    os.environ["SIGNER_SECRET"] = DEFAULT_SECRET
    with _ground() as ground:
        by_lines = [ground.load(make_log(lines // share, 3), f"lines-{lines}") for lines in _LINES]
        by_tables = [
            ground.load(make_log(_LINES_OF_MANY // share, tables), f"tables-{tables}")
            for tables in _DESTINATIONS
        ]
    return {
        "by_lines": by_lines,
        "by_tables": by_tables,
        "staged": [
            _own_process("benchmarks.scale_staging", str(_LINES_STAGED // share), str(count))
            for count in _STAGED
        ],
        "planned": _own_process("benchmarks.scale_planner", str(_HOURS), str(100_000 // share)),
    }


def main(argv: list[str] | None = None) -> int:
    """Measures, prints, keeps."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of it")
    parser.add_argument("--rounds", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="folder for the results (benchmarks/results)")
    options = parser.parse_args(argv)
    found = figures(_QUICK if options.quick else 1)
    measured = Measured.of(found)
    tables = [
        Table("By views", ("", "a million views", "and each run"), per_million(measured), _LEGEND),
        Table("By tables", TABLES_HEADINGS, destinations(found), _LEGEND),
        Table("Staging", STAGING_HEADINGS, staging(found), _LEGEND),
        Table("The planner", HOUR_HEADINGS, planning(found), _LEGEND),
    ]
    for table in tables:
        table.print(Console())
    how = "The real job against the emulators; CPU seconds of whole processes, requests counted."
    Kept("What a million views cost", how, tables, found).write("scale", options.out)
    if options.out is None:
        scale_page.fill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
