"""Which objects of a bucket are new, and in which batches they are loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from pipeline import plan
from pipeline.model import Fault, LogObject, Quarantined
from pipeline.plan import MOST_OBJECTS, Plan, make_plan
from pipeline.sources import Anywhere, Listing, Search
from tests.cloud import Cloud

FIRST, MORE, OTHER = b"first line\n" * 9, b"second line\n" * 9, b"other line\n" * 20


class Bucket(Anywhere):
    """A folder of logs; `compared` are the objects whose bytes were read again."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud_ = cloud
        self.compared: list[str] = []
        self.known: list[LogObject] = []
        self.quarantined: list[Quarantined] = []

    def fronts(self, item: LogObject, earlier: Iterable[LogObject]) -> list[LogObject]:
        self.compared.append(self.short(item.name))
        return super().fronts(item, earlier)

    def put(self, name: str, data: bytes) -> None:
        self._cloud_.put(name, data)

    def listing(self) -> Listing:
        return self.list_objects(Search([f"{self._cloud_.folder}/logs/"]))

    def plan(self) -> Plan:
        """What a run would load; it changes nothing."""
        self.compared.clear()
        return make_plan(self, self.listing(), self.known, self.quarantined)

    def run(self) -> Plan:
        """A run: what it loads is known from now on, what it quarantines is remembered."""
        made = self.plan()
        self.known += made.objects
        self.quarantined += made.quarantined
        return made

    def short(self, name: str) -> str:
        return name.removeprefix(f"{self._cloud_.folder}/logs/")

    def told(self, made: Plan) -> tuple[dict[str, int], int, dict[str, str]]:
        """What is loaded and from where on, how much is unchanged, what is quarantined and why."""
        return (
            {self.short(item.name): item.start for item in made.objects},
            made.unchanged,
            {self.short(each.name): self._short_why(each) for each in made.quarantined},
        )

    def _short_why(self, each: Quarantined) -> str:
        return each.why.replace(f"{self._cloud_.folder}/logs/", "")


@pytest.fixture
def bucket(cloud: Cloud) -> Bucket:
    return Bucket(cloud)


def test_an_object_is_new_once(bucket: Bucket) -> None:
    bucket.put("a", FIRST)
    bucket.put("b", MORE)
    made = bucket.run()
    assert bucket.told(made) == ({"a": 0, "b": 0}, 0, {})
    assert {item.size for item in made.objects} == {len(FIRST), len(MORE)}
    assert all(item.generation > 0 for item in made.objects)
    assert bucket.told(bucket.run()) == ({}, 2, {})
    assert bucket.compared == []


def test_the_same_bytes_written_again_are_known(bucket: Bucket) -> None:
    bucket.put("a", FIRST)
    (before,) = bucket.run().objects
    bucket.put("a", FIRST)
    (there,) = bucket.listing().objects
    assert there.generation != before.generation
    assert bucket.told(bucket.run()) == ({}, 1, {})
    assert bucket.compared == []


def test_of_an_object_that_grew_the_tail_is_new(bucket: Bucket) -> None:
    bucket.put("a", FIRST)
    bucket.run()
    bucket.put("a", FIRST + MORE)
    made = bucket.run()
    assert bucket.told(made) == ({"a": len(FIRST)}, 0, {})
    assert (made.objects[0].size, bucket.compared) == (len(FIRST + MORE), ["a"])
    bucket.put("a", FIRST + MORE + OTHER)
    assert bucket.told(bucket.run()) == ({"a": len(FIRST + MORE)}, 0, {})
    assert bucket.told(bucket.run()) == ({}, 1, {})


def test_bytes_that_were_there_before_are_known_again(bucket: Bucket) -> None:
    bucket.put("a", FIRST)
    bucket.run()
    bucket.put("a", FIRST + MORE)
    bucket.run()
    bucket.put("a", FIRST)
    assert bucket.told(bucket.run()) == ({}, 1, {})


CHANGED = "the {} bytes that were loaded are no longer its first ones"


@pytest.mark.parametrize(
    ("loaded", "data"),
    [
        pytest.param([FIRST], FIRST[:-11], id="shrunk"),
        pytest.param([FIRST], b"x" + FIRST[1:], id="changed in place"),
        pytest.param([FIRST], b"x" + FIRST[1:] + MORE, id="changed and grown"),
        pytest.param([FIRST], b"", id="emptied"),
        pytest.param([FIRST, FIRST + MORE], FIRST + OTHER, id="grown otherwise than before"),
        pytest.param([FIRST, FIRST + MORE], FIRST + MORE[:-12], id="shrunk to more than at first"),
    ],
)
def test_changed_bytes_are_quarantined(bucket: Bucket, loaded: list[bytes], data: bytes) -> None:
    for each in loaded:
        bucket.put("a", each)
        bucket.run()
    bucket.put("a", data)
    made = bucket.run()
    assert bucket.told(made) == ({}, 0, {"a": CHANGED.format(len(loaded[-1]))})
    (there,) = bucket.listing().objects
    (told,) = made.quarantined
    assert (told.name, told.generation, told.size) == (there.name, there.generation, len(data))


