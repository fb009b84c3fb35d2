"""Where logs go: objects that are created once, and confirmed by what the store itself says of them."""

from __future__ import annotations

import base64
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import google_crc32c

from pipeline import gcp
from pipeline.errors import ServiceError
from pipeline.ship.pack import content_hash
from pipeline.ship.spool import sync
from pipeline.storage import CLOUD_STORAGE

SINGLE_BYTES = 1 << 23
"""What is larger takes Google's client several requests (`google/cloud/storage/blob.py`)."""
_PIECE_BYTES = 1 << 24
_READ_BYTES = 1 << 20
_CONTENT_TYPE = "application/zstd"


class OtherContentError(Exception):
    """The store holds something else under the name."""


class Store(Protocol):
    """A folder of objects."""

    url: str

    def put(self, name: str, stream: BinaryIO) -> bool:
        """Has the store hold the stream's bytes under a name relative to it, and confirm it.

        False where it held them before, or another compression of the same content. Nothing is ever
        overwritten. Raises OtherContentError; SetupError, ServiceError where the store as a whole
        cannot be used now.
        """


def store_of(url: str) -> Store:
    """The store of a URL: `gs://BUCKET/FOLDER`, or a folder of this machine. Raises SetupError."""
    return Bucket(url) if url.startswith(CLOUD_STORAGE) else Folder(Path(url))


@dataclass(frozen=True)
class _Sum:
    """What two equal objects have in common: their size, and their CRC32C as Google writes it."""

    size: int
    crc32c: str


def _sum_of(stream: BinaryIO) -> _Sum:
    checksum, size = google_crc32c.Checksum(), 0
    stream.seek(0)
    while data := stream.read(_READ_BYTES):
        checksum.update(data)
        size += len(data)
    return _Sum(size, base64.b64encode(checksum.digest()).decode())


def _is_same_content(one: BinaryIO, other: BinaryIO) -> bool:
    content = content_hash(one)
    return content is not None and content == content_hash(other)


class Bucket:
    """A folder in Cloud Storage."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        gcp.split_url(f"{self.url}/")

    def put(self, name: str, stream: BinaryIO) -> bool:
        """As Store says.

        A create whose answer was lost finds its own object when it is tried again; so what is there
        decides, not who made it.
        """
        from google.api_core import exceptions as api

        url = f"{self.url}/{name}"
        ours = _sum_of(stream)
        try:
            # Of many bytes, none are sent where they are there already.
            found = self._look(url) if ours.size > SINGLE_BYTES else None
            if is_new := found is None:
                found = self._create(url, stream, ours)
        except api.PreconditionFailed:
            is_new, found = False, self._look(url)
        except api.Conflict:
            raise ServiceError(f"{url} is written by another just now; run again.") from None
        if found == ours:
            return is_new
        if found is None:
            raise ServiceError(f"{url} was there and is gone; running again does no harm.")
        with gcp.open_file(url) as there:
            if not _is_same_content(there, stream):
                raise OtherContentError(f"{url} holds other content")
        return False

    def _create(self, url: str, stream: BinaryIO, ours: _Sum) -> _Sum:
        """Creates the object; raises PreconditionFailed where there is one."""
        with gcp.explaining(f"create {url}"):
            blob = gcp.retry()(self._upload)(url, stream, ours)
        return _stored(blob)

    @staticmethod
    def _upload(url: str, stream: BinaryIO, ours: _Sum) -> Any:
        """One try. The checksum goes along: a store that gets other bytes makes no object."""
        blob = gcp.blob_of(url)
        blob.chunk_size = _PIECE_BYTES
        blob.upload_from_file(
            stream,
            rewind=True,
            size=ours.size,
            content_type=_CONTENT_TYPE,
            if_generation_match=0,
            checksum="crc32c",
            timeout=gcp.reply_s(),
            retry=None,
        )
        return blob

    @staticmethod
    def _look(url: str) -> _Sum | None:
        from google.api_core import exceptions as api

        with gcp.explaining(f"look at {url}"):
            blob = gcp.blob_of(url)
            try:
                blob.reload(**gcp.limits())
            except api.NotFound:
                return None
        return _stored(blob)


def _stored(blob: Any) -> _Sum:
    """What the service says of an object."""
    return _Sum(int(blob.size or 0), str(blob.crc32c))


class Folder:
    """A folder of this machine, or one that is mounted; it is made where it is missing."""

    def __init__(self, root: Path) -> None:
        self.url = str(root)
        self._root = root

    def put(self, name: str, stream: BinaryIO) -> bool:
        """As Store says. The file appears under its name whole: it is linked to it."""
        try:
            return self._put(self._root / name, stream)
        except OSError as error:
            raise ServiceError(
                f"{self._root / name} cannot be written: {error.strerror}; running again does no harm."
            ) from None

    def _put(self, path: Path, stream: BinaryIO) -> bool:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        if path.exists():
            part.unlink(missing_ok=True)
            return self._compare(path, stream)
        with part.open("wb") as sink:
            stream.seek(0)
            while data := stream.read(_READ_BYTES):
                sink.write(data)
            sink.flush()
            os.fsync(sink.fileno())
        with part.open("rb") as there:
            if _sum_of(there) != _sum_of(stream):
                raise ServiceError(f"{part} is not as it was written; running again does no harm.")
        is_new = True
        try:
            self._name(part, path)
        except FileExistsError:
            is_new = self._compare(path, stream)
        for folder in path.parents:
            sync(folder)
            if folder == self._root:
                break
        return is_new

    @staticmethod
    def _name(part: Path, path: Path) -> None:
        """Gives a file its name, unless another has it. Raises FileExistsError."""
        try:
            path.hardlink_to(part)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            part.rename(path)
        with suppress(FileNotFoundError):
            part.unlink()

    @staticmethod
    def _compare(path: Path, stream: BinaryIO) -> bool:
        """False where the file holds the same; raises OtherContentError."""
        with path.open("rb") as there:
            if _sum_of(there) != _sum_of(stream) and not _is_same_content(there, stream):
                raise OtherContentError(f"{path} holds other content")
        return False
