"""`make cloud`: the commands that it prints do what they say, and nothing is left when it ends."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from demo.performance import RECORDED
from emulators.query import VARIABLES, main

ROOT = Path(__file__).resolve().parent.parent
CLOUD = [sys.executable, "-m", "emulators.cloud"]
UP = "up until Ctrl-C"
EXPORT = re.compile(r"  export (\w+)=(\S+)")
SHEET_ROW = re.compile(r"│ +(\S+) +│ +([\d,]+) +│")
OURS = ("SIGNER_SECRET", "PIXELSHIP_KEYS", "STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST")


@dataclass
class Shown:
    """What was printed: the lines to paste before all else, and the commands by their purpose."""

    process: subprocess.Popen[str]
    preparation: list[str]
    commands: dict[str, str]

    def run(self, purpose: str) -> str:
        """Pastes the preparation and one command into a shell; gives what it printed."""
        script = "\n".join(("set -e", *self.preparation, self.commands[purpose]))
        return run(["bash", "-c", script], Path("/"))

    def variable(self, name: str) -> str:
        """The value of one that is to be exported."""
        return dict(EXPORT.findall("\n".join(self.preparation)))[name]


def environment() -> dict[str, str]:
    """Ours, as that of someone who has none of the variables set."""
    return {name: value for name, value in os.environ.items() if name not in (*OURS, *VARIABLES)}


def run(command: list[str], folder: Path) -> str:
    """Runs a command that must end well; gives what it printed."""
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read(lines: list[str]) -> tuple[list[str], dict[str, str]]:
    """Takes apart what was printed."""
    indented = [line.rstrip("\n") for line in lines if line.startswith("  ")]
    preparation = [line for line in indented if line.startswith(("  cd ", "  export "))]
    commands = {}
    for line, following in pairwise(indented):
        if line.startswith("  # "):
            commands[line.removeprefix("  # ")] = following
    return preparation, commands


@pytest.fixture(scope="module")
def shown() -> Iterator[Shown]:
    """A running `make cloud`."""
    process = subprocess.Popen(
        CLOUD, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )  # fmt: skip
    lines: list[str] = []
    for line in process.stdout or ():
        lines.append(line)
        if UP in line:
            break
    else:
        pytest.fail("".join(lines))
    yield Shown(process, *read(lines))
    process.kill()
    process.communicate()


def counts(sheet: str) -> dict[str, int]:
    """The numbers of a balance sheet."""
    return {name: int(number.replace(",", "")) for name, number in SHEET_ROW.findall(sheet)}


def sent() -> dict[str, int]:
    """The numbers that it must have: those of the recorded traffic."""
    tally = json.loads((RECORDED / "tally.json").read_text())
    reasons, destinations = tally.pop("rejected"), tally.pop("destinations")
    sums = {"rejected": sum(reasons.values()), "duplicate": 0, "header": 0}
    return {**tally, **reasons, **destinations, **sums}


def sent_to_tables() -> dict[str, int]:
    """The rows that each table must have."""
    destinations: dict[str, int] = json.loads((RECORDED / "tally.json").read_text())["destinations"]
    return destinations


def test_the_printed_commands(shown: Shown) -> None:
    purposes = list(shown.commands)
    assert purposes == [
        "each view once into BigQuery",
        "again: nothing changes",
        "how things stand",
        "ask BigQuery",
        "the same logs into DuckDB",
        "ask DuckDB",
    ]
    assert counts(shown.run(purposes[0])) == sent()
    before = shown.run("ask BigQuery")
    assert shown.run(purposes[1]) == "Nothing new: 3 files loaded before.\n"
    assert shown.run("ask BigQuery") == before
    standing = shown.run("how things stand")
    assert counts(standing).items() >= sent_to_tables().items()
    assert "4,652" in standing
    assert counts(shown.run("the same logs into DuckDB")) == sent()
    rows = re.findall(r"│ (\S.*?) +│ (\S.*?) +│ (\d+) +│", before)
    assert [row[2] for row in rows] == sorted((row[2] for row in rows), key=int, reverse=True)
    assert len(rows) == 5
    assert shown.run("ask DuckDB") == before


def test_the_whole_of_a_table(shown: Shown) -> None:
    sql = "SELECT COUNT(*) AS n, COUNT(DISTINCT event_id) AS ids FROM mail.opens_once"
    asked = shlex.split(shown.commands["ask BigQuery"])
    shown.commands["count"] = shlex.join([*asked[:-1], sql])
    assert shown.run("count").count("1100") == 2


def test_an_interrupt_ends_it(shown: Shown) -> None:
    folder = Path(shown.variable("PIXELSHIP_KEYS")).parent
    assert folder.is_dir()
    shown.process.send_signal(signal.SIGINT)
    said, _ = shown.process.communicate(timeout=90)
    assert shown.process.returncode == 0, said
    assert "stopped" in said
    assert not folder.exists()
    for name in ("STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"):
        with pytest.raises(URLError):
            urlopen(shown.variable(name))  # noqa: S310 - our own


def test_all_by_itself() -> None:
    said = run([*CLOUD, "--once"], ROOT)
    assert "Nothing new: 3 files loaded before." in said
    assert "each of 4,652 requests met its fate, once" in " ".join(said.split())


@pytest.mark.parametrize("missing", VARIABLES)
def test_a_query_without_an_emulator(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv(missing)
    assert main(["SELECT 1"]) == 1
    assert capsys.readouterr().err == f"{missing} is not set: `make cloud` prints what to export.\n"
