"""Carries what `benchmarks.scale` measured to any number of views a day: machines, limits, dollars.

Plain arithmetic; what is assumed and not measured stands in `Site` and in the names below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from pipeline import costs
from pipeline.plan import MOST_BYTES, MOST_OBJECTS
from pipeline.warehouses.bigquery_quotas import OWN_TABLES

Row = tuple[str, ...]

_DAYS: Final = 30
_DAY_S: Final = 86_400
_MILLION: Final = 1_000_000
LINES_OF_LOG: Final = 1_000_000
LEAST_LOGS: Final = 288
LOG_DAYS: Final = 30
TABLE_DAYS: Final = 365
REMEMBERED_DAYS: Final = 430
BUSY: Final = 0.6
START_S: Final = 180
WORKER_CPUS: Final = 4
RESPONSE_BYTES: Final = 600
BATCHES_STAGED: Final = 20
GIB_OF_CPU: Final = 3.75


@dataclass(frozen=True)
class Measured:
    """What a view and a run cost, by two runs of different size; `state_bytes` is of a log object."""

    cpu_s_of_million: float
    cpu_s_of_run: float
    log_bytes: float
    staged_bytes: float
    lines_of_view: float
    views_of_shard: float
    store_requests_of_run: float
    state_bytes: float

    @classmethod
    def of(cls, figures: Mapping[str, Any]) -> Measured:
        """From `results/scale.json`."""
        small, large = figures["by_lines"]
        views = large["views"] - small["views"]
        million = (large["cpu_s"] - small["cpu_s"]) / views * _MILLION
        staged = figures["staged"][0]
        requests = small["requests"]
        planned = figures["planned"][-1]
        return cls(
            cpu_s_of_million=million,
            cpu_s_of_run=max(small["cpu_s"] - million * small["views"] / _MILLION, 0),
            log_bytes=large["log_bytes"] / large["views"],
            staged_bytes=large["staged_bytes"] / large["views"],
            lines_of_view=large["lines"] / large["views"],
            views_of_shard=staged["lines"] / large["lines"] * large["views"] / staged["shards"],
            store_requests_of_run=sum(requests.get(kind, 0) for kind in ("writes", "listings")),
            state_bytes=planned["state_bytes"] / planned["listed"],
        )


@dataclass(frozen=True)
class Site:
    """So many views a day, to so many tables, by so many runs a day."""

    views: int
    runs: int
    tables: int = 3

    @property
    def name(self) -> str:
        """As a person would say it."""
        return f"{self.views // 10**9:,} B" if self.views >= 10**9 else f"{self.views // 10**6:,} M"


SITES: Final = (
    Site(10**6, 24),
    Site(10**8, 288),
    Site(10**9, 288),
    Site(10**11, 288),
)


@dataclass(frozen=True)
class Carried:
    """What a site needs, a day where nothing else is said."""

    site: Site
    measured: Measured

    @property
    def cpu_s(self) -> float:
        """CPU seconds of work."""
        million = self.measured.cpu_s_of_million * self.site.views / _MILLION
        return million + self.measured.cpu_s_of_run * self.site.runs

    @property
    def vcpus(self) -> int:
        """Processors that keep up, busy as far as is sound."""
        return max(1, ceil(self.cpu_s / _DAY_S / BUSY))

    @property
    def log_bytes(self) -> float:
        """Bytes of logs, compressed."""
        return self.measured.log_bytes * self.site.views

    @property
    def logs(self) -> int:
        """Log objects."""
        return max(LEAST_LOGS, ceil(self.lines / LINES_OF_LOG))

    @property
    def lines(self) -> float:
        """Requests, and so lines."""
        return self.measured.lines_of_view * self.site.views

    @property
    def batches(self) -> int:
        """Batches: one a run, but for what one may hold."""
        of_run = max(
            ceil(self.logs / self.site.runs / MOST_OBJECTS),
            ceil(self.log_bytes / self.site.runs / MOST_BYTES),
        )
        return of_run * self.site.runs

    @property
    def shards(self) -> int:
        """Parquet files: a run's own for each table and worker, and one for so many views."""
        workers = ceil(self.vcpus / WORKER_CPUS)
        least = self.batches * (self.site.tables + 2) * workers
        return least + int(self.site.views / self.measured.views_of_shard)

    @property
    def load_jobs(self) -> int:
        """Load jobs of the project."""
        return self.batches * (self.site.tables + OWN_TABLES)

    @property
    def files_of_job(self) -> int:
        """Files of the largest job, were all views of one table."""
        return ceil(self.shards / self.batches)

    @property
    def list_calls(self) -> int:
        """Pages of listings of the logs that are kept."""
        return self.site.runs * ceil(self.logs * LOG_DAYS / 1000)

    @property
    def staged_bytes(self) -> float:
        """Staged at a time: shards go with the checkpoint after their batch's."""
        return self.measured.staged_bytes * self.site.views / self.batches * BATCHES_STAGED

    @property
    def state_bytes(self) -> float:
        """The state folder once it no longer grows."""
        return self.measured.state_bytes * self.logs * REMEMBERED_DAYS

    @property
    def vcpu_hours(self) -> float:
        """Hours of processors that Dataflow bills, the start of each run among them."""
        start_s = self.site.runs * START_S * min(self.vcpus, WORKER_CPUS)
        return (self.cpu_s / BUSY + start_s) / 3600

    def bill(self) -> dict[str, float]:
        """US dollars a month, by line."""
        month = _DAYS
        served = self.lines * RESPONSE_BYTES * month
        operations = month * (
            (self.shards + self.list_calls + self.logs) * costs.WRITE_USD
            + self.site.runs * self.measured.store_requests_of_run * costs.WRITE_USD
            + (self.logs * 2 + self.shards) * costs.READ_USD
        )
        return {
            "CDN": self.lines * month * costs.LOOKUP_USD
            + costs.egress_usd(served)
            + costs.BALANCER_USD,
            "logs": costs.stored_usd(self.log_bytes * LOG_DAYS),
            "storage": costs.stored_usd(self.staged_bytes + self.state_bytes) + operations,
            "Dataflow": month * self.vcpu_hours * costs.dataflow_usd(GIB_OF_CPU),
            "BigQuery": costs.table_usd(self.row_bytes, TABLE_DAYS),
        }

    @property
    def row_bytes(self) -> float:
        """Rows as BigQuery counts their bytes."""
        return self.log_bytes * costs.LOGS_TO_ROWS


