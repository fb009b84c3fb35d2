"""Shipping into a real object store, with Google's client, faults on the wire and kills at each request."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from backports import zstd
from google.api_core import exceptions as api

from emulators.fault_proxy import FaultProxy
from emulators.faults import AFTER, BEFORE, CUT, HANG, KILL, REFUSE, Fault
from pipeline import gcp
from pipeline.errors import ServiceError, SetupError
from pipeline.ship.stores import SINGLE_BYTES, Bucket
from pipeline.storage import create_file, open_file
from tests.cloud import BUCKET, UPLOAD_FAULT_NAMES, UPLOAD_FAULTS
from tests.shipping import HOST, Place, lines

MOST_REQUESTS = 60
FORKED = multiprocessing.get_context("forkserver")

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
"""Google's client leaves a download that was refused to the garbage collector, with its socket."""


@pytest.fixture
def url(proxy: FaultProxy) -> str:
    return f"gs://{BUCKET}/{uuid4().hex}/logs"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def stored(url: str) -> dict[str, bytes]:
    """The objects under a URL, inflated."""
    bucket, folder = gcp.split_url(url)
    names = [blob.name for blob in gcp.storage_client().list_blobs(bucket, prefix=f"{folder}/")]
    found = {}
    for name in names:
        with open_file(f"gs://{bucket}/{name}") as stream:
            found[name.removeprefix(f"{folder}/")] = zstd.decompress(stream.read())
    return found


def test_logs_become_objects(place: Place, url: str) -> None:
    place.put("pixelship.log.1", lines(0))
    place.put("pixelship.log.2", lines(1))
    report = place.ship(Bucket(url))
    assert (report.shipped, report.found, report.kept) == (2, 0, 2)
    found = stored(url)
    assert list(found.values()) == [lines(0), lines(1)]
    assert all(name.startswith(f"{HOST}/2025/11/21/20251121T120") for name in found)


@pytest.mark.parametrize("fault", UPLOAD_FAULTS, ids=UPLOAD_FAULT_NAMES)
def test_whatever_befalls_an_upload_the_object_is_there_once(
    place: Place, url: str, proxy: FaultProxy, fault: Fault
) -> None:
    place.put("pixelship.log.1", lines(0))
    proxy.add(fault)
    assert place.ship(Bucket(url)).is_clean
    assert proxy.hits() == [1]
    assert list(stored(url).values()) == [lines(0)]


