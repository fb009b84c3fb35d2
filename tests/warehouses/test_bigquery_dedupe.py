"""Views that logs hold twice: within a batch each is loaded once, across batches it is a choice."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery

from emulators.bigquery import JobFault
from pipeline.batchlog import BatchLog
from pipeline.errors import ServiceError
from pipeline.warehouses import bigquery_jobs, bigquery_steps
from pipeline.warehouses.bigquery_tables import TableOptions
from tests.cloud import Cloud
from tests.logs import NOON_US, SECOND_US, Hit, log, tsv
from tests.warehouses.bench import MAIL, NEWS, Bench, meanwhile
from tests.warehouses.builders import assert_balanced, save, view, views
from tests.warehouses.conftest import load

ODD_IDS = [
    "it's",
    'quo"te',
    "`tick`",
    "é日本",
    "back\\slash",
    "; DROP TABLE x",
    "%s {} @p",
    "A",
    "a",
]
DAY_US = 86_400 * SECOND_US


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_FIRST_POLL_S", "_FIRST_DELAY_S", "_LONGEST_DELAY_S"):
        monkeypatch.setattr(bigquery_jobs, name, 0.02)


class Killed(BaseException):
    """The process was killed."""


def kill(*_: object, **__: object) -> None:
    raise Killed


def counts(bench: Bench) -> dict[str, tuple[int, int]]:
    """Accepted and duplicate views of each log, by the ledger."""
    sums: dict[str, list[int]] = {}
    for row in bench.rows("pixelship.objects"):
        name = row["name"].rpartition("/")[2]
        for at, count in enumerate((row["accepted"], row["duplicate"])):
            sums.setdefault(name, [0, 0])[at] += count
    return {name: (accepted, duplicate) for name, (accepted, duplicate) in sums.items()}


# Within a batch


@pytest.mark.parametrize("dedupe", ["view", "merge", "off"])
def test_within_a_batch_each_view_is_loaded_once(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, dedupe: Any
) -> None:
    monkeypatch.setattr("pipeline.staging._MOST_ROWS", 2)
    monkeypatch.setattr(bigquery_steps, "MOST_FILES", 2)
    bench = Bench(cloud, dedupe)
    lines = [tsv(Hit(request_id=id_.encode())) for id_ in ODD_IDS]
    cloud.put("a.log", log(*lines, lines[0]))
    cloud.put("b.log", log(*reversed(lines), view("new")))
    report = bench.run()
    assert (report.total.accepted, report.total.duplicate) == (len(ODD_IDS) + 1, len(ODD_IDS) + 1)
    assert report.destinations == {NEWS: len(ODD_IDS) + 1}
    assert len(set(bench.ids())) == len(bench.ids()) == len(ODD_IDS) + 1
    assert counts(bench) == {"a.log": (len(ODD_IDS), 1), "b.log": (1, len(ODD_IDS))}
    assert bench.incoming() == []
    assert_balanced(bench)


# Across batches


@pytest.mark.parametrize("dedupe", ["view", "merge", "off"])
def test_across_batches_it_is_as_chosen(cloud: Cloud, dedupe: Any) -> None:
    bench = Bench(cloud, dedupe)
    bench.put("a.log", "one", "two", "it's")
    bench.run()
    bench.put("b.log", "three", "it's", "two", "two")
    report = bench.run()
    tables = bench.cloud.tables()
    loaded = Counter(bench.ids())
    assert loaded.keys() == {"one", "two", "three", "it's"}
    if dedupe == "merge":
        assert set(loaded.values()) == {1}
        assert (report.total.accepted, report.total.duplicate) == (1, 3)
        assert counts(bench) == {"a.log": (3, 0), "b.log": (1, 3)}
    else:
        assert (loaded["two"], loaded["it's"], loaded["one"]) == (2, 2, 1)
        assert (report.total.accepted, report.total.duplicate) == (3, 1)
    if dedupe == "view":
        assert bench.ids(f"{NEWS}_once") == sorted(loaded)
    else:
        assert bench.rows(f"{NEWS}_once") == []
    assert tables == bench.cloud.tables()
    assert bench.incoming() == []
    assert_balanced(bench)


def test_a_view_of_the_same_id_at_another_time_is_another(cloud: Cloud) -> None:
    bench = Bench(cloud, "merge")
    cloud.put("a.log", log(view("one"), view("two", time_us=NOON_US + DAY_US)))
    bench.run()
    cloud.put("b.log", log(view("one", time_us=NOON_US + 9 * DAY_US)))
    assert bench.run().total.duplicate == 0
    assert bench.ids() == ["one", "one", "two"]


def test_a_line_that_stays_in_its_place_of_a_file_that_changed_is_a_duplicate(
    cloud: Cloud, tmp_path: Path
) -> None:
    bench = Bench(cloud, "merge")
    for id_ in ("two", "three"):
        report = load(bench, save(tmp_path, "a.log", views("one", id_)))
    assert (report.total.accepted, report.total.duplicate) == (1, 1)
    assert bench.ids() == ["one", "three", "two"]


# The view beside a table


def test_the_view_shows_the_first_of_each_and_all_its_columns(cloud: Cloud) -> None:
    bench = Bench(cloud, "view")
    bench.put("b.log", "one")
    bench.run()
    bench.put("a.log", "two", "one")
    bench.run()
    (row,) = (row for row in bench.rows(f"{NEWS}_once") if row["event_id"] == "one")
    assert (row["batch"], row["source_object"][-5:]) == ("00000001", "b.log")
    assert list(row) == list(bench.rows(NEWS)[0])


def test_the_view_can_be_asked_where_a_time_must_be_named(cloud: Cloud) -> None:
    bench = Bench(cloud, "view", tables=TableOptions(require_partition_filter=True))
    for name in ("a.log", "b.log"):
        bench.put(name, "one", name)
        bench.run()
    with pytest.raises(BadRequest, match="without a filter"):
        cloud.ask(f"SELECT event_id FROM `{NEWS}_once`")
    day = "timestamp >= '2025-11-21' AND timestamp < '2025-11-22'"
    found = cloud.ask(f"SELECT event_id FROM `{NEWS}_once` WHERE {day}")
    assert sorted(row["event_id"] for row in found) == ["a.log", "b.log", "one"]


def test_a_table_is_loaded_where_its_view_cannot_be_made(cloud: Cloud) -> None:
    bench = Bench(cloud, "view")
    cloud.bigquery.deny(cloud.project, "news", "pageviews_once")
    bench.put("a.log", "one")
    bench.put("b.log", "two", to=MAIL)
    report = bench.run()
    assert (report.is_clean, report.destinations) == (True, {NEWS: 1, MAIL: 1})
    cloud.bigquery.allow(cloud.project)
    bench.put("c.log", "three")
    bench.run()
    assert bench.ids(f"{NEWS}_once") == ["one", "three"]


def test_what_has_the_views_name_is_left_alone(cloud: Cloud) -> None:
    bench = Bench(cloud, "view")
    for name, to in (("a.log", f"{NEWS}_once"), ("b.log", NEWS)):
        bench.put(name, name, to=to)
        assert bench.run().is_clean
    assert (bench.ids(f"{NEWS}_once"), bench.ids()) == (["a.log"], ["b.log"])


# Merging, and what comes between


@pytest.fixture
def merging(cloud: Cloud) -> Bench:
    """One batch is loaded; another log waits, with one view of the first and a new one."""
    bench = Bench(cloud, "merge", tables=TableOptions(require_partition_filter=True))
    bench.put("a.log", "one", "zero")
    bench.run()
    bench.put("b.log", "two", "one")
    return bench


def assert_merged(bench: Bench) -> None:
    """Each view once, counted as it should be, and nothing left over."""
    found = bench.cloud.ask(f"SELECT event_id FROM `{NEWS}` WHERE timestamp >= '2000-01-01'")
    assert sorted(row["event_id"] for row in found) == ["one", "two", "zero"]
    assert counts(bench) == {"a.log": (2, 0), "b.log": (1, 1)}
    batches = bench.rows("pixelship.batches")
    assert [sum(row[name] for row in batches) for name in ("accepted", "duplicate")] == [3, 1]


@pytest.mark.parametrize("step", ["make", "append", "merge", "count", "decide", "enter", "done"])
def test_a_run_killed_anywhere_on_the_way_changes_nothing(
    merging: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    client = bigquery.Client
    with monkeypatch.context() as patch:
        if step == "make":
            patch.setattr(client, "create_table", kill)
        elif step == "append":
            patch.setattr(client, "load_table_from_uri", kill)
        elif step in {"merge", "count"}:
            query, left = client.query, {"merge": 1, "count": 2}[step]

            def query_some(self: bigquery.Client, *args: Any, **options: Any) -> Any:
                nonlocal left
                left -= 1
                return query(self, *args, **options) if left >= 0 else kill()

            patch.setattr(client, "query", query_some)
        elif step == "decide":
            patch.setattr(BatchLog, "loaded", kill)
        elif step == "enter":
            patch.setattr(bigquery_steps, "ledger_rows", kill)
        else:
            patch.setattr(BatchLog, "done", kill)
        with pytest.raises(Killed):
            merging.run()
    report = merging.run()
    assert report.destinations == {NEWS: 1}
    assert (report.total.accepted, report.total.duplicate) == (1, 1)
    assert_merged(merging)


def test_rows_that_could_not_be_merged_are_merged_later(merging: Bench) -> None:
    merge = f"px_00000002_{merging.name_of_jobs(NEWS)}m_g"
    bigquery_ = merging.cloud.bigquery
    bigquery_.add_fault(JobFault("accessDenied", project=merging.cloud.project, job_id=merge))
    report = merging.run()
    assert report.parked == {NEWS: 2}
    assert report.parked_why == {
        NEWS: "BigQuery says: Access Denied: Permission bigquery.tables.updateData denied"
    }
    assert merging.incoming() == []
    merging.put("c.log", "two", "one", "zero")
    report = merging.run()
    assert (report.unparked, report.total.duplicate) == ({NEWS: 1}, 3)
    assert merging.incoming() == []
    found = merging.cloud.ask(f"SELECT event_id FROM `{NEWS}` WHERE timestamp >= '2000-01-01'")
    assert sorted(row["event_id"] for row in found) == ["one", "two", "zero"]
    assert counts(merging) == {"a.log": (2, 0), "b.log": (1, 1), "c.log": (0, 3)}


def test_a_question_that_fails_for_a_passing_reason_is_asked_again_by_the_next_run(
    merging: Bench,
) -> None:
    fault = JobFault("rateLimitExceeded", project=merging.cloud.project, job_id="(?!px_)")
    merging.cloud.bigquery.add_fault(fault)
    with pytest.raises(ServiceError, match=r"failed to look into news\.pageviews"):
        merging.run()
    assert merging.run().destinations == {NEWS: 1}
    assert_merged(merging)


def test_a_dataset_that_takes_no_further_tables_parks_its_rows_alone(merging: Bench) -> None:
    merging.put("c.log", "other", to=MAIL)
    merging.cloud.bigquery.deny(merging.cloud.project, "news", what="write")
    report = merging.run()
    assert (report.destinations, report.parked) == ({MAIL: 1}, {NEWS: 2})
    merging.cloud.bigquery.allow(merging.cloud.project)
    assert merging.run().unparked == {NEWS: 1}


def test_parked_rows_of_one_table_are_merged_one_after_the_other(cloud: Cloud) -> None:
    """BigQuery's merges that run side by side do not see each other's rows."""
    bench = Bench(cloud, "merge")
    bench.refuse(NEWS)
    for name in ("a.log", "b.log", "c.log"):
        bench.put(name, name, "same")
        bench.run()
    bench.mend(NEWS)
    slow = JobFault(project=cloud.project, job_id=".*m_g", lasts_s=0.2, times=3)
    cloud.bigquery.add_fault(slow)
    bench.run("none*")
    merges = [
        (job.started, job.ended)
        for job in jobs_of(bench)
        if job.job_id.startswith("px_") and "m_g" in job.job_id
    ]
    assert len(merges) == 3
    merges.sort()
    assert all(first[1] <= second[0] for first, second in pairwise(merges))
    assert counts(bench) == {"a.log": (2, 0), "b.log": (1, 1), "c.log": (1, 1)}
    assert_balanced(bench)


def jobs_of(bench: Bench) -> list[Any]:
    with bench.cloud.client() as client:
        return list(client.list_jobs())


def test_no_batch_is_merged_while_another_is_open(merging: Bench) -> None:
    with merging.open() as first, merging.open() as second:
        assert second.open_batches() == []
        first.known([])
        assert first.plan([]) is not None
        second.known([])
        assert second.plan([]) is None


def test_state_folders_merge_into_one_table_without_harm(merging: Bench) -> None:
    other = merging.with_state("other")
    create = bigquery.Client.query
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bigquery.Client, "query", meanwhile(create, lambda: other.run("b.log")))
        merging.run()
    found = merging.cloud.ask(f"SELECT event_id FROM `{NEWS}` WHERE timestamp >= '2000-01-01'")
    assert sorted(row["event_id"] for row in found) == ["one", "two", "zero"]
    assert merging.incoming() == []


# The choice is made for a batch when it is planned


@pytest.mark.parametrize(
    ("first", "then"), [("merge", "view"), ("view", "merge"), ("off", "merge")]
)
def test_a_run_that_chooses_otherwise_does_not_load_a_batch_in_another_way(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, first: Any, then: Any
) -> None:
    bench = Bench(cloud, first)
    bench.put("a.log", "one")
    with monkeypatch.context() as patch:
        patch.setattr(BatchLog, "loaded", kill)
        with pytest.raises(Killed):
            bench.run()
    bench.having(dedupe=then).run()
    assert bench.ids() == ["one"]
    bench.refuse(MAIL)
    bench.put("b.log", "other", to=MAIL)
    bench.run()
    bench.mend(MAIL)
    bench.having(dedupe=then).run()
    assert bench.ids(MAIL) == ["other"]
    assert_balanced(bench)
