"""`pixelship load` where nobody waits for the job: it ends its batches by itself."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest

from pipeline import load as main_job
from pipeline.batchlog import CloudStore
from pipeline.batchlog.lease import Lease
from pipeline.errors import ServiceError
from tests.cli.conftest import Done, Pixelship
from tests.cloud import Cloud
from tests.logs import GOOGLEBOT, NOON_US, Hit, log, signed, tsv

ALONE = "--no_wait_until_finish"
TABLES = ("news.pageviews", "mail.opens", "pixelship.objects", "pixelship.rejects")


def lines(*ids: bytes) -> bytes:
    views = [tsv(Hit(request_id=id_)) for id_ in ids]
    opens = tsv(Hit(request_id=ids[0] + b"o", uri=b"/i.gif?" + signed(d="mail.opens")))
    return log(*views, opens, tsv(Hit(user_agent=GOOGLEBOT)), tsv(Hit(uri=b"/i.gif")))


@dataclass
class Shell:
    pixelship: Pixelship
    cloud: Cloud

    def load(self, *words: str, logs: str | None = None) -> Done:
        place = ("--to", f"bigquery:{self.cloud.project}", "--state", self.cloud.state)
        return self.pixelship("load", logs or f"{self.cloud.folder}/logs/", *place, *words)

    def rows(self, *tables: str) -> list[int]:
        counts = [f"(SELECT COUNT(*) FROM `{table}`)" for table in tables]
        return list(self.cloud.ask(f"SELECT {', '.join(counts)}")[0].values())


@pytest.fixture
def shell(cloud: Cloud, pixelship: Pixelship) -> Shell:
    return Shell(pixelship, cloud)


def events(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]


def test_the_job_loads_by_itself_once(shell: Shell) -> None:
    shell.cloud.put("a.log", lines(b"1", b"2"))
    shell.cloud.put("b.log", lines(b"3"))
    done = shell.load(ALONE)
    assert (done.status, done.stdout) == (
        0,
        "Launched: Batch 00000001; the job that was launched loads it.\n",
    )
    assert shell.rows(*TABLES) == [3, 2, 2, 2]
    assert shell.load(ALONE).stdout == "Nothing new: 2 files loaded before.\n"
    assert shell.load().stdout == "Nothing new: 2 files loaded before.\n"
    assert shell.rows(*TABLES) == [3, 2, 2, 2]


def test_what_is_launched_is_in_the_report(shell: Shell) -> None:
    shell.cloud.put("a.log", lines(b"1"))
    sheet = shell.load(ALONE, "--json").json
    assert (sheet["launched"], sheet["batches"], sheet["lines"]) == (["00000001"], [], 0)


def test_batches_that_were_left_open_are_ended_by_the_job(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose shards were never made, of which a log is gone by now, and a new one."""

    def fail(*_: object) -> None:
        raise ServiceError("the machine died")

    gone = shell.cloud.put("a.log", lines(b"1"))
    shell.cloud.put("b.log", lines(b"2"))
    with monkeypatch.context() as patch:
        patch.setattr(main_job, "run_alone", fail)
        assert shell.load(ALONE).status == 3
    remove(gone)
    shell.cloud.put("c.log", lines(b"3", b"4"))
    assert shell.load(ALONE, "--json").json["launched"] == ["00000001", "00000002"]
    assert shell.rows(*TABLES) == [3, 2, 2, 2]
    assert shell.load(ALONE, "--json").json["launched"] == []


