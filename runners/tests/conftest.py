"""A Flink cluster with its workers, and the cloud on loopback, for the tests of `make test-flink`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from emulators.bigquery import BigQuery
from emulators.fault_proxy import FaultProxy
from emulators.object_store import ObjectStore
from runners.flink import Cluster
from runners.processes import Process, worker_pool
from tests.cloud import Cloud, variables
from tests.conftest import cloud, cloud_servers, store_proxy  # noqa: F401 - fixtures
from tests.portable import Contents, Loading, balance, sample_logs, wait_for

TASK_MANAGERS = 2
_RETRY_S = "600"
"""For how long workers try again: longer than any test holds them."""


@dataclass(frozen=True)
class Flink:
    """The cluster, and the pool of workers, which reach the object store by the proxy alone."""

    cluster: Cluster
    pool: Process
    proxy: FaultProxy

    @property
    def options(self) -> list[str]:
        """What Beam is told."""
        return self.cluster.beam_options(self.pool, parallelism=TASK_MANAGERS)


@pytest.fixture(scope="session")
def cluster_and_pool(
    cloud_servers: tuple[ObjectStore, BigQuery],  # noqa: F811
    store_proxy: FaultProxy,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Flink]:
    """All processes of the cluster; nothing is left of them, nor of their workers."""
    folder = tmp_path_factory.mktemp("cluster")
    reached = {
        **variables(*cloud_servers),
        "STORAGE_EMULATOR_HOST": store_proxy.url,
        "PIXELSHIP_RETRY_S": _RETRY_S,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        with Cluster() as cluster, worker_pool(reached) as pool:
            yield Flink(cluster, pool, store_proxy)
    assert list(folder.iterdir()) == []
    wait_for(lambda: not processes_in(folder), "the end of all processes")


def processes_in(folder: Path) -> list[str]:
    """The processes whose temporary files are in a folder (Linux only)."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it ended, or is another user's
            if f"TMPDIR={folder}/".encode() in environ.read_bytes():
                found.append(environ.parent.name)
    return found


@pytest.fixture
def flink(cluster_and_pool: Flink) -> Iterator[Flink]:
    """The cluster with two task managers, whatever a test before did to them."""
    cluster, proxy = cluster_and_pool.cluster, cluster_and_pool.proxy
    cluster.add_task_managers(TASK_MANAGERS - len(cluster.task_managers))
    yield cluster_and_pool
    proxy.clear()
    for job in cluster.running():  # of a test that failed
        cluster.cancel(job)


@dataclass(frozen=True)
class OnOneMachine:
    """The cloud with the sample's logs in it, and what the default runner makes of them."""

    cloud: Cloud
    balance: dict[str, object]
    contents: Contents


@pytest.fixture
def expected(cloud: Cloud, tmp_path: Path) -> OnOneMachine:  # noqa: F811
    """The logs, loaded once."""
    for name, log in sample_logs().items():
        cloud.put(name, log)
    here = Loading.fresh(cloud)
    sheet = balance(here.start(tmp=tmp_path / "here"))
    return OnOneMachine(cloud, sheet, here.contents())
