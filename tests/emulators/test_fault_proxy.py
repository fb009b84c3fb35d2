"""The fault proxy: each fault does what it says, to the request it was meant for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

from emulators.bigquery import BigQuery
from emulators.environment import client_environment, write_credentials
from emulators.fault_proxy import FaultProxy
from emulators.faults import Fault
from emulators.object_store import ObjectStore
from tests.emulators.conftest import BUCKET, EVENTS, connect, events, ids, row

Put = Callable[[str, pa.Table | bytes], str]
UPLOAD = f"/upload/storage/v1/b/{BUCKET}/o"


@pytest.fixture(scope="module")
def before_store(store: ObjectStore) -> Iterator[FaultProxy]:
    with FaultProxy(store.url) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def before_bigquery(server: BigQuery) -> Iterator[FaultProxy]:
    with FaultProxy(server.url) as proxy:
        yield proxy


@pytest.fixture
def proxy(before_store: FaultProxy) -> Iterator[FaultProxy]:
    """The proxy before the object store, without faults and memories."""
    before_store.forget()
    yield before_store
    before_store.clear()


@pytest.fixture
def far(proxy: FaultProxy) -> Iterator[storage.Bucket]:
    """The bucket as a client sees it that goes through the proxy."""
    client = storage.Client(
        project="p",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": proxy.url},
    )
    yield client.bucket(BUCKET)
    client.close()


def upload(bucket: storage.Bucket, name: str, content: bytes = b"12345678") -> None:
    bucket.blob(name).upload_from_string(content, retry=None, timeout=5)


def test_all_goes_through(far: storage.Bucket, project: str, proxy: FaultProxy) -> None:
    """Resumable sessions and media links lead through the proxy too."""
    big = os.urandom(3 * 256 * 1024)
    blob = far.blob(f"{project}/whole")
    blob.upload_from_string(big)
    assert blob.media_link.startswith(proxy.url)
    assert blob.download_as_bytes() == big
    with far.blob(f"{project}/streamed").open("wb", chunk_size=256 * 1024) as file:
        file.write(big)
    found = list(far.client.list_blobs(far, prefix=f"{project}/"))
    assert [each.name for each in found] == [f"{project}/streamed", f"{project}/whole"]
    assert all(each.media_link.startswith(proxy.url) for each in found)
    seen = [(seen.method, seen.status) for seen in proxy.seen()]
    parts = [*[("PUT", 308)] * 3, ("PUT", 200)]
    assert seen == [("POST", 200), ("GET", 200), ("POST", 200), *parts, ("GET", 200)]


def test_contents_are_left_alone(
    far: storage.Bucket, project: str, store: ObjectStore, proxy: FaultProxy
) -> None:
    """The proxy's URL takes the server's place in the API's words, not in objects."""
    content = f'{{"url": "{store.url}"}}'
    blob = far.blob(f"{project}/a.json")
    blob.upload_from_string(content, content_type="application/json")
    assert blob.download_as_text() == content


def test_requests_are_numbered(far: storage.Bucket, project: str, proxy: FaultProxy) -> None:
    upload(far, f"{project}/a")
    far.blob(f"{project}/a").download_as_bytes()
    first, second = proxy.seen()
    assert (first.number, first.method, first.path, first.status) == (1, "POST", UPLOAD, 200)
    assert "uploadType=multipart" in first.query
    assert first.body_bytes > 8
    assert (second.number, second.method, second.fault) == (2, "GET", None)
    proxy.forget()
    assert proxy.seen() == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (503, exceptions.ServiceUnavailable),
        (500, exceptions.InternalServerError),
        (429, exceptions.TooManyRequests),
        (412, exceptions.PreconditionFailed),
        (403, exceptions.Forbidden),
    ],
)
def test_refused(
    *,
    status: int,
    kind: type[Exception],
    when: str,
    far: storage.Bucket,
    bucket: storage.Bucket,
    project: str,
    proxy: FaultProxy,
) -> None:
    proxy.add(Fault("refuse", "POST", project, when=when, status=status), Fault(path="no match"))
    proxy.add(Fault("refuse", "POST", "/upload/", when=when, status=status))
    with pytest.raises(kind) as refused:
        upload(far, f"{project}/a")
    assert "Made to fail" in str(refused.value)
    assert bucket.blob(f"{project}/a").exists() == (when == "after")
    assert proxy.hits() == [0, 0, 1]
    (seen,) = proxy.seen()
    assert (seen.status, seen.fault) == (status, "refuse")
    upload(far, f"{project}/b")


