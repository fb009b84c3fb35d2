"""Log objects in Google Cloud Storage, each pinned to one generation of its bytes."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from datetime import datetime, timezone
from threading import Thread
from typing import Any, BinaryIO, cast

import google_crc32c
from google.api_core.exceptions import NotFound

from pipeline import gcp
from pipeline.errors import SetupError
from pipeline.model import LogObject
from pipeline.sources.contract import Listing, Search
from pipeline.sources.patterns import Pattern

LEAST_READ_BYTES = 1 << 20
MOST_READ_BYTES = 1 << 23
"""What is asked for at a time: little after a jump, more while reading goes on."""
_FIELDS = "items(name,generation,size,crc32c,md5Hash,updated),nextPageToken"
_Resource = dict[str, Any]


class CloudStorage:
    """Objects, folders and globs of buckets: see `Pattern`."""

    reuses_names = False

    def list_objects(self, search: Search) -> Listing:
        """The objects that patterns name, each once and pinned.

        A bucket, a folder with a / at its end, or a glob may be empty: scheduled runs come before
        the first log does. Raises SetupError for what is not there otherwise, ServiceError.

        An object's age is told by this machine's clock; one from its future counts as young.
        """
        listing = Listing()
        seen: set[str] = set()
        settled_before = _timestamp(time.time() - search.settle_s)
        for pattern in map(Pattern, search.patterns):
            for resource in _find(pattern):
                name = f"gs://{pattern.bucket}/{resource['name']}"
                if name in seen:
                    continue
                seen.add(name)
                if search.settle_s and resource["updated"] >= settled_before:
                    listing.waiting += 1
                else:
                    listing.objects.append(_log_object(name, resource))
        return listing

    def would_list(self, search: Search, name: str) -> bool:
        """Whether a search finds an object of this name, if it is there and not too young."""
        bucket, within = gcp.split_url(name)
        patterns = [Pattern(text) for text in search.patterns if text.startswith("gs://")]
        return any(pattern.bucket == bucket and pattern.fits(within) for pattern in patterns)

    def fronts(self, item: LogObject, earlier: Iterable[LogObject]) -> list[LogObject]:
        """Which of some objects, read earlier and no larger, are the first bytes of this one.

        One reading serves them all, each compared by its own checksum's algorithm. Raises
        FileNotFoundError where the generation is gone, SetupError, ServiceError.
        """
        candidates = sorted(
            (each for each in earlier if each.size <= item.size), key=lambda each: each.size
        )
        digests = {
            name: _DIGESTS[name]() for name in map(_algorithm, candidates) if name in _DIGESTS
        }
        fronts = []
        with closing(self.open(item)) as stream:
            for each in candidates:
                while (left := each.size - stream.tell()) > 0:
                    data = stream.read(min(left, MOST_READ_BYTES))
                    for digest in digests.values():
                        digest.update(data)
                name = _algorithm(each)
                if name in digests and each.checksum == f"{name}:{digests[name].digest().hex()}":
                    fronts.append(each)
        return fronts

    def is_as_pinned(self, item: LogObject) -> bool:
        """Whether the generation is still there. Raises SetupError, ServiceError."""
        with gcp.explaining(f"look up {item.name}"):
            return bool(gcp.blob_of(item.name, item.generation).exists(**gcp.limits()))

    def open(self, item: LogObject) -> BinaryIO:
        """The generation's stored bytes: see `StoredBytes`."""
        return cast(BinaryIO, StoredBytes(item))


def _find(pattern: Pattern) -> Iterator[_Resource]:
    """The objects that are there. Raises SetupError, ServiceError."""
    is_found = False
    with gcp.explaining(f"list {pattern.text}"):
        for resource in _candidates(pattern):
            if pattern.fits(resource["name"]):
                is_found = True
                yield resource
    if pattern.is_name and not is_found:
        raise SetupError(f"No log object is there under {pattern.text!r}: check the name.")


def _candidates(pattern: Pattern) -> Iterator[_Resource]:
    """Some objects, those that are looked for among them."""
    if pattern.is_name:  # sorts before all other names that begin with it
        yield from itertools.islice(_list(pattern.bucket, pattern.start, page_size=1), 1)
        yield from _list(pattern.bucket, f"{pattern.start}/")
    else:
        yield from _list(pattern.bucket, pattern.start, delimiter="/" if pattern.is_flat else None)


