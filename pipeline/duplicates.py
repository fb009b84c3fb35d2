"""Takes views that a batch holds twice out of its shards: at-least-once sources log some lines twice.

Of the rows of a destination that share an `event_id`, the first in the order of log objects and
positions stays. Only hashes of the identities are compared, by DuckDB, which spills to disk where
they are many; shards without duplicates are left as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.staging import Shard, Staged, shard_path, write_rows
from pipeline.storage import create_file, open_file

_Rows = npt.NDArray[np.int64]

_IDENTITY = "hash(destination, event_id)"

_MEMORY_LIMIT = "400MB"
_READERS = 8
_ROWS_AT_ONCE = 100_000
_ROWS_OF_LOT = 1_000_000


def drop_duplicates(staged: Staged, folder: str) -> Staged:
    """What was staged, each view of a destination once; the tallies count the duplicates.

    Shards that lose rows are written anew into `folder`. `staged` itself is left as it is.
    """
    whole = deepcopy(staged)
    for shards in _lots(staged.shards):
        for path, surplus in _surplus(shards).items():
            _take_out(whole, path, surplus, folder)
    return whole


def _lots(shards: Sequence[Shard]) -> Iterator[list[Shard]]:
    """The shards of views, all of a destination together; small destinations side by side."""
    by_destination: dict[str, list[Shard]] = defaultdict(list)
    for shard in shards:
        if shard.table == "event":
            by_destination[shard.destination].append(shard)
    lot: list[Shard] = []
    rows = 0
    for some in by_destination.values():
        more = sum(shard.rows for shard in some)
        if lot and rows + more > _ROWS_OF_LOT:
            yield lot
            lot, rows = [], 0
        lot += some
        rows += more
    if lot:
        yield lot


def _surplus(shards: Sequence[Shard]) -> dict[str, _Rows]:
    """By shard, the numbers of the rows whose identity an earlier row has."""
    with TemporaryDirectory(prefix="pixelship-") as spill, duckdb.connect() as db:
        db.execute(f"SET memory_limit = '{_MEMORY_LIMIT}'")
        db.execute(f"SET temp_directory = '{spill}'")
        db.execute("CREATE TABLE seen (hash UBIGINT)")
        for rows in _read(shards, ["event_id"]):
            db.register("rows", rows)
            db.execute(f"INSERT INTO seen SELECT {_IDENTITY} FROM rows")
        db.execute("CREATE TABLE twice AS FROM seen GROUP BY hash HAVING count(*) > 1")
        if not db.execute("FROM twice LIMIT 1").fetchall():
            return {}
        db.execute(
            "CREATE TABLE places (shard INT, row BIGINT, destination INT, id VARCHAR, object VARCHAR, position BIGINT)"
        )
        for rows in _read(shards, ["event_id", "source_object", "source_position"]):
            db.register("rows", rows)
            db.execute(
                "INSERT INTO places SELECT shard, row, destination, event_id, source_object, "
                f"source_position FROM rows WHERE {_IDENTITY} IN (FROM twice)"
            )
        found = db.execute(
            "SELECT shard, row FROM places "
            "QUALIFY row_number() OVER (PARTITION BY destination, id ORDER BY object, position) > 1"
        ).fetchnumpy()
    return {
        shards[number].path: found["row"][found["shard"] == number]
        for number in np.unique(found["shard"])
    }


def _read(shards: Sequence[Shard], columns: list[str]) -> Iterator[pa.Table]:
    """Some columns of all shards, with numbers of `shard`, `row` and `destination`; many rows at a time."""
    numbers = {name: at for at, name in enumerate({shard.destination: 0 for shard in shards})}

    def read(number: int) -> pa.Table:
        with closing(open_file(shards[number].path)) as stream:
            rows = pq.read_table(stream, columns=columns)
        places = {
            "shard": np.full(len(rows), number),
            "row": np.arange(len(rows)),
            "destination": np.full(len(rows), numbers[shards[number].destination]),
        }
        for name, values in places.items():
            rows = rows.append_column(name, pa.array(values))
        return rows

    held: list[pa.Table] = []
    with ThreadPoolExecutor(_READERS) as readers:
        for first in range(0, len(shards), _READERS):
            held += readers.map(read, range(first, min(first + _READERS, len(shards))))
            if sum(map(len, held)) >= _ROWS_AT_ONCE:
                yield pa.concat_tables(held)
                held = []
    if held:
        yield pa.concat_tables(held)


def _take_out(whole: Staged, path: str, surplus: _Rows, folder: str) -> None:
    """Replaces a shard by one without some rows, which become duplicates in the tallies."""
    with closing(open_file(path)) as stream:
        rows = pq.read_table(stream)
    for entry in pc.value_counts(rows.column("source_object").take(pa.array(surplus))).to_pylist():
        tally = whole.tallies[entry["values"]]
        tally.accepted -= entry["counts"]
        tally.duplicate += entry["counts"]
    keep = np.setdiff1d(np.arange(len(rows)), surplus)
    at = next(at for at, shard in enumerate(whole.shards) if shard.path == path)
    shard = whole.shards.pop(at)
    if len(keep):
        path = shard_path(folder, "event")
        write_rows(rows.take(pa.array(keep)), path, create_file)
        whole.shards.insert(at, replace(shard, path=path, rows=len(keep)))