@pytest.mark.parametrize(
    ("fault", "is_done"),
    [
        (Fault("cut", when="before"), False),
        (Fault("cut", when="after", where="head"), True),
        (Fault("cut", when="after", where="body"), True),
        (Fault("hang", when="before", seconds=0.3), False),
        (Fault("hang", when="after", seconds=0.3), True),
        (Fault("half"), False),
    ],
)
def test_the_connection_ends(
    *,
    fault: Fault,
    is_done: bool,
    far: storage.Bucket,
    bucket: storage.Bucket,
    project: str,
    proxy: FaultProxy,
) -> None:
    proxy.add(fault)
    with pytest.raises((requests.exceptions.RequestException, ConnectionError)):
        upload(far, f"{project}/a")
    assert bucket.blob(f"{project}/a").exists() == is_done
    upload(far, f"{project}/b")


def test_a_download_is_cut(far: storage.Bucket, project: str, proxy: FaultProxy) -> None:
    upload(far, f"{project}/a", os.urandom(100_000))
    proxy.add(Fault("cut", "GET", when="after", where="body"))
    with pytest.raises(requests.exceptions.RequestException):
        far.blob(f"{project}/a").download_as_bytes(retry=None)


def test_the_client_gives_up_on_what_hangs(
    far: storage.Bucket, project: str, proxy: FaultProxy
) -> None:
    proxy.add(Fault("hang", seconds=60))
    with pytest.raises(requests.exceptions.ReadTimeout):
        far.blob(f"{project}/a").upload_from_string(b"x", retry=None, timeout=0.2)


@pytest.mark.parametrize("when", ["before", "after"])
def test_delayed(when: str, far: storage.Bucket, project: str, proxy: FaultProxy) -> None:
    proxy.add(Fault("delay", when=when, seconds=0.3))
    start = time.monotonic()
    upload(far, f"{project}/a")
    assert time.monotonic() - start >= 0.3
    upload(far, f"{project}/a")


def test_the_clients_own_retries(far: storage.Bucket, project: str, proxy: FaultProxy) -> None:
    """A write that is pinned to a generation is tried again; the second try meets the first."""
    proxy.add(Fault("refuse", when="after"))
    with pytest.raises(exceptions.PreconditionFailed):
        far.blob(f"{project}/a").upload_from_string(b"x", if_generation_match=0)
    assert [seen.status for seen in proxy.seen()] == [503, 412]


def test_skip_and_count(far: storage.Bucket, project: str, proxy: FaultProxy) -> None:
    proxy.add(Fault("refuse", skip=1, times=2))
    done = []
    for name in "abcd":
        with suppress(exceptions.ServiceUnavailable):
            upload(far, f"{project}/{name}")
            done.append(name)
    assert done == ["a", "d"]


def test_no_such_fault() -> None:
    with pytest.raises(ValueError, match="no such fault"):
        Fault("explode")


def test_a_dead_server_is_a_cut(project: str) -> None:
    with ObjectStore() as store, FaultProxy(store.url) as proxy:
        store.stop()
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.get(f"{proxy.url}/storage/v1/b", timeout=5)


WRITER = """
import sys
from google.cloud import storage
client = storage.Client()
for name in sys.argv[2:]:
    client.bucket(sys.argv[1]).blob(name).upload_from_string(b"x", if_generation_match=0)
"""


