"""Apache Beam's own way into BigQuery: `WriteToBigQuery` by file loads, a dict for each row.

    python -m benchmarks.peers.write_to_bigquery WAY --project P --temp gs://B/F FILE...

The two tables are there already. `dynamic` and `fixed` read staged rows (Parquet, as this pipeline
leaves them); `log` reads the log itself, as `beam_per_line` does.

- `dynamic` is one sink that picks the table for each row, as a pipeline must that does not know its
  destinations: Beam loads temporary tables, then copies them. So does `log`.
- `fixed` is a sink for each table, which are known beforehand: it loads them outright.

It runs in process, on the runner that needs no download. Two things lead it to the emulators, neither
of them in the way of the rows: the address of Beam's older BigQuery client, which heeds no variable,
and made-up credentials.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, Final

import apache_beam as beam
import pyarrow.parquet as pq
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.gcp.internal.clients.bigquery import BigqueryV2
from apache_beam.options.pipeline_options import PipelineOptions

from benchmarks.peers.beam_per_line import parse_tsv, views
from pipeline.schemas import table

Row = dict[str, Any]

PAGES, MAIL = "news.pageviews", "mail.opens"
_RUNNER: Final = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
_SCHEMA: Final = {
    "fields": [{"name": c.name, "type": c.type, "mode": c.mode} for c in table("event")]
}


def destination(row: Row) -> str:
    """Whose row it is: pixels in mail carry a parameter of their own, those on pages none."""
    return MAIL if row["params"] else PAGES


def read_rows(path: str) -> Iterator[Row]:
    """The rows of a Parquet file."""
    with FileSystems.open(path) as stream, pq.ParquetFile(stream) as file:
        for batch in file.iter_batches():
            yield from batch.to_pylist()


def sink(table: Any) -> beam.PTransform:
    """Beam's sink, for a table or for a function from a row to one."""
    return beam.io.WriteToBigQuery(
        table,
        schema=_SCHEMA,
        method=beam.io.WriteToBigQuery.Method.FILE_LOADS,
        create_disposition=beam.io.BigQueryDisposition.CREATE_NEVER,
        write_disposition=beam.io.BigQueryDisposition.WRITE_APPEND,
    )


def write_dynamic(rows: beam.PCollection, project: str) -> None:
    """One sink."""
    _ = rows | "Write" >> sink(lambda row: f"{project}:{destination(row)}")


def write_fixed(rows: beam.PCollection, project: str) -> None:
    """A sink for each table."""
    names = (PAGES, MAIL)
    parts = rows | "Split" >> beam.Partition(lambda row, _: names.index(destination(row)), 2)
    for name, part in zip(names, parts, strict=True):
        _ = part | f"Write {name}" >> sink(f"{project}:{name}")


def rows_of_line(named_line: tuple[str, str], secret: bytes) -> Iterator[Row]:
    """The row of a line that counts, with the columns that the task of the other benchmarks has."""
    for view in views(named_line, parse_tsv, secret):
        row = view.value
        row["timestamp"] = str(datetime.fromtimestamp(row["timestamp"] / 1000, timezone.utc))
        row["params"] = None if row["params"] == "{}" else row["params"]
        yield row


def rows_of(way: str, files: beam.PCollection) -> beam.PCollection:
    """The rows of the files: those staged, or those of the log's lines."""
    if way != "log":
        return files | "Read" >> beam.FlatMap(read_rows).with_output_types(dict[str, Any])
    secret = os.environ["SIGNER_SECRET"].encode()
    return (
        files
        | "Read" >> beam.io.ReadAllFromText(with_filename=True)
        | "Judge" >> beam.FlatMap(rows_of_line, secret).with_output_types(dict[str, Any])
    )


_WAYS: Final = {"dynamic": write_dynamic, "fixed": write_fixed, "log": write_dynamic}


def main() -> None:
    """Writes the rows of the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=tuple(_WAYS))
    parser.add_argument("--project", required=True)
    parser.add_argument("--temp", required=True, help="folder for the files that are loaded")
    parser.add_argument("files", nargs="+", metavar="FILE")
    given = parser.parse_args()
    BigqueryV2.BASE_URL = f"{os.environ['BIGQUERY_EMULATOR_HOST']}/bigquery/v2/"
    options = PipelineOptions([], project=given.project, temp_location=given.temp)
    with beam.Pipeline(_RUNNER, options=options) as pipeline:
        files = pipeline | "Files" >> beam.Create(given.files, reshuffle=False)
        _WAYS[given.way](rows_of(given.way, files), given.project)


if __name__ == "__main__":
    main()
