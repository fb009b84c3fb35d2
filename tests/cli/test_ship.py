"""`pixelship ship`: its options, what it says, how it ends."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.group import EXIT_INCOMPLETE, EXIT_INTERNAL, EXIT_SETUP
from pipeline.ship.contract import Report
from tests.cli.conftest import Done, Pixelship
from tests.shipping import Place, lines
from tests.test_docs import CLI, section, tables

COMMAND = Path(sys.executable).with_name("pixelship")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def ship(bare: Pixelship, place: Place) -> Any:
    def run(*words: str, to: str | Path | None = None) -> Done:
        folders = ("--from", place.logs, "--to", to or place.out, "--host", "edge-1")
        return bare("ship", *folders, "--settle", "0", *words)

    return run


def test_it_sums_up_in_its_last_line(place: Place, ship: Any) -> None:
    place.put("pixelship.log.1", lines(0))
    done = ship()
    assert (done.status, done.stderr) == (0, "")
    size = len(lines(0))
    (stored,) = (path.stat().st_size for path in place.out.rglob("*.zst"))
    assert done.stdout == (
        f"Shipped 1 ({size:,} bytes as {stored:,}); waiting 0; kept 1; failed 0.\n"
    )
    assert ship("--once").stdout == "Shipped 0; waiting 0; kept 1; failed 0.\n"


def test_as_json_it_says_the_same(place: Place, ship: Any) -> None:
    place.put("pixelship.log.1", lines(0))
    place.put("pixelship.log.2.gz", gzip.compress(lines(1))[:-3], age_s=50)
    done = ship("--json")
    assert done.status == EXIT_INCOMPLETE
    report = done.json
    assert report["oldest_s"] >= 50
    assert {**report, "stored_bytes": 0, "oldest_s": 0, "disk_bytes": 0, "failed": 0} == {
        "shipped": 1, "found": 0, "log_bytes": len(lines(0)), "stored_bytes": 0, "waiting": 1,
        "oldest_s": 0, "kept": 1, "removed": 0, "dropped": [], "failed": 0, "disk_bytes": 0,
        "over_budget": False, "sees_writers": report["sees_writers"], "trouble": None,
    }  # fmt: skip
    assert [each["name"] for each in report["failed"]] == ["pixelship.log.2.gz"]


def test_the_status_changes_nothing(place: Place, bare: Pixelship) -> None:
    place.put("pixelship.log.1", lines(0), age_s=120)
    done = bare("ship", "--from", place.logs, "--status", "--json")
    assert done.status == 0
    assert (done.json["waiting"], done.json["shipped"]) == (1, 0)
    assert done.json["oldest_s"] >= 120
    assert place.left() == ["pixelship.log.1"]


def test_a_status_over_the_budget_fails(place: Place, ship: Any, bare: Pixelship) -> None:
    place.put("pixelship.log.1", lines(0))
    ship()
    done = bare("ship", "--from", place.logs, "--status", "--max-disk", "1")
    assert done.status == EXIT_INCOMPLETE
    assert "OVER BUDGET" in done.stdout


def test_every_key_of_the_report_is_documented() -> None:
    rows = tables(section(CLI, "The shipping report as JSON"))
    keys = [key.strip("`") for row in rows for key in row[0].split(", ")]
    assert keys == list(Report().to_json())


def test_what_is_lost_is_said_loudly(place: Place, ship: Any, tmp_path: Path) -> None:
    (tmp_path / "no-store").write_text("")
    place.put("pixelship.log.1", lines(0))
    done = ship("--max-disk", "1", to=tmp_path / "no-store")
    assert done.status == EXIT_INTERNAL
    said = r"OVER BUDGET: [\d,]+ bytes wait on this disk, more than --max-disk \(1\)\."
    assert re.search(said, done.stdout)
    assert "cannot be written: Not a directory; running again does no harm." in done.stderr
    done = ship("--max-disk", "1", "--drop-oldest", to=tmp_path / "no-store")
    assert done.stdout.startswith("LOST: edge-1/2025/11/21/20251121T120000Z-")
    assert done.stdout.endswith("waiting 0; kept 0; failed 0.\n")
    assert done.status == EXIT_INTERNAL


def test_names_cannot_move_the_cursor(place: Place, ship: Any) -> None:
    place.put("pixelship.log.\x1b[2J.gz", gzip.compress(lines(1))[:-3])
    done = ship()
    assert "\x1b" not in done.stdout
    assert "Failed: pixelship.log.\\x1b[2J.gz: is damaged" in done.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--once", "--watch", "5s"), "Say --once or --watch, not both."),
        (("--keep", "soon"), "'soon' is no number with one of the units s, m, h, d."),
        (("--max-disk", "7 parsecs"), "'7 parsecs' is no number with one of the units KB, MB"),
        (("--host", "..."), "'...' is no name for a host"),
        (("--live", "/var/log/a.log"), "give the name alone; --from names the folder."),
        (("--metrics", "no/such/folder/x.prom"), "cannot be written: No such file"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_said_in_a_sentence(
    ship: Any, words: tuple[str, ...], sentence: str
) -> None:
    done = ship(*words)
    assert done.status == EXIT_SETUP
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_or_a_store_that_is_missing_is_named(bare: Pixelship, place: Place) -> None:
    done = bare("ship", "--from", place.logs)
    assert (done.status, "Say where to ship the logs: --to" in done.stderr) == (EXIT_SETUP, True)
    for words in (("--to", "out"), ("--status",)):
        done = bare("ship", "--from", place.root / "typo", *words)
        assert done.status == EXIT_SETUP
        assert "typo" in done.stderr


@pytest.mark.parametrize(
    ("text", "measure"), [("0", 0), ("90", 90), ("1.5h", 5400), ("30 m", 1800), ("2D", 172800)]
)
def test_times_have_units(
    place: Place, ship: Any, monkeypatch: pytest.MonkeyPatch, text: str, measure: float
) -> None:
    seen = []
    monkeypatch.setattr("pipeline.ship.shipping._remove", lambda order, *_: seen.append(order))
    assert ship("--keep", text, "--max-disk", "1.5GiB").status == 0
    assert [(order.keep_s, order.most_disk_bytes) for order in seen] == [(measure, 3 << 29)]


def test_metrics_are_written_for_node_exporter(place: Place, ship: Any, tmp_path: Path) -> None:
    (tmp_path / "no-store").write_text("")
    place.put("pixelship.log.1", lines(0), age_s=30)
    metrics = tmp_path / "pixelship.prom"
    for store, up, waiting in ((tmp_path / "no-store", 0, 1), (place.out, 1, 0)):
        ship("--metrics", str(metrics), to=store)
        text = metrics.read_text()
        figures = dict(line.split(" ") for line in text.splitlines() if not line.startswith("#"))
        assert figures["pixelship_ship_up"] == str(up)
        assert figures["pixelship_ship_waiting_files"] == str(waiting)
        assert (float(figures["pixelship_ship_oldest_unshipped_seconds"]) >= 30) is bool(waiting)
        assert abs(float(figures["pixelship_ship_last_run_timestamp_seconds"]) - time.time()) < 600
        for name in figures:
            assert f"# TYPE {name} gauge\n" in text
    assert [path.name for path in tmp_path.glob(".*prom*")] == []


def test_it_watches_until_it_is_ended(place: Place) -> None:
    with subprocess.Popen(
        [
            *(COMMAND, "ship", "--from", place.logs, "--to", place.out, "--host", "edge-1"),
            *("--settle", "0", "--watch", "0.1", "--json"),
        ],
        stdout=subprocess.PIPE,
        env=dict(os.environ),
        text=True,
    ) as process:
        assert process.stdout is not None
        for number in range(2):
            place.put(f"pixelship.log.{number}", lines(number))
            shipped = 0
            while not shipped:
                shipped = json.loads(process.stdout.readline())["shipped"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
    assert list(place.stored().values()) == [lines(0), lines(1)]
