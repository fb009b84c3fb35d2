"""The job on Beam's local runner: what it adds to the staging that it wraps."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.metrics import MetricsFilter

from pipeline.beam.graph import METRICS, BatchWork, Stage, WriteManifest, _stage, run
from pipeline.beam.launch import Launch
from pipeline.errors import ServiceError, SetupError
from pipeline.model import COUNTS, LogObject
from pipeline.signing import KeyRing
from pipeline.sources import Anywhere, LocalFiles
from pipeline.staging import Job, Staged, Work, split
from tests.logs import RULES, SECRET, Hit, log, tsv
from tests.vault import vault_on_loopback

VIEWS = 300


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "staging").mkdir()
    return Job("b1", RULES, str(tmp_path / "staging"), split_bytes=10_000)


def logs_of(job: Job) -> tuple[list[LogObject], list[Work]]:
    """Two logs of 300 views, and one line that is no view; in parts."""
    files = LocalFiles()
    for name in ("a.log", "b.log"):
        lines = [tsv(Hit(request_id=b"%s %d" % (name.encode(), at))) for at in range(VIEWS)]
        extra = [tsv(Hit(uri=b"/i.gif"))] if name == "b.log" else []
        (Path(job.staging).parent / name).write_bytes(log(*lines, *extra))
    objects = [files.pin(name) for name in files.find([str(Path(job.staging).parent / "*.log")])]
    parts = list(split(objects, files.open, job.split_bytes))
    assert len(parts) > 10
    return objects, parts


def staged(job: Job, launch: Launch) -> Staged:
    return run(job, logs_of(job)[1], launch)


@pytest.mark.parametrize("launch", [Launch(), Launch(workers=2)], ids=["one", "two"])
def test_every_part_is_staged_once_whatever_the_workers(job: Job, launch: Launch) -> None:
    found = staged(job, launch)
    tallies = [found.tallies[name] for name in sorted(found.tallies)]
    assert [(tally.lines, tally.accepted) for tally in tallies] == [
        (VIEWS, VIEWS),
        (VIEWS + 1, VIEWS),
    ]
    assert sum(shard.rows for shard in found.shards) == 2 * VIEWS + 1
    assert len({shard.path for shard in found.shards}) == len(found.shards)
    assert found.faults == []


def test_a_file_that_is_gone_fails_the_run(job: Job) -> None:
    gone = replace(LocalFiles().pin(__file__), name=str(Path(job.staging, "gone.log")))
    with pytest.raises(Exception, match=r"gone\.log"):
        run(job, list(split([gone], Anywhere().open, 1 << 30)), Launch())


@pytest.mark.parametrize("workers", [1, 2])
def test_what_workers_say_of_a_failing_service_is_said(
    job: Job, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    monkeypatch.setenv("PIXELSHIP_RETRY_S", "0.1")
    log_of_nowhere = LogObject("gs://logs/a.log", 5, "md5:0", generation=1)
    with pytest.raises(ServiceError, match=r"^Google's service failed to read .* does no harm\.$"):
        run(job, [Work(log_of_nowhere, 0, 5)], Launch(workers))


def test_counters_are_named_like_the_balance_sheet(job: Job) -> None:
    objects, parts = logs_of(job)
    pipeline = Launch().pipeline()
    works = [BatchWork(job, parts)]
    manifest = WriteManifest(f"{job.staging}/counted.json")
    _ = _stage(pipeline, works) | "WriteManifest" >> beam.ParDo(manifest)
    found = pipeline.run().metrics().query(MetricsFilter().with_namespace(METRICS))
    counters = {each.key.metric.name: each.committed for each in found["counters"]}
    assert set(counters) == {*COUNTS, "rejected/unsigned"}
    assert counters["lines"] == 2 * VIEWS + 1
    assert counters["accepted"] == 2 * VIEWS
    assert counters["rejected/unsigned"] == 1
    assert len(objects) == 2


def test_what_passes_between_workers_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    sizes = []
    for views in (20, 1_000):
        folder = tmp_path / str(views)
        folder.mkdir()
        (folder / "a.log").write_bytes(
            log(*(tsv(Hit(request_id=b"%d" % at)) for at in range(views)))
        )
        item = LocalFiles().pin(str(folder / "a.log"))
        job = Job("b1", RULES, str(folder), split_bytes=1 << 30)
        stage = Stage([job])
        stage.setup()
        stage.start_bundle()
        stage.process(("b1", Work(item, 0, item.size)))
        (emitted,) = stage.finish_bundle()
        sizes.append(len(pickle.dumps(emitted.value)))
    assert abs(sizes[1] - sizes[0]) < 100


def test_workers_fetch_the_keys_that_they_are_referred_to(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vault_on_loopback() as vault:
        vault.holds(SECRET.encode())
        monkeypatch.setenv("SECRET_MANAGER_EMULATOR_HOST", vault.url)
        keys_from = "sm://projects/a/secrets/s/versions/1"
        told = replace(job, rules=replace(job.rules, keys=KeyRing()), keys_from=keys_from)
        found = staged(told, Launch())
    assert [tally.accepted for tally in found.tallies.values()] == [VIEWS] * 2
    assert vault.asked


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--runner=Nonsense", "Unexpected pipeline runner: Nonsense"),
        ("--runner=PrismRunner --prism_location=/nowhere", "Beam refuses its options: .*/nowhere"),
        ("--runner=DataflowRunner", "Missing required option: project"),
        ("--runner=PortableRunner", "add --job_endpoint=HOST:PORT"),
        ("--job_endpoint=127.0.0.1:1", "^No job service answers at 127.0.0.1:1: start it"),
        ("--job_endpoint=nowhere", "^No job service answers at nowhere: start it"),
        ("--runner=DaskRunner", "^DaskRunner is refused, as it gives wrong results without"),
        ("--runner=dask", "^DaskRunner is refused"),
        ("--runner=apache_beam.runners.dask.dask_runner.DaskRunner", "^DaskRunner is refused"),
    ],
)
def test_a_runner_that_beam_refuses_is_wrong_set_up(job: Job, option: str, said: str) -> None:
    with pytest.raises(SetupError, match=said) as raised:
        run(job, [], Launch(beam_options=option.split()))
    assert "\n" not in str(raised.value)
