from __future__ import annotations

import base64
import gc
import gzip
import os
import random
from collections.abc import Callable
from contextlib import closing
from http.client import IncompleteRead
from pathlib import Path
from types import SimpleNamespace

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
import urllib3
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from emulators.fault_proxy import FaultProxy
from emulators.faults import Fault
from pipeline import gcp
from pipeline.errors import ServiceError, SetupError
from pipeline.storage import create_file, open_file
from tests.unit.conftest import Bucket, Script

SMALL = b"some bytes"
LARGE = random.Random(1).randbytes(9 << 20)  # noqa: S311 - no secret
UPLOAD = "^/upload/"
SECRET = "https://storage.googleapis.com/upload?upload_id=SECRET"


def write(url: str, data: bytes) -> None:
    with create_file(url) as sink:
        for start in range(0, len(data), 1 << 20):
            sink.write(data[start : start + (1 << 20)])


def crc32c_of(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


# Clients


def test_emulators_need_no_network_to_begin_with_no_credentials_and_no_project(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("GOOGLE_CLOUD_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"):
        monkeypatch.setenv(name, "http://127.0.0.2:9")  # a process keeps a client for each
    assert gcp.storage_client().project == "emulated"
    client = gcp.bigquery_client("some-project", "EU")
    assert (client.project, client.location) == ("some-project", "EU")


@pytest.mark.usefixtures("cloud_servers")
def test_a_process_has_one_client_and_a_forked_one_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    client = gcp.storage_client()
    assert gcp.storage_client() is client
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert gcp.storage_client() is not client


def test_where_there_are_no_credentials_it_says_how_to_get_some(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    for make in (gcp.storage_client, lambda: gcp.bigquery_client("some-project")):
        with (
            pytest.raises(SetupError, match="gcloud auth application-default login"),
            gcp.explaining("list gs://bucket/"),
        ):
            make()


def test_how_long_it_is_tried_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELSHIP_RETRY_S", "5")
    assert gcp.limits()["timeout"] == 2.5
    monkeypatch.setenv("PIXELSHIP_RETRY_S", "")
    assert gcp.limits()["timeout"] == gcp.REPLY_S
    monkeypatch.setenv("PIXELSHIP_RETRY_S", "soon")
    with pytest.raises(SetupError, match="PIXELSHIP_RETRY_S is 'soon'"):
        gcp.limits()


# Writing


@pytest.mark.parametrize(("data", "requests_"), [(b"", 1), (SMALL, 1), (LARGE, 2)])
def test_an_object_appears_when_it_is_closed(
    bucket: Bucket, faults: FaultProxy, data: bytes, requests_: int
) -> None:
    sink = create_file(f"{bucket.url}/a/b.bin")
    sink.write(data)
    assert (sink.tell(), bucket.names()) == (len(data), [])
    sink.close()
    sink.close()
    assert bucket.get("a/b.bin") == data
    assert len(faults.seen()) == requests_


def test_arrow_writes_into_it(bucket: Bucket) -> None:
    table = pa.table({"number": range(1000)})
    url = f"{bucket.url}/a.parquet"
    with closing(create_file(url)) as sink:
        pq.write_table(table, sink)
    with open_file(url) as stream:
        assert pq.read_table(stream).equals(table)


def test_what_fails_halfway_leaves_nothing(bucket: Bucket) -> None:
    def fail() -> None:
        with create_file(f"{bucket.url}/failed") as sink:
            sink.write(SMALL)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    create_file(f"{bucket.url}/forgotten").write(SMALL)
    gc.collect()
    assert bucket.names() == []


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault("refuse", path=UPLOAD, status=503, times=2),
        Fault("refuse", path=UPLOAD, status=429),
        Fault("refuse", path=UPLOAD, status=502, when="after"),
        Fault("cut", path=UPLOAD),
        Fault("cut", path=UPLOAD, when="after"),
        Fault("cut", path=UPLOAD, when="after", where="body"),
        Fault("half", path=UPLOAD),
    ],
    ids=lambda fault: f"{fault.action}-{fault.when}-{fault.where}",
)
@pytest.mark.parametrize("skip", [0, 1], ids=["first", "second"])
def test_passing_faults_do_not_show(
    bucket: Bucket, faults: FaultProxy, fault: Fault, data: bytes, skip: int
) -> None:
    faults.add(Fault(**{**vars(fault), "skip": skip if data is LARGE else 0}))
    write(f"{bucket.url}/a.bin", data)
    assert faults.hits() == [fault.times]
    assert bucket.get("a.bin") == data
    assert bucket.names() == ["a.bin"]


def test_a_service_that_hangs_is_asked_again(
    bucket: Bucket, faults: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcp, "REPLY_S", 0.3)
    faults.add(Fault("hang", path=UPLOAD, seconds=600))
    write(f"{bucket.url}/a.bin", SMALL)
    assert bucket.get("a.bin") == SMALL


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_a_service_that_goes_on_failing_is_given_up(
    bucket: Bucket, faults: FaultProxy, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setenv("PIXELSHIP_RETRY_S", "0.4")
    faults.add(Fault("refuse", status=503, times=1_000))
    sink = create_file(f"{bucket.url}/a.bin")
    sink.write(data)
    with pytest.raises(ServiceError, match=r"failed to write gs://.*503.*running again"):
        sink.close()
    assert sink.closed
    assert bucket.names() == []


def test_a_bucket_that_is_not_there_is_wrong_set_up(bucket: Bucket) -> None:
    with pytest.raises(SetupError, match="write gs://no-such-bucket/a does not exist"):
        write("gs://no-such-bucket/a", SMALL)


def test_what_is_sent_has_its_checksum_with_it(script: Callable[..., Script]) -> None:
    server = script(b"{}")
    write("gs://bucket/a", SMALL)
    assert f'"crc32c": "{crc32c_of(SMALL)}"'.encode() in server.sent[0]


@pytest.mark.parametrize("url", ["gs://", "gs:///a", "gs://B/a", "https://bucket/a"])
def test_what_names_no_object_is_wrong_set_up(url: str) -> None:
    with pytest.raises(SetupError, match="write it as gs://BUCKET/NAME"):
        gcp.create_file(url)


def test_a_url_is_a_bucket_and_a_name() -> None:
    assert gcp.split_url("gs://bucket/some/name") == ("bucket", "some/name")
    assert gcp.split_url("gs://bucket") == gcp.split_url("gs://bucket/") == ("bucket", "")


# Reading


def test_stored_bytes_are_read_as_they_are(bucket: Bucket) -> None:
    data = gzip.compress(SMALL)
    bucket.put("a.gz", data, content_encoding="gzip")
    with open_file(f"{bucket.url}/a.gz") as stream:
        assert stream.read() == data


def test_an_object_that_is_not_there_is_an_os_error(bucket: Bucket) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        open_file(f"{bucket.url}/none")
    assert raised.value.filename == f"{bucket.url}/none"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("refuse", status=503, times=2),
        Fault("cut", when="after"),
        Fault("cut", when="after", where="body", times=3),
    ],
    ids=lambda fault: f"{fault.action}-{fault.where}",
)
def test_reading_survives_passing_faults(bucket: Bucket, faults: FaultProxy, fault: Fault) -> None:
    bucket.put("a.bin", LARGE)
    faults.add(fault)
    with open_file(f"{bucket.url}/a.bin") as stream:
        assert stream.read() == LARGE
    assert faults.hits() == [fault.times]


