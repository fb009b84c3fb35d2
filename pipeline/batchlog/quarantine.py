"""Log objects that are not loaded until a person has looked at them: an entry for each generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from hashlib import sha256
from typing import Any

from pipeline.batchlog.entries import QUARANTINE, encode
from pipeline.batchlog.reader import MissingError, Reader
from pipeline.batchlog.store import ObjectStore
from pipeline.model import Quarantined

_DIGEST_CHARS = 32
_FIELDS = tuple(each.name for each in fields(Quarantined))


class Quarantine:
    """The folder `quarantine/` of the log."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._reader = Reader(store)

    def all(self) -> list[Quarantined]:
        """The quarantined objects; one that is forgotten meanwhile may be missing or not."""
        return [
            Quarantined(**{name: row[name] for name in _FIELDS}) for row in self._rows().values()
        ]

    def add(self, found: Sequence[Quarantined]) -> None:
        """Remembers objects; those that are remembered stay as they are."""
        there = {each.name for each in self._store.list(QUARANTINE)} if found else set()
        for each in found:
            if _name(each) not in there:
                self._store.create(_name(each), encode(asdict(each)))

    def forget(self, names: Sequence[str]) -> None:
        """Forgets objects, in all their generations."""
        self._store.remove([entry for entry, row in self._rows().items() if row["name"] in names])

    def _rows(self) -> dict[str, Any]:
        """What the entries hold, by the entries' names."""
        rows: dict[str, Any] = {}
        listed = self._store.list(QUARANTINE)
        try:
            return self._reader.read(listed)
        except MissingError:
            for entry in listed:
                try:
                    rows |= self._reader.read([entry])
                except MissingError:
                    continue
            return rows


def _name(each: Quarantined) -> str:
    digest = sha256(f"{each.name}\n{each.generation}".encode()).hexdigest()
    return f"{QUARANTINE}{digest[:_DIGEST_CHARS]}.json"
