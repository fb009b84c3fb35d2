"""Clears away what a checkpoint made needless. May be killed, and run beside anything, at any point.

Everything goes by the newest checkpoint that is seen, which may be an old one by the time that
something is removed. That does no harm: what a checkpoint makes needless stays so.

- Entries of batches up to it: readers ignore them, and numbers up to a checkpoint are never alive
  again.
- Staging folders of these batches: all their load jobs are over, as each batch is closed. Not those
  of which rows wait. A process that was stopped in the middle of a batch, and wakes up to issue its
  load job once more, finds no shards: so it cannot load twice, however long it was stopped and
  whether or not the warehouse remembers the job.
- Entries of parked rows of these batches that the checkpoint does not name: they were loaded, or
  parked by an attempt that lost.
- Older checkpoints but for one, which a reader may be about to read; files of attempts that lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pipeline.batchlog import checkpoints
from pipeline.batchlog.entries import BATCHES, CHECKPOINTS, PARKED, STAGING, decode
from pipeline.batchlog.store import Entry, ObjectStore

_ID_OF = re.compile(r"[a-z]+/(\d{8})[./]")
_KEPT_CHECKPOINTS = 2


def tidy(store: ObjectStore) -> None:
    """Removes what is needless; leaves it to others where they are at it."""
    listed = store.list(CHECKPOINTS)
    kept = checkpoints.pointers(listed)[-_KEPT_CHECKPOINTS:]
    contents = [store.read(entry.name, entry.generation) for _, entry in kept]
    if not kept or None in contents:
        return
    decoded = [decode(data) for data in contents if data]
    last, parked = kept[-1][0], set(decoded[-1]["parked"])
    waiting = {id_of(name) for name in parked}
    files = {entry.name for _, entry in kept} | {
        name for content in decoded for name in content["parts"]
    }
    store.remove(
        [
            *(each.name for each in _up_to(last, store.list(BATCHES))),
            *(
                each.name
                for each in _up_to(last, store.list(STAGING))
                if id_of(each.name) not in waiting
            ),
            *(each.name for each in _up_to(last, store.list(PARKED)) if each.name not in parked),
            *(each.name for each in _up_to(last, listed) if each.name not in files),
        ]
    )


def id_of(name: str) -> str | None:
    """The batch that an object of the log belongs to."""
    found = _ID_OF.match(name)
    return found[1] if found else None


def _up_to(last: str, entries: Sequence[Entry]) -> Iterator[Entry]:
    """The objects of batches up to one; what is none of the log's is left alone."""
    return (each for each in entries if (id_of(each.name) or "~") <= last)