def _list(bucket: str, start: str, **options: Any) -> Iterator[_Resource]:
    """The objects whose names begin with `start`, sorted."""
    client = gcp.storage_client()
    found = client.list_blobs(bucket, prefix=start, fields=_FIELDS, **options, **gcp.limits())
    for page in found.pages:
        yield from page.raw_page.get("items", ())


def _timestamp(time_s: float) -> str:
    """A time as the service writes it, in whole seconds: such texts sort as the times do."""
    return datetime.fromtimestamp(time_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def _log_object(name: str, resource: _Resource) -> LogObject:
    """The pinned object; those that were put together from others have no MD5."""
    algorithm, field = ("md5", "md5Hash") if "md5Hash" in resource else ("crc32c", "crc32c")
    checksum = f"{algorithm}:{base64.b64decode(resource[field]).hex()}"
    return LogObject(name, int(resource["size"]), checksum, generation=int(resource["generation"]))


_DIGESTS: dict[str, Any] = {
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "crc32c": google_crc32c.Checksum,
    "sha256": hashlib.sha256,
}


def _algorithm(item: LogObject) -> str:
    return item.checksum.partition(":")[0]


class StoredBytes(io.RawIOBase):
    """The bytes of one generation of an object just as they are stored, read in ranges.

    What was stored compressed is not inflated on the way, whatever its Content-Encoding. Opening
    asks nothing of the service; reading gives all that was asked for, up to the object's end, and
    raises FileNotFoundError where the generation is gone, SetupError, ServiceError. While reading
    goes on, the next range is fetched before it is asked for.
    """

    def __init__(self, item: LogObject) -> None:
        self._item = item
        self._position = 0
        self._start = 0
        self._window = memoryview(b"")
        self._ahead: _Ahead | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte is read from."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a place; nothing is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._item.size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes, as many as asked for unless the object ends before."""
        wanted = self._item.size if size is None or size < 0 else size
        end = min(self._position + wanted, self._item.size)
        pieces = []
        while self._position < end:
            pieces.append(self._piece(end - self._position))
            self._position += len(pieces[-1])
        return b"".join(pieces)

    def _piece(self, most_bytes: int) -> memoryview:
        """Some of the next bytes."""
        at = self._position - self._start
        if not 0 <= at < len(self._window):
            goes_on = at == len(self._window) > 0
            self._window = self._next_window(MOST_READ_BYTES if goes_on else most_bytes)
            self._start, at = self._position, 0
            if goes_on:
                self._look_ahead(self._start + len(self._window))
        return self._window[at : at + most_bytes]

    def _next_window(self, range_bytes: int) -> memoryview:
        ahead, self._ahead = self._ahead, None
        if ahead and ahead.position == self._position and (window := ahead.result()):
            return window
        range_bytes = min(max(range_bytes, LEAST_READ_BYTES), MOST_READ_BYTES)
        with gcp.explaining(f"read {self._item.name}"):
            try:
                return gcp.retry()(_fetch)(self._item, self._position, range_bytes)
            except NotFound:
                raise gcp.not_found(self._item.name) from None

    def _look_ahead(self, position: int) -> None:
        if position < self._item.size:
            self._ahead = _Ahead(self._item, position)


class _Ahead(Thread):
    """Fetches a range in the background: once, and where that fails there is no result."""

    def __init__(self, item: LogObject, position: int) -> None:
        super().__init__(daemon=True)
        self.position = position
        self._item = item
        self._window: memoryview | None = None
        self.start()

    def run(self) -> None:
        """Fetches."""
        with suppress(Exception):
            self._window = _fetch(self._item, self.position, MOST_READ_BYTES)

    def result(self) -> memoryview | None:
        """The bytes, waited for."""
        self.join()
        return self._window


def _fetch(item: LogObject, start: int, range_bytes: int) -> memoryview:
    """The stored bytes from a place on, asked for once."""
    end = min(start + range_bytes, item.size)
    sink = io.BytesIO()
    gcp.blob_of(item.name, item.generation).download_to_file(
        sink,
        start=start,
        end=end - 1,
        raw_download=True,
        single_shot_download=True,
        checksum=None,
        timeout=gcp.reply_s(),
        retry=None,
    )
    if sink.tell() != end - start:
        raise ConnectionError("the reply is not the range that was asked for")
    return sink.getbuffer()