def test_merges_are_launched_one_batch_at_a_time(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.plan.MOST_OBJECTS", 1)
    for name in ("a", "b", "c"):
        shell.cloud.put(f"{name}.log", lines(b"1", name.encode()))
    loads = [shell.load(ALONE, "--dedupe", "merge", "--json").json for _ in range(4)]
    assert [(len(sheet["launched"]), sheet["left"]) for sheet in loads] == [
        (1, 2), (1, 1), (1, 0), (0, 0),
    ]  # fmt: skip
    assert shell.rows("news.pageviews", "mail.opens") == [4, 1]


def test_a_job_takes_no_more_logs_than_its_graph_can_name(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.plan.MOST_OBJECTS", 2)
    monkeypatch.setattr(main_job, "MOST_OBJECTS", 4)
    for name in ("a", "b", "c", "d", "e"):
        shell.cloud.put(f"{name}.log", lines(name.encode()))
    first = shell.load(ALONE)
    assert first.stdout.splitlines() == [
        "Launched: Batches 00000001, 00000002; the job that was launched loads it.",
        "Left for the next run: 1 file.",
    ]
    assert shell.load(ALONE, "--json").json["launched"] == ["00000003"]
    assert shell.rows("news.pageviews") == [5]


def test_a_duckdb_file_is_for_who_waits(pixelship: Pixelship) -> None:
    done = pixelship("load", "nothing", ALONE, "--to", "duckdb:a.duckdb")
    assert (done.status, done.stdout) == (2, "")
    assert "leave out --no_wait_until_finish" in done.stderr


# Leases


@pytest.mark.parametrize("words", [(), (ALONE,)], ids=["waiting", "alone"])
def test_a_run_holds_the_lease_until_its_batches_are_done(
    shell: Shell, words: tuple[str, ...]
) -> None:
    for at in range(3):
        shell.cloud.put(f"{at}.log", lines(b"%d" % at))
        assert shell.load("--lease", "600", *words).status == 0
    assert shell.rows("news.pageviews") == [3]


def test_while_another_run_is_at_work_nothing_is_done(shell: Shell) -> None:
    shell.cloud.put("a.log", lines(b"1"))
    other = Lease(CloudStore(shell.cloud.state), 600)
    assert other.take() is None
    done = shell.load("--lease", "600", "--log", "json")
    assert done.status == 0
    assert done.stdout.startswith("Another run is at work, and holds the lease until 20")
    assert [event["event"] for event in events(done)] == ["lease_held"]
    assert shell.load("--lease", "600", "--json").json["held_until"] > "20"
    other.release()
    assert shell.load("--lease", "600", "--json").json["objects"] == 1


def test_a_run_that_fails_holds_no_lease(shell: Shell) -> None:
    shell.cloud.put("a.log", lines(b"1"))
    assert shell.load("--lease", "600", logs=f"gs://{'nowhere' * 3}/").status == 2
    assert shell.load("--lease", "600", "--json").json["objects"] == 1


def test_a_duckdb_file_has_no_leases(pixelship: Pixelship) -> None:
    done = pixelship("load", "nothing", "--lease", "60")
    assert (done.status, done.stderr.count("\n")) == (2, 1)
    assert "--lease is for bigquery:PROJECT" in done.stderr


# Structured logs


@pytest.fixture
def told(shell: Shell) -> list[dict[str, Any]]:
    shell.cloud.put("a.log", lines(b"1", b"2") + b"\xff\n")
    shell.cloud.put("damaged.gz", b"\x1f\x8b\x08nothing")
    return events(shell.load("--log", "json"))


def test_the_log_tells_of_batches_by_their_balance_sheet(told: list[dict[str, Any]]) -> None:
    by_event = {event["event"]: event for event in told}
    assert list(by_event) == [
        "batch_planned",
        "batch_done",
        "rejected",
        "object_damaged",
        "run_done",
    ]
    done = by_event["batch_done"]
    assert {name: done[name] for name in ("batch", "severity", "objects", "lines")} == {
        "batch": "00000001", "severity": "INFO", "objects": 2, "lines": 6,
    }  # fmt: skip
    assert done["lag_s"] == pytest.approx(time.time() - NOON_US / 1e6, abs=600)
    fates = ("header", "not_pixel", "accepted", "bot", "duplicate", "rejected")
    assert sum(done[name] for name in fates) == done["lines"] + done["extra_events"]
    rejected = {event["reason"]: event["lines"] for event in told if event["event"] == "rejected"}
    assert rejected == {"malformed": 1, "unsigned": 1}
    damage = by_event["object_damaged"]
    assert damage["severity"] == "WARNING"
    assert damage["object"].endswith("/damaged.gz")
    assert damage["reason"]
    assert (by_event["run_done"]["batches"], by_event["run_done"]["damaged"]) == (1, 1)
    assert all(event["message"].endswith(".") for event in told)


def test_the_job_that_is_alone_tells_the_same(shell: Shell) -> None:
    shell.cloud.put("a.log", lines(b"1"))
    found = [event["event"] for event in events(shell.load(ALONE, "--log", "json"))]
    assert found == ["batch_planned", "batch_done", "rejected", "run_done"]


def test_a_failed_run_is_told_of(shell: Shell) -> None:
    done = shell.load("--log", "json", logs="gs://nowhere-at-all/")
    assert [(event["event"], event["severity"]) for event in events(done)] == [
        ("run_failed", "ERROR")
    ]
    assert events(done)[0]["reason"] in done.stderr.splitlines()[-1]


def test_without_it_standard_error_stays_empty(shell: Shell) -> None:
    shell.cloud.put("a.log", lines(b"1"))
    assert shell.load().stderr == ""


def remove(url: str) -> None:
    from pipeline import gcp

    gcp.blob_of(url).delete()
