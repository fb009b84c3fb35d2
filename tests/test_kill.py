"""The main job killed at any moment: run again, it gives what an undisturbed run would have given.

Most runs are forked from a server that has everything imported, so that kills fall on the job and
not on its imports; each is a process of its own all the same, and runs the command line.
"""

from __future__ import annotations

import gzip
import itertools
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from pipeline.warehouses.duckdb import connect
from tests.logs import GOOGLEBOT, NOON_US, SECRET, Hit, log, signed, tsv

LINES = 20_000
RANDOM_KILLS = 25
COMMAND = Path(sys.executable).with_name("pixelship")
TABLES = (
    "news.pageviews", "mail.opens", "pixelship.rejects", "pixelship.bot_hits",
    "pixelship.objects", "pixelship.batches", "pixelship.parked",
)  # fmt: skip
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["pipeline.cli", "pipeline.load", "pipeline.warehouses.duckdb"])


def load(folder: Path) -> None:
    """One run of the command, in a process of its own."""
    from pipeline.cli import main

    os.environ["SIGNER_SECRET"] = SECRET
    sys.stdout = (folder / "out.txt").open("w")
    main(["load", str(folder / "logs"), "--to", f"duckdb:{folder}/out.duckdb", "--json"])


def load_and_die(folder: Path, step: str) -> None:
    """A run that kills itself `before` or `after` the nth SQL statement that holds some words."""
    from pipeline.warehouses import duckdb

    when, number, words = step.split(" ", 2)
    seen = itertools.count(1)

    class Deadly:
        def __init__(self, db: Any) -> None:
            self._db = db

        def __getattr__(self, name: str) -> Any:
            return getattr(self._db, name)

        def execute(self, sql: str, *values: Any) -> Any:
            is_last = words in sql and next(seen) == int(number)
            if is_last and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = self._db.execute(sql, *values)
            if is_last:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

    with patch.object(duckdb, "connect", lambda path: Deadly(connect(path))):
        load(folder)


def load_and_die_staging(folder: Path, shards: int) -> None:
    """A run that kills itself when it has written some shards."""
    from pyarrow import parquet

    as_ever, written = parquet.write_table, itertools.count(1)

    def write_table(*words: Any, **options: Any) -> None:
        as_ever(*words, **options)
        if next(written) == shards:
            os.kill(os.getpid(), signal.SIGKILL)

    with patch.object(parquet, "write_table", write_table):
        load(folder)


