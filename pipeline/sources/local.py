"""Log files on this machine."""

from __future__ import annotations

import errno
import glob
import hashlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import SetupError
from pipeline.model import Fault, LogObject
from pipeline.sources.contract import Listing, Search

_READ_BYTES = 1 << 20
_ALGORITHM = "sha256:"
_State = tuple[int, int, int, int]


class LocalFiles:
    """Files, globs and folders."""

    reuses_names = True

    def __init__(self) -> None:
        self._states: dict[str, _State] = {}

    def list_objects(self, search: Search) -> Listing:
        """The files that patterns name, each once and pinned; folders are searched.

        Raises SetupError for a pattern that names nothing.
        """
        listing = Listing()
        for name in self.find(search.patterns, search.leave_out):
            try:
                if search.settle_s and _age_s(name) < search.settle_s:
                    listing.waiting += 1
                else:
                    listing.objects.append(self.pin(name))
            except OSError as error:
                printable = name.encode("utf-8", "replace").decode()
                listing.faults.append(Fault(printable, 0, f"cannot be read: {error.strerror}"))
        return listing

    def find(self, patterns: Iterable[str], leave_out: Iterable[Path] = ()) -> list[str]:
        """The names of the files.

        Hidden files and folders in folders are left out, as are `leave_out` and what is inside.
        Raises SetupError for a pattern that names nothing.
        """
        unwanted = {path.resolve() for path in leave_out}
        found: dict[str, None] = {}
        for pattern in patterns:
            named = [path.resolve() for path in self._named(pattern)]
            logs = [path for path in named if unwanted.isdisjoint((path, *path.parents))]
            if not logs:
                raise SetupError(f"No log file is there under {pattern!r}: check the path.")
            found.update(dict.fromkeys(map(str, logs)))
        return list(found)

    def _named(self, pattern: str) -> Iterator[Path]:
        path = Path(pattern)
        if pattern and path.is_dir():
            for each in sorted(path.rglob("*")):
                is_hidden = any(part.startswith(".") for part in each.relative_to(path).parts)
                if each.is_file() and not is_hidden:
                    yield each
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
        if not _is_utf8(name):
            raise OSError(errno.EILSEQ, "its name is not UTF-8")
        self._states[name] = _state(name)
        size = Path(name).stat().st_size
        return LogObject(name, size, self.checksum(name, size))

    def is_as_pinned(self, item: LogObject) -> bool:
        """Whether the bytes that were pinned are still there under the object's name.

        A log that is rotated meanwhile gives its name to another. The checksum is taken again only
        where the file's state tells of a change.
        """
        try:
            is_untouched = _state(item.name) == self._states.get(item.name)
            return is_untouched or self.checksum(item.name, item.size) == item.checksum
        except OSError:
            return False

    def would_list(self, search: Search, name: str) -> bool:  # noqa: ARG002 - as the protocol says
        """Never sure: patterns are relative to folders that come and go."""
        return False

    def fronts(self, item: LogObject, earlier: Iterable[LogObject]) -> list[LogObject]:
        """Which of some smaller objects, read earlier, are the first bytes of this one."""
        smaller = [each for each in earlier if each.size < item.size]
        sums = self.checksums(item.name, [each.size for each in smaller])
        return [each for each in smaller if sums[each.size] == each.checksum]

    def checksum(self, name: str, size: int) -> str:
        """SHA-256 of a file's first `size` bytes."""
        return self.checksums(name, [size])[size]

    def checksums(self, name: str, sizes: Iterable[int]) -> dict[int, str]:
        """The checksums of a file's first bytes, for several sizes in one reading."""
        digest = hashlib.sha256()
        sums = {}
        with Path(name).open("rb") as stream:
            for size in sorted(set(sizes)):
                while (left := size - stream.tell()) > 0:
                    data = stream.read(min(_READ_BYTES, left))
                    if not data:
                        break
                    digest.update(data)
                sums[size] = _ALGORITHM + digest.hexdigest()
        return sums

    def open(self, item: LogObject) -> BinaryIO:
        """The file's bytes."""
        return Path(item.name).open("rb")


def _state(name: str) -> _State:
    """What changes when a file is replaced or written."""
    status = Path(name).stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _age_s(name: str) -> float:
    return time.time() - Path(name).stat().st_mtime


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
