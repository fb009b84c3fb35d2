"""BigQuery as the warehouse where runs work at once, are killed, and where things vanish meanwhile."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from emulators.bigquery import JobFault
from pipeline.batchlog import BatchLog, CloudStore, Decision
from pipeline.errors import SetupError
from pipeline.model import Tally
from pipeline.sources import Anywhere, Search
from pipeline.unload import unload
from pipeline.warehouses import bigquery_jobs, bigquery_ledger
from pipeline.warehouses.bigquery import BigQueryWarehouse
from pipeline.warehouses.bigquery_loads import Loader
from pipeline.warehouses.maintenance import Selection
from tests.cloud import Cloud
from tests.warehouses.bench import MAIL, NEWS, Bench, meanwhile
from tests.warehouses.builders import assert_balanced
from tests.warehouses.weaving import KilledError, Run, weave


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_FIRST_POLL_S", "_FIRST_DELAY_S", "_LONGEST_DELAY_S"):
        monkeypatch.setattr(bigquery_jobs, name, 0.02)


@pytest.fixture
def bench(cloud: Cloud) -> Bench:
    return Bench(cloud, "off")


def kill(*_: object, **__: object) -> None:
    raise KilledError


# Runs that work at once


@pytest.mark.parametrize("dedupe", ["view", "merge"])
@pytest.mark.parametrize("seed", range(3))
def test_in_whatever_order_runs_take_their_steps_each_view_is_loaded_once(
    cloud: Cloud, dedupe: Any, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311
    bench = Bench(cloud, dedupe)
    with bench.open():
        pass
    bench.refuse(MAIL)
    bench.put("x/a.log", "a1", "a2", "same", "a1")
    bench.put("y/b.log", "b1", "same")
    bench.put("x/m.log", "m1", "same", to=MAIL)
    bench.put("y/n.log", "n1", "same", to=MAIL)
    runs = [
        Run(bench, every=1),
        Run(bench, chance.choice(["", "x/"]), chance.choice([1, 20])),
        Run(bench, chance.choice(["", "y/"]), 20, chance.randrange(5, 60)),
    ]
    weave(runs, chance, {chance.randrange(20, 120): lambda: bench.mend(MAIL)})
    bench.put("y/b.log", "b1", "same", "b2")
    last = [bench.run(every=1) for _ in range(2)][-1]
    assert (last.is_clean, last.batches) == (True, [])
    news, mail = Counter(bench.ids()), Counter(bench.ids(MAIL))
    assert (set(news), set(mail)) == ({"a1", "a2", "b1", "b2", "same"}, {"m1", "n1", "same"})
    assert {id_ for id_, times in (news + mail).items() if times > 1} == {"same"}
    assert max(news["same"], mail["same"]) <= (1 if dedupe == "merge" else 2)
    assert_balanced(bench)
    if dedupe == "view":
        assert bench.ids(f"{NEWS}_once") == sorted(news)


def test_two_planners_plan_one_batch_after_the_other(bench: Bench) -> None:
    bench.put("a.log", "one")
    bench.put("b.log", "two")
    objects = Anywhere().list_objects(Search([f"{bench.cloud.folder}/logs/"])).objects
    with bench.open() as first, bench.open() as second:
        assert first.known(objects) == second.known(objects) == []
        planned = first.plan(objects[:1])
        assert planned
        assert planned.id == "00000001"
        assert second.plan(objects[:1]) is None
        assert [item.name for item in second.known(objects)] == [objects[0].name]
        later = second.plan(objects[1:])
        assert later
        assert later.id == "00000002"
        assert [batch.id for batch in first.open_batches()] == ["00000001", "00000002"]
    report = bench.run()
    assert (report.batches, report.unchanged) == (["00000001", "00000002"], 2)
    assert bench.ids() == ["one", "two"]


@pytest.mark.parametrize("step", ["staging", "stage", "loaded", "done"])
def test_a_run_that_is_overtaken_leaves_it_at_that(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Just before one of its steps another run finishes its batch, and clears it away."""

    def rival() -> None:
        with bench.open() as warehouse:
            bench.run_in(warehouse, "", 1)
            assert warehouse._log.view().last_checkpoint == "00000001"

    bench.put("a.log", "one")
    with monkeypatch.context() as patch:
        patch.setattr(BatchLog, step, meanwhile(getattr(BatchLog, step), rival))
        assert bench.run().is_clean
    assert bench.ids() == ["one"]
    assert bench.run().batches == []
    assert_balanced(bench)


