"""BigQuery as the warehouse: loaded in steps that the batch log remembers, each view once.

A batch is planned, staged, loaded, entered in the ledger, and done; each step is written down by
whoever is first (`pipeline.batchlog`), and each load job has an id of its own (`bigquery_jobs`). So
any number of runs may work at once, and any of them may be killed at any moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from uuid import uuid4

from pipeline import gcp
from pipeline.batchlog import BatchLog, CloudStore, LogView, OpenBatch, SupersededError
from pipeline.errors import SetupError
from pipeline.model import Batch, LogObject, Quarantined
from pipeline.staging import Staged
from pipeline.warehouses.bigquery_ledger import TOO_OLD, is_too_old, parked_lot
from pipeline.warehouses.bigquery_loads import Dedupe, Loader
from pipeline.warehouses.bigquery_steps import Steps, keeping, read_manifest
from pipeline.warehouses.bigquery_tables import TableOptions, Tables
from pipeline.warehouses.bigquery_views import BigQueryViews
from pipeline.warehouses.contract import Memory, RefusedError, Report, check_balance
from pipeline.warehouses.maintenance import Status

_IDENTITY = "installation.json"


@dataclass(frozen=True)
class BigQueryOptions:
    """Where and how: `state` is a gs:// folder, `location` that of new datasets.

    `dedupe` says what is done about views that a later batch brings again: "view" shows each once in
    a view beside the table, "merge" keeps them out of it, "off" does neither.
    """

    project: str
    state: str
    location: str = "US"
    dedupe: Dedupe = "view"
    tables: TableOptions = field(default_factory=TableOptions)


class BigQueryWarehouse(BigQueryViews):
    """The warehouse `bigquery:PROJECT`. It has no `files` on this machine."""

    files: tuple[Path, ...] = ()

    def __init__(self, options: BigQueryOptions) -> None:
        self._options = options
        self._dedupe = options.dedupe
        self._view = LogView()
        self._after = ""
        self._open: dict[str, OpenBatch] = {}
        self._uncommitted: set[str] = set()
        self._unparked = Report()

    def __enter__(self) -> BigQueryWarehouse:
        """Makes the clients and checks what every load needs; raises SetupError, ServiceError."""
        options = self._options
        store = self._store()
        with gcp.explaining("use BigQuery"):
            self._client = gcp.bigquery_client(options.project, options.location)
        self._log = BatchLog(store)
        self._tables = Tables(self._client, options.location, options.tables)
        try:
            self._tables.prepare_bookkeeping()
            identity = _lasting_identity(store, options.project)
            self._loader = Loader(self._client, self._tables, identity)
        except BaseException:
            self._client.close()
            raise
        self._steps = Steps(self._log, self._loader)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the client."""
        self._client.close()

    def elsewhere(self) -> Callable[[], BigQueryWarehouse]:
        """How another process opens it."""
        return partial(BigQueryWarehouse, self._options)

    def status(self, *, by_object: bool = False) -> Status:
        """How things stand; nothing is made or changed. Raises SetupError, ServiceError."""
        options = self._options
        with gcp.explaining("use BigQuery"):
            self._client = gcp.bigquery_client(options.project, options.location)
        self._log = BatchLog(self._store())
        self._tables = Tables(self._client, options.location, options.tables)
        self._loader = Loader(self._client, self._tables, "")
        try:
            return self._tell_status(by_object=by_object)
        finally:
            self._client.close()

    @contextmanager
    def peek(self) -> Iterator[Memory]:
        """What the batch log remembers; BigQuery is not asked."""
        yield _LogMemory(BatchLog(self._store()), self._options.state)

    def _store(self) -> CloudStore:
        """The state folder; raises SetupError where it is that of another project."""
        store = CloudStore(self._options.state)
        _identity(store, self._options.project)
        return store

    # What is known

    def known(self, objects: Sequence[LogObject]) -> list[LogObject]:
        """Objects loaded or planned before that are like one of these. Raises SetupError."""
        _require_logs(objects, self._options.state)
        self._look()
        self._after = self._view.last_id
        return self._view.known_like(objects)

    def quarantined(self) -> list[Quarantined]:
        """The objects that were quarantined and are remembered."""
        return self._log.quarantined()

    def quarantine(self, found: Sequence[Quarantined]) -> None:
        """Remembers quarantined objects."""
        if found:
            self._log.quarantine(found)

    def tidy(self, listed: Sequence[LogObject], would_list: Callable[[str], bool]) -> None:
        """Sums up the batch log now and then, so that it stays small."""
        self._log.checkpoint(listed, would_list)

    # The steps of a batch

    def open_batches(self) -> list[Batch]:
        """Batches that were planned and are not done, oldest first."""
        try:
            for each in self._log.open_batches(self._look()):
                self._finish(each)
        except SupersededError:
            return self.open_batches()
        self._open = {each.batch.id: each for each in self._view.open if each.kind == "load"}
        return [each.batch for each in self._open.values()]

    def _finish(self, open_: OpenBatch) -> None:
        """Finishes a batch of another kind than `load`, whose run did not get that far."""
        if open_.kind == "replay":
            self._finish_replay(open_)
        elif open_.kind == "unload":
            self._finish_unload(open_)
        elif open_.kind == "unpark":
            self._unparked.add(self._finish_unpark(open_))

    def plan(self, objects: Sequence[LogObject]) -> Batch | None:
        """A new batch of these objects; None where another run has planned one meanwhile.

        Also where one is open, or planned here and not committed, and views are merged: merges that
        run side by side do not see each other's rows.
        """
        if not self._after:
            self.known([])
        if self._dedupe == "merge" and (self._view.open or self._uncommitted):
            return None
        extra = {"dedupe": self._dedupe}
        try:
            planned = self._log.plan("load", objects, extra, after=self._after)
        except SupersededError:
            return None
        if planned is None:
            return None
        self._after = planned.batch.id
        self._open[self._after] = planned
        self._uncommitted.add(self._after)
        return planned.batch

    def staging(self, batch: Batch) -> str:
        """A new folder for the shards of one attempt, within the state folder."""
        return self._log.staging(batch)

    def staged(self, batch: Batch) -> Staged | None:
        """What an earlier run staged of an open batch, where it got that far."""
        open_ = self._open[batch.id]
        if open_.decision:
            return Staged()  # which is looked at no more
        if open_.pointer is None:
            return None
        try:
            with keeping(self._log, batch):
                return read_manifest(open_.pointer)
        except SupersededError:
            del self._open[batch.id]  # there is nothing left to commit
            return Staged()

    def commit(self, batch: Batch, staged: Staged) -> Report:
        """Takes the batch, or sees to it that another run's attempt is taken; raises BalanceError."""
        report = Report()
        self._uncommitted.discard(batch.id)
        if batch.id in self._open:
            with suppress(SupersededError), keeping(self._log, batch):
                report = self._commit(self._open[batch.id], staged)
        return self._with_parked(report)

    def _commit(self, open_: OpenBatch, staged: Staged) -> Report:
        if open_.pointer is None and open_.decision is None:
            check_balance(open_.batch, staged)
            staged = self._steps.record(open_.batch, staged)
        decision = open_.decision or self._steps.load(open_, staged)
        return self._steps.close(open_, decision)

    # Rows that wait

    def unpark(self) -> Report:
        """Loads parked rows whose table was mended; to be called when no batch is open.

        That is a batch of its own: unloads and merges are kept apart from it.
        """
        report, self._unparked = self._unparked, Report()
        if names := self._promising():
            with suppress(SupersededError):
                extra = {"parked": names}
                planned = self._log.plan("unpark", [], extra, after=self._view.last_id)
                if planned:
                    report.add(self._finish_unpark(planned))
        return self._with_parked(report)

    def _promising(self) -> list[str]:
        """The names of parked rows whose table may take them now."""
        parked = self._parked()
        refusals = {
            table: self._refusal(table) for table in {entry["table"] for entry in parked.values()}
        }
        for name, entry in parked.items():
            why = TOO_OLD.format(entry["batch"]) if is_too_old(entry) else refusals[entry["table"]]
            if why:
                self._steps.refusals[name] = why
        return [name for name in parked if name not in self._steps.refusals]

    def _refusal(self, table: str) -> str | None:
        try:
            self._tables.prepare(table)
        except RefusedError as error:
            return error.why
        return None

    def _finish_unpark(self, open_: OpenBatch) -> Report:
        decision = open_.decision
        if decision is None:
            waiting = self._parked()
            named = [name for name in open_.extra["parked"] if name in waiting]
            lots = {name: parked_lot(waiting[name]) for name in named}
            decision = self._steps.unpark(open_, lots, self._view)
        return self._steps.close(open_, decision)