def per_million(measured: Measured) -> list[Row]:
    """What a million views cost, and a run: rows of a table."""
    return [
        ("CPU seconds", f"{measured.cpu_s_of_million:.1f}", f"{measured.cpu_s_of_run:.1f}"),
        ("bytes of logs read (gzip)", _bytes(measured.log_bytes * _MILLION), "-"),
        ("bytes staged (Parquet)", _bytes(measured.staged_bytes * _MILLION), "-"),
        ("lines", f"{measured.lines_of_view * _MILLION:,.0f}", "-"),
        ("shards", f"{ceil(_MILLION / measured.views_of_shard):,}", "5"),
        ("writes and listings", "as shards", f"{measured.store_requests_of_run:.0f}"),
    ]


def needs(measured: Measured, sites: Sequence[Site] = SITES) -> list[Row]:
    """A row for each need, a column for each site."""
    carried = [Carried(site, measured) for site in sites]
    rows: dict[str, list[str]] = {
        "runs": [f"{each.site.runs:,}" for each in carried],
        "log objects": [f"{each.logs:,}" for each in carried],
        "bytes of logs": [_bytes(each.log_bytes) for each in carried],
        "CPU hours": [f"{each.cpu_s / 3600:,.2f}" for each in carried],
        "vCPUs": [f"{each.vcpus:,}" for each in carried],
        "batches": [f"{each.batches:,}" for each in carried],
        "shards": [f"{each.shards:,}" for each in carried],
        "load jobs, of 100,000": [f"{each.load_jobs:,}" for each in carried],
        "files of a job, of 10,000 (more: more jobs)": [
            f"{each.files_of_job:,}" for each in carried
        ],
        "modifications of a table, of 1,500 and 30,000": [f"{each.batches:,}" for each in carried],
        "list calls": [f"{each.list_calls:,}" for each in carried],
        "staged at a time": [_bytes(each.staged_bytes) for each in carried],
        "state folder, in the end": [_bytes(each.state_bytes) for each in carried],
        "rows a year": [f"{each.site.views * 365 / 10**9:,.1f} B" for each in carried],
    }
    return [(name, *cells) for name, cells in rows.items()]


def bills(measured: Measured, sites: Sequence[Site] = SITES) -> list[Row]:
    """A row for each line of the bill, a column for each site; then the sum, and of a million views."""
    carried = [Carried(site, measured) for site in sites]
    found = [each.bill() for each in carried]
    rows = [(line, *(_usd(bill[line]) for bill in found)) for line in found[0]]
    sums = [sum(bill.values()) for bill in found]
    millions = [each.site.views * _DAYS / _MILLION for each in carried]
    of_million = (f"${usd / count:,.2f}" for usd, count in zip(sums, millions, strict=True))
    return [*rows, ("**all**", *map(_usd, sums)), ("of a million views", *of_million)]


def destinations(figures: Mapping[str, Any]) -> list[Row]:
    """Runs into more and more tables: rows of a table."""
    return [
        (
            f"{found['tables']:,}",
            f"{found['cpu_s']:.1f}",
            f"{found['shards']:,}",
            f"{found['load_jobs']:,}",
            f"{found['requests'].get('tables.get', 0):,}",
            f"{found['requests'].get('tables.insert', 0):,}",
            f"{found['requests'].get('jobs.insert', 0):,}",
            f"{sum(found['requests'].values()):,}",
        )
        for found in figures["by_tables"]
    ]


def staging(figures: Mapping[str, Any]) -> list[Row]:
    """Workers that stage for thousands of tables: rows of a table."""
    return [
        (
            f"{found['destinations']:,}",
            f"{found['cpu_s']:.1f}",
            f"{found['shards']:,}",
            _bytes(found["staged_bytes"]),
            f"{found['peak_mb']:,} MB",
        )
        for found in figures["staged"]
    ]


def planning(figures: Mapping[str, Any]) -> list[Row]:
    """The planner, hour by hour: rows of a table."""
    return [
        (
            f"{hour}",
            f"{found['listed']:,}",
            f"{found['list_pages']:,}",
            f"{found['batches']:,}",
            f"{found['plan_cpu_s']:.1f}",
            f"{found['cpu_s']:.1f}",
            f"{found['requests']:,}",
            _bytes(found["state_bytes"]),
            f"{found['peak_mb']:,} MB",
        )
        for hour, found in enumerate(figures["planned"], 1)
    ]


def _bytes(count: float) -> str:
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:,.0f} B"


def _usd(usd: float) -> str:
    return f"${usd:,.0f}" if usd >= 10 else f"${usd:,.2f}"
