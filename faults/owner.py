"""People change things: secrets, columns, tables, permissions, between runs and in their middle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.cloud import bigquery

from emulators.faults import DELAY, Fault
from faults.bench import DONE, INCOMPLETE, KILLED, SETUP, Bench
from faults.contents import owner_client
from faults.places import BigQueryPlace, DuckDBPlace
from faults.processes import LIMIT_S
from faults.traffic import DESTINATIONS, SECRET
from pipeline.warehouses.duckdb import connect

_JOBS = "/jobs"
_NEWS = DESTINATIONS[0]


def rotated_secret(bench: Bench) -> None:
    """A new secret signs, the old one still verifies; a killed run began with the old one alone."""
    for number in range(3):
        bench.add()
        bench.kill_after(bench.chance.uniform(0, 0.6))
        fresh = f"secret number {number}"
        old = bench.environment.get("SIGNER_SECRET", SECRET)
        bench.environment["SIGNER_SECRET"] = f"{fresh},{old}"
        bench.traffic.secret = fresh
        bench.add()
        bench.settle()


def added_column(bench: Bench) -> None:
    """The owner of a destination adds a column of their own, while a batch is half done."""
    bench.add()
    bench.settle()
    bench.add()
    bench.kill_after(0.4)
    if isinstance(bench.place, DuckDBPlace):
        _run_in_duckdb(bench.place, f"ALTER TABLE {_NEWS} ADD COLUMN note VARCHAR")
    else:
        _ask(bench, lambda client: _add_column(client, f"{client.project}.{_NEWS}"))
    bench.settle()
    bench.add()
    bench.settle()


def taken_table(bench: Bench) -> None:
    """A destination is put aside and something else has its name; later it is back."""
    assert isinstance(bench.place, DuckDBPlace)  # noqa: S101 - for the types
    bench.add()
    bench.settle()
    schema = _NEWS.partition(".")[0]
    _run_in_duckdb(
        bench.place,
        f"ALTER TABLE {_NEWS} RENAME TO aside",
        f"CREATE VIEW {_NEWS} AS SELECT 1 AS one",
    )
    bench.has_parked = True
    for _ in range(3):
        bench.add()
        bench.kill_after(bench.chance.uniform(0, 0.6))
        ended = bench.load(allowed=(INCOMPLETE,))
        bench.expect(ended.report.get("parked", {}).get(_NEWS), "rows wait")
    _run_in_duckdb(
        bench.place, f"DROP VIEW {_NEWS}", f"ALTER TABLE {schema}.aside RENAME TO pageviews"
    )
    bench.kill_after(bench.chance.uniform(0, 0.6))
    bench.settle()


def removed_before_load(bench: Bench, whole_dataset: bool) -> None:
    """Destinations are removed just before their load jobs are begun: the rows wait."""

    def remove(client: bigquery.Client) -> None:
        for name in DESTINATIONS:
            if whole_dataset:
                dataset = name.partition(".")[0]
                client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)
            else:
                client.delete_table(f"{client.project}.{name}", not_found_ok=True)

    bench.add()
    _held_at_jobs(bench, lambda: _ask(bench, remove), (INCOMPLETE,))
    bench.settle()


def withdrawn(bench: Bench, dataset: str | None, table: str | None, what: str) -> None:
    """A permission is withdrawn in the middle of a run, and given back later."""
    project = _place(bench).project
    bench.add()
    bench.settle()
    for _ in range(2):
        bench.add()
        _held_at_jobs(
            bench,
            lambda: bench.cloud.bigquery.deny(project, dataset, table, what),
            (DONE, INCOMPLETE, SETUP),
        )
        bench.add()
        bench.kill_after(bench.chance.uniform(0, 1), allowed=(SETUP,))
        bench.load(allowed=(INCOMPLETE, SETUP))
        bench.cloud.bigquery.allow(project)
        bench.settle()


def _held_at_jobs(bench: Bench, change: Callable[[], Any], allowed: tuple[int, ...]) -> None:
    """A run in whose middle something changes: its load jobs are held up until it has."""
    proxy = bench.cloud.bigquery_proxy
    proxy.add(Fault(DELAY, "POST", _JOBS, times=1 << 30, seconds=LIMIT_S))
    run = bench.start()
    run.wait_until(lambda: sum(proxy.hits()) >= len(DESTINATIONS))
    change()
    bench.cloud.calm()
    bench.end(run, (*allowed, KILLED))


def _place(bench: Bench) -> BigQueryPlace:
    assert isinstance(bench.place, BigQueryPlace)  # noqa: S101 - for the types
    return bench.place


def _ask(bench: Bench, what: Callable[[bigquery.Client], Any]) -> None:
    """Does something as the project's owner, past the proxy."""
    place = _place(bench)
    with owner_client(place.cloud.bigquery.url, place.project) as client:
        what(client)


def _add_column(client: bigquery.Client, name: str) -> None:
    table = client.get_table(name)
    table.schema = [*table.schema, bigquery.SchemaField("note", "STRING")]
    client.update_table(table, ["schema"])


def _run_in_duckdb(place: DuckDBPlace, *statements: str) -> None:
    with connect(place.path) as db:
        for statement in statements:
            db.execute(statement)
