"""What a forked run does: takes its environment, its mischief, and runs the command line."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from faults.mischief import Mischief

BEGUN = "begun"
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "COVERAGE_PROCESS_START")


@dataclass(frozen=True)
class Order:
    """A run: the folder for what it says, its words, its environment, what is to go wrong in it."""

    folder: str
    words: tuple[str, ...]
    environment: Mapping[str, str]
    mischief: tuple[Mischief, ...]


def plain_environment() -> dict[str, str]:
    """Our environment, less all that could lead a run elsewhere."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def main(order: Order) -> None:
    """Runs the command line; ends as it ends."""
    folder = Path(order.folder)
    for name, number in (("out", 1), ("err", 2)):
        sink = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(sink, number)
        os.close(sink)
    sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    environment = {**plain_environment(), **order.environment}
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    for each in order.mischief:
        each.apply()
    from pipeline.cli import run

    (folder / BEGUN).touch()
    run(list(order.words))
