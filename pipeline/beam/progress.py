"""How far the workers are: each keeps two numbers in a file of its own, the launcher adds them up."""

from __future__ import annotations

import os
import struct
import uuid
from pathlib import Path

_NUMBERS = struct.Struct("<qq")
_SUFFIX = ".progress"


class ProgressFile:
    """A worker's count of stored bytes and lines; does nothing where the folder is not there."""

    def __init__(self, folder: str) -> None:
        self._bytes = self._lines = 0
        self._path = Path(folder) / f"{uuid.uuid4().hex}{_SUFFIX}"
        self._is_local = bool(folder) and Path(folder).is_dir()

    def advance(self, stored_bytes: int, lines: int) -> None:
        """Adds to both numbers."""
        self._bytes += stored_bytes
        self._lines += lines
        if self._is_local:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            os.pwrite(descriptor, _NUMBERS.pack(self._bytes, self._lines), 0)
            os.close(descriptor)


def read_progress(folder: str) -> tuple[int, int]:
    """The stored bytes and lines that all workers have read."""
    numbers = [path.read_bytes() for path in Path(folder).glob(f"*{_SUFFIX}")]
    counts = [_NUMBERS.unpack(each) for each in numbers if len(each) == _NUMBERS.size]
    return sum(count[0] for count in counts), sum(count[1] for count in counts)
