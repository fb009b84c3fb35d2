"""The batch log: plan, stage, load, close. Each step is an object that is created once.

**An object is in one batch.** A plan is numbered, and made by someone who took all plans before it
into account (`after`). Of several who plan the same number one wins; the others look again. What a
view lacks is at most what makes an object free again (a decision that it was not read, an unload);
whoever takes such an object anew does so under a number above.

**Stale writers.** Entries are cleared away, up to a checkpoint (see `tidy`), and so a process that
was stopped for a day could create one anew. It does no harm. Let W create an entry of batch n.

1. The entry was there before and was cleared away. Then a checkpoint ≥ n was there before W's
   create, and one is there ever after: the newest is never removed. W lists the checkpoints after
   its create, so it sees one ≥ n, removes its entry and stops. Killed or stopped anywhere between, it
   leaves an entry ≤ the newest checkpoint, which every reader ignores (see `view`) and any run clears
   away. Woken up later it still lists before it acts.
2. The entry had not been there before: then W is the first writer, as it should be. Where W sees a
   checkpoint ≥ n all the same, others have finished the batch meanwhile, from W's entry: removing
   it is what `tidy` does, and W starts over.
3. W's create finds another's entry. W reads it and then lists the checkpoints. None ≥ n: then nothing
   of n had been cleared away until then, and what W read is the first. One ≥ n: W starts over.

The same holds for a request that is late: one that was given up, and arrives when its sender is
long gone, is a W that was killed right after its create.

No clock plays a part. Between seeing that all is well and acting on it W may be stopped again, for
any time, and then its act is a load job: its shards are gone once the batch was cleared away, and
until then the warehouse knows its id (see `open_batches` for how long).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from pipeline.batchlog import checkpoints, known
from pipeline.batchlog.entries import (
    ABANDONED,
    PARKED,
    STAGING,
    Decision,
    Json,
    OpenBatch,
    SupersededError,
    batch_id,
    decode,
    encode,
    entry_name,
    plan_content,
)
from pipeline.batchlog.quarantine import Quarantine
from pipeline.batchlog.reader import MissingError, Reader
from pipeline.batchlog.store import ObjectStore
from pipeline.batchlog.tidy import tidy
from pipeline.batchlog.view import LogView, read_view
from pipeline.errors import SetupError
from pipeline.model import Batch, LogObject, Quarantined

CHECKPOINT_EVERY = 20
"""Closed batches between checkpoints."""
MOST_OPEN_DAYS = 150
"""BigQuery forgets jobs after six months ("Job information is available for a six month period after
creation": cloud.google.com/bigquery/docs/reference/rest/v2/jobs/list); the month between is for a
process that is stopped between asking and acting."""
MOST_PLAN_BYTES = 1 << 22
"""Half of what an entry may have: the decision says more of each object."""
_KEY_CHARS = 20


def _nowhere(_name: str) -> bool:
    return False


class BatchLog:
    """The log in a store. Not for several threads at once."""

    def __init__(self, store: ObjectStore, checkpoint_every: int = CHECKPOINT_EVERY) -> None:
        self._store = store
        self._every = checkpoint_every
        self._reader = Reader(store)
        self._quarantine = Quarantine(store)
        self._seen: LogView | None = None

    def view(self) -> LogView:
        """What the log says now. Raises SetupError where entries are missing."""
        self._seen = read_view(self._store, self._reader)
        return self._seen

    def open_batches(self, view: LogView) -> tuple[OpenBatch, ...]:
        """The batches to finish before anything else, oldest first.

        Raises SetupError where load jobs of one may have been issued over 150 days ago: BigQuery
        forgets the ids of jobs after six months, and would load again. Days by the store's clock.
        """
        at_risk = [each for each in view.open if each.at_risk_since and not each.decision]
        now = self._store_time(at_risk[0].batch) if at_risk else None
        for each in at_risk:
            if now and each.at_risk_since and (now - each.at_risk_since).days >= MOST_OPEN_DAYS:
                id_ = each.batch.id
                raise SetupError(
                    f"Batch {id_} was begun on {each.at_risk_since:%Y-%m-%d} and never finished, and "
                    "BigQuery may no longer know which of its load jobs were done: delete the rows "
                    f"whose batch is '{id_}' from all tables, then abandon the batch."
                )
        return view.open

    def plan(
        self, kind: str, objects: Sequence[LogObject], extra: Json | None = None, *, after: str
    ) -> OpenBatch | None:
        """Plans the batch that follows `after`; None where another run has planned it first.

        `after` is the last batch that the caller took into account when it chose the objects: its
        view's `last_id`, or the id of the batch that it planned itself just before. So an object is
        in one batch only. Where None is given: look again, finish what is open, choose anew.
        Raises SupersededError.
        """
        batch = Batch(batch_id(int(after) + 1), tuple(objects))
        planned = OpenBatch(batch, kind, extra or {})
        data = encode(plan_content(batch, kind, planned.extra))
        if len(data) > MOST_PLAN_BYTES:
            raise SetupError(
                f"A plan of {len(objects):,} log objects takes {len(data):,} bytes, more than "
                f"{MOST_PLAN_BYTES:,}: their names are too long for so many in one batch."
            )
        return planned if self._create(batch.id, entry_name(batch.id), data) == data else None

    def staging(self, batch: Batch) -> str:
        """The URL of a new folder for the shards of one attempt."""
        return f"{self._store.url}/{STAGING}{batch.id}/{uuid.uuid4().hex}"

    def stage(self, batch: Batch, pointer: Json) -> Json:
        """Records where the manifest of an attempt is; gives the pointer that counts.

        That may be another run's: then the shards of this attempt are not used. The shards and the
        manifest must be there before. Raises SupersededError.
        """
        return self._step(batch, "staged", {"pointer": pointer})["pointer"]

    def loaded(self, batch: Batch, decision: Decision) -> Decision:
        """Records what became of the batch; gives the decision that counts, maybe another run's.

        All load jobs must be over, and `decision.parked` recorded with `park`, before. The ledger
        is written from the decision that is given back. Raises SupersededError.
        """
        return Decision.from_json(self._step(batch, "loaded", decision.to_json()))

    def done(self, batch: Batch) -> None:
        """Closes the batch; the ledger must hold it before."""
        try:
            self._step(batch, "done", {})
        except SupersededError:
            return  # others closed it, and more

    def abandon(self, batch: Batch) -> None:
        """Closes a batch as if none of its objects had been there: they are new again.

        For a person who has made sure that no row of the batch is in any table. Its shards are
        removed, so that none can be loaded any more. Raises SetupError where the batch was loaded
        after all, SupersededError.
        """
        if self.loaded(batch, Decision(ABANDONED)).kind != ABANDONED:
            raise SetupError(f"Batch {batch.id} was loaded, so it cannot be abandoned: run again.")
        self._store.remove([each.name for each in self._store.list(f"{STAGING}{batch.id}/")])
        self.done(batch)

    def require_alive(self, batch: Batch) -> None:
        """Raises SupersededError where the batch was finished and cleared away meanwhile.

        To be asked where something of the batch (a shard, a manifest) turns out to be missing.
        """
        if checkpoints.newest_id(self._store) >= batch.id:
            raise SupersededError(f"Batch {batch.id} was finished by another run.")

    def park(self, batch: Batch, key: str, entry: Json) -> str:
        """Keeps an entry for rows of the batch that wait; gives the name for `decision.parked`.

        `key` tells entries of one batch apart (the destination). The entry counts once a decision
        names it as parked, and until one, of whichever batch, names it as unparked; so long its
        staging folder stays. The first one to park under this key wins. Raises SupersededError.
        """
        name = f"{PARKED}{batch.id}.{sha256(key.encode()).hexdigest()[:_KEY_CHARS]}.json"
        self._create(batch.id, name, encode({"key": key, "entry": entry}), is_removable=False)
        return name

    def parked(self, view: LogView) -> dict[str, Json]:
        """The entries of rows that wait, by the names in `view.parked`.

        Raises SupersededError where some were loaded since.
        """
        listed = {each.name: each for each in self._store.list(PARKED)} if view.parked else {}
        try:
            found = Reader(self._store).read([listed[name] for name in view.parked])
        except (KeyError, MissingError) as error:
            if set(view.parked) <= set(self.view().parked):
                raise SetupError(
                    f"{self._store.url}/{error.args[0]} is missing, and with it what was parked: "
                    "restore it, and see to it that nothing but pixelship removes objects there."
                ) from None
            raise SupersededError("Parked rows were loaded by another run.") from None
        return {name: content["entry"] for name, content in found.items()}

    def quarantined(self) -> list[Quarantined]:
        """The log objects that were quarantined."""
        return self._quarantine.all()

    def quarantine(self, found: Sequence[Quarantined]) -> None:
        """Remembers quarantined log objects."""
        self._quarantine.add(found)

    def forget_quarantine(self, names: Sequence[str]) -> None:
        """Forgets log objects that were quarantined, in all generations."""
        self._quarantine.forget(names)

    def checkpoint(
        self, listed: Sequence[LogObject] = (), would_list: Callable[[str], bool] = _nowhere
    ) -> bool:
        """Sums up the log where enough of it is closed, clears away what it no longer needs.

        `listed` are the log objects that this run found at their source, `would_list` tells of a
        name whether this run would have found it, were it still there: only such objects are ever
        forgotten. To be called at the end of every run; gives whether a checkpoint was written.
        """
        view = self._seen or self.view()
        is_written = False
        if view.closed_batches >= self._every:
            state = view.closed
            objects = known.remember(state.objects, listed, would_list, state.clock_s)
            is_written = checkpoints.write(self._store, replace(state, objects=objects))
            self._seen = None
        if is_written or view.is_littered:
            tidy(self._store)
        return is_written

    def _step(self, batch: Batch, step: str, content: Json) -> Json:
        """Creates a batch's entry; gives what the one that is there holds."""
        return decode(self._create(batch.id, entry_name(batch.id, step), encode(content)))

    def _create(self, id_: str, name: str, data: bytes, *, is_removable: bool = True) -> bytes:
        """Creates an entry of a batch; gives the bytes that are there, ours or another's.

        Raises SupersededError where the batch was cleared away, see above. A parked entry is not
        removed then: it may be alive, made by us before the batch was closed.
        """
        self._seen = None
        is_ours = self._store.create(name, data)
        found = data if is_ours else self._store.read(name)
        if checkpoints.newest_id(self._store) >= id_:
            if is_ours and is_removable:
                self._store.remove([name])
            raise SupersededError(f"Batch {id_} was finished by another run.")
        if found is None:
            raise SetupError(
                f"{self._store.url}/{name} was removed a moment ago: see to it that nothing but "
                "pixelship removes objects there."
            )
        return found

    def _store_time(self, batch: Batch) -> datetime | None:
        """The store's time: that of an object made for the purpose, in a folder that will go."""
        name = f"{STAGING}{batch.id}/clock.{uuid.uuid4().hex}"
        self._store.create(name, b"")
        made = self._store.list(name)
        self._store.remove([name])
        return made[0].created_at if made else None
