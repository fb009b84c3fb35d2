"""Replay and unload of a DuckDB file: killed at any step, beside the user's own tables, and large."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest

from pipeline.errors import BalanceError
from pipeline.model import Batch, LogObject, Tally
from pipeline.staging import Shards, Staged
from pipeline.storage import create_file
from pipeline.warehouses.duckdb import DuckDBWarehouse
from pipeline.warehouses.maintenance import (  # fmt: skip
    REJECT_SCHEMA,
    RESOLVED,
    RESOLVED_SCHEMA,
    Choice,
)
from tests.logs import GOOGLEBOT, RULES, Hit, log, signed, tsv
from tests.test_kill import FORKED
from tests.warehouses.builders import (  # fmt: skip
    MIXED,
    assert_balanced,
    everything,
    ids,
    replay,
    save,
    unload,
    view,
    views,
)
from tests.warehouses.conftest import DuckDBPlace, load
from tests.warehouses.deadly import BOTH, replay_and_die, unload_and_die
from tests.warehouses.test_replay import of_old_key, without_time


def die(act: Any, place: DuckDBPlace, step: str) -> None:
    process = FORKED.Process(target=act, args=(place.path, step))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL, step


def fill(place: DuckDBPlace, folder: Path) -> None:
    place.refuse("mail.opens")
    old = (of_old_key("old"), of_old_key("robot", user_agent=GOOGLEBOT), of_old_key("one"))
    uri = b"/i.gif?" + signed("an older secret", d="mail.opens")
    load(place, save(folder, "a.log", MIXED + log(*old, tsv(Hit(uri=uri)))))
    load(place, save(folder, "b.log", views("b")))


def test_a_replay_killed_at_any_step_has_done_nothing(
    duckdb_place: DuckDBPlace, tmp_path: Path
) -> None:
    fill(duckdb_place, tmp_path)
    before = without_time(duckdb_place)
    for step in (
        "after 1 COMMIT",
        "after 1 COPY (SELECT",
        "after 2 BEGIN",
        'after 1 INSERT INTO "warehouse"."news"',
        "after 1 INSERT INTO pixelship.parked",
        "after 1 INSERT INTO pixelship.bot_hits",
        "after 1 DELETE FROM pixelship.rejects",
        "after 1 INSERT INTO pixelship.objects",
        "after 1 INSERT INTO pixelship.batches",
        "before 2 COMMIT",
    ):
        die(replay_and_die, duckdb_place, step)
        assert without_time(duckdb_place) == before, step
    result = replay(duckdb_place, rules=BOTH)
    assert (result.changes.accepted, result.changes.bot, result.changes.duplicate) == (2, 1, 1)
    assert_balanced(duckdb_place)


def test_a_replay_killed_just_after_its_commit_is_done(
    duckdb_place: DuckDBPlace, tmp_path: Path
) -> None:
    fill(duckdb_place, tmp_path)
    die(replay_and_die, duckdb_place, "after 2 COMMIT")
    assert_balanced(duckdb_place)
    before = everything(duckdb_place)
    assert len(before["pixelship.batches"]) == 3
    assert replay(duckdb_place, rules=BOTH).batches == []
    assert everything(duckdb_place) == before


def test_an_unload_killed_at_any_step_has_done_nothing(
    duckdb_place: DuckDBPlace, tmp_path: Path
) -> None:
    fill(duckdb_place, tmp_path)
    before = everything(duckdb_place)
    for step in (
        "after 1 COMMIT",
        "after 2 BEGIN",
        'after 1 DELETE FROM "warehouse"."news"',
        'after 1 DELETE FROM "warehouse"."pixelship"."rejects"',
        'after 1 DELETE FROM "warehouse"."pixelship"."parked"',
        'after 1 DELETE FROM "warehouse"."pixelship"."objects"',
        "after 1 DELETE FROM pixelship.quarantine",
        "after 1 INSERT INTO pixelship.batches",
        "before 2 COMMIT",
    ):
        die(unload_and_die, duckdb_place, step)
        assert everything(duckdb_place) == before, step
    die(unload_and_die, duckdb_place, "after 2 COMMIT")
    assert_balanced(duckdb_place)
    assert ids(duckdb_place) == ["b"]
    assert unload(duckdb_place, batches=("00000001",)).batches == []


def test_what_fails_half_way_leaves_nothing(
    duckdb_place: DuckDBPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(duckdb_place, tmp_path)
    before = everything(duckdb_place)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(DuckDBWarehouse, "_enter", fail)
        for act in (
            lambda: replay(duckdb_place, rules=BOTH),
            lambda: unload(duckdb_place, batches=("00000001",)),
        ):
            with pytest.raises(OSError, match="No space"):
                act()
            assert everything(duckdb_place) == before


@pytest.mark.parametrize("spoil", ["count", "key", "name"])
def test_a_replay_that_does_not_add_up_is_refused(
    duckdb_place: DuckDBPlace, tmp_path: Path, spoil: str
) -> None:
    path = save(tmp_path, "a.log", log(of_old_key("old")))
    load(duckdb_place, path)
    before = everything(duckdb_place)
    name = str(path)
    with duckdb_place.open() as warehouse:
        assert isinstance(warehouse, DuckDBWarehouse)
        batch = Batch(warehouse.next_batch(), (LogObject(name, 1, "sha256:"),))
        shards = Shards(warehouse.staging(batch), create_file)
        key = {"batch": "00000001", "source_object": name, "source_position": int(spoil == "key")}
        shards.hold(RESOLVED, pa.RecordBatch.from_pylist([key], RESOLVED_SCHEMA))
        tally = Tally(not_pixel=1 + (spoil == "count"))
        tally.rejected["tampered"] -= tally.not_pixel
        staged = Staged(shards.finish(), {"other" if spoil == "name" else name: tally})
        with pytest.raises(BalanceError):
            warehouse.commit_replay(batch, staged)
    assert everything(duckdb_place) == before


# Beside what the user does


def test_tables_of_the_users_are_left_alone(duckdb_place: DuckDBPlace, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", MIXED)
    load(duckdb_place, path)
    duckdb_place.run("CREATE TABLE news.copy AS FROM news.pageviews")
    duckdb_place.run("CREATE VIEW news.seen AS FROM news.pageviews")
    duckdb_place.run("DROP TABLE mail.opens")
    result = unload(duckdb_place, path)
    assert result.rows["news.pageviews"] == 2
    assert len(duckdb_place.rows("news.copy")) == 2
    load(duckdb_place, path)
    assert ids(duckdb_place) == ["one", "two"]
    assert ids(duckdb_place, "mail.opens") == ["other"]


def test_columns_and_keys_of_the_users_stay(duckdb_place: DuckDBPlace, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", log(view("one"), of_old_key("old")))
    load(duckdb_place, path)
    duckdb_place.run("ALTER TABLE news.pageviews ADD COLUMN mine VARCHAR DEFAULT 'x'")
    duckdb_place.run("CREATE UNIQUE INDEX once ON news.pageviews (event_id)")
    replay(duckdb_place, rules=BOTH)
    unload(duckdb_place, path)
    load(duckdb_place, path)
    replay(duckdb_place, rules=BOTH)
    assert_balanced(duckdb_place)
    assert {row["mine"] for row in duckdb_place.rows("news.pageviews")} == {"x"}


# Many rejects


def test_many_rejects_are_read_in_order_and_in_parts(
    duckdb_place: DuckDBPlace, tmp_path: Path
) -> None:
    uri = b"/i.gif?" + signed("an older secret")
    for file in "ab":
        ids_ = (b"%s%d" % (file.encode(), at) for at in range(2500))
        views_ = (tsv(Hit(uri=uri, request_id=id_)) for id_ in ids_)
        save(tmp_path, f"{file}.log", log(*(line for view_ in views_ for line in (view_, b"junk"))))
    load(duckdb_place, tmp_path / "logs")
    with duckdb_place.open() as warehouse:
        assert isinstance(warehouse, DuckDBWarehouse)
        entries = warehouse.rejected(Choice())
        read = list(warehouse.read_rejects(Choice(), entries))
        alone = pa.Table.from_batches(warehouse.read_rejects(Choice(), entries[:1]))
    assert len(read) > 2
    assert all(rows.schema == REJECT_SCHEMA for rows in read)
    keys = [
        (row["source_object"], row["source_position"]) for rows in read for row in rows.to_pylist()
    ]
    assert keys == sorted(keys)
    assert (len(keys), len(alone)) == (10_000, 5000)
    result = replay(duckdb_place, rules=BOTH)
    assert (result.changes.accepted, result.kept["malformed"]) == (5000, 5000)
    assert_balanced(duckdb_place)


def test_long_rejects_are_judged_in_blocks(
    duckdb_place: DuckDBPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So memory is bounded; what comes of them does not depend on the blocks."""
    monkeypatch.setattr("pipeline.replay._GROUP_BYTES", 20_000)
    lines = [of_old_key(f"{at}", referrer=b"x" * (at * 97 % 30_000)) for at in range(150)]
    load(duckdb_place, save(tmp_path, "a.log", log(*lines, b"junk")))
    with patch("pipeline.engine.Engine.process_lines", autospec=True) as process:
        process.side_effect = AssertionError
        with pytest.raises(AssertionError):
            replay(duckdb_place, rules=BOTH)
        (_, judged, *_), _ = process.call_args
        assert len(judged.data) < 60_000
    assert replay(duckdb_place, rules=BOTH).changes.accepted == 150
    assert len(ids(duckdb_place)) == 150
    assert_balanced(duckdb_place)


def test_rules_are_those_of_the_replay(duckdb_place: DuckDBPlace, tmp_path: Path) -> None:
    load(duckdb_place, save(tmp_path, "a.log", log(of_old_key("old"))))
    replay(duckdb_place, rules=replace(BOTH, addresses="drop"))
    (row,) = duckdb_place.rows("news.pageviews")
    assert row["remote_ip"] is None
    assert RULES.addresses == "mask"