def _lines(file: int) -> bytes:
    """A fifth of the log: views for two tables, some of them twice, bots, rejects and the rest."""
    queries = [signed(k=f"story-{at}", d=d) for at in range(40) for d in ("news.pageviews", "mail.opens")]  # fmt: skip
    lines = []
    for at in range(LINES // 5):
        number = file * LINES // 5 + at
        hit = Hit(
            time_us=NOON_US + number * 50_000,
            request_id=b"%08x" % (number - 82 if number % 50 == 7 and number > 100 else number),
            uri=b"/i.gif?" + queries[at % len(queries)] + (b"x" if number % 31 == 3 else b""),
            user_agent=GOOGLEBOT if number % 17 == 5 else Hit.user_agent,
            status=b"404" if number % 23 == 1 else b"200",
        )
        lines.append(b"junk" if number % 1009 == 2 else tsv(hit))
    return log(*lines)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    for file in range(5):
        data = _lines(file)
        (folder / f"{file}.log").write_bytes(gzip.compress(data, 1) if file == 3 else data)
    return folder


@pytest.fixture
def folder(tmp_path: Path, logs: Path) -> Path:
    (tmp_path / "logs").symlink_to(logs)
    return tmp_path


def contents(folder: Path) -> dict[str, Any]:
    """All that is in the warehouse, less the time at which it came."""
    with connect(folder / "out.duckdb", read_only=True) as db:
        select = dict.fromkeys(TABLES, "*") | {"pixelship.batches": "* EXCLUDE (loaded_at)"}
        return {
            table: db.execute(f"SELECT {columns} FROM {table} ORDER BY ALL").fetchall()
            for table, columns in select.items()
        }


def run(folder: Path) -> dict[str, Any]:
    """An undisturbed run, and what is in the warehouse after it."""
    process = FORKED.Process(target=load, args=(folder,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert not list(folder.glob("*.staging")), "leftovers of staging"
    return contents(folder)


def reset(folder: Path) -> None:
    for left in folder.glob("out.duckdb*"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, logs: Path) -> dict[str, Any]:
    """What an undisturbed run gives."""
    folder = tmp_path_factory.mktemp("expected")
    (folder / "logs").symlink_to(logs)
    tables = run(folder)
    counts = {table: len(rows) for table, rows in tables.items()}
    assert counts["news.pageviews"] + counts["mail.opens"] > 15_000
    assert counts["pixelship.rejects"] > 500
    assert (counts["pixelship.objects"], counts["pixelship.batches"]) == (5, 1)
    sheet = json.loads((folder / "out.txt").read_text())
    assert sheet["lines"] == LINES
    assert sheet["duplicate"] > 100
    return tables


def work_s(folder: Path) -> float:
    """How long a run takes from its first sign of work to its end."""
    process = FORKED.Process(target=load, args=(folder,))
    process.start()
    wait_for_work(process, folder)
    began = time.monotonic()
    process.join()
    reset(folder)
    return time.monotonic() - began


def wait_for_work(process: Any, folder: Path) -> None:
    while not (folder / "out.duckdb.staging").exists():
        assert process.is_alive()
        time.sleep(0.001)


def test_killed_at_random_moments_and_run_again_nothing_is_lost_or_doubled(
    folder: Path, expected: dict[str, Any]
) -> None:
    usual_s = work_s(folder)
    chance = random.Random(1)  # noqa: S311 - the same kills at every run
    killed = leftovers = 0
    for number in range(RANDOM_KILLS):
        process = FORKED.Process(target=load, args=(folder,))
        process.start()
        wait_for_work(process, folder)
        process.join(chance.uniform(0, usual_s))
        killed += process.is_alive()
        process.kill()
        process.join()
        leftovers += (folder / "out.duckdb.staging").exists()
        if number % 3 == 2:  # up to three kills in a row, and then a run that ends
            assert run(folder) == expected
            assert run(folder) == expected
            reset(folder)
    assert run(folder) == expected
    assert killed > RANDOM_KILLS // 2, "most kills came too late to tell anything"
    assert leftovers > RANDOM_KILLS // 2


def die(folder: Path, step: str) -> None:
    process = FORKED.Process(target=load_and_die, args=(folder, step))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def test_killed_at_step_after_step_before_the_commit(
    folder: Path, expected: dict[str, Any]
) -> None:
    for step in (
        "after 1 BEGIN",
        "after 2 CREATE TABLE",
        "before 1 COMMIT",
        "after 1 COMMIT",
        "after 2 BEGIN",
        'after 1 CREATE TABLE "warehouse"."news"',
        'after 1 INSERT INTO "warehouse"."mail"',
        'after 1 INSERT INTO "warehouse"."news"',
        "after 1 INSERT INTO pixelship.rejects",
        "after 1 INSERT INTO pixelship.objects",
        "after 1 INSERT INTO pixelship.batches",
        "before 2 COMMIT",
    ):
        die(folder, step)
        with connect(folder / "out.duckdb", read_only=True) as db:
            tables = [f"{row[1]}.{row[2]}" for row in db.execute("SHOW ALL TABLES").fetchall()]
            for table in tables:
                assert db.execute(f"FROM {table} LIMIT 1").fetchall() == []
            assert "news.pageviews" not in tables
    assert run(folder) == expected


def test_killed_just_after_the_commit(folder: Path, expected: dict[str, Any]) -> None:
    die(folder, "after 2 COMMIT")
    assert contents(folder) == expected
    assert run(folder) == expected


@pytest.mark.parametrize("shards", [1, 3])
def test_killed_while_it_stages(folder: Path, expected: dict[str, Any], shards: int) -> None:
    process = FORKED.Process(target=load_and_die_staging, args=(folder, shards))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(list((folder / "out.duckdb.staging").glob("*.parquet"))) >= shards
    assert run(folder) == expected


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_installed_command_killed_at_work(
    folder: Path, expected: dict[str, Any], number: signal.Signals
) -> None:
    words = [str(COMMAND), "load", str(folder / "logs"), "--to", f"duckdb:{folder}/out.duckdb"]
    with subprocess.Popen(
        words,
        env={**os.environ, "SIGNER_SECRET": SECRET},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while not list((folder / "out.duckdb.staging").glob("*.p*")):  # progress, or a shard
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(number)
        assert process.wait(60) == (130 if number == signal.SIGINT else -number)
    assert run(folder) == expected


def test_a_run_beside_another_is_busy_and_harms_nothing(
    folder: Path, expected: dict[str, Any]
) -> None:
    first, second = (FORKED.Process(target=load, args=(folder,)) for _ in range(2))
    first.start()
    wait_for_work(first, folder)
    second.start()
    first.join(60)
    second.join(60)
    assert (first.exitcode, second.exitcode) in ((0, 0), (0, 2))
    assert contents(folder) == expected
