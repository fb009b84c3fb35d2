"""The job on Beam's local runner: what it adds to the staging that it wraps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.beam.graph import Launch, run
from pipeline.errors import ServiceError, SetupError
from pipeline.model import LogObject
from pipeline.sources import Anywhere, LocalFiles
from pipeline.staging import Job, Staged, Work, split
from tests.logs import RULES, Hit, log, tsv

VIEWS = 300


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "staging").mkdir()
    return Job("b1", RULES, str(tmp_path / "staging"), split_bytes=10_000)


def staged(job: Job, launch: Launch) -> Staged:
    """Two logs of 300 views, staged."""
    files = LocalFiles()
    for name in ("a.log", "b.log"):
        lines = (tsv(Hit(request_id=b"%s %d" % (name.encode(), at))) for at in range(VIEWS))
        (Path(job.staging).parent / name).write_bytes(log(*lines))
    objects = [files.pin(name) for name in files.find([str(Path(job.staging).parent / "*.log")])]
    parts = list(split(objects, files.open, job.split_bytes))
    assert len(parts) > 10
    return run(job, parts, launch)


@pytest.mark.parametrize("launch", [Launch(), Launch(workers=2)], ids=["one", "two"])
def test_every_part_is_staged_once_whatever_the_workers(job: Job, launch: Launch) -> None:
    found = staged(job, launch)
    assert [(tally.lines, tally.accepted) for tally in found.tallies.values()] == [
        (VIEWS, VIEWS)
    ] * 2
    assert sum(shard.rows for shard in found.shards) == 2 * VIEWS
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


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--runner=Nonsense", "Unexpected pipeline runner: Nonsense"),
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
        run(job, [], Launch(beam_options=(option,)))
    assert "\n" not in str(raised.value)
