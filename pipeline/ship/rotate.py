"""Has nginx begin a new log. https://nginx.org/en/docs/control.html (checked 2026-11-21): USR1."""

from __future__ import annotations

import os
import signal
from pathlib import Path

_PROC = Path("/proc")
_PROGRAM = "nginx"


class RotationError(Exception):
    """The log was left as it is; the words say why."""


def nginx_process(pid_file: Path) -> int:
    """The process that a pid file names, if it is nginx's. Raises RotationError.

    USR1 ends most programs that do not expect it, and a number that stayed behind may be anybody's
    by now.
    """
    try:
        number = int(pid_file.read_text())
        program = (_PROC / str(number) / "comm").read_text().strip()
    except (OSError, ValueError):
        raise RotationError(
            f"not rotated: {pid_file} names no running process; is nginx running, and is "
            "--nginx-pid its pid file?"
        ) from None
    if program != _PROGRAM:
        raise RotationError(f"not rotated: {pid_file} names a process that is not nginx.")
    return number


def reopen_logs(process: int) -> None:
    """Tells nginx to open its logs anew, by their names. Raises RotationError."""
    try:
        os.kill(process, signal.SIGUSR1)
    except OSError as error:
        raise RotationError(
            f"nginx could not be told to reopen its logs: {error.strerror}"
        ) from None
