"""Who holds files open for writing: as long as anybody does, a log is not complete.

Source: proc(5), `/proc/PID/fd` (checked 2026-11-21): each open file is a link, whose own mode tells
whether it was opened for writing.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FileId = tuple[int, int]
"""Device and inode: what a file stays under any name."""
_PROC = Path("/proc")


@dataclass(frozen=True)
class Writers:
    """The files that some process may write to.

    `sees_all` is false where processes of others cannot be looked into: files may be open then
    that are not listed. Processes of another machine or of another container are never seen.
    """

    files: frozenset[FileId]
    sees_all: bool


def find_writers(proc: Path = _PROC) -> Writers:
    """Looks into all processes of this machine."""
    files: set[FileId] = set()
    # Where processes of others are hidden altogether, so is the first of all.
    sees_all = (proc / "1").exists()
    for process in _processes(proc):
        try:
            files.update(_written_by(process / "fd"))
        except PermissionError:
            sees_all = False
        except OSError:  # it ended meanwhile
            continue
    return Writers(frozenset(files), sees_all)


def _processes(proc: Path) -> Iterator[Path]:
    try:
        yield from (path for path in proc.iterdir() if path.name.isdigit())
    except OSError:
        return


def _written_by(folder: Path) -> Iterator[FileId]:
    """The files that one process may write to."""
    for link in folder.iterdir():
        try:
            may_write = link.lstat().st_mode & stat.S_IWUSR
            if may_write and str(link.readlink()).startswith("/"):
                status = link.stat()
                yield status.st_dev, status.st_ino
        except OSError:  # it was closed meanwhile
            continue
