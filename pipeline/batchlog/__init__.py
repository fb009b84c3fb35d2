"""The batch log: a folder in a bucket that makes loads exactly-once, without locks.

```
batches/00000042.json           plan: what the batch is to do, and its log objects
batches/00000042.staged.json    pointer to the manifest of the attempt whose shards count
batches/00000042.loaded.json    decision: what was loaded, parked, unloaded
batches/00000042.done.json      the warehouse's ledger holds it too: the batch is closed
checkpoints/00000040.json       all that the log said up to batch 40; names the files beside it:
checkpoints/00000040.ATTEMPT.0.parquet   the objects known by then
staging/00000042/ATTEMPT/…      shards, written and read by others
parked/00000042.HASH.json       rows that wait for their table
quarantine/HASH.json            log objects that wait for a person
```

Each object is created once and never overwritten: the first writer wins. `log.BatchLog` is the way
in; why it holds up is argued in `log`, `view` and `tidy`.
"""

from __future__ import annotations

from pipeline.batchlog.entries import Decision, OpenBatch, SupersededError
from pipeline.batchlog.log import BatchLog
from pipeline.batchlog.store import CloudStore, Entry, ObjectStore
from pipeline.batchlog.view import LogView

__all__ = [
    "BatchLog",
    "CloudStore",
    "Decision",
    "Entry",
    "LogView",
    "ObjectStore",
    "OpenBatch",
    "SupersededError",
]
