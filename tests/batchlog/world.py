"""A small world to run the log in: a source of log objects, a warehouse with load jobs, and runs.

The warehouse is BigQuery at its harshest: it knows a job's id for as long as the job's shards are
there, and no longer. Loading an object's rows twice, or under a batch that lost, ends the test.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pipeline.batchlog import BatchLog, Decision, LogView, OpenBatch, SupersededError
from pipeline.model import LogObject
from tests.batchlog.stores import MemoryStore, SteppedStore

EVERY = 2
"""Closed batches between checkpoints: few, so that logs are cut often."""
_MOST_TRIES = 12


def log_object(name: str, generation: int = 1) -> LogObject:
    return LogObject(f"gs://logs/{name}", 100, f"md5:{name}", 0, generation)


class World:
    """Everything but the runs. `refused`: the table takes no rows, they are parked."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.source: dict[str, LogObject] = {}
        self.rows: Counter[str] = Counter()
        self.ledger: dict[str, list[str]] = {}
        self.refused = False
        self._jobs: dict[str, list[str]] = {}

    def add(self, *names: str) -> None:
        self.source |= {name: log_object(name) for name in names}

    def load(self, job: str, shards: Sequence[str]) -> bool:
        """A load job: atomic, and known by its id. False where shards are missing."""
        self._jobs = {
            id_: used for id_, used in self._jobs.items() if set(used) <= self.store.objects.keys()
        }
        if job in self._jobs:
            return True
        if not set(shards) <= self.store.objects.keys():
            return False
        self._jobs[job] = list(shards)
        for shard in shards:
            self.rows.update(json.loads(self.store.objects[shard].data))
        assert max(self.rows.values(), default=1) == 1, f"{job} loaded rows again"
        return True

    def enter(self, batch: str, names: list[str]) -> None:
        """The ledger takes a batch once, and always the same."""
        assert self.ledger.setdefault(batch, names) == names

    def delete_rows(self, batch: str) -> None:
        """What a person does before abandoning a batch."""
        for shard in self._jobs.pop(f"px_{batch}", []):
            self.rows -= Counter(json.loads(self.store.objects[shard].data))

    def run(self, store: SteppedStore | MemoryStore | None = None, folder: str = "") -> None:
        """One whole run, which looks in one folder of the source."""
        Run(self, store or self.store, folder).go()

    def check(self) -> None:
        """What must hold once all is calm: two more runs, and each object was loaded once."""
        self.refused = False
        self.run()
        self.run()
        view = BatchLog(self.store).view()
        assert (view.open, view.parked) == ((), ())
        wanted = {item.name for item in self.source.values()}
        assert {name: count for name, count in self.rows.items() if count != 1} == {}
        assert wanted <= set(self.rows)
        entered = Counter(name for names in self.ledger.values() for name in names)
        assert entered == self.rows
        assert len(self.store.names()) < 60


class Run:
    """One run, as a warehouse does it: finish what is open, plan what is new, sum up."""

    def __init__(self, world: World, store: SteppedStore | MemoryStore, folder: str) -> None:
        self._world = world
        self._store = store
        self._prefix = f"gs://logs/{folder}"
        self._log = BatchLog(store, checkpoint_every=EVERY)

    def go(self) -> None:
        found = self._world.source.values()
        listing = [item for item in found if item.name.startswith(self._prefix)]
        for _ in range(_MOST_TRIES):
            try:
                if self._take(listing):
                    break
            except SupersededError:
                continue
        else:
            raise AssertionError("no end")
        self._log.checkpoint(listing, lambda name: name.startswith(self._prefix))

    def _take(self, listing: list[LogObject]) -> bool:
        """True where this run has done what it can."""
        for batch in self._log.open_batches(self._log.view()):
            self._finish(batch)
        self._unpark(self._log.view())
        view = self._log.view()
        known = {item.name for item in view.known_like(listing)}
        new = [item for item in listing if item.name not in known]
        if not new:
            return not view.open
        planned = self._log.plan("load", new, after=view.last_id)
        if planned:
            self._finish(planned)
        return planned is not None

    def _finish(self, open_: OpenBatch) -> None:
        batch, decision = open_.batch, open_.decision
        if decision is None:
            if open_.kind == "load":
                pointer = open_.pointer or self._stage(open_)
                decision = self._load(open_, pointer)
            else:
                decision = Decision(open_.kind)
            decision = self._log.loaded(batch, decision)
        self._act(lambda: self._world.enter(batch.id, [row["name"] for row in decision.objects]))
        self._log.done(batch)

    def _stage(self, open_: OpenBatch) -> Any:
        """Objects that are gone from the source are not read."""
        left = [item for item in open_.batch.objects if item in self._world.source.values()]
        shard = self._log.staging(open_.batch).removeprefix(self._store.url + "/") + "/shard"
        self._store.create(shard, json.dumps([item.name for item in left]).encode())
        return self._log.stage(open_.batch, {"shards": [shard]})

    def _load(self, open_: OpenBatch, pointer: Any) -> Decision:
        names = self._names(open_, pointer["shards"])
        objects = [
            {"name": item.name, "size": item.size, "checksum": item.checksum}
            | {"start": item.start, "generation": item.generation}
            for item in open_.batch.objects
            if item.name in names
        ]
        if self._act(lambda: self._world.refused):
            entry = {"job": f"px_{open_.batch.id}", **pointer}
            return Decision(objects=objects, parked=[self._log.park(open_.batch, "t", entry)])
        if not self._act(lambda: self._world.load(f"px_{open_.batch.id}", pointer["shards"])):
            self._log.require_alive(open_.batch)
            raise AssertionError("shards of a living batch are missing")
        return Decision(objects=objects, destinations={"t": len(objects)})

    def _names(self, open_: OpenBatch, shards: Sequence[str]) -> list[str]:
        found = [self._store.read(shard) for shard in shards]
        if None in found:
            self._log.require_alive(open_.batch)
            raise AssertionError("shards of a living batch are missing")
        return [name for data in found for name in json.loads(data or b"")]

    def _unpark(self, view: LogView) -> None:
        """Loads what waits, by jobs that are always the same; then says so."""
        loaded = []
        for name, entry in self._log.parked(view).items():
            if self._act(lambda: self._world.refused):
                continue
            if not self._act(lambda entry=entry: self._world.load(entry["job"], entry["shards"])):
                assert name not in self._log.view().parked, "parked shards are missing"
                raise SupersededError
            loaded.append(name)
        if loaded and (planned := self._log.plan("unpark", [], after=view.last_id)):
            self._log.loaded(planned.batch, Decision("unpark", unparked=loaded))
            self._log.done(planned.batch)

    def _act(self, act: Any) -> Any:
        """Something outside the store is a step, too."""
        return self._store.step(act) if isinstance(self._store, SteppedStore) else act()
