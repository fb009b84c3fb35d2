"""Reads entries of the log, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pipeline.batchlog.entries import decode
from pipeline.batchlog.store import Entry, ObjectStore

_READERS = 8
"""Reads at the same time; the client keeps ten connections."""


Parse = Callable[[bytes], Any]


class MissingError(Exception):
    """An entry that should be there is not: it was cleared away meanwhile, or by hand."""


class Reader:
    """Reads entries by the generation that was listed; what was read is kept, as none ever changes."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._kept: dict[tuple[Entry, Parse], Any] = {}

    def read(self, entries: Iterable[Entry], parse: Parse = decode) -> dict[str, Any]:
        """What the entries hold, by name. Raises MissingError."""
        wanted = list(entries)
        unread = [each for each in wanted if (each, parse) not in self._kept]
        keys = [(each, parse) for each in unread]
        if len(unread) > 1:
            with ThreadPoolExecutor(_READERS) as pool:
                found = pool.map(self._bytes, unread)
                self._kept.update(zip(keys, map(parse, found), strict=True))
        else:
            self._kept.update(zip(keys, map(parse, map(self._bytes, unread)), strict=True))
        return {each.name: self._kept[each, parse] for each in wanted}

    def keep_only(self, entries: Iterable[Entry]) -> None:
        """Forgets what was read of other entries."""
        kept = set(entries)
        self._kept = {key: content for key, content in self._kept.items() if key[0] in kept}

    def _bytes(self, entry: Entry) -> bytes:
        data = self._store.read(entry.name, entry.generation)
        if data is None:
            raise MissingError(entry.name)
        return data