@pytest.mark.parametrize(("step", "batches"), [("loaded", []), ("done", ["00000001"])])
def test_what_was_staged_may_be_cleared_away_before_it_is_looked_at(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str, batches: list[str]
) -> None:
    bench.put("a.log", "one")
    with monkeypatch.context() as patch:
        patch.setattr(BatchLog, step, kill)
        with pytest.raises(KilledError):
            bench.run()
    with bench.open() as late, bench.open() as rival:
        (batch,) = late.open_batches()
        bench.run_in(rival, "", 1)
        staged = late.staged(batch)
        assert staged is not None
        assert late.commit(batch, staged).batches == batches
    assert bench.ids() == ["one"]


def test_staged_files_that_are_gone_from_an_open_batch_are_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put("a.log", "one")
    with monkeypatch.context() as patch:
        patch.setattr(BatchLog, "loaded", kill)
        with pytest.raises(KilledError):
            bench.run()
    store = CloudStore(bench.options.state)
    store.remove([each.name for each in store.list("staging/") if "manifest" in each.name])
    with pytest.raises(
        SetupError, match=r"manifest\.json is gone, and with it rows of batch 00000001"
    ):
        bench.run()


def test_the_first_decision_counts_also_where_a_rival_parked_what_we_loaded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rival's job fails; ours, begun thereafter, does not."""
    bench.put("a.log", "one")
    job_id = f"px_00000001_{bench.name_of_jobs(NEWS)}_g"
    fault = JobFault("invalid", kind="load", project=bench.cloud.project, job_id=job_id)
    bench.cloud.bigquery.add_fault(fault)
    with monkeypatch.context() as patch:
        patch.setattr(Loader, "load", meanwhile(Loader.load, bench.run))
        report = bench.run()
    assert (report.destinations, report.parked, bench.ids()) == ({}, {NEWS: 1}, ["one"])
    report = bench.run()
    assert (report.unparked, report.is_clean) == ({NEWS: 1}, True)
    assert bench.ids() == ["one"]
    assert_balanced(bench)


# Rows that wait


def park(bench: Bench, name: str, *ids: str) -> None:
    """A batch whose rows wait."""
    bench.put(name, *ids)
    assert NEWS in bench.run().parked


@pytest.fixture
def parked(bench: Bench) -> Bench:
    """Rows that wait for their table, which was mended since."""
    bench.refuse(NEWS)
    park(bench, "a.log", "one", "two")
    park(bench, "b.log", "three")
    bench.mend(NEWS)
    return bench


