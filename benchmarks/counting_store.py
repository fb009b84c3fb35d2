"""A store in memory for the batch log, which counts what is asked of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Final

from pipeline.batchlog import Entry

_BEGIN: Final = datetime(2026, 1, 1, tzinfo=timezone.utc)


class CountingStore:
    """A store in memory that counts its requests, as `ObjectStore` says."""

    url = "gs://bucket/state"

    def __init__(self) -> None:
        self.now = _BEGIN
        self.requests: Counter[str] = Counter()
        self._objects: dict[str, tuple[bytes, Entry]] = {}

    def create(self, name: str, data: bytes) -> bool:
        """As ObjectStore says."""
        self.requests["create"] += 1
        entry = Entry(name, self.now, self.requests["create"])
        return self._objects.setdefault(name, (data, entry))[0] is data

    def read(self, name: str, generation: int | None = None) -> bytes | None:
        """As ObjectStore says."""
        self.requests["read"] += 1
        data, entry = self._objects.get(name, (None, None))
        return data if entry and generation in {None, entry.generation} else None

    def list(self, prefix: str) -> Sequence[Entry]:
        """As ObjectStore says."""
        self.requests["list"] += 1
        return [self._objects[name][1] for name in sorted(self._objects) if name.startswith(prefix)]

    def remove(self, names: Iterable[str]) -> None:
        """As ObjectStore says."""
        for name in names:
            self.requests["remove"] += 1
            self._objects.pop(name, None)

    def size(self, prefix: str = "") -> tuple[int, int]:
        """The objects there are, and their bytes."""
        found = [data for name, (data, _) in self._objects.items() if name.startswith(prefix)]
        return len(found), sum(map(len, found))
