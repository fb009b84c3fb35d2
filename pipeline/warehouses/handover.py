"""Ends batches elsewhere than where they were planned: in a job that nobody waits for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.batchlog.lease import Lease
from pipeline.staging import Staged
from pipeline.warehouses.contract import Warehouse
from pipeline.warehouses.telling import tell_batch, tell_what_waits


@dataclass(frozen=True)
class Handover:
    """What such a job is told: how to open the warehouse, the tables of opens and hits, the lease."""

    open: Callable[[], Warehouse]
    opens: str | None = None
    hits: str | None = None
    lease: Lease | None = None

    def commit(self, batch: str, staged: Staged) -> None:
        """Commits a batch, unless another run has done so. Raises BalanceError."""
        with self.open() as warehouse:
            for each in warehouse.open_batches():
                if each.id == batch:
                    counted = warehouse.staged(each) or staged
                    report = warehouse.commit(each, counted)
                    warehouse.make_views(self.opens, self.hits)
                    tell_batch(report, counted.latest_us)
                    tell_what_waits(report)

    def finish(self) -> None:
        """Lets the next run begin."""
        if self.lease:
            self.lease.release()
