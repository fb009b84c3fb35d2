"""The log in a real object store, with Google's client, and with faults on the wire."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from uuid import uuid4

import pytest

from emulators.fault_proxy import FaultProxy
from emulators.faults import AFTER, BEFORE, CUT, REFUSE, Fault
from pipeline import gcp
from pipeline.batchlog import BatchLog, CloudStore, Decision
from pipeline.batchlog.store import MOST_BYTES
from pipeline.errors import ServiceError, SetupError
from tests.batchlog.stores import MemoryStore
from tests.batchlog.test_log import load, rows
from tests.batchlog.world import log_object
from tests.cloud import BUCKET, UPLOAD_FAULT_NAMES, UPLOAD_FAULTS

A, B, C = (log_object(name) for name in "abc")


pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
"""Google's client leaves a download that was refused to the garbage collector, with its socket."""


@pytest.fixture
def store(proxy: FaultProxy) -> CloudStore:
    return CloudStore(f"gs://{BUCKET}/{uuid4().hex}/state")


def test_objects_are_created_once(store: CloudStore) -> None:
    assert store.read("batches/1") is None
    assert store.create("batches/1", b"first")
    assert not store.create("batches/1", b"second")
    assert store.create("batches/1", b"first")
    assert store.read("batches/1") == b"first"


def test_lists_are_in_the_order_of_names_with_the_servers_time(store: CloudStore) -> None:
    for name in ("b/2", "b/10", "a", "b/1.x"):
        store.create(name, b"")
    assert [each.name for each in store.list("b/")] == ["b/1.x", "b/10", "b/2"]
    (entry,) = store.list("a")
    assert abs(entry.created_at - datetime.now(timezone.utc)) < timedelta(minutes=1)
    assert store.list("nothing") == []


def test_objects_are_read_by_their_generation(store: CloudStore) -> None:
    store.create("x", b"first")
    (first,) = store.list("x")
    store.remove(["x"])
    assert store.read("x", first.generation) is None
    store.create("x", b"second")
    (second,) = store.list("x")
    assert first.generation != second.generation
    assert store.read("x", first.generation) is None
    assert store.read("x", second.generation) == b"second"


def test_removing_what_is_not_there_is_fine(store: CloudStore) -> None:
    store.create("x", b"")
    store.remove(["x", "y"])
    store.remove(["x"])
    store.remove([])
    assert store.list("") == []


@pytest.mark.parametrize("url", ["gs://{}", "gs://{}/", "gs://{}/a/b/"])
def test_the_folder_may_be_the_bucket_itself_or_end_in_a_slash(proxy: FaultProxy, url: str) -> None:
    store = CloudStore(url.format(BUCKET))
    name = uuid4().hex
    store.create(name, b"x")
    folder = url.format(BUCKET).rstrip("/")
    with gcp.open_file(f"{folder}/{name}") as stream:
        assert stream.read() == b"x"
    assert [each.name for each in store.list(name)] == [name]
    assert store.url == folder


def test_what_is_no_url_is_refused() -> None:
    with pytest.raises(SetupError, match="gs://BUCKET/NAME"):
        CloudStore("folder/state")


def test_of_many_writers_one_wins(store: CloudStore) -> None:
    data = [f"writer {number}".encode() for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda each: store.create("x", each), data))
    assert won.count(True) == 1
    assert store.read("x") == data[won.index(True)]


def test_the_largest_object_takes_a_single_request(store: CloudStore, proxy: FaultProxy) -> None:
    """A resumable upload would not be made once: the server ignores the condition."""
    assert store.create("x", bytes(MOST_BYTES))
    assert not store.create("x", b"\1" * MOST_BYTES)
    uploads = [each for each in proxy.seen() if each.method == "POST"]
    assert [("uploadType=multipart" in each.query, each.status) for each in uploads] == [
        (True, 200), (True, 412),
    ]  # fmt: skip
    with pytest.raises(SetupError, match=r"would take 8,388,609 bytes, more than 8,388,608"):
        store.create("y", bytes(MOST_BYTES + 1))


