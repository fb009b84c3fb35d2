"""The object store: what the project leans on, and what the emulator does not heed."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from emulators.object_store import ObjectStore
from tests.emulators.conftest import BUCKET


def test_of_many_writers_one_wins(bucket: storage.Bucket, project: str, store: ObjectStore) -> None:
    name = f"{project}/batches/00000001.json"

    def write(writer: int) -> bool:
        client = storage.Client(
            project="p",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": store.url},
        )
        try:
            blob = client.bucket(BUCKET).blob(name)
            blob.upload_from_string(f"writer {writer}", if_generation_match=0)
        except exceptions.PreconditionFailed:
            return False
        finally:
            client.close()
        return True

    with ThreadPoolExecutor(24) as pool:
        won = list(pool.map(write, range(24)))
    assert sum(won) == 1
    assert bucket.blob(name).download_as_bytes() == f"writer {won.index(True)}".encode()


def test_an_overwrite_heeds_the_generation(bucket: storage.Bucket, project: str) -> None:
    blob = bucket.blob(f"{project}/state.json")
    blob.upload_from_string("1")
    first = blob.generation
    bucket.blob(blob.name).upload_from_string("2", if_generation_match=first)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob(blob.name).upload_from_string("3", if_generation_match=first)
    assert blob.download_as_bytes() == b"2"


def test_ranges_of_the_stored_bytes_of_a_generation(bucket: storage.Bucket, project: str) -> None:
    """A compressed log is read as it is stored, in pieces, and only in the version that was seen."""
    stored = gzip.compress(b"a line of a log\n" * 1000)
    name = f"{project}/access.log.gz"
    blob = bucket.blob(name)
    blob.content_encoding = "gzip"
    blob.upload_from_string(stored, content_type="text/plain")
    assert blob.size == len(stored)
    pinned = bucket.blob(name, generation=blob.generation)
    pieces = [
        pinned.download_as_bytes(start=start, end=start + 49, raw_download=True)
        for start in range(0, len(stored), 50)
    ]
    assert b"".join(pieces) == stored
    assert all(len(piece) == 50 for piece in pieces[:-1])
    assert pinned.download_as_bytes(raw_download=True) == stored
    bucket.blob(name).upload_from_string(b"another")
    with pytest.raises(exceptions.NotFound):
        pinned.download_as_bytes(raw_download=True)


def test_a_read_past_the_end(bucket: storage.Bucket, project: str) -> None:
    blob = bucket.blob(f"{project}/short")
    blob.upload_from_string(b"12345")
    assert blob.download_as_bytes(start=3, end=100) == b"45"
    with pytest.raises(exceptions.RequestRangeNotSatisfiable):
        blob.download_as_bytes(start=5, end=100)


def test_names_are_listed_in_order_and_pages(bucket: storage.Bucket, project: str) -> None:
    names = [f"{project}/logs/{name}" for name in ("a b", "a+c", "a/b", "b", "é", "ü?#%25")]
    for name in names:
        bucket.blob(name).upload_from_string(b"x")
    found = bucket.client.list_blobs(bucket, prefix=f"{project}/logs/", page_size=2)
    assert [blob.name for blob in found] == sorted(names)
    later = bucket.client.list_blobs(
        bucket, prefix=f"{project}/logs/", start_offset=f"{project}/logs/b"
    )
    assert [blob.name for blob in later] == sorted(names)[3:]
    for name in names:
        assert bucket.blob(name).download_as_bytes() == b"x"


def test_metadata_and_checksums(bucket: storage.Bucket, project: str) -> None:
    blob = bucket.blob(f"{project}/described")
    blob.metadata = {"attempt": "7"}
    blob.upload_from_string(b"12345", content_type="application/json")
    found = bucket.get_blob(blob.name)
    assert found is not None
    assert (found.size, found.content_type, found.metadata) == (
        5,
        "application/json",
        {"attempt": "7"},
    )
    assert (found.crc32c, found.md5_hash) == (blob.crc32c, "gnzLDuqKcGxMNKFokfhOew==")
    assert found.generation == blob.generation
    assert bucket.get_blob("nobody") is None
