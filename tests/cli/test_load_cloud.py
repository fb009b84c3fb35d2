"""`pixelship load` with Google Cloud: what it prints, what it leaves alone, how it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.cloud import bigquery

from emulators.bigquery import JobFault
from emulators.fault_proxy import FaultProxy
from emulators.faults import Fault
from pipeline import gcp
from pipeline.costs import estimate
from pipeline.errors import ServiceError
from pipeline.warehouses.bigquery import BigQueryWarehouse
from tests.cli.conftest import Done, Pixelship
from tests.cli.test_load import KEYS_OF_THE_BALANCE_SHEET
from tests.cloud import BUCKET, Cloud
from tests.logs import GOOGLEBOT, Hit, log, signed, tsv

LOG = log(
    tsv(Hit(request_id=b"1")),
    tsv(Hit(request_id=b"1")),
    tsv(Hit(request_id=b"2", uri=b"/i.gif?" + signed(d="mail.opens"))),
    tsv(Hit(request_id=b"3", user_agent=GOOGLEBOT)),
    tsv(Hit(uri=b"/other")),
    tsv(Hit(uri=b"/i.gif")),
)
KEYS_OF_THE_PLAN = [
    "open_batches", "batches", "objects", "bytes", "unchanged", "waiting", "quarantined", "faults", "usd",
]  # fmt: skip


@dataclass
class Shell:
    """The command, and the cloud that it works in."""

    pixelship: Pixelship
    cloud: Cloud

    @property
    def logs(self) -> str:
        return f"{self.cloud.folder}/logs/"

    def load(self, *words: str, env: dict[str, str | None] | None = None) -> Done:
        """Loads the folder of logs into BigQuery."""
        place = ("--to", f"bigquery:{self.cloud.project}", "--state", self.cloud.state)
        return self.run("load", self.logs, *place, *words, env=env or {})

    def run(self, *words: str, env: dict[str, str | None] | None = None) -> Done:
        """One sentence at most on standard error, and never a traceback."""
        done = self.pixelship(*words, env=env or {})
        assert "Traceback" not in done.stdout + done.stderr
        assert done.stderr.count("\n") <= 1 + (done.status == 2 and "Usage:" in done.stderr) * 9
        assert bool(done.stderr) == (done.status >= 2)
        return done

    def everything(self) -> tuple[dict[str, int], list[str], list[str]]:
        """All objects with their generations, all tables, all files."""
        blobs = gcp.storage_client().list_blobs(BUCKET)
        files = [str(path) for path in Path().rglob("*")]
        objects = {blob.name: blob.generation for blob in blobs}
        return objects, sorted(self.cloud.tables()), sorted(files)


@pytest.fixture
def shell(cloud: Cloud, pixelship: Pixelship) -> Shell:
    return Shell(pixelship, cloud)


def test_a_bucket_is_loaded_into_bigquery_once(shell: Shell) -> None:
    shell.cloud.put("a.log", LOG)
    done = shell.load("--json")
    assert (done.status, list(done.json)) == (0, KEYS_OF_THE_BALANCE_SHEET)
    assert done.json | {"seconds": 0} == {
        "batches": ["00000001"], "objects": 1, "unchanged": 0, "waiting": 0, "quarantined": [], "lines": 6, "extra_events": 0, "header": 0,
        "not_pixel": 1, "accepted": 2, "bot": 1, "duplicate": 1, "rejected": {"unsigned": 1},
        "destinations": {"mail.opens": 1, "news.pageviews": 1}, "parked": {}, "unparked": {},
        "faults": [], "seconds": 0, "bytes": len(LOG), "launched": [], "left": 0, "held_until": None,
    }  # fmt: skip
    assert shell.load().stdout == "Nothing new: 1 file loaded before.\n"
    for name, rows in (("news.pageviews", 1), ("mail.opens", 1), ("pixelship.objects", 1)):
        assert shell.cloud.ask(f"SELECT COUNT(*) AS rows FROM `{name}`") == [{"rows": rows}]


def test_the_options_for_bigquery_reach_it(shell: Shell) -> None:
    shell.cloud.put("a.log", LOG)
    options = ("--partition", "hour", "--partition-expiry", "40", "--require-partition-filter")
    assert shell.load("--dedupe", "off", "--location", "EU", *options).status == 0
    with shell.cloud.client() as client:
        made = client.get_table(f"{shell.cloud.project}.news.pageviews")
        assert client.get_dataset("news").location == "EU"
    partitions = made.time_partitioning
    assert (partitions.type_, partitions.expiration_ms) == ("HOUR", 40 * 86_400_000)
    assert made.require_partition_filter
    assert "news.pageviews_once" not in str(list_views(shell))


def list_views(shell: Shell) -> list[str]:
    with shell.cloud.client() as client:
        return [
            table.table_id for table in client.list_tables("news") if table.table_type == "VIEW"
        ]


def test_views_are_merged_where_asked(shell: Shell) -> None:
    shell.cloud.put("a.log", LOG)
    shell.load("--dedupe", "merge")
    shell.cloud.put("b.log", log(tsv(Hit(request_id=b"9"))) + LOG)
    sheet = shell.load("--dedupe", "merge", "--json").json
    assert (sheet["accepted"], sheet["duplicate"]) == (1, 3)
    assert sheet["destinations"] == {"mail.opens": 0, "news.pageviews": 1}
    assert list_views(shell) == []


def test_a_bucket_may_be_loaded_into_a_file(shell: Shell) -> None:
    shell.cloud.put("a.log", LOG)
    done = shell.run("load", shell.logs, "--to", "duckdb:it.duckdb", "--json")
    assert (done.status, done.json["accepted"]) == (0, 2)
    assert shell.run("load", shell.logs, "--to", "duckdb:it.duckdb").stdout.startswith(
        "Nothing new"
    )


# What is not loaded, and why


def test_what_is_quarantined_is_told_until_it_is_mended(shell: Shell) -> None:
    shell.cloud.put("a.log", LOG)
    shell.cloud.put("copy.log", LOG)
    done = shell.load("--json")
    assert (done.status, done.json["objects"]) == (1, 1)
    (told,) = done.json["quarantined"]
    assert list(told) == ["name", "generation", "size", "why"]
    shell.cloud.put("a.log", LOG[5:])
    done = shell.load()
    assert done.status == 1
    assert done.stdout.splitlines() == [
        "Nothing new: 0 files loaded before.",
        f"Quarantined: {shell.logs}a.log the {len(LOG):,} bytes that were loaded are no longer its first ones.",
        f"Quarantined: {shell.logs}copy.log has the same content as {shell.logs}a.log, which is loaded.",
    ]
    shell.cloud.put("a.log", LOG)
    shell.cloud.put("copy.log", LOG[:-1] + b" \n" + LOG)
    assert shell.load("--json").json["quarantined"] == []


def test_young_logs_wait(shell: Shell) -> None:
    shell.cloud.put("a.log", LOG)
    done = shell.load("--settle", "3600")
    assert (done.status, done.stdout) == (
        0,
        "Nothing new: 0 files loaded before.\nLeft for later: 1 file written just now.\n",
    )
    assert shell.load("--settle", "3600", "--json").json["waiting"] == 1
    assert shell.load("--json").json["objects"] == 1


def test_parked_rows_end_with_1_until_they_are_loaded(shell: Shell) -> None:
    with shell.cloud.client() as client:
        client.create_dataset("mail")
        view = bigquery.Table(f"{shell.cloud.project}.mail.opens")
        view.view_query = "SELECT 1 AS one"
        client.create_table(view)
        shell.cloud.put("a.log", LOG)
        for _ in range(2):
            done = shell.load()
            assert done.status == 1
            assert done.stdout.endswith("Parked: 1 rows for mail.opens: a view has its name.\n")
        client.delete_table(view)
    done = shell.load()
    assert (done.status, done.stdout.splitlines()[-1]) == (
        0,
        "Loaded from parking: 1 rows into mail.opens.",
    )


def test_a_log_that_is_replaced_while_it_is_read_is_loaded_by_the_next_run(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.cloud.put("a.log", LOG)
    goes = shell.cloud.put("b.log", log(tsv(Hit(request_id=b"old"))))
    staging = BigQueryWarehouse.staging

    def late(*args: Any) -> str:
        shell.cloud.put("b.log", log(tsv(Hit(request_id=b"new"))))
        return staging(*args)

    with monkeypatch.context() as patch:
        patch.setattr(BigQueryWarehouse, "staging", late)
        done = shell.load()
    assert (done.status, done.stdout) == (3, "")
    assert "was removed or replaced meanwhile; running again does no harm." in done.stderr
    done = shell.load("--json")
    assert (done.status, done.json["batches"]) == (1, ["00000001", "00000002"])
    gone = "was gone or changed before it could be read: it counts as never seen"
    assert done.json["faults"] == [{"object": goes, "position": 0, "fault": gone}]
    found = shell.cloud.ask("SELECT event_id FROM `news.pageviews`")
    assert sorted(row["event_id"] for row in found) == ["1", "new"]
    assert shell.load().status == 0


# Plans


@pytest.mark.parametrize("words", [(), ("--json",)])
@pytest.mark.parametrize("to", ["bigquery", "duckdb"])
@pytest.mark.parametrize("is_used", [False, True])
def test_a_plan_writes_nothing_at_all(
    shell: Shell, to: str, words: tuple[str, ...], is_used: bool
) -> None:
    place = ["--to", "duckdb:it.duckdb"]
    if to == "bigquery":
        place = ["--to", f"bigquery:{shell.cloud.project}", "--state", shell.cloud.state]
    shell.cloud.put("a.log", LOG)
    if is_used:
        shell.run("load", shell.logs, *place)
        shell.cloud.put("b.log", LOG)
        shell.cloud.put("c.log", LOG[:-1] + b"x\n")
    before = shell.everything()
    done = shell.run("load", shell.logs, *place, "--plan", *words)
    assert shell.everything() == before
    assert done.status == 0
    if words:
        assert list(done.json) == KEYS_OF_THE_PLAN
        assert (done.json["objects"], done.json["unchanged"]) == (1, int(is_used))
        assert len(done.json["quarantined"]) == int(is_used)
        assert (done.json["usd"] > 0) == (to == "bigquery")
    else:
        assert done.stdout.endswith("Nothing was written.\n")
        assert ("About $0.0001" in done.stdout) == (to == "bigquery")


def test_a_plan_needs_no_bigquery(shell: Shell) -> None:
    shell.cloud.put("a.log", LOG)
    done = shell.load("--plan", env={"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:9"})
    assert done.status == 0


def test_a_plan_names_open_batches_and_the_first_of_many_quarantined_logs(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(23):
        shell.cloud.put(f"{number:02}.log", LOG)
    with monkeypatch.context() as patch:
        patch.setattr(BigQueryWarehouse, "staging", broken)
        assert shell.load().status == 3
    lines = shell.load("--plan").stdout.splitlines()
    assert lines[0] == "Batch 00000001 is open and would be finished first: 1 logs."
    assert sum(line.startswith("Quarantined: gs://") for line in lines) == 20
    assert "Quarantined: 2 more; --json tells all." in lines
    plan = shell.load("--plan", "--json").json
    assert (plan["open_batches"], len(plan["quarantined"])) == (["00000001"], 22)


def broken(*_: object) -> Any:
    raise ServiceError("The machine is broken.")


@pytest.fixture
def counted(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """Counts what is asked of Cloud Storage."""
    with FaultProxy(shell.cloud.store.url) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        yield proxy


def test_the_estimate_is_near_what_is_asked_of_the_service(
    shell: Shell, counted: FaultProxy
) -> None:
    for number in range(12):
        shell.cloud.put(f"{number}.log", log(tsv(Hit(request_id=b"%d" % number))) + LOG)
    counted.forget()
    assert shell.load().status == 0
    asked = counted.seen()
    lists = [each for each in asked if each.method == "GET" and each.path.endswith("/o")]
    writes = [each for each in asked if each.method != "GET"]
    cost = estimate(12 * len(LOG), 12, 1, merges=False)
    assert cost.writes == pytest.approx(len(writes) + len(lists), rel=0.2)
    assert cost.reads == pytest.approx(len(asked) - len(writes) - len(lists), rel=0.3)
    assert cost.queried_bytes == 0
    assert estimate(12 * len(LOG), 12, 1, merges=True).queried_bytes == 3 * 10 * 2**20


# Wrong usage, wrong set-up


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", "bigquery:a-project"), "BigQuery needs --state gs://BUCKET/FOLDER, where the batch log is kept."),
        (("--to", "bigquery:a-project", "--state", "folder/state"), "BigQuery needs --state gs://BUCKET/FOLDER, where the batch log is kept."),
        (("--to", "bigquery:a-project", "--state", "gs://"), "'gs://' names no object: write it as gs://BUCKET/NAME."),
        (("--to", "bigquery:X", "--state", "gs://b-1/s"), "'X' is no project id: write --to bigquery:PROJECT."),
        (("--to", "bigquery:", "--state", "gs://b-1/s"), "--to 'bigquery:' names no warehouse: write duckdb:PATH or bigquery:PROJECT."),
        (("--state", "gs://b-1/s"), "--state is for bigquery:PROJECT: a DuckDB file keeps its own state."),
        (("--to", "bigquery:a-project", "--state", "gs://no-bucket/s"), "What is needed to list gs://no-bucket/s/batches/ does not exist"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("plan", [(), ("--plan",)])
def test_a_place_that_is_none_is_said_to_be_none(
    shell: Shell, words: tuple[str, ...], plan: tuple[str, ...], said: str
) -> None:
    shell.cloud.put("a.log", LOG)
    done = shell.run("load", shell.logs, *words, *plan)
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {said}")


def test_logs_that_are_not_there_are_named(shell: Shell) -> None:
    done = shell.run("load", f"{shell.logs}none.log", "--plan")
    assert done.stderr == f"Error: No log object is there under '{shell.logs}none.log': check the name.\n"  # fmt: skip
    done = shell.run("load", "gs://no-such-bucket/logs/", "--plan")
    assert done.stderr.startswith("Error: What is needed to list gs://no-such-bucket/logs/ does not exist")  # fmt: skip
    assert shell.load().stdout == "Nothing new: 0 files loaded before.\n"


@pytest.mark.parametrize("plan", [(), ("--plan",)])
def test_a_state_folder_is_of_one_project(shell: Shell, plan: tuple[str, ...]) -> None:
    shell.cloud.put("a.log", LOG)
    shell.load()
    place = ("--to", "bigquery:another-project", "--state", shell.cloud.state)
    done = shell.run("load", shell.logs, *place, *plan)
    assert done.status == 2
    assert done.stderr == (
        f"Error: {shell.cloud.state} knows what was loaded into the project {shell.cloud.project}: "
        "name another --state for another-project.\n"
    )


@pytest.mark.parametrize("plan", [(), ("--plan",)])
def test_a_state_folder_among_the_logs_is_refused(shell: Shell, plan: tuple[str, ...]) -> None:
    shell.cloud.put("a.log", LOG)
    state = f"{shell.logs}state/"
    place = ("--to", f"bigquery:{shell.cloud.project}", "--state", state)
    shell.run("load", f"{shell.logs}*.log", *place)
    done = shell.run("load", shell.logs, *place, *plan)
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: The state folder {state} lies where logs are looked for")


@pytest.mark.parametrize("without", ["STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"])
def test_without_credentials_it_says_how_to_get_some(shell: Shell, without: str) -> None:
    shell.cloud.put("a.log", LOG)
    nobody = {"HOME": os.devnull, "NO_GCE_CHECK": "true", "GOOGLE_APPLICATION_CREDENTIALS": None}
    done = shell.load(env={**nobody, without: None})
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: No Google credentials are there to ")
    assert "run `gcloud auth application-default login`" in done.stderr


# Permissions and failures


def test_a_project_that_may_not_be_changed_is_named(shell: Shell) -> None:
    shell.cloud.put("a.log", LOG)
    shell.cloud.bigquery.deny(shell.cloud.project, what="create_datasets")
    done = shell.load()
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr == "Error: pixelship.rejects cannot be loaded: the dataset pixelship is missing and may not be created.\n"  # fmt: skip


@pytest.mark.parametrize("service", ["STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"])
def test_a_service_that_does_not_answer_ends_with_3(shell: Shell, service: str) -> None:
    shell.cloud.put("a.log", LOG)
    done = shell.load(env={service: "http://127.0.0.1:9", "PIXELSHIP_RETRY_S": "1"})
    assert (done.status, done.stdout) == (3, "")
    assert done.stderr.startswith("Error: Google's service failed to ")
    assert done.stderr.endswith("running again does no harm.\n")
    assert shell.load().status == 0


def test_a_job_that_cannot_be_begun_ends_with_3_and_the_next_run_goes_on(shell: Shell) -> None:
    shell.cloud.put("a.log", LOG)
    fault = JobFault("backendError", at="insert", project=shell.cloud.project, times=1000)
    shell.cloud.bigquery.add_fault(fault)
    done = shell.load(env={"PIXELSHIP_RETRY_S": "1"})
    assert (done.status, done.stdout) == (3, "")
    assert "Google's service failed to begin a job for" in done.stderr
    shell.cloud.bigquery.clear_faults(shell.cloud.project)
    done = shell.load("--json")
    assert (done.status, done.json["batches"], done.json["accepted"]) == (0, ["00000001"], 2)


def test_what_refuses_a_worker_is_said_in_one_sentence(shell: Shell, counted: FaultProxy) -> None:
    shell.cloud.put("a.log", LOG)
    counted.add(Fault("refuse", "POST", "/upload/", status=403, times=1000, skip=2))
    done = shell.load()
    assert (done.status, done.stdout) == (2, "")
    assert "There is no permission to write gs://" in done.stderr
