"""`pixelship status`: what is shown, what it exits with, and what it leaves alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli.standing import print_status
from pipeline.model import Quarantined, Tally
from pipeline.warehouses.duckdb import DuckDBWarehouse, connect
from pipeline.warehouses.maintenance import Status
from tests.cli.conftest import Pixelship
from tests.logs import GOOGLEBOT, Hit, log, signed, tsv
from tests.test_docs import CLI, section, tables

pytestmark = pytest.mark.usefixtures("without_beam")

LOG = log(
    tsv(Hit(request_id=b"1")),
    tsv(Hit(request_id=b"2", user_agent=GOOGLEBOT)),
    tsv(Hit(uri=b"/i.gif")),
    tsv(Hit(uri=b"/i.gif?" + signed("another"))),
    b"",
)


def lines_of(text: str) -> set[str]:
    """Lines without their frames."""
    return {" ".join(line.strip("│ ").replace("│", " ").split()) for line in text.splitlines()}


def save(name: str = "access.log", data: bytes = LOG) -> Path:
    Path(name).write_bytes(data)
    return Path(name)


def test_people_see_how_things_stand(pixelship: Pixelship) -> None:
    pixelship("load", save())
    done = pixelship("status")
    assert (done.status, done.stderr) == (0, "")
    assert {"Batches: 1 load.", "Last: 00000001 (load), just now.", "accepted 1", "bot 1"} <= lines_of(done.stdout)  # fmt: skip
    assert {"rejected 2", "tampered 1", "unsigned 1", "lines 5", "news.pageviews 1"} <= lines_of(done.stdout)  # fmt: skip
    assert "Newest view: 2025-11-21 12:00:00 UTC, " in done.stdout
    assert "log object" not in done.stdout
    name = Path("access.log").resolve()
    balance = f"{name} 5 1 accepted, 1 bot, 1 header, 1 tampered, 1 unsigned yes"
    assert balance in lines_of(pixelship("status", "--objects").stdout)


def test_every_key_of_the_json_is_documented(pixelship: Pixelship) -> None:
    pixelship("load", save())
    told = pixelship("status", "--objects", "--json").json
    rows = tables(section(CLI, "The status as JSON"))
    assert [key.strip("`") for row in rows for key in row[0].split(", ")] == list(told)
    assert told["lag_s"]["newest_view"] > told["lag_s"]["last_load"] >= 0
    assert told["objects"] == {
        str(Path("access.log").resolve()): {
            "lines": 5, "extra_events": 0, "header": 1, "not_pixel": 0, "accepted": 1, "bot": 1, "duplicate": 0,
            "rejected": {"tampered": 1, "unsigned": 1}, "adds_up": True,
        },
    }  # fmt: skip
    assert "objects" not in pixelship("status", "--json").json


def test_an_empty_warehouse_is_told(pixelship: Pixelship) -> None:
    with DuckDBWarehouse("pixelship.duckdb"):
        pass
    done = pixelship("status", "--objects")
    assert (done.status, done.stdout.splitlines()[0]) == (0, "Batches: none.")
    told = pixelship("status", "--json").json
    assert (told["last"], told["lag_s"]) == (None, {"newest_view": None, "last_load": None})


def test_a_file_that_is_no_ledger_is_told_and_not_made(pixelship: Pixelship) -> None:
    done = pixelship("status", "--to", "duckdb:none.duckdb")
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr == "Error: No DuckDB file is at none.duckdb: load a log first, or name it with --to.\n"  # fmt: skip
    assert not Path("none.duckdb").exists()
    with connect(Path("other.duckdb")) as db:
        db.execute("CREATE TABLE t AS SELECT 1 AS one")
    done = pixelship("status", "--to", "duckdb:other.duckdb")
    assert (done.status, done.stderr.count("\n")) == (2, 1)
    assert "Error: other.duckdb holds no ledger: " in done.stderr


def test_a_file_held_by_another_process_is_busy(pixelship: Pixelship) -> None:
    pixelship("load", save())
    hold = "import sys\nfrom pathlib import Path\nfrom pipeline.warehouses.duckdb import connect\nwith connect(Path('pixelship.duckdb')):\n    print('held', flush=True)\n    sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        for words in (("status",), ("replay",), ("unload", "--batch", "1")):
            done = pixelship(*words)
            assert (done.status, done.stdout) == (2, "")
            assert done.stderr == "Error: pixelship.duckdb is busy: another process has it open; try again when it is done.\n"  # fmt: skip
        holder.communicate()


def test_what_waits_exits_with_1_and_what_does_not_add_up_with_3(pixelship: Pixelship) -> None:
    pixelship("load", save())
    with connect(Path("pixelship.duckdb")) as db:
        db.execute("INSERT INTO pixelship.quarantine VALUES ('gs://b/a.log', 7, 9, 'changed')")
    done = pixelship("status")
    assert (done.status, "Quarantined: gs://b/a.log changed.\n" in done.stdout) == (1, True)
    with connect(Path("pixelship.duckdb")) as db:
        db.execute("UPDATE pixelship.objects SET lines = lines + 1")
    done = pixelship("status", "--objects")
    assert done.status == 3
    assert "The ledger does not add up: please report this." in done.stdout
    assert f"Does not add up: {Path('access.log').resolve()}." in done.stdout
    told = pixelship("status", "--json")
    assert (told.status, told.json["adds_up"], len(told.json["unbalanced"])) == (3, False, 1)


def test_nothing_that_is_told_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "[red]\x1b[2J\x1b]0;title\x07\x9b31m"
    tally = Tally(lines=1, accepted=2)
    tally.rejected[evil] = 1
    status = Status(
        batches={evil.replace("\x1b", ""): 1},
        total=tally,
        unbalanced=[evil] * 25,
        parked={"news.pageviews": 1},
        parked_why={"news.pageviews": evil},
        quarantined=[Quarantined(evil, 0, 0, evil)],
        objects={evil: tally},
    )
    print_status(status)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown.replace("\x1b[2m", "").replace("\x1b[0m", "").replace("\x1b[1m", "")
    assert "[red]" in shown
    assert "Does not add up: 5 more; --json tells all." in shown
