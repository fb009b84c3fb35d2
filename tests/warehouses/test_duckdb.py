"""What is particular to a DuckDB file: locks, names, and tables that its user made or changed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline import schemas
from pipeline.errors import SetupError
from pipeline.model import Batch
from pipeline.warehouses import duckdb as duckdb_warehouse
from pipeline.warehouses.duckdb import DuckDBWarehouse, connect
from tests.logs import Hit, log, signed, tsv
from tests.warehouses.conftest import DuckDBPlace, load


def save(place: DuckDBPlace, *views: tuple[str, str], name: str = "a.log") -> Path:
    """A log of views, each given as its request id and its destination."""
    path = place.path.parent / name
    lines = (
        tsv(Hit(request_id=id_.encode(), uri=b"/i.gif?" + signed(d=destination)))
        for id_, destination in views
    )
    path.write_bytes(log(*lines))
    return path


def ids(place: DuckDBPlace, table: str) -> list[str]:
    return sorted(row["event_id"] for row in place.rows(table))


# The file


def test_a_second_process_is_told_that_the_file_is_busy(duckdb_place: DuckDBPlace) -> None:
    load(duckdb_place, save(duckdb_place, ("one", "a.b")))
    hold = "import sys\nfrom pathlib import Path\nfrom pipeline.warehouses.duckdb import connect\nwith connect(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, duckdb_place.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(SetupError, match="busy: another process"):
            load(duckdb_place, save(duckdb_place, ("two", "a.b")))
        with pytest.raises(SetupError, match="busy: another process"):
            connect(duckdb_place.path, read_only=True)
        holder.communicate()
    load(duckdb_place, save(duckdb_place, ("two", "a.b")))
    assert ids(duckdb_place, "a.b") == ["one", "two"]


def test_a_busy_file_keeps_its_staged_shards(duckdb_place: DuckDBPlace) -> None:
    load(duckdb_place, save(duckdb_place, ("one", "a.b")))
    rival = "import sys\nfrom pipeline.errors import SetupError\nfrom pipeline.warehouses.duckdb import DuckDBWarehouse\ntry:\n    with DuckDBWarehouse(sys.argv[1]): pass\nexcept SetupError: print('refused')"
    with duckdb_place.open() as warehouse:
        shard = Path(warehouse.staging(Batch("1", ())), "shard.parquet")
        shard.write_bytes(b"rows")
        done = subprocess.run(
            [sys.executable, "-c", rival, duckdb_place.path],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "refused\n"
        assert shard.read_bytes() == b"rows"


def _sqlite(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t (a)")
    db.close()


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: path.write_bytes(b"junk" * 4000), id="junk"),
        pytest.param(lambda path: path.write_bytes(b"j"), id="one byte"),
        pytest.param(_sqlite, id="SQLite"),
        pytest.param(Path.mkdir, id="a folder"),
    ],
)
@pytest.mark.parametrize("name", ["it.duckdb", "clock and lock.db"])
def test_what_is_no_duckdb_file_is_said_to_be_none(tmp_path: Path, make: Any, name: str) -> None:
    path = tmp_path / name
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(SetupError, match="cannot be opened as a DuckDB file") as raised:
        DuckDBWarehouse(str(path)).__enter__()
    assert "\n" not in str(raised.value)
    assert "extension" not in str(raised.value)
    assert not list(tmp_path.glob("*.staging"))
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_file_that_could_only_be_half_made_is_made_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(path: Path) -> None:
        path.write_bytes(b"half a file")
        raise SetupError("IO Error: No space left on device")

    place = DuckDBPlace(tmp_path / "it.duckdb")
    with monkeypatch.context() as patch:
        patch.setattr(duckdb_warehouse, "connect", fill_up)
        with pytest.raises(SetupError, match=r"it\.duckdb cannot be made ready: .*No space left"):
            DuckDBWarehouse(str(place.path)).__enter__()
    assert not list(tmp_path.glob("*it.duckdb*"))
    left = tmp_path / f".it.duckdb.killed{duckdb_warehouse._NEW}"
    left.write_bytes(b"half a file")
    load(place, save(place, ("one", "news.pageviews")))
    assert ids(place, "news.pageviews") == ["one"]
    assert not left.exists()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"The folder of .*/none/it\.duckdb does not exist"):
        DuckDBWarehouse(str(tmp_path / "none" / "it.duckdb")).__enter__()


def test_a_file_in_the_place_of_the_staging_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "it.duckdb.staging").write_text("mine")
    with pytest.raises(SetupError, match=r"cannot be made ready: .*it\.duckdb\.staging"):
        DuckDBWarehouse(str(tmp_path / "it.duckdb")).__enter__()
    assert (tmp_path / "it.duckdb.staging").read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["pixelship.duckdb", "warehouse.db", 'it\'s "quoted".duckdb', "[1]*.duckdb", "é 日.db"]
)
def test_the_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    place = DuckDBPlace(tmp_path / "warehouse" / name)
    load(place, save(place, ("one", "news.pageviews")))
    load(place, save(place, ("two", "news.pageviews")))
    assert ids(place, "news.pageviews") == ["one", "two"]


@pytest.mark.parametrize("name", [":memory:", "md:news", "it.duckdb"])
def test_a_bare_name_is_a_file_in_the_present_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with DuckDBWarehouse(name):
        pass
    assert (tmp_path / name).is_file()


def test_times_do_not_depend_on_the_time_zone(
    duckdb_place: DuckDBPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    load(duckdb_place, save(duckdb_place, ("one", "a.b")))
    told = duckdb_place.ask(
        "SELECT timestamp::VARCHAR, (SELECT (loaded_at - now() AT TIME ZONE 'UTC') > INTERVAL '-1 hour' "
        "FROM pixelship.batches) FROM a.b"
    )
    assert told == [("2025-11-21 12:00:00", True)]


# Destinations


@pytest.mark.parametrize(
    "destination",
    [
        "main.views", "temp.views", "system.views", "memory.views", "warehouse.views",
        "main.staged", "main.suspects", "main.duplicates", "main.ledger", "main.asked",
        "temp.staged", "news.main", "select.table", "order.group", "schema.values",
    ],
)  # fmt: skip
def test_names_that_duckdb_has_for_its_own_are_names_like_others(
    duckdb_place: DuckDBPlace, destination: str
) -> None:
    report = load(duckdb_place, save(duckdb_place, ("one", destination), ("one", destination)))
    assert (report.destinations, report.parked) == ({destination: 1}, {})
    report = load(duckdb_place, save(duckdb_place, ("one", destination), ("two", destination)))
    assert (report.destinations, report.total.duplicate) == ({destination: 1}, 1)
    schema, table = destination.split(".")
    rows = duckdb_place.ask(f'SELECT event_id FROM warehouse."{schema}"."{table}" ORDER BY ALL')
    assert rows == [("one",), ("two",)]


def test_a_schema_that_duckdb_does_not_give_away_is_parked(duckdb_place: DuckDBPlace) -> None:
    report = load(duckdb_place, save(duckdb_place, ("one", "pg_catalog.v"), ("two", "a.b")))
    assert (report.destinations, report.parked) == ({"a.b": 1}, {"pg_catalog.v": 1})


def test_names_that_differ_in_case_are_parked_and_load_once_the_other_is_gone(
    duckdb_place: DuckDBPlace,
) -> None:
    lines = (("one", "news.views"), ("two", "news.Views"), ("three", "News.others"))
    report = load(duckdb_place, save(duckdb_place, *lines))
    # in the order of their names: capitals come first
    assert report.destinations == {"News.others": 1}
    assert report.parked == {"news.views": 1, "news.Views": 1}
    assert report.parked_why["news.views"] == (
        "its name differs only in case from News.views, and DuckDB folds case"
    )
    assert load(duckdb_place, duckdb_place.path.parent / "a.log").parked == report.parked

    duckdb_place.run('DROP SCHEMA "News" CASCADE')
    report = load(duckdb_place, duckdb_place.path.parent / "a.log")
    assert report.unparked.keys() | report.parked.keys() == {"news.views", "news.Views"}
    assert len(report.unparked) == len(report.parked) == 1
    (loaded,), (waiting,) = report.unparked, report.parked
    assert ids(duckdb_place, loaded) == ["one" if loaded == "news.views" else "two"]
    duckdb_place.run(f"ALTER TABLE {loaded} RENAME TO other")
    report = load(duckdb_place, duckdb_place.path.parent / "a.log")
    assert (report.unparked, report.parked) == ({waiting: 1}, {})


def test_a_table_is_created_with_described_columns(duckdb_place: DuckDBPlace) -> None:
    load(duckdb_place, save(duckdb_place, ("one", "news.pageviews")))
    names = {"STRING": "VARCHAR", "INTEGER": "BIGINT", "TIMESTAMP": "TIMESTAMP", "BYTES": "BLOB"}
    for place, name in (
        ("news.pageviews", "event"),
        ("pixelship.batches", "batches"),
        ("pixelship.objects", "objects"),
        ("pixelship.rejects", "rejects"),
        ("pixelship.bot_hits", "bot_hits"),
    ):
        schema, table = place.split(".")
        found = duckdb_place.ask(
            "SELECT column_name, data_type, is_nullable, comment FROM duckdb_columns() "
            f"WHERE schema_name = '{schema}' AND table_name = '{table}' ORDER BY column_index"
        )
        assert found == [
            (column.name, names[column.type], not column.is_required, column.description)
            for column in schemas.table(name)
        ]


def test_a_view_in_the_way_parks_and_a_table_in_its_place_loads(duckdb_place: DuckDBPlace) -> None:
    duckdb_place.refuse("news.pageviews")
    path = save(duckdb_place, ("one", "news.pageviews"))
    assert load(duckdb_place, path).parked_why == {"news.pageviews": "a view has its name"}
    duckdb_place.run("DROP VIEW news.pageviews")
    assert load(duckdb_place, path).unparked == {"news.pageviews": 1}


def test_a_missing_column_is_added(duckdb_place: DuckDBPlace) -> None:
    load(duckdb_place, save(duckdb_place, ("one", "news.pageviews")))
    duckdb_place.run("ALTER TABLE news.pageviews DROP COLUMN browser")
    duckdb_place.run("ALTER TABLE news.pageviews ADD COLUMN mine INTEGER DEFAULT 7")
    report = load(duckdb_place, save(duckdb_place, ("two", "news.pageviews")))
    assert report.is_clean
    rows = {row["event_id"]: row for row in duckdb_place.rows("news.pageviews")}
    assert {name: row["browser"] for name, row in rows.items()} == {"one": None, "two": "Firefox"}
    assert {row["mine"] for row in rows.values()} == {7}


def test_columns_are_found_whatever_their_order_and_case(duckdb_place: DuckDBPlace) -> None:
    duckdb_place.run("CREATE SCHEMA news")
    duckdb_place.run('CREATE TABLE news.pageviews ("Key" VARCHAR, "TIMESTAMP" TIMESTAMP)')
    report = load(duckdb_place, save(duckdb_place, ("one", "news.pageviews")))
    assert report.is_clean
    assert duckdb_place.ask("SELECT key, event_id FROM news.pageviews") == [("story-1", "one")]


def test_a_column_of_another_type_parks(duckdb_place: DuckDBPlace) -> None:
    load(duckdb_place, save(duckdb_place, ("one", "news.pageviews")))
    change = "ALTER TABLE news.pageviews ALTER COLUMN key SET DATA TYPE"
    duckdb_place.run("UPDATE news.pageviews SET key = '1'")
    duckdb_place.run(f"{change} INTEGER")
    path = save(duckdb_place, ("two", "news.pageviews"))
    report = load(duckdb_place, path)
    assert report.parked_why == {"news.pageviews": "its column key is INTEGER, not VARCHAR"}
    duckdb_place.run(f"{change} VARCHAR")
    assert load(duckdb_place, path).unparked == {"news.pageviews": 1}
    assert ids(duckdb_place, "news.pageviews") == ["one", "two"]


@pytest.mark.parametrize(
    ("change", "undo"),
    [
        pytest.param(
            "ALTER TABLE news.pageviews ALTER COLUMN mine SET NOT NULL",
            "ALTER TABLE news.pageviews ALTER COLUMN mine DROP NOT NULL",
            id="a column of the user's that may not be null",
        ),
        pytest.param(
            "CREATE UNIQUE INDEX once ON news.pageviews (key)",
            "DROP INDEX news.once",
            id="a unique index",
        ),
    ],
)
def test_a_constraint_of_the_users_parks_its_table_alone(
    duckdb_place: DuckDBPlace, change: str, undo: str
) -> None:
    load(duckdb_place, save(duckdb_place, ("one", "news.pageviews")))
    duckdb_place.run("ALTER TABLE news.pageviews ADD COLUMN mine INTEGER DEFAULT 1")
    duckdb_place.run("ALTER TABLE news.pageviews ALTER COLUMN mine DROP DEFAULT")
    duckdb_place.run(change)
    views = (("two", "news.pageviews"), ("three", "mail.opens"), ("three", "mail.opens"))
    path = save(duckdb_place, *views)
    report = load(duckdb_place, path)
    assert (report.destinations, report.parked) == ({"mail.opens": 1}, {"news.pageviews": 1})
    assert report.parked_why["news.pageviews"].startswith("DuckDB says: Constraint Error:")
    assert (report.total.accepted, report.total.duplicate) == (2, 1)
    assert load(duckdb_place, path).parked == {"news.pageviews": 1}
    duckdb_place.run(undo)
    assert load(duckdb_place, path).unparked == {"news.pageviews": 1}
    assert ids(duckdb_place, "news.pageviews") == ["one", "two"]


def test_many_destinations_and_shards_load(
    duckdb_place: DuckDBPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.staging._MOST_ROWS", 1)
    for number in range(30):
        save(duckdb_place, (f"id {number}", "news.all"), name=f"{number}.log")
    many = [(f"many {number}", f"news.views_{number}") for number in range(30)]
    save(duckdb_place, *many, name="many.log")
    report = load(duckdb_place, duckdb_place.path.parent)
    assert report.destinations == {"news.all": 30} | {name: 1 for _, name in many}


def test_bookkeeping_of_an_earlier_version_is_given_the_columns_it_lacks(
    duckdb_place: DuckDBPlace,
) -> None:
    path = save(duckdb_place, ("one", "a.b"))
    load(duckdb_place, path)
    duckdb_place.run("ALTER TABLE pixelship.rejects DROP COLUMN detail")
    duckdb_place.run("ALTER TABLE pixelship.parked DROP COLUMN key_id")
    path.write_bytes(b"px1 what is this\n" + path.read_bytes())
    load(duckdb_place, path)
    assert duckdb_place.ask("SELECT detail FROM pixelship.rejects") == [
        ("the line is not in its log's format",)
    ]


def test_bookkeeping_of_another_make_is_named(duckdb_place: DuckDBPlace) -> None:
    duckdb_place.run("CREATE SCHEMA pixelship")
    duckdb_place.run("CREATE TABLE pixelship.objects (name INTEGER)")
    with pytest.raises(SetupError, match=r"pixelship\.objects: its column name is INTEGER"):
        duckdb_place.open().__enter__()
    assert duckdb_place.tables() == {}
