"""The cloud on loopback, for tests: one object store and one BigQuery for the whole session."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from emulators.bigquery import BigQuery
from emulators.environment import client_environment
from emulators.faults import AFTER, BEFORE, CUT, HALF, REFUSE, Fault
from emulators.object_store import ObjectStore
from pipeline.storage import create_file

BUCKET = "pixelship-tests"
_UPLOAD = f"/upload/storage/v1/b/{BUCKET}/o"
UPLOAD_FAULTS = [
    Fault(REFUSE, "POST", _UPLOAD, when=BEFORE, status=503),
    Fault(REFUSE, "POST", _UPLOAD, when=AFTER, status=503),
    Fault(REFUSE, "POST", _UPLOAD, when=AFTER, status=429),
    Fault(CUT, "POST", _UPLOAD, when=BEFORE),
    Fault(CUT, "POST", _UPLOAD, when=AFTER),
    Fault(CUT, "POST", _UPLOAD, when=AFTER, where="body"),
    Fault(HALF, "POST", _UPLOAD),
]
"""What an upload meets on its way and passes."""
UPLOAD_FAULT_NAMES = [
    f"{fault.action}-{fault.when}-{fault.status}-{fault.where}" for fault in UPLOAD_FAULTS
]


@dataclass(frozen=True)
class Cloud:
    """The running servers; `project` and the folders are fresh, and nobody else's."""

    store: ObjectStore
    bigquery: BigQuery
    project: str
    folder: str

    @property
    def state(self) -> str:
        """A state folder."""
        return f"{self.folder}/state"

    def put(self, name: str, data: bytes) -> str:
        """Uploads a log; gives its full name."""
        url = f"{self.folder}/logs/{name}"
        with create_file(url) as sink:
            sink.write(data)
        return url

    def ask(self, sql: str) -> list[dict[str, Any]]:
        """A query's rows."""
        with self.client() as client:
            return [dict(row) for row in client.query_and_wait(sql)]

    def tables(self) -> list[str]:
        """The names of all tables that are no views."""
        with self.client() as client:
            return [
                f"{table.dataset_id}.{table.table_id}"
                for dataset in client.list_datasets()
                for table in client.list_tables(dataset.dataset_id)
                if table.table_type == "TABLE"
            ]

    @contextmanager
    def client(self) -> Iterator[bigquery.Client]:
        """A client of the project."""
        client = bigquery.Client(project=self.project, credentials=AnonymousCredentials())
        try:
            yield client
        finally:
            client.close()

    def environment(self) -> dict[str, str]:
        """The variables for a process that is to talk to these servers."""
        return {**os.environ, **variables(self.store, self.bigquery)}


def variables(store: ObjectStore, bigquery: BigQuery) -> dict[str, str]:
    """What leads clients to the servers, and has them give up soon."""
    return {**client_environment(store.url, bigquery.url), "PIXELSHIP_RETRY_S": "20"}


def fresh_cloud(store: ObjectStore, bigquery: BigQuery) -> Cloud:
    """A project and a folder of its own."""
    return Cloud(store, bigquery, bigquery.fresh_project(), f"gs://{BUCKET}/{uuid.uuid4().hex}")
