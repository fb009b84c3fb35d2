"""How things stand in BigQuery: questions to the ledger's tables, and the tables' own row counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from pipeline.model import COUNTS, Tally
from pipeline.warehouses.bigquery_quotas import OWN_TABLES, advice
from pipeline.warehouses.maintenance import BatchNote, Status

Ask = Callable[..., list[tuple[Any, ...]]]
"""Gives a query's rows; `table` names one that it reads, other than the ledger's."""
_NEWEST_DAYS = 31
"""So far back the newest view is looked for at first: the question reads the time of all views since."""
_EVER = "TIMESTAMP '1970-01-01'"


def fill_from_ledger(told: Status, ask: Ask, *, by_object: bool) -> None:
    """Adds what `pixelship.objects` and `pixelship.batches` say."""
    found = ask(
        "SELECT kind, COUNT(*), MAX(batch), MAX(loaded_at) FROM pixelship.batches GROUP BY kind"
    )
    notes = [BatchNote(batch, kind, at) for kind, _, batch, at in found]
    told.batches = {kind: count for kind, count, _, _ in found}
    told.last = max(notes, key=lambda note: note.id, default=None)
    told.last_load_at = next((note.at for note in notes if note.kind == "load"), None)
    told.total, told.batches_total = (sum_of_ledger(ask, name) for name in ("objects", "batches"))
    told.load_jobs, batches = _jobs_of_day(ask)
    told.advice = advice(told.load_jobs, batches)
    balances: dict[str, Tally] = {}
    for name, rejected, *plain in ask(
        f"SELECT name, rejected, {', '.join(COUNTS)} FROM pixelship.objects ORDER BY name"
    ):
        balances.setdefault(name, Tally()).add(Tally.of(plain, json.loads(rejected)))
    told.unbalanced = [name for name, tally in balances.items() if not tally.adds_up]
    told.objects = balances if by_object else None


def _jobs_of_day(ask: Ask) -> tuple[int, int]:
    """The load jobs of the last 24 hours, at most, and the batches they were for.

    A table's name holds no colon, so a batch has as many destinations as its JSON has colons.
    """
    tables = "SUM(LENGTH(destinations) - LENGTH(REPLACE(destinations, ':', '')))"
    ((batches, found),) = ask(
        f"SELECT COUNT(*), {tables} FROM pixelship.batches "
        "WHERE loaded_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 24 HOUR)"
    )
    return (found or 0) + OWN_TABLES * batches, batches


def newest_view(ask: Ask, tables: Iterable[str]) -> datetime | None:
    """The log's time of the newest view in some tables."""
    return max((time for table in tables if (time := _newest(ask, table))), default=None)


def _newest(ask: Ask, table: str) -> datetime | None:
    for since in (f"TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL {_NEWEST_DAYS} DAY)", _EVER):
        found = ask(f"SELECT MAX(timestamp) FROM `{table}` WHERE timestamp >= {since}", table=table)
        if found[0][0]:
            return found[0][0]
    return None


def sum_of_ledger(ask: Ask, table: str, where: str = "TRUE") -> Tally:
    """The sum over rows of `pixelship.objects` or `pixelship.batches`."""
    sums = ", ".join(f"SUM({name})" for name in COUNTS)
    total = Tally()
    for *plain, rejected, rows in ask(
        f"SELECT {sums}, rejected, COUNT(*) FROM pixelship.{table} WHERE {where} GROUP BY rejected"
    ):
        reasons = {reason: each * rows for reason, each in json.loads(rejected).items()}
        total.add(Tally.of(plain, reasons))
    return total
