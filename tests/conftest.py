"""What all tests share: the cloud on loopback, and how many examples the property tests try."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from emulators.bigquery import BigQuery
from emulators.fault_proxy import FaultProxy
from emulators.object_store import ObjectStore
from pipeline import gcp
from tests.cloud import BUCKET, Cloud, fresh_cloud, variables

settings.register_profile(
    "local", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, database=None)
settings.load_profile("ci" if "CI" in os.environ else "local")

HERE = Path(__file__).parent
IN_DEPTH = (
    "batchlog/test_interleavings.py",
    "batchlog/test_late.py",
    "batchlog/test_races.py",
    "emulators",
    "faults",
    "hostile",
    "integration",
    "properties",
    "test_benchmarks.py",
    "test_hostile.py",
    "test_kill.py",
    "test_ship_kill.py",
    "warehouses/test_sequences.py",
)
"""What runs code again and again that other tests run once, or in other processes, or none of the package."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves out of coverage what tries in depth: tracing would cost it half its time again."""
    for item in items:
        if any(item.path.is_relative_to(HERE / name) for name in IN_DEPTH):
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(scope="session")
def cloud_servers() -> Iterator[tuple[ObjectStore, BigQuery]]:
    """The object store and BigQuery on loopback; this process's clients are led to them."""
    with ObjectStore() as store, BigQuery(store.root) as bigquery:
        store.make_bucket(BUCKET)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables(store, bigquery).items():
                patch.setenv(name, value)
            yield store, bigquery


@pytest.fixture
def cloud(cloud_servers: tuple[ObjectStore, BigQuery]) -> Iterator[Cloud]:
    """A project and a folder of its own in the cloud on loopback."""
    cloud = fresh_cloud(*cloud_servers)
    yield cloud
    cloud.bigquery.forget(cloud.project)
    cloud.store.empty_bucket(BUCKET)


@pytest.fixture(scope="session")
def store_proxy(cloud_servers: tuple[ObjectStore, BigQuery]) -> Iterator[FaultProxy]:
    """A proxy before the object store."""
    with FaultProxy(cloud_servers[0].url) as proxy:
        yield proxy


@pytest.fixture
def faults(store_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """Has the code under test go by the proxy; it gives up after a few seconds, and waits little."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store_proxy.url)
    monkeypatch.setattr(gcp, "FIRST_WAIT_S", 0.001)
    store_proxy.forget()
    yield store_proxy
    store_proxy.clear()


@pytest.fixture
def proxy(faults: FaultProxy) -> Iterator[FaultProxy]:
    """The same for tests of refused downloads, whose sockets the garbage collector has to close."""
    yield faults
    gc.collect()


@pytest.fixture
def without_beam(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the main job stage in this thread: what Beam adds has its own tests, and takes its time."""
    from tests.staging import stage_here

    monkeypatch.setattr("pipeline.load.run", stage_here)
