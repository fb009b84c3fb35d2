"""Views that a batch holds twice are taken out of its shards, and counted by log object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import duplicates, schemas
from pipeline.duplicates import drop_duplicates
from pipeline.model import Tally
from pipeline.staging import Shard, Staged, shard_path, write_rows
from pipeline.storage import create_file

NOON = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)
Place = tuple[str, str, int]
"""A view: its id, its log object, its position there."""


@dataclass(frozen=True)
class Folder:
    """A folder for shards."""

    path: Path

    def shard(self, *views: Place, destination: str = "news.views") -> Shard:
        rows = [
            {
                "timestamp": NOON,
                "key": f"key of {id_}",
                "event_id": id_,
                "source_object": name,
                "source_position": position,
            }
            for id_, name, position in views
        ]
        path = shard_path(str(self.path), "event")
        write_rows(pa.Table.from_pylist(rows, schemas.arrow("event")), path, create_file)
        return Shard("event", destination, path, len(rows))

    def drop(self, *shards: Shard) -> Staged:
        return drop_duplicates(staged_of(*shards), str(self.path))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def staged_of(*shards: Shard) -> Staged:
    """The shards as a worker would have told of them."""
    tallies: dict[str, Tally] = {}
    for shard in shards:
        for row in pq.read_table(shard.path).to_pylist():
            tally = tallies.setdefault(row["source_object"], Tally())
            tally.lines += 1
            tally.accepted += 1
    return Staged(list(shards), tallies)


def places(shards: Sequence[Shard]) -> list[Place]:
    """The views in shards, in their order."""
    rows = [row for shard in shards for row in pq.read_table(shard.path).to_pylist()]
    return [(row["event_id"], row["source_object"], row["source_position"]) for row in rows]


def counts(staged: Staged) -> dict[str, tuple[int, int]]:
    """Accepted and duplicate views of each log object."""
    return {name: (tally.accepted, tally.duplicate) for name, tally in staged.tallies.items()}


def test_shards_without_duplicates_stay_as_they_are(folder: Folder) -> None:
    shards = folder.shard(("1", "a", 0), ("2", "a", 9)), folder.shard(("3", "b", 0))
    before = sorted(folder.path.iterdir())
    whole = folder.drop(*shards)
    assert whole == staged_of(*shards)
    assert sorted(folder.path.iterdir()) == before


def test_nothing_staged_is_nothing_dropped(folder: Folder) -> None:
    assert folder.drop() == Staged()


def test_the_first_in_the_order_of_objects_and_positions_stays(folder: Folder) -> None:
    last = folder.shard(("1", "b", 0), ("2", "b", 5))
    first = folder.shard(("1", "a", 700), ("1", "a", 70), ("3", "a", 800))
    whole = folder.drop(last, first)
    assert sorted(places(whole.shards)) == [("1", "a", 70), ("2", "b", 5), ("3", "a", 800)]
    assert [shard.rows for shard in whole.shards] == [1, 2]
    assert counts(whole) == {"b": (1, 1), "a": (2, 1)}
    assert all(tally.adds_up for tally in whole.tallies.values())


def test_a_shard_that_loses_all_its_rows_is_gone(folder: Folder) -> None:
    kept, lost = folder.shard(("1", "a", 0)), folder.shard(("1", "b", 0), ("1", "b", 9))
    whole = folder.drop(lost, kept)
    assert whole.shards == [kept]
    assert counts(whole) == {"b": (0, 2), "a": (1, 0)}


def test_what_was_staged_is_left_as_it_is(folder: Folder) -> None:
    shards = folder.shard(("1", "a", 0), ("1", "a", 9)), folder.shard(("1", "b", 0))
    staged = staged_of(*shards)
    files = {path: path.read_bytes() for path in folder.path.iterdir()}
    drop_duplicates(staged, str(folder.path))
    assert staged == staged_of(*shards)
    assert {path: path.read_bytes() for path in files} == files


def test_views_for_other_tables_and_other_rows_are_none_of_it(folder: Folder) -> None:
    shards = (
        folder.shard(("1", "a", 0)),
        folder.shard(("1", "a", 9), destination="mail.opens"),
        Shard("rejects", "", "nowhere.parquet", 3),
        Shard("bot_hits", "", "nowhere.parquet", 3),
    )
    staged = Staged(list(shards), {"a": Tally(lines=8, accepted=2, rejected=Counter(x=3), bot=3)})
    assert drop_duplicates(staged, str(folder.path)) == staged


@pytest.mark.parametrize(
    "id_", ["", "'", '"', "`", "\\", "it's; DROP TABLE seen", "é日本🙂", "a\x00b", "%s {} $1", " "]
)
def test_any_text_is_an_id(folder: Folder, id_: str) -> None:
    others = [(id_ + "x", "a", 1), (id_.upper() + "!", "a", 2), ("e\u0301", "a", 3), ("é", "a", 4)]
    whole = folder.drop(folder.shard((id_, "a", 0), *others), folder.shard((id_, "b", 0)))
    assert places(whole.shards) == [(id_, "a", 0), *others]


def test_what_stays_keeps_all_its_columns_and_their_types(folder: Folder) -> None:
    shard = folder.shard(("1", "a", 0), ("1", "a", 9), ("2", "a", 20))
    (left,) = folder.drop(shard).shards
    before, after = pq.read_table(shard.path), pq.read_table(left.path)
    assert after.schema == before.schema
    assert after.to_pylist() == [before.to_pylist()[at] for at in (0, 2)]
    assert (left.table, left.destination, left.rows) == ("event", "news.views", 2)


def test_ids_with_one_hash_are_told_apart(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    class Colliding:
        """A database whose hashes are all the same."""

        def __init__(self, db: Any) -> None:
            self._db = db

        def __enter__(self) -> Colliding:
            return self

        def __exit__(self, *_: object) -> None:
            self._db.close()

        def register(self, *view: Any) -> None:
            self._db.register(*view)

        def execute(self, sql: str) -> Any:
            return self._db.execute(sql.replace("hash(event_id)", "7::UBIGINT"))

    connect = duckdb.connect
    monkeypatch.setattr("duckdb.connect", lambda: Colliding(connect()))
    whole = folder.drop(folder.shard(("1", "a", 0), ("2", "a", 9)), folder.shard(("1", "b", 0)))
    assert places(whole.shards) == [("1", "a", 0), ("2", "a", 9)]


VIEW = st.tuples(st.sampled_from(["1", "2", "3", "é", ""]), st.sampled_from("abc"))


@given(st.lists(st.lists(VIEW, min_size=1, max_size=6), max_size=5), st.integers(1, 8))
def test_each_view_stays_once_however_it_was_spread(
    tmp_path_factory: pytest.TempPathFactory, spread: list[list[tuple[str, str]]], at_once: int
) -> None:
    folder = Folder(tmp_path_factory.mktemp("shards"))
    numbers = iter(range(1000, 0, -1))
    views = [[(id_, name, next(numbers)) for id_, name in part] for part in spread]
    shards = [folder.shard(*part) for part in views]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_READERS", 2)
        patch.setattr(duplicates, "_ROWS_AT_ONCE", at_once)
        whole = folder.drop(*shards)
    everything = [view for part in views for view in part]
    wanted = {
        id_: min(view[1:] for view in everything if view[0] == id_) for id_, _, _ in everything
    }
    found = places(whole.shards)
    assert {view[0]: view[1:] for view in found} == wanted
    assert len(found) == len(wanted) == sum(shard.rows for shard in whole.shards)
    accepted = Counter(name for _, name, _ in found)
    for name, tally in whole.tallies.items():
        assert tally.adds_up
        assert tally.accepted == accepted[name]
