"""Very many tables and partitions: what BigQuery's limits mean for a run."""

from __future__ import annotations

from threading import Barrier
from typing import Any, cast

import pytest

from emulators.bigquery import JobFault
from pipeline.errors import ServiceError
from pipeline.model import Batch
from pipeline.staging import PERIOD_HOURS, Shard, Staged
from pipeline.warehouses import bigquery_jobs, bigquery_quotas
from pipeline.warehouses.bigquery_loads import Loaded, Lot
from pipeline.warehouses.bigquery_quotas import advice
from pipeline.warehouses.bigquery_steps import Steps, lots
from pipeline.warehouses.bigquery_tables import TableOptions
from tests.cloud import Cloud
from tests.logs import NOON_US, SECOND_US, log
from tests.warehouses.bench import MAIL, NEWS, Bench
from tests.warehouses.builders import assert_balanced, status, view


@pytest.mark.parametrize("at", ["insert", "job"])
def test_a_project_without_quota_ends_the_run_and_a_later_one_goes_on(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    monkeypatch.setattr(bigquery_jobs, "_FIRST_POLL_S", 0.02)
    bench = Bench(cloud, "off")
    bench.put("a.log", "one")
    words = "Quota exceeded: Your project exceeded quota for imports per project."
    job_id = f"px_00000001_{bench.name_of_jobs(NEWS)}_g"
    fault = JobFault(
        "quotaExceeded", at=at, kind="load", project=cloud.project, job_id=job_id, message=words
    )
    cloud.bigquery.add_fault(fault)
    with pytest.raises(ServiceError, match=r"no more load jobs of this project .* load less often"):
        bench.run()
    assert bench.log().view().parked == ()
    bench.put("b.log", "two")
    report = bench.run()
    assert (report.batches, report.parked) == (["00000001", "00000002"], {})
    assert bench.ids() == ["one", "two"]
    assert_balanced(bench)


def test_many_jobs_are_waited_for_at_the_same_time() -> None:
    together = Barrier(32)

    class Meeting:
        def load(self, lot: Lot) -> Loaded:
            together.wait(60)
            return Loaded(lot.rows)

    steps = Steps(cast("Any", None), cast("Any", Meeting()))
    found = steps.load_all(Lot("00000001", f"a.t{number}", (), 1) for number in range(64))
    assert [cast("Loaded", outcome).rows for _, outcome in found] == [1] * 64


def test_rows_of_more_partitions_than_a_job_may_change_are_loaded_by_several(cloud: Cloud) -> None:
    bench = Bench(cloud, "off", tables=TableOptions(partition="hour"))
    period_us = PERIOD_HOURS * 3600 * SECOND_US
    begin_us = NOON_US // period_us * period_us
    hours = range(PERIOD_HOURS + 1)
    lines = (view(f"{hour}", time_us=begin_us + hour * 3600 * SECOND_US) for hour in hours)
    cloud.put("years.log", log(*lines))
    report = bench.run()
    assert (report.destinations, report.parked) == ({NEWS: len(hours)}, {})
    assert len(bench.jobs("pageviews")) == 2
    assert bench.ids() == sorted(str(hour) for hour in hours)
    assert bench.run().batches == []


def test_parts_are_the_same_for_whoever_divides_a_manifest() -> None:
    shards = [Shard("event", NEWS, f"p{at}", 1, period) for at, period in enumerate((3, 1, 3, 2))]
    found = list(lots(Batch("00000001", ()), Staged(shards), "off"))
    assert [(lot.part, lot.paths) for lot in found] == [
        (0, ("p1",)),
        (1, ("p3",)),
        (2, ("p0", "p2")),
    ]
    old = [Shard("event", NEWS, f"p{at}", 1) for at in range(3)]
    (lot,) = lots(Batch("00000001", ()), Staged(old), "off")
    assert (lot.part, lot.paths) == (0, ("p0", "p1", "p2"))


def test_the_status_counts_load_jobs_and_warns_before_the_quota(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(cloud, "off")
    bench.put("a.log", "one")
    bench.put("b.log", "two", to=MAIL)
    bench.run()
    told = status(bench)
    assert (told.load_jobs, told.advice) == (2 + bigquery_quotas.OWN_TABLES, None)
    monkeypatch.setattr(bigquery_quotas, "JOBS_A_DAY", 7)
    assert "6 load jobs in 24 hours, of the 7" in (status(bench).advice or "")


def test_the_advice_is_how_often_to_load() -> None:
    assert advice(0, 0) is None
    assert advice(79_999, 16) is None
    assert (advice(5_004 * 16, 16) or "").endswith("load every 91 minutes, or less often")
    assert (advice(5_004 * 288, 288) or "").startswith(
        "1,441,152 load jobs in 24 hours, of the 100,000"
    )
    assert (advice(5_004 * 288, 288) or "").endswith("load every 91 minutes, or less often")
