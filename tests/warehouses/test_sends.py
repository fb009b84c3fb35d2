"""Sends are noted all or none, whatever happens meanwhile, and the files on the way are removed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from emulators.bigquery import JobFault
from pipeline import gcp
from pipeline.batchlog import CloudStore
from pipeline.errors import SetupError
from pipeline.sends import Mailing, Send, new_ids, rows_of
from pipeline.warehouses import bigquery_jobs, bigquery_views
from pipeline.warehouses.duckdb import DuckDBWarehouse
from tests.cloud import BUCKET
from tests.test_kill import FORKED
from tests.warehouses.conftest import BigQueryPlace, DuckDBPlace
from tests.warehouses.deadly import deadly

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
SENT = rows_of(
    [Send(id_, NOW, Mailing("7", "acme", "Spring")) for id_ in new_ids(50)], "mail.opens"
)


def note_and_die(path: Path, step: str) -> None:
    with deadly(step), DuckDBWarehouse(str(path)) as warehouse:
        warehouse.add_sends(SENT, "mail.opens")


@pytest.mark.parametrize(
    ("step", "noted"),
    [
        ("before 1 INSERT INTO", 0),
        ("after 1 INSERT INTO", 0),
        ("after 1 CREATE OR REPLACE VIEW", 0),
        ("before 2 COMMIT", 0),
        ("after 2 COMMIT", 50),
    ],
)
def test_a_call_that_is_killed_leaves_nothing_or_all(
    duckdb_place: DuckDBPlace, step: str, noted: int
) -> None:
    process = FORKED.Process(target=note_and_die, args=(duckdb_place.path, step))
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    assert len(duckdb_place.rows("pixelship.sends")) == noted
    with DuckDBWarehouse(str(duckdb_place.path)) as warehouse:
        warehouse.add_sends(SENT.slice(0, 0), "mail.opens")
    told = duckdb_place.ask("SELECT sends FROM pixelship.campaigns")
    assert told == ([(noted,)] if noted else [])


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_FIRST_POLL_S", "_FIRST_DELAY_S", "_LONGEST_DELAY_S"):
        monkeypatch.setattr(bigquery_jobs, name, 0.02)


def left_behind(place: BigQueryPlace) -> list[str]:
    folder = place.cloud.state.partition(f"{BUCKET}/")[2]
    blobs = gcp.storage_client().list_blobs(BUCKET, prefix=f"{folder}/sends/")
    return [blob.name for blob in blobs]


FAULTS: dict[str, Callable[[str], JobFault]] = {
    "a job that fails and passes": lambda project: JobFault("backendError", "job", "load", project, times=2),
    "a job that is refused for a while": lambda project: JobFault("backendError", "insert", "load", project),
    "a job that lasts": lambda project: JobFault(None, "job", "load", project, lasts_s=0.3),
}  # fmt: skip


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_load_that_falters_notes_each_send_once(
    bigquery_place: BigQueryPlace, fault: Callable[[str], JobFault]
) -> None:
    cloud = bigquery_place.cloud
    cloud.bigquery.add_fault(fault(cloud.project))
    with bigquery_place.open() as warehouse:
        warehouse.add_sends(SENT, "mail.opens")
    assert sorted(row["send_id"] for row in bigquery_place.rows("pixelship.sends")) == sorted(
        SENT["send_id"].to_pylist()
    )
    assert left_behind(bigquery_place) == []


def test_what_a_killed_call_left_is_removed_by_a_later_one(
    bigquery_place: BigQueryPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bigquery_place.open() as warehouse:
        with monkeypatch.context() as killed:
            killed.setattr(CloudStore, "remove", lambda *_: None)
            warehouse.add_sends(SENT.slice(0, 1), "mail.opens")
        warehouse.add_sends(SENT.slice(1, 1), "mail.opens")
        assert len(left_behind(bigquery_place)) == 1
        monkeypatch.setattr(bigquery_views, "_LEFT_BEHIND", timedelta(0))
        warehouse.add_sends(SENT.slice(2, 1), "mail.opens")
    assert left_behind(bigquery_place) == []


@pytest.mark.usefixtures("_impatient")
def test_a_load_that_fails_notes_nothing(bigquery_place: BigQueryPlace) -> None:
    cloud = bigquery_place.cloud
    fault = JobFault("invalid", "job", "load", cloud.project, message="no such luck", times=9)
    cloud.bigquery.add_fault(fault)
    with bigquery_place.open() as warehouse, pytest.raises(SetupError, match="no such luck"):
        warehouse.add_sends(SENT, "mail.opens")
    assert bigquery_place.rows("pixelship.sends") == []
    assert left_behind(bigquery_place) == []


def test_sends_are_known_by_their_ids(
    bigquery_place: BigQueryPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.warehouses.bigquery_views._IDS_AT_ONCE", 7)
    ids = SENT["send_id"].to_pylist()
    with bigquery_place.open() as warehouse:
        assert warehouse.known_sends(ids) == set()
        warehouse.add_sends(SENT, "mail.opens")
        assert warehouse.known_sends([*ids, "it's", "`x`"]) == set(ids)


def test_ids_that_two_imports_brought_at_once_show_once(bigquery_place: BigQueryPlace) -> None:
    with bigquery_place.open() as warehouse:
        for _ in range(2):
            warehouse.add_sends(SENT, "mail.opens")
    assert [row["sends"] for row in bigquery_place.rows("pixelship.campaigns")] == [50]


def test_names_that_are_none_do_not_get_into_a_view(duckdb_place: DuckDBPlace) -> None:
    with DuckDBWarehouse(str(duckdb_place.path)) as warehouse:
        warehouse.add_sends(SENT, "mail.opens")
    duckdb_place.run(
        "UPDATE pixelship.sends SET opens_table = 'x\"; DROP TABLE y' WHERE send_id < '8'"
    )
    with DuckDBWarehouse(str(duckdb_place.path)) as warehouse:
        warehouse.make_views("mail.opens", None)
    assert duckdb_place.ask("SELECT sends FROM pixelship.campaigns") == [(50,)]


def test_a_table_of_sends_that_is_not_ours_is_left_alone(duckdb_place: DuckDBPlace) -> None:
    with DuckDBWarehouse(str(duckdb_place.path)):
        pass
    duckdb_place.run("CREATE TABLE pixelship.sends AS SELECT 1 AS send_id")
    with DuckDBWarehouse(str(duckdb_place.path)) as warehouse:
        warehouse.make_views("mail.opens", None)
        with pytest.raises(SetupError, match=r"its column send_id is INTEGER, not VARCHAR"):
            warehouse.add_sends(SENT, "mail.opens")
    assert duckdb_place.ask("SELECT * FROM pixelship.sends") == [(1,)]
