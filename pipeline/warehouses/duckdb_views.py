"""Sends, views and questions in a DuckDB file."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipeline import schemas
from pipeline.destinations import is_permitted
from pipeline.errors import SetupError
from pipeline.warehouses.contract import RefusedError
from pipeline.warehouses.duckdb_maintenance import DuckDBMaintenance
from pipeline.warehouses.duckdb_tables import (
    CATALOG,
    connect,
    ensure_table,
    first_line,
    literal,
    place,
    prepare,
    quoted,
    refusing,
)
from pipeline.warehouses.views import SENDS, Question, View, campaign_views, hits_by_key

_TABLE, _VIEW = "BASE TABLE", "VIEW"


class DuckDBViews(DuckDBMaintenance):
    """The file at `path`, and what is made and asked of it beside loading."""

    path: Path

    @contextmanager
    def reading(self) -> Iterator[DuckDBReader]:
        """Opens the file for reading; raises SetupError where there is none."""
        if not self.path.is_file():
            raise SetupError(
                f"No DuckDB file is at {self.path}: load a log first, or name it with --to."
            )
        with connect(self.path, read_only=True) as db:
            yield DuckDBReader(db)

    def add_sends(self, rows: pa.Table, opens: str) -> None:
        """Adds sends, all or none, and makes what shows them; raises SetupError."""
        try:
            with self._transaction():
                prepare(self._db, opens)
                ensure_table(self._db, SENDS, schemas.table("sends"))
                time = "make_timestamp(epoch_us(created_at)) AS created_at"
                self._db.register("sent", rows)
                with refusing(SENDS):
                    self._db.execute(
                        f"INSERT INTO {place(SENDS)} BY NAME SELECT * REPLACE ({time}) FROM sent"
                    )
                self._show_campaigns(opens)
        except RefusedError as error:
            raise SetupError(f"{error.table} cannot be used: {error.why}.") from None

    def known_sends(self, ids: Collection[str]) -> set[str]:
        """Which of some sends are there."""
        if _kind(self._db, SENDS) is None:
            return set()
        self._db.register("asked", pa.table({"send_id": pa.array(list(ids), pa.string())}))
        found = self._rows(f"SELECT send_id FROM {place(SENDS)} SEMI JOIN asked USING (send_id)")
        self._db.unregister("asked")
        return {id_ for (id_,) in found}

    def make_views(self, opens: str | None, hits: str | None) -> None:
        """Makes the views of e-mail opens and of hits by key, where there is something to show.

        Where something else has a view's name, there is none.
        """
        if hits and _kind(self._db, hits) == _TABLE:
            with suppress(RefusedError), self._transaction():
                self._show(hits_by_key(hits))
        if opens and _kind(self._db, SENDS) == _TABLE:
            with suppress(RefusedError), self._transaction():
                prepare(self._db, opens)
                self._show_campaigns(opens)

    def _show_campaigns(self, opens: str) -> None:
        with refusing(SENDS):
            named = self._rows(f"SELECT DISTINCT opens_table FROM {place(SENDS)}")
        names = {name for (name,) in named if name and is_permitted(name)}
        tables = {name for name in names if _kind(self._db, name) == _TABLE}
        for view in campaign_views(sorted(tables | {opens})):
            self._show(view)

    def _show(self, view: View) -> None:
        """Makes a view, in place of an older one; raises RefusedError.

        Its query names no catalog: the file is attached under another name elsewhere.
        """
        if _kind(self._db, view.name) not in {None, _VIEW}:
            raise RefusedError(view.name, "a table has its name")
        schema = view.name.partition(".")[0]

        def quote(name: str) -> str:
            dataset, _, table = name.partition(".")
            return ".".join(map(quoted, [table] if dataset == schema else [dataset, table]))

        with refusing(view.name):
            self._db.execute(f"CREATE OR REPLACE VIEW {place(view.name)} AS {view.sql(quote)}")
            about = f"COMMENT ON VIEW {place(view.name)} IS {literal(view.description)}"
            self._db.execute(about)


class DuckDBReader:
    """An open file that is asked."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self._db = db

    def has(self, name: str) -> bool:
        """Whether a table or view is there."""
        return _kind(self._db, name) is not None

    def ask(self, question: Question) -> list[tuple[Any, ...]]:
        """The rows of the answer, times in UTC; raises SetupError."""
        sql = question.query.format(*map(place, question.tables))
        for name in question.values:
            sql = sql.replace(f"@{name}", f"${name}")
        values = {name: _plain(value) for name, value in question.values.items()}
        try:
            found = self._db.execute(sql, values).fetchall()
        except duckdb.Error as error:
            raise SetupError(
                f"{' and '.join(question.tables)} cannot be asked: {first_line(error)}"
            ) from None
        return [tuple(map(_in_utc, row)) for row in found]


def _kind(db: duckdb.DuckDBPyConnection, name: str) -> str | None:
    """Whether a name is that of a table or a view; None where it is free."""
    found = db.execute(
        "SELECT table_type FROM information_schema.tables "
        "WHERE table_catalog = ? AND table_schema = ? AND table_name = ?",
        [CATALOG, *name.split(".")],
    ).fetchall()
    return str(found[0][0]) if found else None


def _plain(value: str | datetime) -> str | datetime:
    """A value as DuckDB has it: times are UTC, without a zone."""
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).replace(tzinfo=None)
    return value


def _in_utc(value: object) -> object:
    return value.replace(tzinfo=timezone.utc) if isinstance(value, datetime) else value
