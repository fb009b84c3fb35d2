"""The real command line, as the demonstration runs it and prints it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("pixelship")
KEY_VARIABLES = ("SIGNER_SECRET", "PIXELSHIP_KEYS")


class CommandError(Exception):
    """The command could not do its work at all; what it said."""


def run(*arguments: str, environment: dict[str, str] | None = None) -> int:
    """Runs `pixelship` for all to see; its exit status: 0, or 1 where it has something to say."""
    done = subprocess.run(
        [PROGRAM, *arguments], env=_environment() | (environment or {}), check=False
    )
    if done.returncode not in (0, 1):
        raise CommandError(f"`{line(*arguments)}` ended with status {done.returncode}.")
    return done.returncode


def output(*arguments: str) -> str:
    """What `pixelship` prints, less the last newline."""
    done = subprocess.run(
        [PROGRAM, *arguments], env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip() or f"status {done.returncode}"
        raise CommandError(f"`{line(*arguments)}` failed: {said}")
    return done.stdout.strip()


def line(*arguments: str) -> str:
    """The command as it can be typed in the working folder."""
    return shlex.join((shown(PROGRAM), *arguments))


def shown(path: Path) -> str:
    """A path as it is printed and passed on: short where it lies below the working folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _environment() -> dict[str, str]:
    """Our environment less the user's own keys, so that the demonstration uses its own alone."""
    return {name: value for name, value in os.environ.items() if name not in KEY_VARIABLES}
