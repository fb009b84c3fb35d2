"""How things stand in a DuckDB file: SQL on an open connection, which changes nothing."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import duckdb

from pipeline.model import COUNTS, FATES, Quarantined, Tally
from pipeline.warehouses.duckdb_tables import CATALOG, literal, place
from pipeline.warehouses.maintenance import BatchNote, Status

OF_OBJECTS = ("pixelship.rejects", "pixelship.bot_hits", "pixelship.parked")
"""The tables of bookkeeping that have rows of log objects."""
_READ_ROWS = 10_000
_REJECTED = "coalesce(list_sum(map_values(rejected::JSON::MAP(VARCHAR, BIGINT))), 0)"


def status(db: duckdb.DuckDBPyConnection, *, by_object: bool) -> Status:
    """How things stand."""
    kinds = db.execute("SELECT kind, count(*) FROM pixelship.batches GROUP BY kind").fetchall()
    load = _last(db, "kind = 'load'")
    told = Status(
        batches=dict(kinds),
        last=_last(db, "true"),
        total=sum_of(db, "pixelship.objects"),
        batches_total=sum_of(db, "pixelship.batches"),
        last_load_at=load.at if load else None,
        objects=_by_object(db) if by_object else None,
    )
    fates = " + ".join((*FATES, _REJECTED))
    events = "lines + coalesce(extra_events, 0)"
    unbalanced = (
        f"SELECT DISTINCT name FROM pixelship.objects WHERE {events} <> {fates} ORDER BY name"
    )
    told.unbalanced = [name for (name,) in db.execute(unbalanced).fetchall()]
    for destination in destinations(db):
        newest = f"SELECT count(*), max(timestamp) FROM {place(destination)}"
        told.rows[destination], newest_at = db.execute(newest).fetchall()[0]
        times = [each for each in (told.newest_view_at, newest_at and _in_utc(newest_at)) if each]
        told.newest_view_at = max(times, default=None)
    for table in OF_OBJECTS:
        ((told.rows[table],),) = db.execute(f"SELECT count(*) FROM {place(table)}").fetchall()
    for destination, why, rows in db.execute(
        "SELECT destination, any_value(why), count(*) FROM pixelship.parked GROUP BY destination"
    ).fetchall():
        told.parked[destination], told.parked_why[destination] = rows, why
    found = db.execute("SELECT name, generation, size, why FROM pixelship.quarantine ORDER BY ALL")
    told.quarantined = [Quarantined(*row) for row in found.fetchall()]
    return told


def destinations(db: duckdb.DuckDBPyConnection) -> list[str]:
    """The destinations that rows were loaded into and that are tables still."""
    named = db.execute(
        "SELECT DISTINCT unnest(json_keys(destinations)) AS name FROM pixelship.batches ORDER BY name"
    ).fetchall()
    tables = db.execute(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables "
        f"WHERE table_catalog = {literal(CATALOG)} AND table_type = 'BASE TABLE'"
    ).fetchall()
    return [name for (name,) in named if (name,) in tables]


def sum_of(db: duckdb.DuckDBPyConnection, table: str) -> Tally:
    """The sum over a table of the ledger."""
    sums = ", ".join(f"coalesce(sum({name}), 0)::BIGINT" for name in COUNTS)
    (plain,) = db.execute(f"SELECT {sums} FROM {table}").fetchall()
    total = Tally.of(plain, {})
    for rejected, rows in db.execute(
        f"SELECT rejected, count(*) FROM {table} GROUP BY rejected"
    ).fetchall():
        total.rejected.update({key: count * rows for key, count in json.loads(rejected).items()})
    return total


def _last(db: duckdb.DuckDBPyConnection, where: str) -> BatchNote | None:
    """The last batch for which a condition holds."""
    found = db.execute(
        f"SELECT batch, kind, loaded_at FROM pixelship.batches WHERE {where} "
        "ORDER BY batch DESC LIMIT 1"
    ).fetchone()
    return BatchNote(found[0], found[1], _in_utc(found[2])) if found else None


def _by_object(db: duckdb.DuckDBPyConnection) -> dict[str, Tally]:
    """The balance of each log object, by name."""
    balances: dict[str, Tally] = {}
    found = db.execute(
        f"SELECT name, rejected, {', '.join(COUNTS)} FROM pixelship.objects ORDER BY name"
    )
    while rows := found.fetchmany(_READ_ROWS):
        for name, rejected, *plain in rows:
            tally = Tally.of(plain, json.loads(rejected))
            balances.setdefault(name, Tally()).add(tally)
    return balances


def _in_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=timezone.utc)
