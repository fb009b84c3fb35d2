"""The entries of the log: their names, and what stands in them."""

from __future__ import annotations

import gzip
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from typing import Any

from pipeline.model import Batch, LogObject

BATCHES = "batches/"
CHECKPOINTS = "checkpoints/"
STAGING = "staging/"
PARKED = "parked/"
QUARANTINE = "quarantine/"

LOAD = "load"
REPLAY = "replay"
"""The kinds of batch that stage rows."""
ABANDONED = "abandoned"
"""The kind of decision that a batch came to nothing."""
NO_BATCH = "00000000"
"""Stands for "before the first batch"."""
Json = Mapping[str, Any]

_ID_DIGITS = 8
_STEP = re.compile(r"batches/(\d{8})\.(?:(staged|loaded|done)\.)?json")
_OBJECT_FIELDS = tuple(each.name for each in fields(LogObject))
_PLAIN_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"


class SupersededError(Exception):
    """The batch was finished and its entries were cleared away by other runs meanwhile.

    The caller looks at the log anew and starts over; nothing of it was written.
    """


@dataclass(frozen=True)
class Decision:
    """What became of a batch: the log's own part of `batches/ID.loaded.json`.

    `objects` are the ledger's rows of the log objects really read (with the fields of LogObject and
    whatever else); objects that were planned and are missing here count as never seen. `unloaded`
    are names and checksums, in pairs, of log objects whose rows were taken out again. `parked` are
    the names that `park` gave, `unparked` those of them, of any batch, whose rows are loaded now.
    `destinations` are rows loaded by table. `facts` are the caller's own.
    """

    kind: str = LOAD
    objects: Sequence[Json] = ()
    unloaded: Sequence[Sequence[str]] = ()
    parked: Sequence[str] = ()
    unparked: Sequence[str] = ()
    destinations: Mapping[str, int] = field(default_factory=dict)
    facts: Json = field(default_factory=dict)

    def to_json(self) -> Json:
        """The decision as an entry holds it."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def from_json(cls, entry: Json) -> Decision:
        """The decision that an entry holds."""
        return cls(
            entry["kind"],
            tuple(entry["objects"]),
            tuple(entry["unloaded"]),
            tuple(entry["parked"]),
            tuple(entry["unparked"]),
            entry["destinations"],
            entry["facts"],
        )


@dataclass(frozen=True)
class OpenBatch:
    """A batch that is not closed, and how far it got.

    `extra` is what the planner added. `pointer` is there once the batch is staged, `decision` once
    it is loaded. `at_risk_since` is the store's time from which on load jobs may have been issued:
    that of staging, or of planning where nothing is staged.
    """

    batch: Batch
    kind: str
    extra: Json
    pointer: Json | None = None
    decision: Decision | None = None
    at_risk_since: datetime | None = None

    @property
    def step(self) -> str:
        """How far it got: "planned", "staged" or "loaded"."""
        if self.decision:
            return "loaded"
        return "staged" if self.pointer is not None else "planned"


def batch_id(number: int) -> str:
    """The id of a batch: its number in eight digits, so that names sort as numbers do."""
    return f"{number:0{_ID_DIGITS}d}"


def entry_name(id_: str, step: str = "planned") -> str:
    """The name of a batch's entry."""
    return f"{BATCHES}{id_}.json" if step == "planned" else f"{BATCHES}{id_}.{step}.json"


def read_name(name: str) -> tuple[str, str] | None:
    """The batch and the step of an entry's name; None where it is not one of ours."""
    found = _STEP.fullmatch(name)
    return (found[1], found[2] or "planned") if found else None


def plan_content(batch: Batch, kind: str, extra: Json) -> Json:
    """What stands in a plan."""
    return {"kind": kind, "objects": [asdict(item) for item in batch.objects], "extra": extra}


def planned_batch(id_: str, plan: Json) -> OpenBatch:
    """The batch that a plan speaks of."""
    objects = tuple(map(_log_object, plan["objects"]))
    return OpenBatch(Batch(id_, objects), plan["kind"], plan["extra"])


def encode(content: Json) -> bytes:
    """An entry's bytes: JSON, as gzip where it is long. No two calls give the same.

    `writer` makes them unique; `written_at` is the writer's clock, for people alone.
    """
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    signed = {**content, "writer": uuid.uuid4().hex, "written_at": now}
    data = json.dumps(signed, separators=(",", ":")).encode()
    return data if len(data) <= _PLAIN_BYTES else gzip.compress(data, compresslevel=6)


def decode(data: bytes) -> dict[str, Any]:
    """What `encode` was given, with `writer` and `written_at`."""
    return json.loads(gzip.decompress(data) if data.startswith(_GZIP_MAGIC) else data)


def _log_object(row: Json) -> LogObject:
    return LogObject(**{name: row[name] for name in _OBJECT_FIELDS})
