"""What the log says at one moment, from one listing of its batches and one of its checkpoints.

**Why what is read is true.** Batches are listed first, checkpoints second, and entries up to the
newest checkpoint are ignored. An entry is removed only after a checkpoint of its batch, or of a later
one, is there. So an entry above the newest checkpoint of the second listing had not been removed when
the first was made: the first holds all of them, and all are the first and only ones of their names.
An entry that a stale writer created anew, after the first one was cleared away, comes after its
checkpoint, and so is ignored. Entries are read by the generation that was listed: where one is
cleared away, and even created anew, between the listing and the reading, the read fails, and all
begins again, with the newer checkpoint.

Nor need a listing be of one moment, as long as it goes through the names in their order: the newest
checkpoint is never removed, so one that is missed has a newer one behind it; a batch that is missed
leaves a gap in the numbers, for which all begins again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pipeline.batchlog import checkpoints, known
from pipeline.batchlog.checkpoints import Outcome, State
from pipeline.batchlog.entries import (
    BATCHES,
    CHECKPOINTS,
    LOAD,
    NO_BATCH,
    REPLAY,
    Decision,
    OpenBatch,
    batch_id,
    decode,
    entry_name,
    planned_batch,
    read_name,
)
from pipeline.batchlog.reader import MissingError, Reader
from pipeline.batchlog.store import Entry, ObjectStore
from pipeline.errors import SetupError
from pipeline.model import LogObject

_STAGED_KINDS = (LOAD, REPLAY)
_PLANNED, _STAGED, _LOADED, _DONE = "planned", "staged", "loaded", "done"
_AFTER_ALL = "~"
_TRIES = 8
_Steps = dict[str, Entry]


@dataclass(frozen=True)
class LogView:
    """What the log says at one moment; nothing in it changes.

    `last_id` and `last_checkpoint` are batch ids ("00000000" for none), `open` the batches that are
    not closed, oldest first, `parked` the names of the entries of rows that wait. `closed` is the
    state up to the last batch before which (and with it) all are closed, and `closed_batches` how
    many of them lie after the newest checkpoint. `is_littered` tells of entries that are to be
    cleared away.
    """

    last_id: str = NO_BATCH
    last_checkpoint: str = NO_BATCH
    open: tuple[OpenBatch, ...] = ()
    state: State = field(default_factory=State)
    closed: State = field(default_factory=State)
    closed_batches: int = 0
    is_littered: bool = False

    @property
    def parked(self) -> tuple[str, ...]:
        """The names of the entries of rows that wait."""
        return self.state.parked

    def known_like(self, objects: Sequence[LogObject]) -> list[LogObject]:
        """Objects loaded or planned before that have something in common with one of these.

        That is a checksum; in the cloud a name, among local files a folder.
        """
        return known.like(self.state.objects, objects)

    def find_open(self, id_: str) -> OpenBatch | None:
        """The open batch of this id."""
        return next((each for each in self.open if each.batch.id == id_), None)

    def to_json(self) -> dict[str, Any]:
        """The figures for a person who asks how things stand."""
        return {
            "last_batch": self.last_id,
            "last_checkpoint": self.last_checkpoint,
            "open": [
                {
                    "batch": each.batch.id,
                    "kind": each.kind,
                    "step": each.step,
                    "objects": len(each.batch.objects),
                }
                for each in self.open
            ],
            "known_objects": self.state.objects.num_rows,
            "parked": len(self.parked),
            **asdict(self.state.totals),
        }


def read_view(store: ObjectStore, reader: Reader) -> LogView:
    """What the log says now. Raises SetupError where entries are missing for good."""
    missing = ""
    for _ in range(_TRIES):
        try:
            return _Look(store, reader).view()
        except MissingError as error:
            missing = str(error)
    raise SetupError(
        f"{store.url}/{missing} is missing from the batch log: restore it, and see to it that nothing "
        "but pixelship removes objects there."
    )


class _Look:
    """One attempt to read the log."""

    def __init__(self, store: ObjectStore, reader: Reader) -> None:
        self._reader = reader
        listed = store.list(BATCHES)  # in this order: see above
        self._checkpoints = store.list(CHECKPOINTS)
        self._newest, self._pointer = checkpoints.newest(self._checkpoints)
        self._steps: dict[str, _Steps] = {}
        self._is_littered = False
        for entry in listed:
            self._sort_in(entry)
        reader.keep_only([*listed, *self._checkpoints])

    def _sort_in(self, entry: Entry) -> None:
        if name := read_name(entry.name):
            id_, step = name
            if id_ > self._newest:
                self._steps.setdefault(id_, {})[step] = entry
            else:
                self._is_littered = True

    def view(self) -> LogView:
        """Raises MissingError."""
        ids = self._ids()
        outcomes = self._read_outcomes(id_ for id_ in ids if _DONE in self._steps[id_])
        open_ = {id_: self._read_open(id_) for id_ in ids if id_ not in outcomes}
        state = closed = self._read_base()
        for id_ in ids:
            state = state.after(id_, outcomes.get(id_) or _assumed(open_[id_]))
            if id_ < min(open_, default=_AFTER_ALL):
                closed = state
        return LogView(
            last_id=state.id,
            last_checkpoint=self._newest,
            open=tuple(open_.values()),
            state=state,
            closed=closed,
            closed_batches=int(closed.id) - int(self._newest),
            is_littered=self._is_littered,
        )

    def _ids(self) -> list[str]:
        """The ids of all batches after the newest checkpoint: numbers without a gap."""
        ids: list[str] = []
        last = max(self._steps, default=self._newest)
        for number in range(int(self._newest) + 1, int(last) + 1):
            ids.append(batch_id(number))
            steps = self._steps.get(ids[-1], {})
            for step in (_PLANNED, _LOADED) if _DONE in steps else (_PLANNED,):
                if step not in steps:
                    raise MissingError(entry_name(ids[-1], step))
        return ids

    def _read_base(self) -> State:
        """What the newest checkpoint says, its clock set by the newest entry after it."""
        alive = [entry for steps in self._steps.values() for entry in steps.values()]
        base = State()
        if self._pointer:
            content = self._reader.read([self._pointer])[self._pointer.name]
            files = {each.name: each for each in self._checkpoints}
            if lost := [name for name in content["parts"] if name not in files]:
                raise MissingError(lost[0])
            parts = self._reader.read(
                [files[name] for name in content["parts"]], checkpoints.read_part
            )
            base = checkpoints.state_of(self._newest, content, list(parts.values()))
        return base.at(max(entry.created_at for entry in alive)) if alive else base

    def _read_outcomes(self, ids: Iterable[str]) -> dict[str, Outcome]:
        """What became of batches that are closed."""
        entries = {id_: self._steps[id_][_LOADED] for id_ in ids}
        found = self._reader.read(entries.values(), _read_outcome)
        return {id_: found[entry.name] for id_, entry in entries.items()}

    def _read_open(self, id_: str) -> OpenBatch:
        steps = self._steps[id_]
        contents = self._reader.read(steps.values())
        planned = planned_batch(id_, contents[steps[_PLANNED].name])
        staged, loaded = steps.get(_STAGED), steps.get(_LOADED)
        first = staged or (None if planned.kind in _STAGED_KINDS else steps[_PLANNED])
        return replace(
            planned,
            pointer=contents[staged.name]["pointer"] if staged else None,
            decision=Decision.from_json(contents[loaded.name]) if loaded else None,
            at_risk_since=first.created_at if first else None,
        )


def _read_outcome(data: bytes) -> Outcome:
    """Keeps of a decision what the log needs: ledgers of many objects would fill the memory."""
    return Outcome.of(Decision.from_json(decode(data)))


def _assumed(batch: OpenBatch) -> Outcome:
    """An open batch counts as if it read all that it plans: no other may take its objects."""
    if batch.decision:
        return Outcome.of(batch.decision)
    rows = [asdict(item) for item in batch.batch.objects]
    return Outcome(batch.kind, known.columns_of(rows))
