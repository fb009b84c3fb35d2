"""`pixelship unload`: which logs, by which words, and what is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Pixelship, rows
from tests.cli.test_status import LOG, lines_of, save
from tests.logs import Hit, log, tsv
from tests.test_docs import CLI, section

pytestmark = pytest.mark.usefixtures("without_beam")


def test_people_see_what_came_out(pixelship: Pixelship) -> None:
    pixelship("load", save())
    done = pixelship("unload", "--object", "access.log", "--plan")
    assert done.status == 0
    name = str(Path("access.log").resolve())
    assert {"1 log object would come out:", name, "news.pageviews 1", "pixelship.rejects 2"} <= lines_of(done.stdout)  # fmt: skip
    assert done.stdout.endswith("Nothing was written.\n")
    assert rows("SELECT count(*) FROM news.pageviews") == [(1,)]
    done = pixelship("unload", "--object", "access.log")
    assert {"Batch 00000002.", "1 log object came out:", name} <= lines_of(done.stdout)
    assert done.stdout.endswith("The next load takes them in again.\n")
    assert rows("SELECT count(*) FROM news.pageviews") == [(0,)]
    assert pixelship("load", "access.log", "--json").json["lines"] == 5


def test_every_key_of_the_json_is_documented(pixelship: Pixelship) -> None:
    pixelship("load", save())
    told = pixelship("unload", "--batch", "1", "--json").json
    text = section(CLI, "pixelship unload").partition("With `--json`")[2]
    assert [key for key in told if f"`{key}`" not in text] == []
    assert told["batches"] == ["00000002"]


def test_logs_that_any_of_the_words_names_come_out(pixelship: Pixelship) -> None:
    for number in range(4):
        time_us = Hit.time_us + number * 86_400_000_000
        save(f"{number}.log", log(tsv(Hit(request_id=b"%d" % number, time_us=time_us))))
        pixelship("load", f"{number}.log")
    told = pixelship("unload", "--object", "0.log", "--batch", "2", "--day", "2025-11-24", "--json").json  # fmt: skip
    assert [Path(name).name for name in told["objects"]] == ["0.log", "1.log", "3.log"]
    assert rows("SELECT event_id FROM news.pageviews") == [("2",)]


def test_many_logs_are_not_all_named(pixelship: Pixelship) -> None:
    for number in range(25):
        save(f"{number}.log", log(tsv(Hit(request_id=b"%d" % number))))
    pixelship("load", ".")
    shown = pixelship("unload", "--batch", "1").stdout
    assert "25 log objects came out:" in shown
    assert "  and 5 more; --json tells all\n" in shown


def test_logs_that_are_gone_come_out_by_force_alone(pixelship: Pixelship) -> None:
    name = "gone\x1b[2J.log"
    path = save(name).resolve()
    pixelship("load", ".")
    path.unlink()
    done = pixelship("unload", "--batch", "1")
    assert (done.status, done.stdout) == (2, "")
    assert "no longer there as loaded, so the rows could not come back: add --force to take them out all the same." in done.stderr  # fmt: skip
    shown = pixelship("unload", "--batch", "1", "--plan").stdout
    assert r"gone\x1b[2J.log (no longer there)" in shown
    assert "\x1b" not in shown
    assert pixelship("unload", "--batch", "1", "--force", "--json").json["gone"] == [str(path)]
    assert rows("SELECT count(*) FROM pixelship.objects") == [(0,)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Say what to unload: --object NAME, --day DATE or --batch ID."),
        (("--day", "yesterday"), "--day 'yesterday' is no day: write it as 2026-11-21."),
        (("--day", "9999-12-31"), "--day '9999-12-31' is no day: write it as 2026-11-21."),
        (("--batch", "-1"), "--batch '-1' is no batch: write its number, such as 00000042."),
        (("--batch", "1", "--to", "duckdb:none.duckdb"), "No DuckDB file is at none.duckdb: load a log first, or name it with --to."),
        (("--object", "gs://bucket/a.log"), "gs://bucket/a.log is not loaded: pixelship.objects names what is."),
    ],
)  # fmt: skip
def test_wrong_words_are_told_in_a_sentence(
    pixelship: Pixelship, words: tuple[str, ...], said: str
) -> None:
    pixelship("load", save(data=LOG))
    done = pixelship("unload", *words)
    assert (done.status, done.stdout, done.stderr) == (2, "", f"Error: {said}\n")
    assert not Path("none.duckdb").exists()


def test_nothing_to_take_out_is_nothing_done(pixelship: Pixelship) -> None:
    pixelship("load", save())
    for words in (("--batch", "42"), ("--day", "2001-01-01")):
        done = pixelship("unload", *words)
        assert (done.status, done.stdout) == (0, "No log has such rows: nothing to do.\n")
    assert rows("SELECT count(*) FROM pixelship.batches") == [(1,)]
