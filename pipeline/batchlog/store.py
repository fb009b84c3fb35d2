"""Where the log's objects are: created once, read, listed, removed; never overwritten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from google.api_core import exceptions as api
from google.cloud import storage

from pipeline import gcp
from pipeline.errors import SetupError

MOST_BYTES = 1 << 23
"""An object's bytes, at most: Google's client sends no more in a single request, and only a single
request makes an object once and whole (`google/cloud/storage/blob.py`, `_MAX_MULTIPART_SIZE`)."""
_CONNECTIONS = 8
"""Calls at the same time; the client keeps ten connections."""
_LISTED_FIELDS = "items(name,generation,timeCreated),nextPageToken"


@dataclass(frozen=True)
class Entry:
    """An object of the store.

    `created_at` is the store's own time; `generation` tells two objects apart that had the same name
    one after the other.
    """

    name: str
    created_at: datetime
    generation: int


class ObjectStore(Protocol):
    """A folder of small objects under one URL.

    Names are relative to it. Lists and reads are strongly consistent: they hold whatever was
    created, and nothing that was removed, before they were asked for.
    """

    url: str

    def create(self, name: str, data: bytes) -> bool:
        """Creates an object where there is none; True exactly if these bytes are there afterwards.

        Bytes must be unique to the call (a `writer` stands in them), so that a create whose answer
        was lost knows its own. Raises SetupError for more than MOST_BYTES.
        """

    def read(self, name: str, generation: int | None = None) -> bytes | None:
        """An object's bytes, or those of one generation; None where it is not there."""

    def list(self, prefix: str) -> Sequence[Entry]:
        """The objects whose names start with the prefix, in the order of their names."""

    def remove(self, names: Iterable[str]) -> None:
        """Removes objects; those that are not there are as they should be."""


class CloudStore:
    """A folder in Cloud Storage, `gs://bucket/folder`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        bucket, folder = gcp.split_url(self.url + "/")
        self._bucket = bucket
        self._folder = folder.lstrip("/")

    def create(self, name: str, data: bytes) -> bool:
        """As ObjectStore says.

        A try that is repeated after its answer was lost finds its own object: 412. So what is there
        is read back and compared.
        """
        if len(data) > MOST_BYTES:
            raise SetupError(
                f"{self.url}/{name} would take {len(data):,} bytes, more than {MOST_BYTES:,}: "
                "load fewer log objects at a time."
            )
        with gcp.explaining(f"create {self.url}/{name}"):
            try:
                self._blob(name).upload_from_string(
                    data,
                    content_type="application/octet-stream",
                    if_generation_match=0,
                    checksum="crc32c",
                    **gcp.limits(),
                )
            except api.PreconditionFailed:
                pass
            else:
                return True
        return self.read(name) == data

    def read(self, name: str, generation: int | None = None) -> bytes | None:
        """As ObjectStore says."""
        with gcp.explaining(f"read {self.url}/{name}"):
            try:
                return gcp.retry()(self._read)(name, generation)
            except api.NotFound:
                return None

    def _read(self, name: str, generation: int | None) -> bytes:
        """One try: with a retry of its own, the client leaves the sockets of failed ones open."""
        blob = self._blob(name, generation)
        return blob.download_as_bytes(
            raw_download=True, checksum="crc32c", timeout=gcp.reply_s(), retry=None
        )

    def list(self, prefix: str) -> Sequence[Entry]:
        """As ObjectStore says."""
        with gcp.explaining(f"list {self.url}/{prefix}"):
            found = gcp.storage_client().list_blobs(
                self._bucket, prefix=self._folder + prefix, fields=_LISTED_FIELDS, **gcp.limits()
            )
            return [
                Entry(blob.name[len(self._folder) :], blob.time_created, int(blob.generation))
                for blob in found
            ]

    def remove(self, names: Iterable[str]) -> None:
        """As ObjectStore says."""
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            list(pool.map(self._remove, names))

    def _remove(self, name: str) -> None:
        with gcp.explaining(f"remove {self.url}/{name}"), suppress(api.NotFound):
            self._blob(name).delete(**gcp.limits())

    def _blob(self, name: str, generation: int | None = None) -> storage.Blob:
        bucket = gcp.storage_client().bucket(self._bucket)
        return bucket.blob(self._folder + name, generation=generation)
