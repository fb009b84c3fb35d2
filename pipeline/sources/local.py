"""Log files on this machine."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import SetupError
from pipeline.model import LogObject

_READ_BYTES = 1 << 20


class LocalFiles:
    """Files, globs and folders."""

    def find(self, patterns: Iterable[str]) -> list[str]:
        """The files that patterns name, each once; folders are searched, hidden files left out.

        Raises SetupError for a pattern that names nothing.
        """
        found: dict[str, None] = {}
        for pattern in patterns:
            before = len(found)
            for path in self._named(pattern):
                found.setdefault(str(path.resolve()))
            if len(found) == before and not any(self._named(pattern)):
                raise SetupError(f"No log file is there under {pattern!r}: check the path.")
        return list(found)

    def _named(self, pattern: str) -> Iterator[Path]:
        path = Path(pattern)
        if path.is_dir():
            inside = (each for each in sorted(path.rglob("*")) if each.is_file())
            yield from (each for each in inside if not each.name.startswith("."))
        elif path.is_file():
            yield path
        else:
            yield from (
                Path(each)
                for each in sorted(glob.glob(pattern, recursive=True))
                if Path(each).is_file()
            )

    def pin(self, name: str) -> LogObject:
        """The file as it is now: its size and the checksum of just these bytes.

        Raises OSError where it cannot be read.
        """
        size = Path(name).stat().st_size
        return LogObject(name, size, self.checksum(name, size))

    def checksum(self, name: str, size: int) -> str:
        """SHA-256 of a file's first `size` bytes, hexadecimal."""
        digest = hashlib.sha256()
        with self.open(name) as stream:
            while size > 0 and (data := stream.read(min(_READ_BYTES, size))):
                digest.update(data)
                size -= len(data)
        return digest.hexdigest()

    def open(self, name: str) -> BinaryIO:
        """The file's bytes."""
        return Path(name).open("rb")
