"""BigQuery on loopback under the main job: logs in a bucket, runs over them, and what is there then."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from pipeline import load as main_job
from pipeline.batchlog import BatchLog, CloudStore
from pipeline.load import Order
from pipeline.sources import Search
from pipeline.warehouses.bigquery import BigQueryOptions, BigQueryWarehouse
from pipeline.warehouses.bigquery_loads import Dedupe
from pipeline.warehouses.contract import Report
from tests.cloud import Cloud
from tests.logs import RULES, log
from tests.warehouses.builders import view
from tests.warehouses.conftest import BigQueryPlace

NEWS, MAIL = "news.pageviews", "mail.opens"


@dataclass
class Bench(BigQueryPlace):
    """A warehouse, and logs for it. `every` is after how many batches its log is summed up."""

    def __init__(self, cloud: Cloud, dedupe: Dedupe = "view", **options: Any) -> None:
        super().__init__(cloud, dedupe)
        self.options = BigQueryOptions(cloud.project, cloud.state, dedupe=dedupe, **options)

    def with_state(self, name: str) -> Bench:
        """The same project and logs under another state folder."""
        other = Bench(self.cloud)
        other.options = replace(self.options, state=f"{self.cloud.folder}/{name}")
        return other

    def having(self, **options: Any) -> Bench:
        """The same with other options."""
        other = Bench(self.cloud)
        other.options = replace(self.options, **options)
        return other

    def put(self, name: str, *ids: str, to: str = NEWS) -> str:
        """A log of views; gives its name."""
        return self.cloud.put(name, log(*(view(id_, to) for id_ in ids)))

    def run(self, pattern: str = "", every: int = 20) -> Report:
        """One run of the main job."""
        with self.open() as warehouse:
            return self.run_in(warehouse, pattern, every)

    def run_in(self, warehouse: BigQueryWarehouse, pattern: str = "", every: int = 20) -> Report:
        """The same in an opened warehouse; after `every` batches their log is summed up."""
        warehouse._log._every = every
        search = Search([f"{self.cloud.folder}/logs/{pattern}"])
        return main_job.load(warehouse, Order(search, RULES), lambda *_: None)

    def ids(self, table: str = NEWS) -> list[str]:
        """The ids of a table's views, sorted."""
        return sorted(row["event_id"] for row in self.rows(table))

    def jobs(self, table: str = "") -> list[str]:
        """The ids of the jobs that happen once, in the order of their names; those of a table."""
        with self.cloud.client() as client:
            return sorted(
                job.job_id
                for job in client.list_jobs()
                if job.job_id.startswith("px_") and table in str(getattr(job, "destination", ""))
            )

    def name_of_jobs(self, table: str) -> str:
        """What stands for a table in the ids of its jobs."""
        with self.open():
            pass
        identity = CloudStore(self.options.state).read("installation.json") or b"{}"
        which = f"{json.loads(identity)['installation']}\n{table}\n0"
        return sha256(which.encode()).hexdigest()[:16]

    def log(self) -> BatchLog:
        """The batch log."""
        return BatchLog(CloudStore(self.options.state))

    def incoming(self) -> list[str]:
        """The tables that merging left behind."""
        return [name for name in self.cloud.tables() if "incoming" in name]


def meanwhile(act: Callable[..., Any], first: Callable[[], Any]) -> Callable[..., Any]:
    """`act`, with something else happening just before it, the first time."""
    todo = [first]

    def both(*args: Any, **options: Any) -> Any:
        while todo:
            todo.pop()()
        return act(*args, **options)

    return both
