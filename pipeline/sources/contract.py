"""What a source of log objects is: it lists them pinned, opens them, and compares their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from pipeline.model import Fault, LogObject


@dataclass(frozen=True)
class Search:
    """What to look for: files, globs and folders, here or in the cloud.

    `leave_out` are local files and folders that are no logs. Objects that were written in the last
    `settle_s` seconds are left for later.
    """

    patterns: Sequence[str]
    leave_out: Sequence[Path] = ()
    settle_s: float = 0.0


@dataclass
class Listing:
    """The log objects found, each once; how many are too young; those that cannot be read."""

    objects: list[LogObject] = field(default_factory=list)
    waiting: int = 0
    faults: list[Fault] = field(default_factory=list)

    def add(self, other: Listing) -> None:
        """Adds what was found elsewhere."""
        self.objects += other.objects
        self.waiting += other.waiting
        self.faults += other.faults


class Source(Protocol):
    """Where log objects are."""

    reuses_names: bool
    """Whether a name may be given to other bytes as a matter of course, as log rotation does."""

    def list_objects(self, search: Search) -> Listing:
        """The log objects that patterns name; raises SetupError for a pattern that names nothing."""

    def would_list(self, search: Search, name: str) -> bool:
        """Whether a search finds an object of this name, if it is there."""

    def fronts(self, item: LogObject, earlier: Iterable[LogObject]) -> list[LogObject]:
        """Which of some smaller objects, read earlier, are the first bytes of this one."""

    def is_as_pinned(self, item: LogObject) -> bool:
        """Whether the pinned bytes are still there to be read."""

    def open(self, item: LogObject) -> BinaryIO:
        """The object's stored bytes; raises OSError where they are gone."""