@pytest.mark.parametrize("step", ["plan", "loaded", "done"])
def test_unparking_may_be_killed_anywhere(
    parked: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(BatchLog, step, kill)
        with pytest.raises(KilledError):
            parked.run()
    report = parked.run()
    assert (report.unparked, report.is_clean) == ({NEWS: 3}, True)
    assert parked.run().unparked == {}
    assert parked.ids() == ["one", "three", "two"]
    assert_balanced(parked)


@pytest.mark.parametrize("step", ["view", "parked", "plan", "loaded", "done"])
def test_a_rival_may_unpark_first(
    parked: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def rival() -> None:
        with parked.open() as warehouse:
            assert parked.run_in(warehouse, "", 1).unparked == {NEWS: 3}

    with parked.open() as late, monkeypatch.context() as patch:
        patch.setattr(BatchLog, step, meanwhile(getattr(BatchLog, step), rival))
        report = late.unpark()
    assert report.parked == {}
    assert parked.ids() == ["one", "three", "two"]
    assert parked.run().is_clean
    assert_balanced(parked)


def test_an_unload_parks_what_is_left_of_several_batches(bench: Bench) -> None:
    bench.refuse(NEWS)
    for batch in ("1", "2"):
        bench.put("grows.log", *[f"g{number}" for number in range(1, int(batch) + 1)])
        park(bench, f"{batch}.log", f"stays {batch}")
    name = f"{bench.cloud.folder}/logs/grows.log"
    with bench.open() as warehouse:
        assert unload(warehouse, Selection(objects=(name,))).rows["pixelship.parked"] == 2
    bench.mend(NEWS)
    report = bench.run("[12].log")
    assert (report.unparked, report.parked) == ({NEWS: 2}, {})
    assert bench.ids() == ["stays 1", "stays 2"]
    assert bench.run().destinations == {NEWS: 2}
    assert_balanced(bench)


def test_rows_that_waited_too_long_wait_for_a_person(
    parked: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Later:
            return cls.fromtimestamp(
                (datetime.now(timezone.utc) + timedelta(days=151)).timestamp(), tz
            )

    with monkeypatch.context() as patch:
        patch.setattr(bigquery_ledger, "datetime", Later)
        report = parked.run()
    assert report.parked == {NEWS: 3}
    assert "BigQuery may no longer know whether they were loaded" in report.parked_why[NEWS]
    assert parked.run().unparked == {NEWS: 3}


# Logs that vanish


@pytest.mark.parametrize("change", ["gone", "replaced", "grown"])
def test_logs_that_vanish_before_they_are_staged_count_as_never_seen(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    stays, goes = bench.put("a.log", "one"), bench.put("b.log", "two")
    with monkeypatch.context() as patch:
        patch.setattr(BigQueryWarehouse, "staging", kill)
        with pytest.raises(KilledError):
            bench.run()
    CloudStore(f"{bench.cloud.folder}/logs").remove(["b.log"])
    if change != "gone":
        bench.put("b.log", *{"replaced": ("three",), "grown": ("two", "three")}[change])
    report = bench.run()
    assert [(fault.object, fault.fault) for fault in report.faults] == [
        (goes, "was gone or changed before it could be read: it counts as never seen")
    ]
    whole = {"gone": [], "replaced": ["three"], "grown": ["three", "two"]}[change]
    assert (report.objects, report.batches) == (1 + bool(whole), ["00000001", "00000002"][: 1 + bool(whole)])  # fmt: skip
    assert bench.ids() == ["one", *whole]
    named = [row["name"] for row in bench.rows("pixelship.objects")]
    assert sorted(named) == [stays, goes][: 1 + bool(whole)]
    assert bench.run().is_clean
    assert_balanced(bench)


def test_a_batch_all_of_whose_logs_vanished_is_closed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put("a.log", "one")
    with monkeypatch.context() as patch:
        patch.setattr(BigQueryWarehouse, "staging", kill)
        with pytest.raises(KilledError):
            bench.run()
    CloudStore(f"{bench.cloud.folder}/logs").remove(["a.log"])
    report = bench.run()
    assert (report.batches, report.objects, report.is_clean) == (["00000001"], 0, False)
    assert (bench.log().view().open, bench.run().is_clean) == ((), True)
    assert_balanced(bench)


def test_a_batch_that_is_abandoned_meanwhile_came_to_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put("a.log", "one")
    with monkeypatch.context() as patch:
        patch.setattr(BatchLog, "stage", kill)
        with pytest.raises(KilledError):
            bench.run()
    (open_,) = bench.log().view().open
    bench.log().loaded(open_.batch, Decision("abandoned"))
    report = bench.run()
    assert (report.batches, report.total) == (["00000002"], Tally(lines=1, accepted=1))
    assert bench.ids() == ["one"]
    assert_balanced(bench)
