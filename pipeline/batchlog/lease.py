"""A lease: at most one run at a time, as long as none takes longer than it says.

```
leases/00000007.json        run 7 may work until the time that stands in it
leases/00000007.end.json    it has ended
```

Like the rest of the log, an entry is created once: of several who want the next number one wins. Only
the highest number counts, and it is never removed, so whoever was stopped and creates a lower one sees
a higher one afterwards. Nothing rests on leases but the cost of working twice: the batch log keeps runs
apart that overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from pipeline.batchlog.entries import decode, encode
from pipeline.batchlog.store import Entry, ObjectStore

_LEASES = "leases/"
_END = ".end.json"
_NUMBER = slice(len(_LEASES), len(_LEASES) + 8)


class Lease:
    """A lease of so many seconds in a store; it can be handed to another process once it is taken."""

    def __init__(self, store: ObjectStore, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._held: str | None = None

    def take(self) -> datetime | None:
        """Takes the lease; where another run holds it, gives the time until which it does."""
        entries = self._store.list(_LEASES)
        last = entries[-1].name[_NUMBER] if entries else "0" * 8
        if (until := self._held_until(entries, last)) is not None:
            return until
        mine = f"{_LEASES}{int(last) + 1:08d}"
        ends_at = _now() + timedelta(seconds=self._seconds)
        is_first = self._store.create(f"{mine}.json", encode({"until": ends_at.isoformat()}))
        if not is_first or self._store.list(_LEASES)[-1].name[_NUMBER] != mine[len(_LEASES) :]:
            return ends_at  # another run took it just now, for about as long
        self._held = mine
        self._store.remove([entry.name for entry in entries])
        return None

    def release(self) -> None:
        """Lets the next run begin; does nothing where the lease is not held."""
        if self._held:
            self._store.create(f"{self._held}{_END}", encode({}))

    def _held_until(self, entries: Sequence[Entry], last: str) -> datetime | None:
        """The time until which another run holds it; None where none does."""
        names = {entry.name for entry in entries}
        found = (
            self._store.read(f"{_LEASES}{last}.json") if f"{_LEASES}{last}.json" in names else None
        )
        if found is None or f"{_LEASES}{last}{_END}" in names:
            return None
        until = datetime.fromisoformat(decode(found)["until"])
        return until if until > _now() else None


def _now() -> datetime:
    return datetime.now(timezone.utc)
