"""What comes from logs, files' names and clouds cannot steer the terminal it is printed on."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pipeline.cli.balance import print_balance
from pipeline.cli.text import printable, printable_line
from pipeline.model import Fault, Quarantined, Tally
from pipeline.warehouses.contract import Report
from tests.cli.conftest import Pixelship
from tests.logs import Hit, log, tsv

pytestmark = pytest.mark.usefixtures("without_beam")

EVIL = "a\x1b]0;owned\x07\x9b2J\u202e[red]\nb.log"
HARMLESS = r"a\x1b]0;owned\x07\x9b2J\u202e[red]\nb.log"


def is_harmless(shown: str) -> bool:
    return shown.replace("\n", "").isprintable()


def test_the_names_of_damaged_logs_print_harmlessly(pixelship: Pixelship) -> None:
    Path(EVIL).write_bytes(gzip.compress(log(tsv(Hit())))[:-4])
    done = pixelship("load", ".", "--to", "duckdb:a.db")
    assert done.status == 1
    assert f"/{HARMLESS} at byte" in done.stdout
    assert is_harmless(done.stdout)


def test_the_names_in_a_plan_print_harmlessly(
    pixelship: Pixelship, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(EVIL).write_bytes(log(tsv(Hit())))

    def refuse(name: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pipeline.sources.local._state", refuse)
    done = pixelship("load", ".", "--plan", "--to", "duckdb:a.db")
    assert f"/{HARMLESS}: cannot be read: Permission denied." in done.stdout
    assert is_harmless(done.stdout)


def test_a_balance_sheet_prints_names_harmlessly(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(
        batches=["00000001"],
        quarantined=[Quarantined(EVIL, 1, 2, "its bytes changed")],
        total=Tally(lines=1, accepted=1),
        destinations={EVIL: 1},
        parked={EVIL: 1},
        parked_why={EVIL: EVIL},
        unparked={EVIL: 1},
        faults=[Fault(EVIL, 0, EVIL)],
    )
    print_balance(report)
    shown = capsys.readouterr().out
    assert shown.count(r"\x1b]0;owned") == 7
    assert is_harmless(shown)


@pytest.mark.parametrize(
    "words",
    [
        ("load", EVIL),
        ("load", "a.log", "--to", f"duckdb:{EVIL}/b"),
        ("load", "a.log", "--format", EVIL),
        ("parse", EVIL),
        ("query", "SELECT 1", "--db", EVIL),
        ("query", f"SELECT '{EVIL}'::INTEGER", "--db", "a.db"),
        ("unload", "--object", EVIL, "--to", f"duckdb:{EVIL}"),
    ],
    ids=lambda words: " ".join(words[:2]).partition("\x1b")[0],
)
def test_errors_print_names_harmlessly(pixelship: Pixelship, words: tuple[str, ...]) -> None:
    Path("a.log").write_bytes(log(tsv(Hit())))
    pixelship("load", "a.log", "--to", "duckdb:a.db")
    done = pixelship(*words)
    assert done.status == 2
    assert "owned" in done.stderr
    assert is_harmless(done.stdout + done.stderr)


def test_the_trace_of_a_defect_prints_harmlessly(
    pixelship: Pixelship, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(EVIL)

    Path("a.log").write_bytes(log(tsv(Hit())))
    monkeypatch.setattr("pipeline.hits.sniff", fail)
    done = pixelship("parse", "a.log")
    assert done.status == 3
    assert r"RuntimeError: a\x1b]0;owned" in done.stderr
    assert is_harmless(done.stderr)


def test_text_that_is_harmless_stays_as_it_is() -> None:
    assert printable("日本 é 😀\n[bold]") == "日本 é 😀\n[bold]"
    assert printable(None) == ""
    assert printable(1.5) == "1.5"
    assert printable("\udcff") == r"\udcff"
    assert printable_line("a\nb\tc") == r"a\nb\tc"
