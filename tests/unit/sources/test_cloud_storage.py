from __future__ import annotations

import base64
import gzip
import io
import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import md5, sha256

import google_crc32c
import pytest

from emulators.fault_proxy import FaultProxy
from emulators.faults import Fault
from pipeline.errors import ServiceError, SetupError
from pipeline.model import LogObject
from pipeline.sources import Search, cloud_storage
from pipeline.sources.cloud_storage import CloudStorage
from tests.unit.conftest import Bucket, Script

TREE = (
    "a.log",
    "a.log.1",
    "logs/b.gz",
    "logs/deep/c.log",
    "logs/deep/",
    "logs/.d.log",
    "logs-old/e",
)
MOVES = random.Random(1)  # noqa: S311 - no secret
DATA = MOVES.randbytes(100_000)
DOWNLOAD = "alt=media"


def md5_of(data: bytes) -> str:
    return f"md5:{md5(data, usedforsecurity=False).hexdigest()}"


def crc32c_of(data: bytes) -> str:
    return f"crc32c:{google_crc32c.value(data):08x}"


def pin(bucket: Bucket, name: str, data: bytes, content_encoding: str | None = None) -> LogObject:
    """Uploads an object; gives what pins it."""
    generation = bucket.put(name, data, content_encoding)
    return LogObject(f"{bucket.url}/{name}", len(data), md5_of(data), 0, generation)


def found(bucket: Bucket, *patterns: str) -> list[str]:
    """What is found, relative to the bucket."""
    listing = CloudStorage().list_objects(Search([f"{bucket.url}/{each}" for each in patterns]))
    return [item.name.removeprefix(f"{bucket.url}/") for item in listing.objects]


def read(item: LogObject) -> bytes:
    with CloudStorage().open(item) as stream:
        return stream.read()


@pytest.fixture
def tree(bucket: Bucket) -> Bucket:
    for name in TREE:
        bucket.put(name, name.encode())
    return bucket


@pytest.fixture
def _small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_storage, "LEAST_READ_BYTES", 1_000)
    monkeypatch.setattr(cloud_storage, "MOST_READ_BYTES", 7_000)


# Listing


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", ["a.log", "a.log.1", "logs-old/e", "logs/b.gz", "logs/deep/c.log"]),
        ("a.log", ["a.log"]),
        ("a.log*", ["a.log", "a.log.1"]),
        ("*", ["a.log", "a.log.1"]),
        ("logs", ["logs/b.gz", "logs/deep/c.log"]),
        ("logs/", ["logs/b.gz", "logs/deep/c.log"]),
        ("logs/*", ["logs/b.gz"]),
        ("logs/**/*.log", ["logs/deep/c.log"]),
        ("logs/.*", ["logs/.d.log"]),
        ("none/", []),
        ("none*", []),
        ("logs/deep/*/", []),
    ],
)
def test_objects_globs_and_folders_are_found_in_order(
    tree: Bucket, pattern: str, names: list[str]
) -> None:
    assert found(tree, pattern) == names
    search = Search([f"{tree.url}/{pattern}"])
    would = [name for name in TREE if CloudStorage().would_list(search, f"{tree.url}/{name}")]
    assert sorted(would) == names
    assert not CloudStorage().would_list(search, "gs://another-bucket/a.log")


def test_an_object_is_found_once_in_the_order_of_the_patterns(tree: Bucket) -> None:
    assert found(tree, "a.log.1", "logs/b.gz", "*") == ["a.log.1", "logs/b.gz", "a.log"]


def test_an_empty_bucket_is_no_fault(bucket: Bucket) -> None:
    assert found(bucket, "") == found(bucket, "logs/") == found(bucket, "**.log") == []


def test_an_object_that_is_not_there_is_wrong_set_up(tree: Bucket) -> None:
    for name in ("none.log", "a.lo", "logs/deep/c", "logs/de"):
        with pytest.raises(SetupError, match="check the name") as raised:
            found(tree, "a.log", name)
        assert repr(f"{tree.url}/{name}") in str(raised.value)


@pytest.mark.parametrize("pattern", ["a.log", "", "logs/", "*.log"])
@pytest.mark.usefixtures("cloud_servers")
def test_a_bucket_that_is_not_there_is_wrong_set_up(pattern: str) -> None:
    with pytest.raises(SetupError, match=r"list gs://no-such-bucket/.* check the names"):
        CloudStorage().list_objects(Search([f"gs://no-such-bucket/{pattern}"]))


def test_an_object_is_pinned_by_its_size_content_and_generation(bucket: Bucket) -> None:
    items = [pin(bucket, "a.log", DATA), pin(bucket, "empty.log", b"")]
    assert CloudStorage().list_objects(Search([bucket.url])).objects == items
    again = pin(bucket, "a.log", DATA)
    assert again.generation > items[0].generation
    assert CloudStorage().list_objects(Search([f"{bucket.url}/a.log"])).objects == [again]


