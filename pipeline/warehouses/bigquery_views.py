"""Sends, views and questions in BigQuery."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
from google.api_core.exceptions import Conflict, NotFound
from google.cloud import bigquery

from pipeline import gcp
from pipeline.batchlog import CloudStore
from pipeline.destinations import is_permitted
from pipeline.errors import ServiceError, SetupError
from pipeline.staging import shard_path, write_rows
from pipeline.storage import create_file
from pipeline.warehouses.bigquery_jobs import refusing
from pipeline.warehouses.bigquery_loads import Loader, Lot
from pipeline.warehouses.bigquery_tables import Tables
from pipeline.warehouses.bigquery_upkeep import BigQueryUpkeep
from pipeline.warehouses.contract import RefusedError
from pipeline.warehouses.views import SENDS, Question, View, campaign_views, hits_by_key

if TYPE_CHECKING:
    from pipeline.warehouses.bigquery import BigQueryOptions

_FOLDER = "sends"
_LEFT_BEHIND = timedelta(days=1)
"""What is older is of a call that was killed: no load job lasts so long."""
_IDS_AT_ONCE = 20_000
"""Ids that go into one question: about a megabyte."""


class BigQueryViews(BigQueryUpkeep):
    """An open warehouse of BigQuery, and what is made and asked of it beside loading."""

    _options: BigQueryOptions
    _client: bigquery.Client

    @contextmanager
    def reading(self) -> Iterator[BigQueryReader]:
        """Has BigQuery ready to be asked; raises SetupError, ServiceError."""
        options = self._options
        with gcp.explaining("use BigQuery"):
            client = gcp.bigquery_client(options.project, options.location)
        try:
            yield BigQueryReader(client, Tables(client, options.location, options.tables))
        finally:
            client.close()

    def add_sends(self, rows: pa.Table, opens: str) -> None:
        """Adds sends by one load job, all or none, and makes what shows them.

        Raises SetupError, ServiceError.
        """
        try:
            self._tables.prepare(SENDS, "sends")
            self._tables.prepare(opens)
            self._require_one_location(opens)
            self._show_campaigns(opens)  # what refuses, refuses before anything is written
            self._load(rows)
        except RefusedError as error:
            raise SetupError(f"{error.table} cannot be used: {error.why}.") from None

    def _load(self, rows: pa.Table) -> None:
        """Loads sends from a file within the state folder, which is removed afterwards."""
        id_ = uuid4().hex
        store = CloudStore(self._options.state)
        path = shard_path(f"{store.url}/{_FOLDER}/{id_}", "sends")
        try:
            write_rows(rows, path, create_file)
            self._loader.load(Lot(id_, SENDS, (path,), rows.num_rows, "sends"))
        finally:
            with suppress(SetupError, ServiceError):
                store.remove([path.removeprefix(f"{store.url}/"), *_left_behind(store)])

    def _require_one_location(self, opens: str) -> None:
        """Raises SetupError where no query can join opens and sends."""
        where, ours = self._tables.location(opens), self._tables.location(SENDS)
        if where.upper() != ours.upper():
            raise SetupError(
                f"{opens} is in {where}, the dataset of {SENDS} in {ours}, and BigQuery joins no "
                f"tables of two locations: name a destination in {ours} under [email]."
            )

    def known_sends(self, ids: Collection[str]) -> set[str]:
        """Which of some sends are there. Raises SetupError, ServiceError."""
        known: set[str] = set()
        if not self._tables.exists(SENDS):
            return known
        left = iter(ids)
        while some := list(islice(left, _IDS_AT_ONCE)):
            asked = bigquery.ArrayQueryParameter("ids", "STRING", some)
            sql = f"SELECT send_id FROM `{SENDS}` WHERE send_id IN UNNEST(@ids)"
            known |= {id_ for (id_,) in self._loader.ask(sql, [asked], SENDS)}
        return known

    def make_views(self, opens: str | None, hits: str | None) -> None:
        """Makes the views of e-mail opens and of hits by key, where there is something to show.

        Where that cannot be, the next run tries again: the rows are loaded in any case.
        """
        if hits:
            with suppress(RefusedError, SetupError, ServiceError):
                if self._tables.exists(hits):
                    self._show(hits_by_key(hits))
        if opens:
            with suppress(RefusedError, SetupError, ServiceError):
                if self._tables.exists(SENDS):
                    self._tables.prepare(opens)
                    self._show_campaigns(opens)

    def _show_campaigns(self, opens: str) -> None:
        named = self._loader.ask(f"SELECT DISTINCT opens_table FROM `{SENDS}`", table=SENDS)
        names = {name for (name,) in named if name and is_permitted(name)}
        tables = {name for name in names if name == opens or self._tables.exists(name)}
        for view in campaign_views(sorted(tables | {opens})):
            self._show(view)

    def _show(self, view: View) -> None:
        """Makes a view, or has an older one show the same. Raises RefusedError, ServiceError."""
        wanted = bigquery.Table(self._tables.full_name(view.name))
        wanted.description = view.description
        wanted.view_query = view.sql(lambda name: f"`{self._tables.full_name(name)}`")
        with refusing(view.name, f"create the view {view.name}"):
            try:
                found = self._client.get_table(wanted.reference, **gcp.limits())
            except NotFound:
                with suppress(Conflict):  # another run made it meanwhile
                    self._client.create_table(wanted, **gcp.limits())
                return
            if found.table_type != "VIEW":
                raise RefusedError(view.name, "a table has its name")
            if found.view_query != wanted.view_query:
                found.view_query = wanted.view_query
                self._client.update_table(found, ["view_query"], **gcp.limits())


class BigQueryReader:
    """BigQuery that is asked."""

    def __init__(self, client: bigquery.Client, tables: Tables) -> None:
        self._client = client
        self._tables = tables
        self._loader = Loader(client, tables, "")

    def has(self, name: str) -> bool:
        """Whether a table or view is there. Raises SetupError, ServiceError."""
        with gcp.explaining(f"look at the table {name}"):
            try:
                self._client.get_table(self._tables.full_name(name), **gcp.limits())
            except NotFound:
                return False
            return True

    def ask(self, question: Question) -> list[tuple[Any, ...]]:
        """The rows of the answer. Raises SetupError, ServiceError."""
        sql = question.query.format(*(f"`{name}`" for name in question.tables))
        values = [
            bigquery.ScalarQueryParameter(name, _type(value), value)
            for name, value in question.values.items()
        ]
        return self._loader.ask(sql, values, question.tables[0])


def _left_behind(store: CloudStore) -> list[str]:
    """The files of calls that were killed."""
    before = datetime.now(timezone.utc) - _LEFT_BEHIND
    return [each.name for each in store.list(f"{_FOLDER}/") if each.created_at < before]


def _type(value: str | datetime) -> str:
    return "TIMESTAMP" if isinstance(value, datetime) else "STRING"
