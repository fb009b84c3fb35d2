"""Whether two contenders wrote the same rows.

    python -m benchmarks.compare DIR DIR

prints the columns in which the Parquet files below the two folders differ. Null and empty are the
same, a source object's folder and the order of rows are nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import duckdb
import pyarrow.parquet as pq

from benchmarks.task import OUTPUT_COLUMNS

_AS_TEXT: Final = "coalesce({0}::VARCHAR, '')"
_NORMALISED: Final = {
    "timestamp": "epoch_ms(timestamp::TIMESTAMPTZ)",
    "params": "coalesce(nullif(params::VARCHAR, '{}'), '')",
    "source_object": "parse_filename(source_object)",
}


def _view_files(folder: Path) -> list[Path]:
    """The files that hold views; a contender may write others beside them."""
    files = sorted(folder.rglob("*.parquet"))
    return [path for path in files if {"event_id", "key"} <= set(pq.read_schema(path).names)]


def digest_rows(folder: Path) -> dict[str, str]:
    """For each column a digest of its values, each taken together with its row's `event_id`."""
    files = _view_files(folder)
    if not files:
        return dict.fromkeys(OUTPUT_COLUMNS, "absent")
    present = set(pq.read_schema(files[0]).names)
    columns = [name for name in OUTPUT_COLUMNS if name in present]
    sums = (
        f"sum(hash(event_id, {_NORMALISED.get(name, _AS_TEXT.format(name))}))" for name in columns
    )
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    values = database.execute(
        f"SELECT {', '.join(sums)} FROM read_parquet($files, hive_partitioning = false)",
        {"files": [str(path) for path in files]},
    ).fetchone()
    digests = dict(zip(columns, map(str, values or ()), strict=True))
    return {name: digests.get(name, "absent") for name in OUTPUT_COLUMNS}


def differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """The columns whose digests differ."""
    return [name for name in OUTPUT_COLUMNS if one[name] != other[name]]


def main() -> None:
    """Print where two folders differ."""
    parser = argparse.ArgumentParser(description="Compare the rows that two contenders wrote.")
    parser.add_argument("folders", nargs=2, type=Path, metavar="DIR")
    one, other = map(digest_rows, parser.parse_args().folders)
    print("differ in: " + (", ".join(differing(one, other)) or "nothing"))


if __name__ == "__main__":
    main()
