"""Tells which log objects are new: known, grown, copied and changed ones apart.

A local file is known by its content, because log rotation gives names to other bytes. A cloud object
is known by its name and generation: the same content under another name, or other bytes under the
same name, is quarantined, for a person to look at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from pipeline.model import Fault, LogObject, Quarantined
from pipeline.sources import Anywhere, Listing

MOST_OBJECTS = 10_000
MOST_BYTES = 1 << 36
"""What one batch may hold; a single object may be larger."""
_HOLDS_NO_LINE_BYTES = 64
"""No signed URL fits in so few bytes, not even compressed: all such objects may look the same."""


@dataclass
class Plan:
    """What of a listing is to be loaded; the rest is counted, or named with the reason."""

    objects: list[LogObject] = field(default_factory=list)
    unchanged: int = 0
    waiting: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def batches(self) -> list[tuple[LogObject, ...]]:
        """The objects in lots that one batch may hold, in their order."""
        lots: list[list[LogObject]] = []
        room_bytes = 0
        for item in self.objects:
            stored_bytes = item.size - item.start
            if not lots or len(lots[-1]) == MOST_OBJECTS or stored_bytes > room_bytes:
                lots.append([])
                room_bytes = MOST_BYTES
            lots[-1].append(item)
            room_bytes -= stored_bytes
        return [tuple(lot) for lot in lots]


def make_plan(
    source: Anywhere,
    listing: Listing,
    known: Sequence[LogObject],
    quarantined: Iterable[Quarantined] = (),
) -> Plan:
    """Tells new log objects from those known; `quarantined` are remembered from earlier runs."""
    planner = _Planner(source, known, quarantined)
    for item in listing.objects:
        planner.add(item)
    planner.plan.waiting += listing.waiting
    planner.plan.faults = list(listing.faults)
    return planner.plan


class _Planner:
    def __init__(
        self, source: Anywhere, known: Sequence[LogObject], quarantined: Iterable[Quarantined]
    ) -> None:
        self.plan = Plan()
        self._source = source
        self._by_content = {_content(item): item for item in known}
        self._by_name: dict[str, list[LogObject]] = defaultdict(list)
        self._by_folder: dict[str, list[LogObject]] = defaultdict(list)
        for item in known:
            self._by_name[item.name].append(item)
            self._by_folder[item.folder].append(item)
        self._remembered = {(each.name, each.generation): each for each in quarantined}

    def add(self, item: LogObject) -> None:
        try:
            if self._source.of(item.name).reuses_names:
                self._add_by_content(item)
            else:
                self._add_by_name(item)
        except FileNotFoundError:  # it was replaced, or renamed, since it was listed
            self.plan.waiting += 1

    def _add_by_content(self, item: LogObject) -> None:
        """The same bytes under any name are known.

        A file that grew is read from where it ended, also when it was renamed within its folder, as
        log rotation does.
        """
        if _content(item) in self._by_content:
            self.plan.unchanged += 1
        else:
            smaller = (each for each in self._by_folder[item.folder] if each.size < item.size)
            fronts = self._source.fronts(item, smaller)
            self._take(item, max((each.size for each in fronts), default=0))

    def _add_by_name(self, item: LogObject) -> None:
        """A name stands for the same bytes, or for more behind them."""
        earlier = self._by_name[item.name]
        if any(
            each.generation == item.generation or _content(each) == _content(item)
            for each in earlier
        ):
            self.plan.unchanged += 1
        elif earlier:
            self._add_later_generation(item, max(earlier, key=lambda each: each.size))
        elif _content(item) in self._by_content and item.size > _HOLDS_NO_LINE_BYTES:
            twin = self._by_content[_content(item)].name
            self._quarantine(item, f"has the same content as {twin}, which is loaded")
        else:
            self._take(item, 0)

    def _add_later_generation(self, item: LogObject, last: LogObject) -> None:
        if remembered := self._remembered.get((item.name, item.generation)):
            self.plan.quarantined.append(remembered)
            return
        try:
            has_grown = bool(self._source.fronts(item, [last]))
        except FileNotFoundError:  # written anew since it was listed: the next run sees that one
            self.plan.waiting += 1
            return
        if has_grown:
            self._take(item, last.size)
        else:
            why = f"the {last.size:,} bytes that were loaded are no longer its first ones"
            self._quarantine(item, why)

    def _take(self, item: LogObject, start: int) -> None:
        self.plan.objects.append(replace(item, start=start))
        self._by_content[_content(item)] = item

    def _quarantine(self, item: LogObject, why: str) -> None:
        self.plan.quarantined.append(Quarantined(item.name, item.generation, item.size, why))


def _content(item: LogObject) -> tuple[str, int]:
    """What tells contents apart; a CRC alone would not."""
    return item.checksum, item.size
