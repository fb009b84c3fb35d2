"""The job by Beam's local portable job service: pickled, sent, and run by a worker of its protocol."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runners.processes import local_job_service
from tests.cloud import Cloud
from tests.portable import Loading, balance, contents_of, sample_logs, start


@pytest.fixture(scope="module")
def options() -> Iterator[tuple[str, ...]]:
    """What Beam is told to use the job service."""
    with local_job_service() as service:
        place = f"--job_endpoint={service.endpoint}"
        yield "--runner=PortableRunner", place, "--environment_type=LOOPBACK"


def test_a_file_gets_the_same_rows(tmp_path: Path, options: tuple[str, ...]) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    for name, log in sample_logs().items():
        (logs / name).write_bytes(log)

    def load(name: str, *options: str) -> subprocess.Popen[str]:
        words = ("load", str(logs), "--to", f"duckdb:{tmp_path / name}")
        return start(*words, *options, variables=os.environ, tmp=tmp_path / "tmp")

    here, there = load("here.duckdb"), load("there.duckdb", *options)
    assert balance(here) == balance(there)
    assert contents_of(tmp_path / "here.duckdb") == contents_of(tmp_path / "there.duckdb")


def test_bigquery_gets_the_same_rows(
    tmp_path: Path, cloud: Cloud, options: tuple[str, ...]
) -> None:
    for name, log in sample_logs().items():
        cloud.put(name, log)
    here, there = Loading.fresh(cloud), Loading.fresh(cloud)
    runs = here.start(tmp=tmp_path / "tmp"), there.start(*options, tmp=tmp_path / "tmp")
    assert balance(runs[0]) == balance(runs[1])
    contents = here.contents()
    assert contents == there.contents()
    assert len(contents["news.pageviews"]) > 1000
