"""How the command starts: its help, and what is not imported on the way to an answer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pipeline import __version__
from pipeline.cli import main
from tests.cli.conftest import Pixelship

COMMAND = Path(sys.executable).with_name("pixelship")
HEAVY = ("apache_beam", "duckdb", "ua_parser", "rich", "hypothesis")
STORY = ("--key", "k", "--canonical", "c", "--to", "a.b")
PROBE = """
import sys
from pipeline.cli import main
try:
    main(sys.argv[2:])
finally:
    print([name for name in sys.argv[1].split(",") if name in sys.modules], file=sys.stderr)
"""


def commands(
    command: click.Command = main, name: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command, the group itself included, with its words."""
    yield name, command
    if isinstance(command, click.Group):
        for word, inner in command.commands.items():
            yield from commands(inner, (*name, word))


ALL = dict(commands())


def imported(*words: str) -> str:
    """Which heavy packages the command imports."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, ",".join(HEAVY), *words],
        env={**os.environ, "SIGNER_SECRET": "x"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.strip()


@pytest.mark.parametrize("words", [("sign", *STORY), ("--help",), ("load", "--help")], ids=" ".join)
def test_quick_answers_import_nothing_heavy(words: tuple[str, ...]) -> None:
    assert imported(*words) == "[]"


def test_check_does_without_beam_and_duckdb() -> None:
    assert imported("check", "-") == "['ua_parser']"


@pytest.mark.parametrize("name", ALL, ids=lambda name: " ".join(name) or "pixelship")
def test_every_command_has_help_worth_reading(bare: Pixelship, name: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        done = bare(*name, flag)
        assert (done.status, done.stderr) == (0, "")
    assert "Usage: " in done.stdout
    command = ALL[name]
    assert command.help is not None
    assert len(command.help) > 40 or name == ("keys", "list")
    for option in command.params:
        assert isinstance(option, click.Argument) or getattr(option, "help", None), option.name
    assert "Traceback" not in done.stdout


def test_the_command_is_installed_and_tells_its_version() -> None:
    done = subprocess.run([COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"pixelship, version {__version__}\n"


def test_a_run_that_fails_waits_for_no_thread_that_is_left() -> None:
    code = (
        "import threading; from pipeline.cli import run\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "run(['load'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr.count("Error:")) == (2, 1)