class _LogMemory:
    """The memory of a batch log, to be read alone."""

    def __init__(self, log: BatchLog, state: str) -> None:
        self._state = state
        self._view = log.view()
        self.quarantined = log.quarantined

    def open_batches(self) -> list[Batch]:
        """Batches that were planned and are not done, oldest first."""
        return [each.batch for each in self._view.open]

    def known(self, objects: Sequence[LogObject]) -> list[LogObject]:
        """Objects loaded or planned before that are like one of these. Raises SetupError."""
        _require_logs(objects, self._state)
        return self._view.known_like(objects)


def _require_logs(objects: Sequence[LogObject], state: str) -> None:
    """Raises SetupError where the state folder is among the logs: each run would find more in it."""
    if any(item.name.startswith(f"{state.rstrip('/')}/") for item in objects):
        raise SetupError(
            f"The state folder {state} lies where logs are looked for: put it elsewhere, or name the "
            "folders of the logs."
        )


def _identity(store: CloudStore, project: str) -> str | None:
    """What tells this state folder from every other, also from one that had its name before.

    None for a new one. Raises SetupError for that of another project.
    """
    if not (found := store.read(_IDENTITY)):
        return None
    identity = json.loads(found)
    if identity["project"] != project:
        raise SetupError(
            f"{store.url} knows what was loaded into the project {identity['project']}: "
            f"name another --state for {project}."
        )
    return str(identity["installation"])


def _lasting_identity(store: CloudStore, project: str) -> str:
    """The same, made where the folder is new.

    Batches are numbered anew in a new folder, and BigQuery still knows the jobs of the old one. Where
    it is lost, open batches would be loaded again: raises SetupError.
    """
    found = _identity(store, project)
    if not found and not (store.list("batches/") or store.list("checkpoints/")):
        identity = {"installation": uuid4().hex, "project": project}
        store.create(_IDENTITY, json.dumps(identity).encode())
    found = found or _identity(store, project)
    if not found:
        raise SetupError(
            f"{store.url}/{_IDENTITY} is missing: restore it, and see to it that nothing but pixelship "
            "removes objects there."
        )
    return found