def test_quarantined_bytes_are_not_read_again_until_they_are_replaced(bucket: Bucket) -> None:
    bucket.put("a", FIRST)
    bucket.run()
    bucket.put("a", OTHER)
    told = bucket.told(bucket.run())
    assert bucket.compared == ["a"]
    assert bucket.told(bucket.run()) == told == ({}, 0, {"a": CHANGED.format(len(FIRST))})
    assert bucket.compared == []
    bucket.put("a", FIRST + MORE)
    assert bucket.told(bucket.run()) == ({"a": len(FIRST)}, 0, {})


def test_a_copy_of_what_was_loaded_is_quarantined(bucket: Bucket) -> None:
    bucket.put("b", FIRST)
    bucket.run()
    for name in ("a", "c/b"):
        bucket.put(name, FIRST)
    why = "has the same content as b, which is loaded"
    for _ in range(2):
        assert bucket.told(bucket.run()) == ({}, 1, {"a": why, "c/b": why})
    assert bucket.compared == []


def test_of_copies_in_one_listing_the_first_is_loaded(bucket: Bucket) -> None:
    for name in ("a", "b"):
        bucket.put(name, FIRST)
    why = "has the same content as a, which is loaded"
    assert bucket.told(bucket.run()) == ({"a": 0}, 0, {"b": why})


def test_a_copy_that_gets_bytes_of_its_own_is_new(bucket: Bucket) -> None:
    bucket.put("a", FIRST)
    bucket.put("b", FIRST)
    bucket.run()
    bucket.put("b", OTHER)
    assert bucket.told(bucket.run()) == ({"b": 0}, 1, {})


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b" + bytes(18), b"#Fields: none\n", b"x" * 64])
def test_objects_too_small_for_a_view_may_all_look_alike(bucket: Bucket, data: bytes) -> None:
    for name in ("a", "b", "c"):
        bucket.put(name, data)
    assert bucket.told(bucket.run()) == ({"a": 0, "b": 0, "c": 0}, 0, {})
    bucket.put("d", data)
    assert bucket.told(bucket.run()) == ({"d": 0}, 3, {})
    bucket.put("b", data + FIRST)
    assert bucket.told(bucket.run()) == ({"b": len(data)}, 3, {})


def test_objects_just_large_enough_for_a_view_may_not(bucket: Bucket) -> None:
    for name in ("a", "b"):
        bucket.put(name, b"x" * 65)
    told = bucket.told(bucket.run())
    assert told == ({"a": 0}, 0, {"b": "has the same content as a, which is loaded"})


def test_what_is_replaced_while_it_is_compared_is_left_for_later(bucket: Bucket) -> None:
    bucket.put("a", FIRST)
    bucket.run()
    bucket.put("a", FIRST + MORE)
    bucket.put("b", OTHER)
    listing = bucket.listing()
    bucket.put("a", FIRST + MORE + OTHER)
    listing.waiting = 5
    made = make_plan(bucket, listing, bucket.known, bucket.quarantined)
    assert (bucket.told(made), made.waiting) == (({"b": 0}, 0, {}), 6)
    assert bucket.told(bucket.run()) == ({"a": len(FIRST), "b": 0}, 0, {})


def test_what_the_listing_could_not_read_is_told() -> None:
    faults = [Fault("a", 0, "cannot be read")]
    made = make_plan(Anywhere(), Listing(waiting=3, faults=faults), [])
    assert (made.waiting, made.faults, made.batches()) == (3, faults, [])


# Batches


def objects(*sizes: int) -> list[LogObject]:
    return [LogObject(f"gs://b/{at}", size, f"md5:{at}") for at, size in enumerate(sizes)]


def test_a_batch_takes_so_many_objects() -> None:
    made = Plan(objects(*[1] * (2 * MOST_OBJECTS + 1)))
    assert [len(lot) for lot in made.batches()] == [MOST_OBJECTS, MOST_OBJECTS, 1]
    assert [item for lot in made.batches() for item in lot] == made.objects


@pytest.mark.parametrize(
    ("sizes", "lots"),
    [
        ([], []),
        ([5, 5], [2]),
        ([5, 5, 1], [2, 1]),
        ([5, 6, 5], [1, 1, 1]),
        ([99], [1]),
        ([1, 99, 1, 1], [1, 1, 2]),
        ([0, 10, 0, 0], [4]),
        ([10, 0, 1, 0], [2, 2]),
    ],
)
def test_a_batch_takes_so_many_bytes(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], lots: list[int]
) -> None:
    monkeypatch.setattr(plan, "MOST_BYTES", 10)
    assert [len(lot) for lot in Plan(objects(*sizes)).batches()] == lots


def grown(item: LogObject) -> LogObject:
    return replace(item, start=item.size - 1)


@pytest.mark.parametrize(("change", "lots"), [(grown, [3]), (lambda item: item, [1, 1, 1])])
def test_of_an_object_that_grew_only_the_tail_counts(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[LogObject], LogObject], lots: list[int]
) -> None:
    monkeypatch.setattr(plan, "MOST_BYTES", 10)
    made = Plan([change(item) for item in objects(100, 100, 100)])
    assert [len(lot) for lot in made.batches()] == lots
