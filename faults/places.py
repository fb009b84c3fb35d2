"""Warehouses with the logs before them, each on its own: what a fault befalls."""

from __future__ import annotations

import shutil
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Protocol

from emulators.bigquery import BigQuery
from emulators.environment import client_environment
from emulators.fault_proxy import FaultProxy
from emulators.object_store import ObjectStore
from faults.contents import Tables, find_forgotten, read_bigquery, read_duckdb
from faults.traffic import SECRET

RETRY_S = 20.0
"""For how long a run tries a failing call again: a matrix has no two minutes for each."""


class Place(Protocol):
    """A warehouse, and the log objects that are to be loaded into it."""

    kind: str
    once_per_batch: bool
    has_views: bool
    folder: Path

    def name(self, log: str) -> str:
        """The name that the ledger gives to a log."""

    def put(self, log: str, data: bytes) -> None:
        """Puts a log's bytes there, over what has its name."""

    def remove(self, log: str) -> None:
        """Takes a log away."""

    def words(self) -> list[str]:
        """The command line that loads all logs."""

    def unload_words(self, log: str) -> list[str]:
        """The command line that takes a log out again."""

    def environment(self) -> dict[str, str]:
        """The variables that a run needs."""

    def read(self) -> Tables:
        """All that is in the warehouse."""

    def leftovers(self) -> list[str]:
        """What a run left behind that ended well, beyond what the documents allow."""

    def close(self) -> None:
        """Removes all of it."""


class DuckDBPlace:
    """A DuckDB file, with logs in a folder beside it."""

    kind = "duckdb"
    once_per_batch = has_views = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder
        self._logs = folder / "logs"
        self._logs.mkdir(parents=True)

    @property
    def path(self) -> Path:
        """The file; `home` may be moved to another disk before the first run."""
        return self.home / "warehouse.duckdb"

    def name(self, log: str) -> str:
        """Its path."""
        return str((self._logs / log).resolve())

    def put(self, log: str, data: bytes) -> None:
        """Writes a file whole: a log that is still written is another matter."""
        (self._logs / log).write_bytes(data)

    def remove(self, log: str) -> None:
        """Deletes the file."""
        (self._logs / log).unlink()

    def words(self) -> list[str]:
        """As in the README."""
        return ["load", str(self._logs), "--to", f"duckdb:{self.path}", "--json"]

    def unload_words(self, log: str) -> list[str]:
        """By its path."""
        return ["unload", "--object", self.name(log), "--to", f"duckdb:{self.path}", "--json"]

    def environment(self) -> dict[str, str]:
        """The secret."""
        return {"SIGNER_SECRET": SECRET}

    def read(self) -> Tables:
        """The file's tables."""
        return read_duckdb(self.path)

    def leftovers(self) -> list[str]:
        """Nothing may be there but the file."""
        return [each.name for each in self.home.glob(f"{self.path.name}*") if each != self.path]

    def close(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Cloud:
    """The emulators, and a fault proxy before each: what several places share, one after another."""

    BUCKET = "matrix"

    def __init__(self, store: ObjectStore, bigquery: BigQuery) -> None:
        self.store, self.bigquery = store, bigquery
        self.store_proxy, self.bigquery_proxy = FaultProxy(store.url), FaultProxy(bigquery.url)
        store.make_bucket(self.BUCKET)

    def calm(self) -> None:
        """Forgets all faults of the wire, and the requests seen."""
        for proxy in (self.store_proxy, self.bigquery_proxy):
            proxy.clear()
            proxy.forget()

    def close(self) -> None:
        """Stops the proxies."""
        self.store_proxy.stop()
        self.bigquery_proxy.stop()


class BigQueryPlace:
    """A project of the emulated BigQuery, with logs and state in folders of a bucket."""

    kind = "bigquery"

    def __init__(self, folder: Path, cloud: Cloud, dedupe: str = "view") -> None:
        self.folder = folder
        self.cloud = cloud
        self.dedupe = dedupe
        self.once_per_batch = dedupe != "merge"
        self.has_views = dedupe == "view"
        self.project = cloud.bigquery.fresh_project()
        self._bucket = cloud.store.root / Cloud.BUCKET
        folder.mkdir(parents=True)

    @property
    def state(self) -> str:
        """The URL of the state folder."""
        return f"gs://{Cloud.BUCKET}/{self.project}/state"

    def name(self, log: str) -> str:
        """Its URL."""
        return f"gs://{Cloud.BUCKET}/{self.project}/logs/{log}"

    def put(self, log: str, data: bytes) -> None:
        """Uploads an object, past the proxy."""
        self.upload(f"{self.project}/logs/{log}", data)

    def upload(self, name: str, data: bytes) -> None:
        """Uploads any object of the bucket."""
        quoted = urllib.parse.quote(name, safe="")
        self._ask(
            "POST", f"/upload/storage/v1/b/{Cloud.BUCKET}/o?uploadType=media&name={quoted}", data
        )

    def remove(self, log: str) -> None:
        """Deletes an object."""
        quoted = urllib.parse.quote(f"{self.project}/logs/{log}", safe="")
        self._ask("DELETE", f"/storage/v1/b/{Cloud.BUCKET}/o/{quoted}")

    def words(self) -> list[str]:
        """As in the README."""
        logs = f"gs://{Cloud.BUCKET}/{self.project}/logs/"
        return ["load", logs, "--json", *self._warehouse(), "--dedupe", self.dedupe]

    def unload_words(self, log: str) -> list[str]:
        """By its URL."""
        return ["unload", "--object", self.name(log), "--json", *self._warehouse()]

    def _warehouse(self) -> list[str]:
        return ["--to", f"bigquery:{self.project}", "--state", self.state]

    def environment(self) -> dict[str, str]:
        """The way to the proxies; little patience."""
        cloud = self.cloud
        return {
            **client_environment(
                cloud.store_proxy.url, cloud.bigquery_proxy.url, None, self.project
            ),
            "SIGNER_SECRET": SECRET,
            "PIXELSHIP_RETRY_S": str(RETRY_S),
        }

    def read(self) -> Tables:
        """The project's tables and views."""
        return read_bigquery(self.cloud.bigquery.url, self.project)

    def leftovers(self) -> list[str]:
        """No batch may be open; tables for merging go by themselves after a while."""
        state = self._bucket / self.project / "state"
        names = {path.name for path in (state / "batches").glob("*.json")}
        plans = {name for name in names if name.count(".") == 1}
        open_ = [name for name in plans if name.replace(".json", ".done.json") not in names]
        forgotten = find_forgotten(self.cloud.bigquery.url, self.project)
        return [*(f"open batch {name}" for name in sorted(open_)), *forgotten]

    def close(self) -> None:
        """Drops the project and its objects."""
        self.cloud.calm()
        self.cloud.bigquery.forget(self.project)
        shutil.rmtree(self._bucket / self.project, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ask(self, method: str, path: str, data: bytes | None = None) -> bytes:
        request = urllib.request.Request(self.cloud.store.url + path, data=data, method=method)
        with urllib.request.urlopen(request) as answer:
            found: bytes = answer.read()
        return found
