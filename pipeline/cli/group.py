"""How the command ends: one sentence and an exit status, never a traceback."""

from __future__ import annotations

import traceback
from typing import Any

import click

from pipeline.errors import BalanceError, SetupError

EXIT_INCOMPLETE = 1
"""Something was parked, quarantined or damaged; the rest is loaded."""
EXIT_SETUP = 2
"""Wrong usage or set-up; nothing was loaded."""
EXIT_INTERRUPTED = 130
EXIT_INTERNAL = 3
"""A defect or a failing machine: the balance sheet did not add up, the disk was full."""


class _Failure(click.ClickException):
    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        setattr(self, "exit_code", exit_code)  # noqa: B010 - click declares it for the class


class PixelshipGroup(click.Group):
    """Turns the project's exceptions into one sentence each.

    Python's own exit status for what nobody foresaw is 1, which here means that the rest is loaded.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; a wrong set-up exits with 2."""
        try:
            return super().invoke(ctx)
        except SetupError as error:
            raise _Failure(str(error), EXIT_SETUP) from None
        except BalanceError as error:
            raise _Failure(
                f"{error} Nothing was loaded; please report this.", EXIT_INTERNAL
            ) from None
        except KeyboardInterrupt:
            raise _Failure("Interrupted; running again does no harm.", EXIT_INTERRUPTED) from None
        except UnicodeEncodeError:
            raise _Failure("A name or a value is not valid UTF-8: change it.", EXIT_SETUP) from None
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception:
            traceback.print_exc()
            raise _Failure(
                "The run failed; running it again does no harm.", EXIT_INTERNAL
            ) from None
