"""Whether the bytes of log objects are still at their source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from pipeline import unload as module
from pipeline.errors import SetupError
from pipeline.model import LogObject
from pipeline.sources import Listing, Search
from pipeline.unload import missing


def item_of(path: Path, data: bytes, start: int = 0) -> LogObject:
    return LogObject(str(path), len(data), f"sha256:{sha256(data).hexdigest()}", start)


def test_a_file_is_there_under_its_name_or_another_and_may_be_longer(tmp_path: Path) -> None:
    path, other = tmp_path / "a.log", tmp_path / "b.log"
    items = [item_of(path, b"12"), item_of(path, b"1234", 2), item_of(path, b"xy")]
    assert missing(items) == items
    path.write_bytes(b"12345")
    assert missing(items) == [items[2]]
    path.rename(other)
    assert missing(items) == [items[2]]
    path.write_bytes(b"xyz")
    assert missing(items) == []
    other.write_bytes(b"123")
    assert missing(items) == [items[1]]


def test_a_folder_that_is_gone_or_closed_holds_nothing(tmp_path: Path) -> None:
    item = item_of(tmp_path / "gone" / "a.log", b"12")
    assert missing([item]) == [item]
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "a.log").mkdir()
    assert missing([item]) == [item]


def test_an_empty_file_must_be_there_too(tmp_path: Path) -> None:
    item = item_of(tmp_path / "a.log", b"")
    assert missing([item]) == [item]
    (tmp_path / "b.log").write_bytes(b"any file begins with nothing")
    assert missing([item]) == []


class Bucket:
    """A bucket with one object; `fronts` are those that its bytes begin with."""

    reuses_names = False
    present: LogObject | None = None
    kept: tuple[int, ...] = ()
    front: tuple[LogObject, ...] = ()

    def of(self, name: str) -> Bucket:
        assert name.startswith("gs://")
        return self

    def is_as_pinned(self, item: LogObject) -> bool:
        return item.generation in self.kept

    def list_objects(self, search: Search) -> Listing:
        if self.present is None:
            raise SetupError(f"No log object is there under {search.patterns[0]}.")
        return Listing([replace(self.present, name="gs://bucket/a.log.1"), self.present])

    def fronts(self, item: LogObject, earlier: Iterable[LogObject]) -> list[LogObject]:
        assert item is self.present
        return [each for each in earlier if each in self.front]


def test_a_generation_is_there_itself_or_as_the_front_of_a_later_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket = Bucket()
    monkeypatch.setattr(module, "Anywhere", lambda: bucket)
    first = LogObject("gs://bucket/a.log", 9, "md5:ab", generation=7)
    second = LogObject("gs://bucket/a.log", 12, "md5:cd", start=9, generation=8)
    third = LogObject("gs://bucket/a.log", 20, "md5:ef", generation=9)
    assert missing([first, second]) == [first, second]
    bucket.kept = (8,)
    assert missing([first, second]) == [first]
    bucket.present = third
    assert missing([first, second]) == [first]
    bucket.front = (first,)
    assert missing([first, second]) == []
