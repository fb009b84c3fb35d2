"""Which rows of the ledger speak of the same log object, whatever it was named and however it grew.

A row whose `start` is the `size` of another is its continuation: of a file that grew, or of a cloud
object that was written anew with more behind it. A file may have been renamed meanwhile, as log
rotation does, but it stays in its folder; a cloud object keeps its name. Checksums of parts do not
tell whether one is the front of another, so where sizes agree by chance, too much is taken for one
object; never too little.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from pipeline.model import LogObject
from pipeline.storage import CLOUD_STORAGE
from pipeline.warehouses.maintenance import Entry

_Content = tuple[str, str]
"""A name and a checksum."""


def whole_objects(chosen: Sequence[Entry], grown: Sequence[Entry]) -> list[Entry]:
    """The chosen rows with all others of the same log objects, among them and among those that grew.

    In the order of their batches.
    """
    first_of = _first_contents([*chosen, *grown])
    wanted = {first_of[_content(entry)] for entry in chosen}
    found = {entry for entry in (*chosen, *grown) if first_of[_content(entry)] in wanted}
    return sorted(found, key=lambda entry: (entry.batch, entry.object.name))


def lots(chosen: Sequence[Entry], grown: Sequence[Entry]) -> list[list[Entry]]:
    """The chosen rows in lots, in each of which a name stands for one log object alone.

    One lot is enough, unless rotation gave a name to several contents.
    """
    first_of = _first_contents([*chosen, *grown])
    numbers: defaultdict[str, dict[_Content, int]] = defaultdict(dict)
    found: list[list[Entry]] = []
    for entry in chosen:
        of_name = numbers[entry.object.name]
        number = of_name.setdefault(first_of[_content(entry)], len(of_name))
        found += [[]] if number == len(found) else []
        found[number].append(entry)
    return found


def _first_contents(entries: Sequence[Entry]) -> dict[_Content, _Content]:
    """For each content one that stands for its log object."""
    leads_to: dict[_Content, _Content] = {_content(entry): _content(entry) for entry in entries}
    by_end: defaultdict[tuple[str, int], set[_Content]] = defaultdict(set)
    for entry in entries:
        by_end[_place(entry.object), entry.object.size].add(_content(entry))
    for entry in entries:
        if entry.object.start:
            for front in by_end.get((_place(entry.object), entry.object.start), ()):
                leads_to[_end(leads_to, _content(entry))] = _end(leads_to, front)
    return {content: _end(leads_to, content) for content in leads_to}


def _end(leads_to: dict[_Content, _Content], content: _Content) -> _Content:
    """Where a way ends; it is made shorter for those who come after."""
    while leads_to[content] != content:
        leads_to[content] = content = leads_to[leads_to[content]]
    return content


def _content(entry: Entry) -> _Content:
    return entry.object.name, entry.object.checksum


def _place(item: LogObject) -> str:
    """Within which an object may grow: a cloud object under its name, a file in its folder."""
    return item.name if item.name.startswith(CLOUD_STORAGE) else item.folder


def folders(entries: Iterable[Entry]) -> set[str]:
    """Where the objects are."""
    return {entry.object.folder for entry in entries}
