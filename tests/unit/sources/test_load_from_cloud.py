"""Logs in the cloud give the rows that the same logs give as local files, whatever becomes of them."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from emulators.fault_proxy import FaultProxy
from emulators.faults import Fault
from pipeline import load as main_job
from pipeline.load import Order, load
from pipeline.sources import Search, cloud_storage
from pipeline.staging import Job
from pipeline.warehouses.contract import Report
from pipeline.warehouses.duckdb import DuckDBWarehouse, connect
from tests.logs import RULES, Hit, log, tsv
from tests.unit.conftest import Bucket

SPLIT_BYTES = 5_000


def lines(first: int, last: int) -> bytes:
    return log(*(tsv(Hit(request_id=b"view %d" % number)) for number in range(first, last)))


PLAIN, GZIP, ZSTD = lines(0, 100), gzip.compress(lines(100, 200)), zstd.compress(lines(200, 300))


class Place:
    """A DuckDB file, and where its logs are."""

    def __init__(self, logs: str, path: Path) -> None:
        self._logs = logs
        self._path = path

    def load(self) -> Report:
        order = Order(Search([self._logs]), RULES)
        with DuckDBWarehouse(str(self._path)) as warehouse:
            return load(warehouse, order, lambda *_: None)

    def rows(self, columns: str = "* EXCLUDE (batch, source_object)") -> list[Sequence[Any]]:
        with connect(self._path, read_only=True) as db:
            asked = db.execute(f"SELECT {columns} FROM news.pageviews ORDER BY event_id")
            return asked.fetchall()


@pytest.fixture
def cloud_logs(bucket: Bucket) -> Bucket:
    bucket.put("logs/a.log", PLAIN)
    bucket.put("logs/b.log.gz", GZIP, content_encoding="gzip")
    bucket.put("logs/2025/c.log.zst", ZSTD)
    return bucket


@pytest.fixture
def place(cloud_logs: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The logs are read in parts of a few lines, each in several requests."""
    monkeypatch.setattr(main_job, "Job", partial(Job, split_bytes=SPLIT_BYTES))
    monkeypatch.setattr(cloud_storage, "LEAST_READ_BYTES", 400)
    monkeypatch.setattr(cloud_storage, "MOST_READ_BYTES", 1_500)
    return Place(f"{cloud_logs.url}/logs/", tmp_path / "cloud.duckdb")


@pytest.fixture
def local_rows(tmp_path: Path) -> list[Sequence[Any]]:
    folder = tmp_path / "logs"
    folder.mkdir()
    for name, data in (("a.log", PLAIN), ("b.log.gz", GZIP), ("c.log.zst", ZSTD)):
        (folder / name).write_bytes(data)
    place = Place(str(folder), tmp_path / "local.duckdb")
    assert place.load().total.accepted == 300
    return place.rows()


def test_the_rows_are_those_of_local_files(
    place: Place, cloud_logs: Bucket, local_rows: list[Sequence[Any]]
) -> None:
    report = place.load()
    assert (report.objects, report.total.accepted, report.is_clean) == (3, 300, True)
    assert report.bytes == len(PLAIN) + len(GZIP) + len(ZSTD)
    assert place.rows() == local_rows
    names = {f"{cloud_logs.url}/logs/{name}" for name in ("a.log", "b.log.gz", "2025/c.log.zst")}
    assert {name for (name,) in place.rows("source_object")} == names


def test_the_rows_are_the_same_when_much_goes_wrong(
    place: Place, faults: FaultProxy, local_rows: list[Sequence[Any]]
) -> None:
    media, head, body = "alt=media", {"when": "after"}, {"when": "after", "where": "body"}
    planned = [
        *(Fault("refuse", path="/o\\?", status=status) for status in (503, 429, 500)),
        *(Fault("refuse", path=media, status=503, skip=skip) for skip in (0, 5, 9, 20)),
        *(Fault("cut", path=media, skip=skip, **head) for skip in (1, 7, 19)),
        *(Fault("cut", path=media, skip=skip, **body) for skip in (2, 8, 15, 25, 35)),
    ]
    faults.add(*planned)
    assert place.load().total.accepted == 300
    assert faults.hits() == [1] * len(planned)
    assert place.rows() == local_rows


def test_what_was_loaded_is_unchanged_also_as_a_new_generation(
    place: Place, cloud_logs: Bucket
) -> None:
    place.load()
    cloud_logs.put("logs/a.log", PLAIN)
    cloud_logs.put("logs/b.log.gz", GZIP)
    report = place.load()
    assert (report.objects, report.unchanged, report.quarantined) == (0, 3, [])


def test_of_what_grew_the_rest_is_loaded(place: Place, cloud_logs: Bucket) -> None:
    place.load()
    cloud_logs.put("logs/a.log", PLAIN + lines(300, 310))
    cloud_logs.put("logs/b.log.gz", GZIP + gzip.compress(lines(310, 330)), "gzip")
    cloud_logs.put("logs/2025/c.log.zst", ZSTD + zstd.compress(lines(330, 360)))
    report = place.load()
    assert (report.objects, report.total.lines, report.total.accepted) == (3, 60, 60)
    assert report.bytes < len(PLAIN)
    assert len(place.rows("DISTINCT event_id")) == 360
    assert place.load().unchanged == 3


def test_what_was_changed_or_copied_is_quarantined_until_a_person_has_looked(
    place: Place, cloud_logs: Bucket
) -> None:
    place.load()
    cloud_logs.put("logs/a.log", PLAIN.replace(b"view 0\t", b"view x\t") + lines(300, 310))
    cloud_logs.put("logs/copy.log.gz", GZIP)
    cloud_logs.put("logs/new.log", lines(400, 401))
    for loaded in (1, 0):
        report = place.load()
        assert (report.objects, report.is_clean) == (loaded, False)
        why = {each.name.removeprefix(cloud_logs.url): each.why for each in report.quarantined}
        assert why.keys() == {"/logs/a.log", "/logs/copy.log.gz"}
        assert "no longer its first ones" in why["/logs/a.log"]
        assert f"{cloud_logs.url}/logs/b.log.gz" in why["/logs/copy.log.gz"]
    assert len(place.rows()) == 301


def test_a_folder_without_logs_is_loaded_in_vain(place: Place, cloud_logs: Bucket) -> None:
    for name in cloud_logs.names():
        cloud_logs.delete(name)
    report = place.load()
    assert (report.objects, report.is_clean) == (0, True)