def test_bytes_that_are_not_those_stored_are_refused(script: Callable[..., Script]) -> None:
    script(SMALL, X_Goog_Hash=f"crc32c={crc32c_of(SMALL)}")
    with open_file("gs://bucket/a") as stream:
        assert stream.read() == SMALL
    script(SMALL, X_Goog_Hash=f"crc32c={crc32c_of(LARGE)}")
    with pytest.raises(ServiceError, match="checksum"):
        open_file("gs://bucket/a")


# Errors


def reply(status: int) -> SimpleNamespace:
    return SimpleNamespace(status_code=status, text=SECRET)


def forbidden(reason: str) -> api.Forbidden:
    return api.Forbidden(f"GET {SECRET}: no", errors=[{"reason": reason, "message": "Too fast."}])


PASSING = [
    api.TooManyRequests(f"GET {SECRET}: slow down"),
    api.from_http_status(408, SECRET),
    api.InternalServerError(SECRET),
    api.BadGateway(SECRET),
    api.ServiceUnavailable(
        f'POST {SECRET}: {{\n "error": {{\n "message": "Try {SECRET} later."}}}}'
    ),
    api.GatewayTimeout(SECRET),
    forbidden("rateLimitExceeded"),
    forbidden("backendError"),
    ConnectionResetError(SECRET),
    TimeoutError(SECRET),
    IncompleteRead(b"some", 9),
    requests.ConnectionError(SECRET),
    requests.ReadTimeout(SECRET),
    requests.exceptions.ChunkedEncodingError(SECRET),
    urllib3.exceptions.ProtocolError(SECRET),
    urllib3.exceptions.IncompleteRead(4, 9),
    InvalidResponse(reply(503), SECRET),
    auth.TransportError(SECRET),
    auth.RefreshError(SECRET, retryable=True),
]
LASTING = [
    (auth.DefaultCredentialsError(SECRET), "No Google credentials"),
    (auth.RefreshError(SECRET), "did not accept the credentials"),
    (api.Unauthorized(SECRET), "did not accept the credentials"),
    (forbidden("accessDenied"), r"no permission to do it: .*\(Too fast\)"),
    (
        api.NotFound(f"GET {SECRET}: No such object: a/b"),
        r"does not exist.*\(No such object: a/b\)",
    ),
    (api.BadRequest(f"Wrong: {SECRET}"), r"refused to do it: Wrong: …\."),
    (api.BadRequest(""), "refused to do it: no reason given"),
    (requests.exceptions.MissingSchema(SECRET), "correct STORAGE_EMULATOR_HOST"),
]


def named(error: object) -> str:
    return type(error).__name__


@pytest.mark.parametrize("error", PASSING, ids=named)
def test_what_passes_is_tried_again_and_then_a_service_error(error: Exception) -> None:
    assert gcp.is_transient(error)
    for raised_ in (error, api.RetryError(SECRET, error)):
        with (
            pytest.raises(ServiceError, match="failed to do it") as raised,
            gcp.explaining("do it"),
        ):
            raise raised_
        assert "upload_id" not in str(raised.value)
        assert "\n" not in str(raised.value)
        assert raised.value.__suppress_context__


@pytest.mark.parametrize(("error", "words"), LASTING, ids=named)
def test_what_lasts_is_wrong_set_up(error: Exception, words: str) -> None:
    assert not gcp.is_transient(error)
    with pytest.raises(SetupError, match=words) as raised, gcp.explaining("do it"):
        raise error
    assert "upload_id" not in str(raised.value)


def test_a_wrong_checksum_is_the_services_fault() -> None:
    with pytest.raises(ServiceError, match="checksum"), gcp.explaining("do it"):
        raise DataCorruption(reply(200), SECRET)


@pytest.mark.parametrize(
    "error", [api.Conflict("a"), api.PreconditionFailed("b"), KeyError("c"), SetupError("d")]
)
def test_answers_to_conditions_and_what_is_not_googles_pass(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, gcp.explaining("do it"):
        raise error
    assert raised.value is error
