"""Takes log objects out again, whole and from every table, so that they can be loaded anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import SetupError
from pipeline.model import LogObject, Tally
from pipeline.sources import Anywhere, LocalFiles, Search
from pipeline.warehouses.lineage import folders, whole_objects
from pipeline.warehouses.maintenance import Entry, Selection, Unloadable, require_closed

_MOST_NAMED = 3


@dataclass
class Unloaded:
    """What was taken out.

    `batches` is empty where there was nothing, or it was only planned. `objects` are names of log
    objects, `rows` counts rows by table, `total` is what the lines had become. `gone` names those
    objects whose bytes are no longer at their source.
    """

    batches: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    total: Tally = field(default_factory=Tally)

    def to_json(self) -> dict[str, Any]:
        """The result as `--json` prints it."""
        return {
            "batches": self.batches,
            "objects": self.objects,
            "rows": dict(sorted(self.rows.items())),
            "gone": self.gone,
        }


def unload(
    warehouse: Unloadable, selection: Selection, *, is_plan: bool = False, force: bool = False
) -> Unloaded:
    """Takes the selected log objects out; with `is_plan` it only says what would be taken out.

    All parts of an object that grew come out together. Raises SetupError for objects that the
    ledger does not know, and, without `force`, for those whose bytes are gone.
    """
    require_closed(warehouse)
    while True:
        batch = warehouse.next_batch()
        entries = _select(warehouse, selection)
        result = Unloaded(objects=sorted({entry.object.name for entry in entries}))
        if not entries:
            return result
        result.gone = sorted({item.name for item in missing(entry.object for entry in entries)})
        if result.gone and not (force or is_plan):
            raise SetupError(_refusal(result.gone))
        result.rows = warehouse.holdings(entries)
        if is_plan:
            return result
        report = warehouse.commit_unload(batch, entries)
        if report is not None:
            result.batches, result.total = report.batches, report.total
            return result


def _select(warehouse: Unloadable, selection: Selection) -> list[Entry]:
    """The rows of the ledger that come out. Raises SetupError for names that it does not know."""
    named = warehouse.entries(selection)
    unknown = set(selection.objects) - {entry.object.name for entry in named}
    if unknown:
        raise SetupError(f"{min(unknown)} is not loaded: pixelship.objects names what is.")
    return whole_objects(named, warehouse.read_in_parts(folders(named)))


def _refusal(gone: Sequence[str]) -> str:
    more = len(gone) - _MOST_NAMED
    names = ", ".join(gone[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
    are = "is" if len(gone) == 1 else "are"
    return (
        f"{names} {are} no longer there as loaded, so the rows could not come back: "
        "add --force to take them out all the same."
    )


# What is still at its source


def missing(items: Iterable[LogObject]) -> list[LogObject]:
    """Those log objects whose bytes are no longer at their source, so that no load brings them back.

    A file counts as there where any file of its folder begins with its bytes, whatever its name.
    Raises SetupError, ServiceError.
    """
    by_place: defaultdict[str, list[LogObject]] = defaultdict(list)
    source = Anywhere()
    for item in items:
        is_file = source.of(item.name).reuses_names
        by_place[item.folder if is_file else item.name].append(item)
    found: list[LogObject] = []
    for place, there in by_place.items():
        is_file = source.of(place).reuses_names
        found += _missing_files(place, there) if is_file else _missing_generations(source, there)
    return found


def _missing_files(folder: str, items: Sequence[LogObject]) -> list[LogObject]:
    """Those of a folder's files whose bytes are not in it; files that have their names come first."""
    left = list(items)
    for name in dict.fromkeys([*(item.name for item in items), *_files(folder)]):
        sums = _checksums(name, {item.size for item in left})
        left = [item for item in left if sums.get(item.size) != item.checksum]
        if not left:
            break
    return left


def _files(folder: str) -> list[str]:
    try:
        return sorted(str(path) for path in Path(folder).iterdir() if path.is_file())
    except OSError:
        return []


def _checksums(name: str, sizes: set[int]) -> dict[int, str]:
    """The checksums of a file's first bytes, for those sizes that it has."""
    try:
        size = Path(name).stat().st_size
        return LocalFiles().checksums(name, [each for each in sizes if each <= size])
    except OSError:
        return {}


def _missing_generations(source: Anywhere, items: Sequence[LogObject]) -> list[LogObject]:
    """Those generations of a cloud object that are gone and are not the front of the present one."""
    left = [item for item in items if not source.is_as_pinned(item)]
    if not left:
        return []
    name = left[0].name
    try:
        listed = source.list_objects(Search([name])).objects
    except SetupError:
        return left
    for present in listed:
        if present.name == name:
            fronts = source.fronts(present, left)
            left = [item for item in left if item not in fronts]
    return left
