"""Many objects, and long names: what is one request's, and what is too much."""

from __future__ import annotations

import random

import pytest

from pipeline.batchlog import BatchLog, Decision, checkpoints, known
from pipeline.batchlog import log as log_module
from pipeline.batchlog.entries import decode, encode
from pipeline.batchlog.store import MOST_BYTES
from pipeline.errors import SetupError
from pipeline.model import LogObject
from tests.batchlog.stores import MemoryStore, SteppedStore, at
from tests.batchlog.test_log import load, rows
from tests.batchlog.world import log_object

MOST_OBJECTS = 10_000


def objects(count: int, name_chars: int) -> list[LogObject]:
    """Names that hardly compress, as long as Cloud Storage lets them be."""
    chance = random.Random(1)  # noqa: S311 - any will do
    return [
        LogObject(
            f"gs://b/{number:06d}" + chance.randbytes(name_chars // 2).hex(),
            chance.randrange(1 << 40),
            "md5:" + chance.randbytes(16).hex(),
            0,
            chance.randrange(1 << 53),
        )
        for number in range(count)
    ]


def test_a_full_batch_fits() -> None:
    """Also where names are as random as they can be, up to 500 characters."""
    store = MemoryStore()
    log = BatchLog(store, checkpoint_every=1)
    many = objects(MOST_OBJECTS, 500)
    planned = log.plan("load", many, after="00000000")
    assert planned
    log.loaded(planned.batch, Decision(objects=rows(*many)))
    log.done(planned.batch)
    assert log.checkpoint()
    assert max(len(each.data) for each in store.objects.values()) < MOST_BYTES
    assert len(log.view().known_like(many)) == MOST_OBJECTS


def test_a_plan_that_is_too_large_is_refused_at_once() -> None:
    store = MemoryStore()
    with pytest.raises(SetupError, match=r"A plan of 10,000 log objects takes [\d,]+ bytes, more"):
        BatchLog(store).plan("load", objects(MOST_OBJECTS, 1000), after="00000000")
    assert store.names() == []


def test_a_plan_of_the_largest_size_leaves_room_for_what_becomes_of_it() -> None:
    assert 2 * log_module.MOST_PLAN_BYTES == MOST_BYTES


@pytest.mark.parametrize("part_objects", [1, 3, 1000])
def test_a_checkpoint_may_take_several_files(
    part_objects: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_PART_OBJECTS", part_objects)
    store = MemoryStore()
    log = BatchLog(store, checkpoint_every=1)
    many = [log_object(f"{number}") for number in range(10)]
    load(log, *many)
    assert log.checkpoint()
    assert len(store.names("checkpoints/")) == 1 + -(-10 // part_objects)
    assert BatchLog(store).view().known_like(many) == many


def test_a_file_that_is_too_large_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "MOST_BYTES", 100_000)
    store = MemoryStore()
    log = BatchLog(store, checkpoint_every=1)
    many = objects(1000, 800)
    load(log, *many)
    assert log.checkpoint()
    files = [store.objects[name].data for name in store.names("checkpoints/")]
    assert len(files) > 4
    assert max(map(len, files)) < 100_000
    assert BatchLog(store).view().known_like(many) == many


def test_entries_are_plain_json_until_they_are_long() -> None:
    short, long = {"x": 1}, {"x": "a" * (1 << 20)}
    assert encode(short).startswith(b'{"x":1,"writer":"')
    assert len(encode(long)) < 10_000
    for content in (short, long):
        assert decode(encode(content))["x"] == content["x"]
        assert encode(content) != encode(content)


def test_two_writers_of_a_checkpoint_do_not_mix_their_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One of them has forgotten an object, so that its files begin and end elsewhere."""
    monkeypatch.setattr(checkpoints, "_PART_OBJECTS", 2)
    monkeypatch.setattr(known, "REMEMBER_DAYS", -1)
    many = [log_object(f"{number}") for number in range(4)]
    for step in range(12):
        store = MemoryStore()
        load(BatchLog(store), *many)

        def forget_one(store: MemoryStore = store) -> None:
            other = BatchLog(store, checkpoint_every=1)
            other.checkpoint(many[1:], lambda name: name == many[0].name)

        slow = SteppedStore(store, before=at(step, forget_one))
        BatchLog(slow, checkpoint_every=1).checkpoint()
        assert BatchLog(store).view().known_like(many) in (many, many[1:])
