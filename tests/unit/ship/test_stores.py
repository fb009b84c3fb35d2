"""A folder as a store: created once, whole, compared. (tests/test_ship_cloud.py: a bucket.)"""

from __future__ import annotations

import errno
import io
from pathlib import Path

import pytest
from backports import zstd

from pipeline.errors import ServiceError, SetupError
from pipeline.ship.stores import Bucket, Folder, OtherContentError, store_of
from tests.shipping import lines

LOG = lines(0, 50)
FRAME = zstd.compress(LOG, 3)
NAME = "edge/2025/11/21/x.log.zst"


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "out")


def files(store: Folder) -> list[str]:
    return [path.name for path in Path(store.url).rglob("*") if path.is_file()]


def test_an_object_is_made_once(store: Folder) -> None:
    assert store.put(NAME, io.BytesIO(FRAME))
    assert not store.put(NAME, io.BytesIO(FRAME))
    assert (Path(store.url) / NAME).read_bytes() == FRAME
    assert files(store) == ["x.log.zst"]


def test_another_compression_of_the_same_log_is_the_same(store: Folder) -> None:
    store.put(NAME, io.BytesIO(FRAME))
    assert not store.put(NAME, io.BytesIO(zstd.compress(LOG, 19)))
    assert (Path(store.url) / NAME).read_bytes() == FRAME


@pytest.mark.parametrize(
    "there", [b"", b"junk", FRAME[:-1], zstd.compress(b"other")], ids=["none", "junk", "cut", "other"]
)  # fmt: skip
def test_other_content_is_left_alone(store: Folder, there: bytes) -> None:
    path = Path(store.url) / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(there)
    with pytest.raises(OtherContentError, match="holds other content"):
        store.put(NAME, io.BytesIO(FRAME))
    assert path.read_bytes() == there


@pytest.mark.parametrize("is_named", [True, False])
def test_what_a_kill_left_behind_goes_away(store: Folder, is_named: bool) -> None:
    path = Path(store.url) / NAME
    path.parent.mkdir(parents=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(FRAME if is_named else FRAME[:20])
    if is_named:
        path.hardlink_to(part)
    assert store.put(NAME, io.BytesIO(FRAME)) is not is_named
    assert path.read_bytes() == FRAME
    assert files(store) == ["x.log.zst"]


def test_a_file_system_without_links_will_do(
    store: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert store.put(NAME, io.BytesIO(FRAME))
    assert not store.put(NAME, io.BytesIO(FRAME))
    assert files(store) == ["x.log.zst"]


def test_another_may_be_faster(store: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(store.url) / NAME

    def late(self: Path, target: Path) -> None:
        self.write_bytes(FRAME)
        raise FileExistsError

    monkeypatch.setattr(Path, "hardlink_to", late)
    assert not store.put(NAME, io.BytesIO(FRAME))
    assert path.read_bytes() == FRAME


def test_a_folder_that_cannot_be_written_is_a_service_that_fails(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ServiceError, match="cannot be written: Not a directory; running again"):
        Folder(tmp_path / "out").put(NAME, io.BytesIO(FRAME))


def test_urls_tell_which_store_it_is(tmp_path: Path) -> None:
    assert isinstance(store_of(str(tmp_path)), Folder)
    assert isinstance(store_of("gs://bucket/folder"), Bucket)
    with pytest.raises(SetupError, match="gs://BUCKET/NAME"):
        store_of("gs://Not A Bucket/x")
