"""The folder in which logs wait: all that a shipper remembers is which file lies where.

    DIR/.pixelship-ship/lock       held by the shipper at work
    DIR/.pixelship-ship/taken/     logs as they were found, `ID-NAME`
    DIR/.pixelship-ship/packing/   what is being written; nothing in it counts
    DIR/.pixelship-ship/ready/     compressed and read back, named by their object, `/` as `@`
    DIR/.pixelship-ship/shipped/   confirmed by the store at a time (epoch seconds), `TIME@OBJECT`

A file goes from one to the next by renaming, which is whole or not at all; before anything is removed
for it, a file and its name are on the disk (fsync).
"""

from __future__ import annotations

import fcntl
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import SetupError
from pipeline.ship.names import file_name, name_of_file

FOLDER = ".pixelship-ship"
_MOST_NAME_CHARS = 200
_BLOCK_BYTES = 512
_PARTS = ("taken", "packing", "ready", "shipped")


@dataclass(frozen=True)
class Waiting:
    """A file that waits, in whatever part of the spool.

    `name` is what it is called in reports: the log's own name, or its object's. `written_at` is when
    the log was last written to (epoch seconds), for one in `shipped` when the store confirmed it.
    """

    path: Path
    name: str
    written_at: float


class Spool:
    """The spool of one folder of logs. Looking changes nothing; the rest wants `locked`."""

    def __init__(self, logs: Path) -> None:
        self.root = logs / FOLDER
        self._logs = logs

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the spool, and holds it alone. Raises SetupError where another has it."""
        if not self._logs.is_dir():
            raise SetupError(f"{self._logs} is no folder: name that of the logs with --from.")
        try:
            for part in _PARTS:
                (self.root / part).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._see_own()
            lock = (self.root / "lock").open("w")
        except OSError as error:
            raise SetupError(
                f"Nothing can be written to {self.root}: {error.strerror}; make room, or give the "
                "shipper's user that right."
            ) from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SetupError(
                    f"Another `pixelship ship` is at work in {self._logs}: wait until it has ended."
                ) from None
            for left in (self.root / "packing").iterdir():
                left.unlink()
            yield

    def _see_own(self) -> None:
        """Raises SetupError for a spool of others: they could have any file of this machine shipped."""
        status = self.root.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise SetupError(
                f"{self.root} belongs to another user, or is a link: ship as that user, or move it away."
            )

    def take(self, log: Path) -> Path | None:
        """Moves a log to `taken`, under a name that no other has; None where it is gone.

        Whoever has it open goes on writing to it. Raises OSError.
        """
        taken = self.root / "taken" / f"{uuid.uuid4().hex}-{log.name[-_MOST_NAME_CHARS:]}"
        try:
            log.rename(taken)
        except FileNotFoundError:
            return None
        return taken

    def taken(self) -> list[Waiting]:
        """Logs as they were found, the oldest first."""
        return [Waiting(path, path.name.partition("-")[2], at) for at, path in self._files("taken")]

    def ready(self) -> list[Waiting]:
        """Compressed logs that are to be sent, the oldest first."""
        return [Waiting(path, name_of_file(path.name), at) for at, path in self._files("ready")]

    def shipped(self) -> list[Waiting]:
        """Logs that the store has, those that it has had longest first."""
        found = []
        for _, path in self._files("shipped"):
            at, _, name = path.name.partition("@")
            if at.isdecimal():
                found.append(Waiting(path, name_of_file(name), float(at)))
        return sorted(found, key=lambda each: each.written_at)

    def _files(self, part: str) -> list[tuple[float, Path]]:
        """The files of a part with the times when they were written to, the oldest first.

        A link is no file: it might have been put in place of a log while that was taken.
        """
        found = []
        with suppress(FileNotFoundError):
            for path in (self.root / part).iterdir():
                with suppress(FileNotFoundError):  # a shipper at work moved it on
                    status = path.lstat()
                    if stat.S_ISREG(status.st_mode):
                        found.append((status.st_mtime, path))
        return sorted(found)

    @contextmanager
    def packing(self) -> Iterator[BinaryIO]:
        """A new file in `packing`, which is gone afterwards unless `keep` moved it."""
        path = self.root / "packing" / uuid.uuid4().hex
        try:
            with path.open("w+b") as sink:
                yield sink
        finally:
            path.unlink(missing_ok=True)

    def keep(self, packed: BinaryIO, name: str, written_at: float) -> None:
        """Moves a packed file to `ready`, for good. Raises OSError."""
        target = self.root / "ready" / file_name(name)
        os.utime(packed.fileno(), (written_at, written_at))
        os.fsync(packed.fileno())
        Path(packed.name).rename(target)
        sync(target.parent)

    def mark_shipped(self, path: Path, name: str, at: float) -> None:
        """Moves a file to `shipped`: the store confirmed it under a name at a time. Raises OSError."""
        target = self.root / "shipped" / f"{int(at)}@{file_name(name)}"
        path.rename(target)
        sync(target.parent)

    def disk_bytes(self) -> int:
        """What all of it takes on the disk."""
        sizes = 0
        for part in _PARTS:
            for _, path in self._files(part):
                with suppress(FileNotFoundError):
                    sizes += disk_bytes_of(path)
        return sizes


def disk_bytes_of(path: Path) -> int:
    """What a file takes on the disk. Raises OSError."""
    status = path.lstat()
    return max(status.st_blocks * _BLOCK_BYTES, status.st_size)


def sync(folder: Path) -> None:
    """Has the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
