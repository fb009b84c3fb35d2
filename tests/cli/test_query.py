from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from pipeline.warehouses.duckdb import connect
from tests.cli.conftest import Pixelship
from tests.cli.test_keys import cells
from tests.logs import Hit, log, tsv

pytestmark = pytest.mark.usefixtures("without_beam")


@pytest.fixture(autouse=True)
def _warehouse(bare: Pixelship) -> None:
    with connect(Path("pixelship.duckdb")) as db:
        db.execute("CREATE SCHEMA news")
        db.execute("CREATE TABLE news.pageviews AS SELECT 'story-' || i AS key, i AS n FROM range(3) t(i)")  # fmt: skip


def test_rows_are_printed_as_a_table(bare: Pixelship) -> None:
    done = bare("query", "SELECT key, n, NULL AS nothing FROM news.pageviews ORDER BY n")
    assert (done.status, done.stderr) == (0, "")
    assert "key" in done.stdout.splitlines()[1]
    assert cells(done.stdout) == [["story-0", "0", ""], ["story-1", "1", ""], ["story-2", "2", ""]]


def test_any_type_is_printed(bare: Pixelship) -> None:
    sql = "SELECT 1.5, TIMESTAMP '2026-01-02 03:04:05', [1], {'a': 1}, 'x'::BLOB, true"
    assert cells(bare("query", sql).stdout) == [
        ["1.5", "2026-01-02 03:04:05", "[1]", "{'a': 1}", "b'x'", "True"]
    ]


def test_no_value_is_cut_short(bare: Pixelship) -> None:
    columns = ", ".join(f"repeat('{letter}', 40) AS {letter}" for letter in "abc")
    shown = bare("query", f"SELECT {columns}", env={"COLUMNS": "80"}).stdout
    assert [shown.count(letter * 3) > 0 for letter in "abc"] == [True] * 3
    assert "…" not in shown
    assert sum(shown.count(letter) for letter in "abc") == 123


def test_control_characters_are_escaped(pixelship: Pixelship) -> None:
    agent = "evil \x1b[2J\x1b]0;title\x07 \x9b31m \u202e [red]é日".encode()
    Path("a.log").write_bytes(log(tsv(Hit(user_agent=agent))))
    pixelship("load", "a.log", "--to", "duckdb:evil.db")
    sql = "SELECT remote_agent FROM news.pageviews"
    shown = pixelship("query", sql, "--db", "evil.db").stdout
    assert cells(shown) == [[r"evil \x1b[2J\x1b]0;title\x07 \x9b31m \u202e [red]é日"]]
    shown = pixelship(
        "query", "SELECT 'a' || chr(10) || 'b' || chr(13) || 'c' AS \"\x1b[31m\""
    ).stdout
    assert cells(shown) == [["a"], [r"b\rc"]]
    assert r"\x1b[31m" in shown
    assert "\x1b" not in shown


def test_the_file_is_not_written(bare: Pixelship) -> None:
    before = Path("pixelship.duckdb").read_bytes()
    for sql in ("DELETE FROM news.pageviews", "CREATE TABLE t (a INT)", "DROP SCHEMA news CASCADE"):
        done = bare("query", sql)
        assert (done.status, done.stdout) == (2, "")
        assert "read-only" in done.stderr
    assert Path("pixelship.duckdb").read_bytes() == before


def test_what_is_there_can_be_asked(bare: Pixelship) -> None:
    shown = cells(bare("query", "SELECT schema, name FROM (SHOW ALL TABLES)").stdout)
    assert shown == [["news", "pageviews"]]


def test_an_empty_result_is_an_empty_table(bare: Pixelship) -> None:
    done = bare("query", "SELECT key FROM news.pageviews WHERE n > 9")
    assert (done.status, cells(done.stdout)) == (0, [])
    assert "key" in done.stdout
    assert bare("query", "").status == 0


@pytest.mark.parametrize(
    "sql", ["SELEC 1", "SELECT x", "SELECT * FROM nowhere", "SELECT 1/'a'", "SELECT error('no')"]
)
def test_a_wrong_query_is_one_sentence(bare: Pixelship, sql: str) -> None:
    done = bare("query", sql)
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: The query failed: ")
    assert done.stderr.count("\n") == 1


def test_a_file_that_is_not_there_is_not_made(bare: Pixelship) -> None:
    done = bare("query", "SELECT 1", "--db", "none.duckdb")
    assert (done.status, done.stdout) == (2, "")
    assert "No DuckDB file is at none.duckdb: load a log first" in done.stderr
    assert not Path("none.duckdb").exists()
    Path("junk.duckdb").write_bytes(b"junk" * 4000)
    done = bare("query", "SELECT 1", "--db", "junk.duckdb")
    assert (done.status, done.stdout) == (2, "")
    assert "cannot be opened as a DuckDB file" in done.stderr


def test_duckdbs_own_tool_reads_the_file(bare: Pixelship) -> None:
    with duckdb.connect("pixelship.duckdb", read_only=True) as db:
        assert db.execute("SELECT count(*) FROM news.pageviews").fetchall() == [(3,)]
