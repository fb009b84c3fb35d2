"""Which rows of the ledger speak of the same log object."""

from __future__ import annotations

from pipeline.model import LogObject
from pipeline.warehouses.lineage import folders, lots, whole_objects
from pipeline.warehouses.maintenance import Entry


def entry(batch: int, name: str, size: int, start: int = 0, content: str = "") -> Entry:
    """A row; contents differ where size, start or `content` do."""
    checksum = f"sha256:{content}{start}-{size}"
    return Entry(LogObject(name, size, checksum, start), f"{batch:08d}")


FIRST, SECOND, THIRD = entry(1, "/l/a", 10), entry(2, "/l/a", 15, 10), entry(4, "/l/a.1", 20, 15)
CHANGES = entry(5, "/l/a", 15, 10)
OTHER = entry(3, "/l/a", 12, content="other")
STRANGER = entry(6, "/m/b", 99, 15)


def test_parts_belong_together_from_whichever_end_one_comes() -> None:
    grown = [FIRST, SECOND, THIRD, CHANGES, OTHER]
    for chosen in (FIRST, SECOND, THIRD, CHANGES):
        assert whole_objects([chosen], grown) == [FIRST, SECOND, THIRD, CHANGES]
    assert whole_objects([OTHER], grown) == [OTHER]
    assert whole_objects([], grown) == []
    assert whole_objects([OTHER, FIRST], [*grown, OTHER]) == [FIRST, SECOND, OTHER, THIRD, CHANGES]


def test_a_part_in_another_folder_is_another_objects() -> None:
    assert whole_objects([STRANGER], [FIRST, SECOND, STRANGER]) == [STRANGER]
    assert folders([FIRST, SECOND, STRANGER]) == {"/l/", "/m/"}


def test_cloud_objects_grow_under_their_name_alone() -> None:
    first = entry(1, "gs://b/l/a", 10)
    later = entry(2, "gs://b/l/a", 15, 10)
    other = entry(3, "gs://b/l/b", 15, 10, "other")
    assert whole_objects([first], [first, later, other]) == [first, later]
    assert whole_objects([other], [first, later, other]) == [other]


def test_empty_files_are_nobodys_front() -> None:
    empty, other = entry(1, "/l/a", 0), entry(1, "/l/b", 0)
    assert whole_objects([empty], [empty, other, FIRST]) == [empty]


def test_in_a_lot_a_name_stands_for_one_object() -> None:
    assert lots([], []) == []
    assert lots([FIRST, SECOND, THIRD], []) == [[FIRST, SECOND, THIRD]]
    again = entry(7, "/l/a", 7, content="again")
    assert lots([FIRST, OTHER, SECOND, STRANGER, again], [FIRST, SECOND]) == [
        [FIRST, SECOND, STRANGER],
        [OTHER],
        [again],
    ]


def test_what_lies_between_two_parts_joins_them() -> None:
    last = entry(4, "/l/a", 20, 15)
    assert lots([FIRST, last], [FIRST, SECOND, last]) == [[FIRST, last]]
    assert lots([FIRST, last], [FIRST, last]) == [[FIRST], [last]]


def test_a_thousand_parts_are_one_object() -> None:
    parts = [entry(at, "/l/a", at + 1, at) for at in range(3000)]
    assert whole_objects([parts[1500]], parts[::-1]) == parts
