"""How the command ends: one sentence and an exit status, never a traceback."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from pipeline.cli.text import printable
from pipeline.errors import BalanceError, ServiceError, SetupError

EXIT_INCOMPLETE = 1
"""Something was parked, quarantined or damaged; the rest is loaded."""
EXIT_SETUP = 2
"""Wrong usage or set-up; nothing was loaded."""
EXIT_INTERNAL = 3
"""A defect or a failing machine: the balance sheet did not add up, the disk was full."""
EXIT_INTERRUPTED = 130


class _Failure(click.ClickException):
    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(printable(message))
        setattr(self, "exit_code", exit_code)  # noqa: B010 - click declares it for the class


class PixelshipGroup(click.Group):
    """Turns the project's exceptions into one sentence each.

    Python's own exit status for what nobody foresaw is 1, which here means that the rest is loaded.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; what it raises becomes an exit status."""
        with _noting_interrupts() as interrupts:
            try:
                return super().invoke(ctx)
            except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
                raise
            except (KeyboardInterrupt, Exception) as error:
                raise _failure(error, is_interrupted=bool(interrupts)) from None


def _failure(error: BaseException, *, is_interrupted: bool) -> _Failure:
    if is_interrupted:
        return _Failure("Interrupted; running again does no harm.", EXIT_INTERRUPTED)
    if isinstance(error, SetupError):
        return _Failure(str(error), EXIT_SETUP)
    if isinstance(error, ServiceError):
        return _Failure(str(error), EXIT_INTERNAL)
    if isinstance(error, UnicodeEncodeError):
        return _Failure("A name or a value is not valid UTF-8: change it.", EXIT_SETUP)
    if isinstance(error, BalanceError):
        return _Failure(f"{error} Nothing was loaded; please report this.", EXIT_INTERNAL)
    click.echo(printable("".join(traceback.format_exception(error))), err=True, nl=False)
    return _Failure("The run failed; running it again does no harm.", EXIT_INTERNAL)


@contextmanager
def _noting_interrupts() -> Iterator[list[int]]:
    """Notes each Ctrl-C: Beam and DuckDB raise errors of their own in its place."""
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