def test_young_objects_wait(tree: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    search = Search([f"{tree.url}/logs/"], settle_s=60)
    now_s = time.time()
    for clock_s, waiting in ((now_s - 3600, 2), (now_s, 2), (now_s + 50, 2), (now_s + 3600, 0)):
        monkeypatch.setattr(time, "time", lambda clock_s=clock_s: clock_s)
        listing = CloudStorage().list_objects(search)
        assert (listing.waiting, len(listing.objects)) == (waiting, 2 - waiting)
    monkeypatch.undo()
    assert CloudStorage().list_objects(replace(search, settle_s=0)).waiting == 0


def test_objects_put_together_from_others_are_pinned_by_their_crc32c(
    script: Callable[..., Script],
) -> None:
    item = {"name": "a.log", "generation": "7", "size": "5", "updated": "2025-11-21T12:00:00.000Z"}
    sums = base64.b64encode(google_crc32c.value(b"hello").to_bytes(4, "big")).decode()
    composite = {**item, "crc32c": sums}
    plain = {**item, "name": "b.log", "crc32c": sums, "md5Hash": "XUFAKrxLKna5cZ2REBfFkg=="}
    pages = [
        {"items": [composite], "nextPageToken": "2"},
        {"nextPageToken": "3"},
        {"items": [plain]},
    ]
    script(*(json.dumps(page).encode() for page in pages), Content_Type="application/json")
    listing = CloudStorage().list_objects(Search(["gs://bucket/"], settle_s=1))
    assert listing.objects == [
        LogObject("gs://bucket/a.log", 5, crc32c_of(b"hello"), 0, 7),
        LogObject("gs://bucket/b.log", 5, md5_of(b"hello"), 0, 7),
    ]


# Comparing


def test_what_is_the_front_is_told_by_each_ones_own_algorithm(bucket: Bucket) -> None:
    item = pin(bucket, "a.log", DATA)
    front = DATA[:60_000]
    earlier = [
        LogObject("same", len(DATA), crc32c_of(DATA)),
        LogObject("md5", 60_000, md5_of(front)),
        LogObject("crc32c", 60_000, crc32c_of(front)),
        LogObject("sha256", 60_000, f"sha256:{sha256(front).hexdigest()}"),
        LogObject("nothing", 0, md5_of(b"")),
        LogObject("changed", 60_000, md5_of(front[:-1] + b"!")),
        LogObject("of another size", 59_999, md5_of(front)),
        LogObject("unknown", 60_000, "sha1:da39a3ee"),
        LogObject("larger", len(DATA) + 1, md5_of(DATA)),
    ]
    fronts = CloudStorage().fronts(item, iter(earlier))
    assert {each.name for each in fronts} == {"same", "md5", "crc32c", "sha256", "nothing"}
    assert CloudStorage().fronts(item, []) == []


def test_a_generation_that_was_replaced_or_deleted_is_not_as_pinned(bucket: Bucket) -> None:
    first = pin(bucket, "a.log", DATA)
    assert CloudStorage().is_as_pinned(first)
    second = pin(bucket, "a.log", DATA)
    assert [CloudStorage().is_as_pinned(each) for each in (first, second)] == [False, True]
    bucket.delete("a.log")
    assert not CloudStorage().is_as_pinned(second)


# Reading


@pytest.mark.usefixtures("_small_ranges")
def test_it_reads_as_a_file_does(bucket: Bucket) -> None:
    stream, file = CloudStorage().open(pin(bucket, "a.log", DATA)), io.BytesIO(DATA)
    for _ in range(200):
        if MOVES.random() < 0.3:
            offset, whence = MOVES.choice([(0, 0), (MOVES.randrange(120_000), 0), (-5, 1), (-9, 2)])
            assert stream.seek(offset, whence) == file.seek(max(offset, -file.tell()), whence)
        size = MOVES.choice([1, 10, 900, 1_000, 6_999, 7_000, 20_000])
        assert stream.read(size) == file.read(size)
        assert stream.tell() == file.tell()
    stream.seek(90_000)
    assert stream.read() == DATA[90_000:]
    assert stream.read() == stream.read(1) == b""
    assert stream.readable()
    assert stream.seekable()


def test_an_empty_object_is_read_without_a_request(bucket: Bucket, faults: FaultProxy) -> None:
    assert read(pin(bucket, "a.log", b"")) == b""
    assert faults.seen() == []


def test_bytes_are_read_as_they_are_stored(bucket: Bucket) -> None:
    data = gzip.compress(DATA)
    item = pin(bucket, "a.log.gz", data, content_encoding="gzip")
    assert item in CloudStorage().list_objects(Search([bucket.url])).objects
    assert read(item) == data
    with CloudStorage().open(item) as stream:
        stream.seek(10)
        assert stream.read(20) == data[10:30]


def test_little_is_fetched_after_a_jump_and_more_while_reading_goes_on(
    bucket: Bucket, faults: FaultProxy
) -> None:
    data = bytes(20 << 20)
    with CloudStorage().open(pin(bucket, "a.log", data)) as stream:
        for size in (4, 100, 1 << 19):
            stream.seek(0)
            stream.read(size)
        assert len(faults.seen()) == 1
        stream.seek(15 << 20)
        stream.read(4)
        assert len(faults.seen()) == 2
        stream.seek(0)
        assert b"".join(stream.read(1 << 20) for _ in range(20)) == data
    sizes_mib = [1, 1, 1, 8, 8, 3]
    assert len(faults.seen()) == len(sizes_mib)


def test_a_replaced_object_is_never_taken_for_the_one_pinned(bucket: Bucket) -> None:
    item = pin(bucket, "a.log", DATA)
    with CloudStorage().open(item) as stream:
        bucket.put("a.log", DATA[::-1])
        with pytest.raises(FileNotFoundError, match="gone or was replaced"):
            stream.read(1)


# Faults

TRANSIENT = [
    Fault("refuse", path=DOWNLOAD, status=503, times=2),
    Fault("refuse", path=DOWNLOAD, status=500),
    Fault("refuse", path=DOWNLOAD, status=429, times=3),
    Fault("refuse", path=DOWNLOAD, status=408),
    Fault("cut", path=DOWNLOAD, when="before"),
    Fault("cut", path=DOWNLOAD, when="after", where="head"),
    Fault("cut", path=DOWNLOAD, when="after", where="body", times=2),
    Fault("cut", path=DOWNLOAD, when="after", where="body", skip=3),
    Fault("refuse", path=DOWNLOAD, status=504, skip=4, times=3),
]


@pytest.mark.parametrize("fault", TRANSIENT, ids=lambda fault: f"{fault.action}-{fault.status}")
@pytest.mark.usefixtures("_small_ranges")
def test_passing_faults_do_not_show(bucket: Bucket, faults: FaultProxy, fault: Fault) -> None:
    item = pin(bucket, "a.log", DATA)
    faults.add(fault)
    assert read(item) == DATA
    assert faults.hits() == [fault.times]


def test_a_service_that_hangs_is_asked_again(
    bucket: Bucket, faults: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = pin(bucket, "a.log", DATA)
    monkeypatch.setattr("pipeline.gcp.REPLY_S", 0.3)
    faults.add(Fault("hang", path=DOWNLOAD, seconds=600))
    assert read(item) == DATA
    assert faults.hits() == [1]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("refuse", status=503, times=1_000),
        Fault("refuse", status=429, times=1_000),
        Fault("cut", when="after", where="body", times=1_000),
        Fault("hang", seconds=600, times=1_000),
    ],
    ids=lambda fault: f"{fault.action}-{fault.status}",
)
def test_a_service_that_goes_on_failing_is_given_up(
    bucket: Bucket, faults: FaultProxy, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    item = pin(bucket, "a.log", DATA)
    monkeypatch.setenv("PIXELSHIP_RETRY_S", "0.4")
    faults.add(fault)
    source = CloudStorage()
    for ask in (
        lambda: read(item),
        lambda: source.list_objects(Search([bucket.url])),
        lambda: source.is_as_pinned(item),
        lambda: source.fronts(item, [item]),
    ):
        with pytest.raises(ServiceError, match="running again does no harm") as raised:
            ask()
        assert bucket.url in str(raised.value)
        assert "http" not in str(raised.value)


@pytest.mark.parametrize("wrong", [b"hell", b"hello, you", b""])
def test_a_reply_of_the_wrong_length_is_asked_for_again(
    script: Callable[..., Script], wrong: bytes
) -> None:
    server = script(wrong, b"hello")
    assert read(LogObject("gs://bucket/a.log", 5, md5_of(b"hello"), 0, 7)) == b"hello"
    assert len(server.sent) == 2


def test_what_is_forbidden_is_wrong_set_up_and_asked_once(
    bucket: Bucket, faults: FaultProxy
) -> None:
    item = pin(bucket, "a.log", DATA)
    faults.add(Fault("refuse", status=403, times=1_000))
    with pytest.raises(SetupError, match="no permission to read gs://"):
        read(item)
    with pytest.raises(SetupError, match="no permission to list gs://"):
        CloudStorage().list_objects(Search([bucket.url]))
    assert len(faults.seen()) == 2


def test_a_listing_goes_on_where_it_failed(tree: Bucket, faults: FaultProxy) -> None:
    faults.add(Fault("refuse", status=503), Fault("cut", when="after", where="body"))
    assert found(tree, "logs/") == ["logs/b.gz", "logs/deep/c.log"]
    assert faults.hits() == [1, 1]
