"""The disk is full: nothing is lost, and what can go on its way does."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pytest

from pipeline.errors import ServiceError
from pipeline.ship import shipping
from pipeline.ship.spool import Spool
from pipeline.ship.stores import Folder
from tests.shipping import Failing, Place, lines

DOWN = ServiceError("the store is down")
Fill = Callable[[Callable[[], bool]], None]


@pytest.fixture
def fill(monkeypatch: pytest.MonkeyPatch) -> Fill:
    """Has the spool's disk refuse bytes as long as something holds."""

    def fill(is_full: Callable[[], bool]) -> None:
        as_ever = Spool.packing

        class Full:
            def __init__(self, behind: BinaryIO) -> None:
                self._behind = behind

            def __getattr__(self, name: str) -> Any:
                return getattr(self._behind, name)

            def write(self, data: bytes) -> int:
                if data and is_full():
                    self._behind.write(data[:10])
                    raise OSError(errno.ENOSPC, "No space left on device")
                return self._behind.write(data)

        @contextmanager
        def packing(spool: Spool) -> Iterator[Any]:
            with as_ever(spool) as sink:
                yield Full(sink)

        monkeypatch.setattr(Spool, "packing", packing)

    return fill


def test_a_log_is_sent_without_being_packed_on_the_disk(place: Place, fill: Fill) -> None:
    fill(lambda: True)
    place.put("pixelship.log.1", lines(0))
    report = place.ship()
    assert (report.shipped, report.waiting, report.kept) == (1, 0, 0)
    assert list(place.stored().values()) == [lines(0)]
    assert report.is_clean


def test_what_the_store_has_makes_room(place: Place, fill: Fill) -> None:
    place.put("pixelship.log.1", lines(0))
    place.ship()
    fill(lambda: bool(place.spool.shipped()))
    place.put("pixelship.log.2", lines(1))
    report = place.ship(Failing(Folder(place.out), DOWN))
    assert (report.removed, report.waiting) == (1, 1)
    assert place.parts() == {"taken": 0, "packing": 0, "ready": 1, "shipped": 0}


def test_without_a_store_either_the_log_stays_as_it_is_and_it_is_said(
    place: Place, fill: Fill
) -> None:
    fill(lambda: True)
    place.put("pixelship.log.1", lines(0))
    report = place.ship(Failing(Folder(place.out), DOWN))
    assert [failure.why for failure in report.failed] == ["the disk is full; it waits as it is"]
    assert place.parts() == {"taken": 1, "packing": 0, "ready": 0, "shipped": 0}
    (log,) = place.spool.taken()
    assert log.path.read_bytes() == lines(0)


def test_where_nothing_can_be_written_at_all_too(
    place: Place, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(tempfile.SpooledTemporaryFile[bytes]):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    fill(lambda: True)
    monkeypatch.setattr(shipping.tempfile, "SpooledTemporaryFile", Full)
    place.put("pixelship.log.1", lines(0))
    report = place.ship()
    assert [failure.why for failure in report.failed] == ["the disk is full; it waits as it is"]
    monkeypatch.undo()
    assert place.ship().is_clean
    assert list(place.stored().values()) == [lines(0)]


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_other_trouble_with_the_disk_is_named(
    place: Place, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    @contextmanager
    def packing(spool: Spool) -> Iterator[Any]:
        raise OSError(number, "trouble")
        yield

    monkeypatch.setattr(Spool, "packing", packing)
    place.put("pixelship.log.1", lines(0))
    report = place.ship()
    assert [failure.why for failure in report.failed] == [
        "it cannot be compressed: trouble; it waits as it is"
    ]
    assert report.waiting == 1