@pytest.mark.parametrize("fault", UPLOAD_FAULTS, ids=UPLOAD_FAULT_NAMES)
def test_a_create_knows_its_own_object_whatever_befell_it(
    fault: Fault, store: CloudStore, proxy: FaultProxy
) -> None:
    proxy.add(fault)
    assert store.create("x", b"ours")
    assert proxy.hits() == [1]
    assert store.read("x") == b"ours"


@pytest.mark.parametrize("fault", UPLOAD_FAULTS, ids=UPLOAD_FAULT_NAMES)
def test_a_create_knows_anothers_object_whatever_befell_it(
    fault: Fault, store: CloudStore, proxy: FaultProxy
) -> None:
    store.create("x", b"another's")
    proxy.add(fault)
    assert not store.create("x", b"ours")
    assert proxy.hits() == [1]
    assert store.read("x") == b"another's"


CALLS: dict[str, Callable[[CloudStore], object]] = {
    "create": lambda store: store.create("y", b"y"),
    "read": lambda store: store.read("x"),
    "list": lambda store: [each.name for each in store.list("")],
    "remove": lambda store: store.remove(["x"]),
}


@pytest.mark.parametrize(
    ("call", "given"), [("read", b"x"), ("list", ["x"]), ("remove", None), ("create", True)]
)
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_calls_are_tried_again(
    call: str, given: object, when: str, store: CloudStore, proxy: FaultProxy
) -> None:
    store.create("x", b"x")
    proxy.add(Fault(CUT, path=BUCKET, when=when), Fault(REFUSE, path=BUCKET, when=when, times=2))
    assert CALLS[call](store) == given
    assert proxy.hits() == [1, 2]


@pytest.mark.parametrize("call", CALLS)
def test_a_service_that_stays_away_is_said_to(
    call: str, store: CloudStore, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIXELSHIP_RETRY_S", "0.05")
    proxy.add(Fault(REFUSE, path=BUCKET, times=1_000_000))
    with pytest.raises(ServiceError, match=f"failed to {call} gs://{BUCKET}/"):
        CALLS[call](store)


@pytest.mark.parametrize("call", ["create", "list"])
def test_a_bucket_that_is_not_there_is_said_to(call: str, proxy: FaultProxy) -> None:
    with pytest.raises(SetupError, match=f"What is needed to {call} gs://no-such-bucket/"):
        CALLS[call](CloudStore("gs://no-such-bucket/state"))


@pytest.mark.parametrize("fault", UPLOAD_FAULTS, ids=UPLOAD_FAULT_NAMES)
def test_every_step_holds_whatever_befalls_it(
    fault: Fault, store: CloudStore, proxy: FaultProxy
) -> None:
    """Each upload of a batch is struck once; the log says the same as one in memory."""
    log = BatchLog(store, checkpoint_every=1)
    proxy.add(fault)
    planned = log.plan("load", [A, B], after="00000000")
    assert planned
    proxy.add(fault)
    assert log.stage(planned.batch, {"manifest": "m"}) == {"manifest": "m"}
    proxy.add(fault)
    name = log.park(planned.batch, "t", {"rows": 1})
    proxy.add(fault)
    log.loaded(planned.batch, Decision(objects=rows(A), parked=[name]))
    proxy.add(fault)
    log.done(planned.batch)
    proxy.add(fault, fault)
    assert log.checkpoint([A])
    load(log, C)
    assert proxy.hits() == [1] * 7

    view = BatchLog(store).view()
    assert [item.name[-1] for item in view.known_like([A, B, C])] == ["a", "c"]
    assert (view.last_id, view.last_checkpoint, view.open) == ("00000002", "00000001", ())
    assert log.parked(view) == {name: {"rows": 1}}
    assert [each.name for each in store.list("batches/")] == [
        f"batches/00000002.{step}json" for step in ("done.", "", "loaded.", "staged.")
    ]


def test_the_cloud_holds_what_memory_holds(store: CloudStore) -> None:
    names = []
    for each in (store, MemoryStore()):
        log = BatchLog(each, checkpoint_every=2)
        for item in (A, B, C):
            load(log, item)
            log.checkpoint([item])
        names.append([entry.name.split(".")[0] for entry in each.list("")])
        assert [item.name[-1] for item in log.view().known_like([A, B, C])] == ["a", "b", "c"]
    assert names[0] == names[1]