def test_the_checksum_goes_along_and_is_compared(
    place: Place, url: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("pixelship.log.1", lines(0))
    monkeypatch.setattr("pipeline.ship.stores._stored", lambda blob: ("other", blob.size))
    report = place.ship(Bucket(url))
    assert report.is_clean, "what is there was not read back"
    assert [each.method for each in proxy.seen()] == ["POST", "GET"]
    assert "ifGenerationMatch=0" in proxy.seen()[0].query


def test_an_object_with_other_content_is_never_overwritten(place: Place, url: str) -> None:
    place.put("pixelship.log.1", lines(0))
    place.ship(Bucket(url))
    (name,) = stored(url)
    bucket, folder = gcp.split_url(url)
    gcp.storage_client().bucket(bucket).blob(f"{folder}/{name}").delete()
    with create_file(f"{url}/{name}") as sink:
        sink.write(zstd.compress(b"not ours"))
    place.put("pixelship.log.1", lines(0))
    place.put("pixelship.log.2", lines(1))
    report = place.ship(Bucket(url))
    assert [failure.name for failure in report.failed] == [name]
    assert "holds other content" in report.failed[0].why
    assert (report.shipped, report.waiting) == (1, 1)
    assert stored(url)[name] == b"not ours"


@pytest.fixture(scope="module")
def large() -> bytes:
    """A log that takes more than a single request."""
    return random.Random(1).randbytes(SINGLE_BYTES + 1000)  # noqa: S311 - it need not compress


def test_a_large_log_takes_several_requests_and_is_sent_but_once(
    place: Place, url: str, proxy: FaultProxy, large: bytes
) -> None:
    place.put("pixelship.log.1", large)
    assert place.ship(Bucket(url)).found == 0
    assert any("uploadType=resumable" in each.query for each in proxy.seen())
    place.put("pixelship.log.2", large)
    proxy.forget()
    assert place.ship(Bucket(url)).found == 1
    assert [each.method for each in proxy.seen()] == ["GET"]
    assert list(stored(url).values()) == [large]


@pytest.mark.parametrize("number", range(3))
def test_a_large_log_survives_a_cut_at_each_of_its_requests(
    place: Place, url: str, proxy: FaultProxy, large: bytes, number: int
) -> None:
    place.put("pixelship.log.1", large)
    proxy.add(Fault(CUT, when=AFTER, skip=number))
    assert place.ship(Bucket(url)).is_clean
    assert proxy.hits() == [1]
    assert list(stored(url).values()) == [large]


@pytest.mark.parametrize(
    "case",
    [
        (Fault(REFUSE, status=403, times=99), SetupError, "no permission to create gs://"),
        (Fault(REFUSE, status=404, times=99), SetupError, "does not exist: check the names"),
        (Fault(REFUSE, status=503, times=99), ServiceError, r"failed to create gs://.* \(503"),
        (Fault(HANG, seconds=60, times=99), ServiceError, "no answer in time"),
    ],
    ids=["forbidden", "missing", "down", "hangs"],
)
def test_a_store_that_fails_leaves_the_logs_here(
    place: Place,
    url: str,
    proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[Fault, type[Exception], str],
) -> None:
    fault, error, words = case
    monkeypatch.setenv("PIXELSHIP_RETRY_S", "1")
    for number in range(3):
        place.put(f"pixelship.log.{number}", lines(number))
    proxy.add(fault)
    report = place.ship(Bucket(url))
    assert isinstance(report.trouble, error)
    with pytest.raises(error, match=words):
        raise report.trouble
    assert (report.shipped, report.waiting) == (0, 3)
    proxy.clear()
    assert place.ship(Bucket(url)).shipped == 3


def test_a_store_that_is_not_there_at_all(
    place: Place, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIXELSHIP_RETRY_S", "0.5")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    place.put("pixelship.log.1", lines(0))
    report = place.ship(Bucket(url))
    assert isinstance(report.trouble, ServiceError)
    assert report.waiting == 1


def test_an_object_that_goes_away_in_between_is_made_again_later(
    place: Place, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise api.PreconditionFailed("there already")

    place.put("pixelship.log.1", lines(0))
    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "_upload", refuse)
        assert isinstance(place.ship(Bucket(url)).trouble, ServiceError)
    assert place.ship(Bucket(url)).shipped == 1


def run(root: Path, url: str, server: str) -> None:
    """One run of the command."""
    from pipeline.cli import main

    os.environ["STORAGE_EMULATOR_HOST"] = server
    sys.stdout = (root / "out.txt").open("w")
    words = ("--from", str(root / "logs"), "--to", url, "--host", HOST, "--settle", "0")
    main(["ship", *words, "--keep", "0"])


@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_killed_at_each_request(place: Place, url: str, proxy: FaultProxy, when: str) -> None:
    expected: list[bytes] = []
    for number in range(MOST_REQUESTS):
        for at in range(2):
            expected.append(lines(2 * number + at))
            place.put(f"pixelship.log-{number}-{at}", expected[-1])
        proxy.add(Fault(KILL, skip=number, when=when))
        process = FORKED.Process(target=run, args=(place.root, url, proxy.url))
        process.start()
        process.join(120)
        assert process.exitcode in (0, -signal.SIGKILL)
        proxy.clear()
        assert place.ship(Bucket(url), keep_s=0).is_clean
        assert sorted(stored(url).values()) == sorted(expected)
        assert not any(place.parts().values())
        if process.exitcode == 0:
            break
    assert 2 <= number < MOST_REQUESTS - 1