def start_writer(proxy: FaultProxy, project: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, BUCKET, f"{project}/a", f"{project}/b", f"{project}/c"],
        env={**os.environ, **client_environment(store_url=proxy.url)},
        start_new_session=True,
    )


@pytest.mark.parametrize(("when", "expected"), [("before", ["a"]), ("after", ["a", "b"])])
@pytest.mark.parametrize("group", [False, True])
def test_killed_at_the_second_request(
    *,
    when: str,
    expected: list[str],
    group: bool,
    bucket: storage.Bucket,
    project: str,
    proxy: FaultProxy,
) -> None:
    """Whoever sent the request is killed: it need not be known beforehand."""
    proxy.add(Fault("kill", "POST", "/upload/", skip=1, when=when, group=group))
    writer = start_writer(proxy, project)
    assert writer.wait(60) == -signal.SIGKILL
    found = bucket.client.list_blobs(bucket, prefix=f"{project}/")
    assert [blob.name for blob in found] == [f"{project}/{name}" for name in expected]


def test_a_process_that_is_named_is_stopped(
    bucket: storage.Bucket, project: str, proxy: FaultProxy
) -> None:
    """A stopped writer's request is on its way all the same: a zombie's write."""
    proxy.add(Fault("delay", "POST", "/upload/", seconds=0.2))
    writer = start_writer(proxy, project)
    proxy.add(Fault("stop", "POST", "/upload/", pid=writer.pid))
    _, status = os.waitpid(writer.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    deadline = time.monotonic() + 10
    while not bucket.blob(f"{project}/b").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert bucket.blob(f"{project}/b").exists()
    assert not bucket.blob(f"{project}/c").exists()
    writer.send_signal(signal.SIGCONT)
    assert writer.wait(60) == 0
    assert bucket.blob(f"{project}/c").exists()


def test_an_insert_is_answered_with_503_after_it_was_done(
    before_bigquery: FaultProxy, bq: bigquery.Client, table: bigquery.Table, put: Put
) -> None:
    """The client tries again by itself, and is told 409: the job is there, and ran once."""
    far = connect(before_bigquery.url, bq.project)
    before_bigquery.forget()
    before_bigquery.add(Fault("refuse", "POST", f"/projects/{bq.project}/jobs", when="after"))
    config = bigquery.LoadJobConfig(source_format="PARQUET", schema=EVENTS)
    uri = put("a.parquet", events(row("a")))
    with pytest.raises(exceptions.Conflict):
        far.load_table_from_uri(uri, table, job_id="px_1", job_config=config)
    assert far.get_job("px_1").output_rows == 1
    assert ids(bq) == ["a"]
    assert [seen.status for seen in before_bigquery.seen()] == [503, 409, 200]
    far.close()


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_insert_is_cut(
    when: str, before_bigquery: FaultProxy, bq: bigquery.Client, table: bigquery.Table, put: Put
) -> None:
    far = connect(before_bigquery.url, bq.project)
    before_bigquery.add(Fault("cut", "POST", f"/projects/{bq.project}/jobs", when=when))
    config = bigquery.LoadJobConfig(source_format="PARQUET", schema=EVENTS)
    uri = put("a.parquet", events(row("a")))
    with pytest.raises(requests.exceptions.ConnectionError):
        far.load_table_from_uri(uri, table, job_id="px_1", job_config=config, retry=None)
    assert ids(bq) == ([] if when == "before" else ["a"])
    far.close()


CLIENTS = """
from google.cloud import bigquery, storage
print(*(bucket.name for bucket in storage.Client().list_buckets()))
print(*(row.one for row in bigquery.Client().query_and_wait("SELECT 1 AS one")))
"""


def test_the_environment_of_a_client(tmp_path: Path, server: BigQuery, store: ObjectStore) -> None:
    credentials = write_credentials(tmp_path)
    made = client_environment(store.url, server.url, credentials, server.fresh_project())
    done = subprocess.run(
        [sys.executable, "-c", CLIENTS],
        env={**os.environ, **made},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [BUCKET, "1"]
