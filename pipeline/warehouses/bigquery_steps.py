"""Takes a batch through its steps: staged, loaded, entered in the ledger, done."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from itertools import zip_longest
from typing import Any

from pipeline.batchlog import BatchLog, Decision, LogView, OpenBatch
from pipeline.duplicates import drop_duplicates
from pipeline.errors import ServiceError, SetupError
from pipeline.model import Batch, LogObject
from pipeline.staging import Shard, Staged, shard_path, write_rows
from pipeline.storage import create_file, open_file
from pipeline.warehouses.bigquery_ledger import facts_of, ledger_rows, report_of, unpark_facts
from pipeline.warehouses.bigquery_loads import MOST_FILES, Dedupe, Loaded, Loader, Lot
from pipeline.warehouses.bigquery_tables import BOOKKEEPING
from pipeline.warehouses.contract import RefusedError, Report, ledger
from pipeline.warehouses.maintenance import RESOLVED

_LOADS_AT_ONCE = 32
"""Jobs that are waited for at the same time: BigQuery answers 100 requests a second of each kind."""


class Steps:
    """What is done for a batch, whoever began it.

    `refusals` tells why tables took no rows in this run, by the names of the rows in the log.
    """

    def __init__(self, log: BatchLog, loader: Loader) -> None:
        self._log = log
        self._loader = loader
        self.refusals: dict[str, str] = {}

    def record(self, batch: Batch, staged: Staged) -> Staged:
        """Has one attempt count, this one or that of a faster run; gives what it staged."""
        manifest, unique = self.write_manifest(batch, staged)
        pointer = self._log.stage(batch, {"manifest": manifest})
        return unique if pointer["manifest"] == manifest else read_manifest(pointer)

    def write_manifest(self, batch: Batch, staged: Staged) -> tuple[str, Staged]:
        """Writes down what was staged, each view once; gives the file's name, and the content."""
        folder = self._log.staging(batch)
        unique = drop_duplicates(staged, folder)
        manifest = f"{folder}/manifest.json"
        with create_file(manifest) as sink:
            sink.write(json.dumps(unique.to_json()).encode())
        return manifest, unique

    def load(self, open_: OpenBatch, staged: Staged) -> Decision:
        """Loads what was staged, parks what cannot be; gives the decision that counts."""
        batch = open_.batch
        staged = Staged.from_json(staged.to_json())
        report = Report([batch.id], faults=staged.faults)
        parked: list[str] = []
        for lot, outcome in self.load_all(lots(batch, staged, open_.extra["dedupe"])):
            if isinstance(outcome, RefusedError):
                parked.append(self.park(batch, lot, outcome.why))
            elif lot.schema == "event":
                count(report.destinations, lot.table, outcome.rows)
                for name, rows in outcome.duplicates.items():
                    staged.tallies[name].accepted -= rows
                    staged.tallies[name].duplicate += rows
        entry, objects = ledger(report, batch, staged)
        facts = facts_of({**entry, "kind": open_.kind}, report)
        return self._log.loaded(
            batch, Decision(open_.kind, objects, (), parked, (), report.destinations, facts)
        )

    def unpark(self, open_: OpenBatch, parked: Mapping[str, Lot], view: LogView) -> Decision:
        """Loads what waited, as far as its tables take it; gives the decision that counts."""
        names = {lot: name for name, lot in parked.items()}
        loaded: list[str] = []
        rows: dict[str, int] = {}
        duplicates: Counter[str] = Counter()
        for lot, outcome in self._load_in_order(names):
            if isinstance(outcome, RefusedError):
                self.refusals[names[lot]] = outcome.why
            else:
                loaded.append(names[lot])
                duplicates += outcome.duplicates
                count(rows, lot.table, outcome.rows)
        id_ = open_.batch.id
        known = view.known_like([LogObject(name, 0, "") for name in duplicates])
        facts = unpark_facts(id_, rows, duplicates, known) if loaded else {}
        decision = Decision("unpark", unparked=loaded, destinations=rows, facts=facts)
        return self._log.loaded(open_.batch, decision)

    def load_all(self, wanted: Iterable[Lot]) -> list[tuple[Lot, Loaded | RefusedError]]:
        """Loads lots side by side; raises SetupError where the bookkeeping takes none.

        The first error ends the waiting for the others' jobs: they go on without this run.
        """

        def load(lot: Lot) -> tuple[Lot, Loaded | RefusedError]:
            try:
                return lot, self._loader.load(lot)
            except RefusedError as error:
                if lot.schema != "event":
                    raise refused_us(error) from None
                return lot, error

        with ThreadPoolExecutor(_LOADS_AT_ONCE) as pool:
            loads = [pool.submit(load, lot) for lot in wanted]
            try:
                for done in as_completed(loads):
                    done.result()
            except BaseException:
                self._loader.give_up()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [load.result() for load in loads]

    def _load_in_order(self, wanted: Iterable[Lot]) -> Iterator[tuple[Lot, Loaded | RefusedError]]:
        """The same, but merges into one table one after the other, oldest batch first.

        Those that run side by side do not see each other's rows.
        """
        queues: dict[object, list[Lot]] = defaultdict(list)
        for lot in sorted(wanted, key=lambda lot: (lot.batch, lot.part)):
            queues[lot.table if lot.dedupe == "merge" else lot].append(lot)
        for turn in zip_longest(*queues.values()):
            yield from self.load_all(lot for lot in turn if lot)

    def close(self, open_: OpenBatch, decision: Decision) -> Report:
        """Enters the batch in the ledger's tables; it is done then. Gives its report."""
        batch = open_.batch
        for name, rows in ledger_rows(decision).items():
            if rows:
                path = shard_path(self._log.staging(batch), name)
                write_rows(rows, path, create_file)
                lot = Lot(batch.id, f"{BOOKKEEPING}.{name}", (path,), len(rows), name)
                self.load_all([lot])
        self._log.done(batch)
        return report_of(batch, decision)

    def park(self, batch: Batch, lot: Lot, why: str, parked_at: str = "") -> str:
        """Keeps a lot for later runs; gives its name in the log."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        entry = {**asdict(lot), "parked_at": parked_at or now, "why": why}
        name = self._log.park(batch, f"{lot.batch}.{lot.table}.{lot.part}", entry)
        self.refusals[name] = why
        return name


@contextmanager
def keeping(log: BatchLog, batch: Batch) -> Iterator[None]:
    """Explains why files of a batch are gone.

    Raises SupersededError where others have finished the batch and cleared it away, else SetupError.
    """
    try:
        yield
    except FileNotFoundError as error:
        log.require_alive(batch)
        raise SetupError(
            f"{error.filename} is gone, and with it rows of batch {batch.id}: restore it, and see to "
            "it that nothing but pixelship removes objects there."
        ) from None


def refused_us(error: RefusedError) -> SetupError | ServiceError:
    """What is said where a table of ours cannot be changed."""
    said = f"{error.table} cannot be changed: {error.why}"
    if error.is_passing:
        return ServiceError(f"{said}; running again does no harm.")
    return SetupError(f"{said}.")


def lots(batch: Batch, staged: Staged, dedupe: Dedupe) -> Iterator[Lot]:
    """What was staged, by table, in lots that one load job takes.

    By how many files they are, and how many partitions they may change: all of a lot is of one period.
    """
    shards: dict[tuple[str, str], dict[int, list[Shard]]] = defaultdict(lambda: defaultdict(list))
    for shard in staged.shards:
        if shard.table != RESOLVED:
            table = shard.destination or f"{BOOKKEEPING}.{shard.table}"
            shards[table, shard.table][shard.period or 0].append(shard)
    for (table, schema), periods in sorted(shards.items()):
        settled: Dedupe = dedupe if schema == "event" else "off"
        pieces = (
            files[first : first + MOST_FILES]
            for _, files in sorted(periods.items())
            for first in range(0, len(files), MOST_FILES)
        )
        for part, some in enumerate(pieces):
            paths, rows = tuple(shard.path for shard in some), sum(shard.rows for shard in some)
            yield Lot(batch.id, table, paths, rows, schema, part, settled)


def read_manifest(pointer: Mapping[str, Any]) -> Staged:
    """What was staged, as written down where a pointer says."""
    with open_file(pointer["manifest"]) as stream:
        return Staged.from_json(json.loads(stream.read()))


def count(sums: dict[str, int], table: str, rows: int) -> None:
    """Adds rows to a table's."""
    sums[table] = sums.get(table, 0) + rows
