"""What is done in BigQuery beside loading: telling how things stand, replaying, unloading.

A replay and an unload are batches of their own, finished by any run that finds them open.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline.batchlog import BatchLog, Decision, LogView, OpenBatch, SupersededError
from pipeline.errors import SetupError
from pipeline.model import Batch
from pipeline.staging import Staged
from pipeline.warehouses.bigquery_ledger import facts_of, parked_lot
from pipeline.warehouses.bigquery_loads import Dedupe, Loader
from pipeline.warehouses.bigquery_maintenance import (
    OF_OBJECTS,
    LedgerQueries,
    keys_of,
    remove,
    resolve,
    rows_of,
    rows_of_days,
    without_rows,
)
from pipeline.warehouses.bigquery_status import fill_from_ledger, newest_view
from pipeline.warehouses.bigquery_steps import (
    Steps,
    count,
    keeping,
    read_manifest,
    refused_us,
)
from pipeline.warehouses.bigquery_tables import BOOKKEEPING, Tables
from pipeline.warehouses.contract import RefusedError, Report
from pipeline.warehouses.maintenance import (
    Choice,
    Entry,
    Selection,
    Status,
    check_replay,
    negative,
    unload_entry,
)


class BigQueryUpkeep:
    """An open warehouse of BigQuery, and what is done in it beside loading."""

    _log: BatchLog
    _view: LogView
    _tables: Tables
    _loader: Loader
    _steps: Steps
    _dedupe: Dedupe

    def _look(self) -> LogView:
        self._view = self._log.view()
        return self._view

    def _parked(self) -> dict[str, Mapping[str, Any]]:
        """The entries of rows that wait, by their names in the log."""
        while True:
            try:
                return dict(self._log.parked(self._look()))
            except SupersededError:  # another run loaded some meanwhile
                continue

    def _with_parked(self, report: Report) -> Report:
        """The report, with all rows that wait."""
        for name, entry in self._parked().items():
            count(report.parked, entry["table"], entry["rows"])
            report.parked_why[entry["table"]] = self._steps.refusals.get(name, entry["why"])
        return report

    def _tell_status(self, *, by_object: bool) -> Status:
        view = self._look()
        if self._tables.rows(f"{BOOKKEEPING}.batches") is None:
            raise SetupError(
                "Nothing was loaded into this project yet: there is no pixelship.batches."
            )
        told = Status(
            open_batches=[each.batch.id for each in view.open], quarantined=self._log.quarantined()
        )
        fill_from_ledger(told, self._loader.ask, by_object=by_object)
        for entry in self._parked().values():
            count(told.parked, entry["table"], entry["rows"])
            told.parked_why[entry["table"]] = entry["why"]
        for table in (*view.state.totals.destinations, *OF_OBJECTS):
            rows = self._tables.rows(table)
            told.rows |= {} if rows is None else {table: rows}
        told.rows[f"{BOOKKEEPING}.parked"] = sum(told.parked.values())
        tables = [table for table in told.rows if not table.startswith(f"{BOOKKEEPING}.")]
        told.newest_view_at = newest_view(self._loader.ask, tables)
        return told

    # Replays and unloads

    def next_batch(self) -> str:
        """The id of the batch that comes next."""
        return f"{int(self._look().last_id) + 1:08d}"

    def read_in_parts(self, folders: Collection[str]) -> list[Entry]:
        """The ledger's rows, in some folders, of objects that grew or are what others grew from."""
        return self._queries.read_in_parts(folders)

    def rejected(self, choice: Choice) -> list[Entry]:
        """The ledger's rows of the objects and batches that the chosen rejects are of."""
        return self._queries.rejected(choice)

    def read_rejects(self, choice: Choice, entries: Sequence[Entry]) -> Iterator[pa.RecordBatch]:
        """The chosen rejects of some entries, each entry's and format's together."""
        return self._queries.read_rejects(choice, entries)

    def entries(self, selection: Selection) -> list[Entry]:
        """The ledger's rows that a selection names, and all others of the same name and checksum."""
        days = set(selection.days)
        parked = self._parked().values() if days else ()
        waiting = {key for entry in parked for key in rows_of_days(parked_lot(entry), days)}
        return self._queries.entries(selection, waiting)

    def holdings(self, entries: Sequence[Entry]) -> dict[str, int]:
        """How many rows of these entries each table holds."""
        parked = self._parked().values()
        keys = set(keys_of(entries))
        waiting = sum(len(rows_of(parked_lot(entry), keys)) for entry in parked)
        held = self._queries.holdings(entries)
        return {**held, "pixelship.parked": waiting} if waiting else held

    def commit_replay(self, batch: Batch, staged: Staged) -> Report | None:
        """Takes a replay; None where another run took the batch's id. Raises BalanceError."""
        check_replay(batch, staged)
        manifest, _ = self._steps.write_manifest(batch, staged)
        extra = {"manifest": manifest, "dedupe": self._dedupe}
        planned = self._plan_after(batch, "replay", extra)
        return None if planned is None else self._with_parked(self._finish_replay(planned))

    def _finish_replay(self, open_: OpenBatch) -> Report:
        with keeping(self._log, open_.batch):
            staged = read_manifest(open_.pointer or self._log.stage(open_.batch, open_.extra))
        decision = open_.decision
        if decision is None:
            try:
                resolve(self._loader, open_.batch.id, staged)
            except RefusedError as error:
                raise refused_us(error) from None
            decision = self._steps.load(open_, staged)
        return self._steps.close(open_, decision)

    def commit_unload(self, batch: str, entries: Sequence[Entry]) -> Report | None:
        """Takes the rows of these entries out; None where another run took the batch's id."""
        held = self._queries.holdings(entries)
        report = Report(
            [batch], objects=-len(entries), total=negative(self._queries.total(entries))
        )
        tables = [name for name in held if not name.startswith(f"{BOOKKEEPING}.")]
        report.destinations = {name: -held[name] for name in tables}
        extra = {
            "keys": keys_of(entries),
            "contents": sorted({(each.object.name, each.object.checksum) for each in entries}),
            "destinations": report.destinations,
            "facts": facts_of(unload_entry(report), report),
        }
        planned = self._plan_after(Batch(batch, ()), "unload", extra)
        return None if planned is None else self._with_parked(self._finish_unload(planned))

    def _finish_unload(self, open_: OpenBatch) -> Report:
        batch, extra = open_.batch, open_.extra
        decision = open_.decision
        if decision is None:
            try:
                remove(self._loader, batch.id, list(extra["destinations"]), extra["keys"])
            except RefusedError as error:
                raise refused_us(error) from None
            self._log.forget_quarantine([name for name, _ in extra["contents"]])
            gone, kept = self._without_parked(batch, set(extra["keys"]))
            decision = self._log.loaded(
                batch,
                Decision(
                    "unload",
                    (),
                    extra["contents"],
                    kept,
                    gone,
                    extra["destinations"],
                    extra["facts"],
                ),
            )
        return self._steps.close(open_, decision)

    def _without_parked(self, batch: Batch, keys: set[str]) -> tuple[list[str], list[str]]:
        """Parks lots that hold rows of these keys anew without them: the names, old and new."""
        gone, kept = [], []
        for name, entry in self._parked().items():
            lot = parked_lot(entry)
            if rows_of(lot, keys):
                gone.append(name)
                left = without_rows(lot, keys, self._log.staging(batch))
                if left.rows:
                    kept.append(self._steps.park(batch, left, entry["why"], entry["parked_at"]))
        return gone, kept

    def _plan_after(self, batch: Batch, kind: str, extra: Mapping[str, Any]) -> OpenBatch | None:
        """Plans a batch under the id that it has; None where another run took it."""
        before = f"{int(batch.id) - 1:08d}"
        try:
            return self._log.plan(kind, batch.objects, extra, after=before)
        except SupersededError:
            return None

    @property
    def _queries(self) -> LedgerQueries:
        names = self._view.state.totals.destinations
        return LedgerQueries(self._loader, [each for each in names if self._tables.exists(each)])
