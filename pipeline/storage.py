"""Files by their names, on this machine or in Cloud Storage: shards and manifests."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

CLOUD_STORAGE = "gs://"


def create_file(path: str) -> BinaryIO:
    """A new file to write to; in the cloud it is there once it is closed."""
    if path.startswith(CLOUD_STORAGE):
        from pipeline import gcp

        return gcp.create_file(path)
    return Path(path).open("wb")


def open_file(path: str) -> BinaryIO:
    """A file to read from; raises OSError where there is none."""
    if path.startswith(CLOUD_STORAGE):
        from pipeline import gcp

        return gcp.open_file(path)
    return Path(path).open("rb")
