"""What is known: found again by name, generation, bytes or folder; and forgotten at the right time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

import pyarrow as pa
import pytest

from pipeline.batchlog import BatchLog, known
from pipeline.batchlog.known import DAY_S, REMEMBER_DAYS
from pipeline.model import LogObject
from tests.batchlog.stores import MemoryStore
from tests.batchlog.test_log import load
from tests.batchlog.world import log_object

NOW_S = 1_800_000_000
AGE_S = (REMEMBER_DAYS + 1) * DAY_S


def everywhere(name: str) -> bool:
    return True


def table(*objects: LogObject, last_listed: int = NOW_S - AGE_S) -> pa.Table:
    return known.taken(known.columns_of([asdict(item) for item in objects]), 7, last_listed)


def left(
    table: pa.Table, *listed: LogObject, would_list: Callable[[str], bool] = everywhere
) -> list[LogObject]:
    """What is known after a listing."""
    kept = known.remember(table, listed, would_list, NOW_S)
    return [LogObject(*row.values()) for row in kept.select(known.OBJECT_SCHEMA.names).to_pylist()]


A = log_object("a", 5)
LOCAL = LogObject("/var/log/nginx/access.log.1", 100, "sha256:a")


def test_what_is_not_alike_is_not_given() -> None:
    others = [log_object("b"), LogObject("/var/log/other/access.log", 1, "sha256:b")]
    assert known.like(table(A, LOCAL, *others), []) == []
    assert known.like(table(*others), [A, LOCAL]) == []


@pytest.mark.parametrize(
    "asked",
    [
        replace(A, generation=6, checksum="md5:other"),
        replace(A, name="gs://logs/copy"),
        replace(A, name="/srv/copy"),
    ],
)
def test_cloud_objects_are_alike_by_name_or_bytes(asked: LogObject) -> None:
    assert known.like(table(log_object("b"), A), [asked]) == [A]


@pytest.mark.parametrize(
    "asked",
    [
        replace(LOCAL, name="/var/log/nginx/access.log", checksum="sha256:other"),
        replace(LOCAL, name="/srv/copy"),
    ],
)
def test_files_are_alike_by_folder_or_bytes(asked: LogObject) -> None:
    other = replace(LOCAL, name="/var/log/nginx/old/access.log", checksum="sha256:x")
    assert known.like(table(other, LOCAL), [asked]) == [LOCAL]


def test_objects_are_remembered_for_their_time_after_they_were_listed_last() -> None:
    edge = NOW_S - REMEMBER_DAYS * DAY_S
    assert left(table(A, last_listed=edge)) == [A]
    assert left(table(A, last_listed=edge - 1)) == []


@pytest.mark.parametrize(
    "listed",
    [
        A,
        replace(A, generation=6),
        replace(A, name="gs://logs/copy", generation=9),
        replace(A, name="/srv/copy", generation=0),
        replace(A, generation=6, checksum="md5:longer", size=200),
    ],
    ids=["same", "same bytes", "copy", "copied file", "may have grown"],
)
def test_what_a_listing_recognises_is_never_forgotten(listed: LogObject) -> None:
    assert left(table(A), listed) == [A]
    again = known.remember(table(A), [listed], everywhere, NOW_S)
    assert again["last_listed"].to_pylist() == [NOW_S]


def test_of_an_object_that_grew_the_largest_is_enough() -> None:
    grown = [
        replace(A, generation=number, size=number, checksum=f"{number}") for number in (3, 9, 5)
    ]
    assert left(table(*grown), replace(A, generation=12, checksum="x", size=12)) == [grown[1]]


def test_what_this_run_would_not_find_is_never_forgotten() -> None:
    b = log_object("b")
    assert left(table(A, b), would_list=lambda name: name == b.name) == [A]


def test_a_file_that_log_rotation_renamed_is_recognised_by_its_bytes() -> None:
    older = replace(LOCAL, size=50, checksum="sha256:older")
    rotated = replace(LOCAL, name="/var/log/nginx/access.log.2")
    assert left(table(LOCAL, older), rotated) == [LOCAL]


def test_a_clock_that_jumps_forgets_nothing() -> None:
    """The store's clock runs ahead by years: within a checkpoint that counts as a month."""
    store = MemoryStore()
    log = BatchLog(store, checkpoint_every=1)
    load(log, A)
    assert log.checkpoint([A])
    for number in range(12):
        store.pass_days(10_000 if number == 0 else 31)
        other = log_object(f"other{number}")
        load(log, other)
        assert log.checkpoint([other], everywhere)
        assert log.view().known_like([A]) == [A]
    store.pass_days(-10_000)
    load(log, log_object("back"))
    assert log.checkpoint([], everywhere)
    assert log.view().known_like([A]) == [A]
    store.pass_days(31)
    load(log, log_object("last"))
    assert log.checkpoint([], everywhere)
    assert log.view().known_like([A]) == []


def test_what_was_loaded_since_the_last_checkpoint_was_listed_then() -> None:
    """A first checkpoint after two years, of a run that finds nothing of it any more."""
    store = MemoryStore()
    log = BatchLog(store, checkpoint_every=2)
    load(log, A)
    store.pass_days(700)
    load(log)
    assert log.checkpoint([], everywhere)
    assert log.view().known_like([A]) == [A]
