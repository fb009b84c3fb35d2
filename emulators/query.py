"""Asks the emulated BigQuery: `python -m emulators.query "SQL"` prints the result as a table.

`BIGQUERY_EMULATOR_HOST` says where it is, `GOOGLE_CLOUD_PROJECT` whose data sets are meant. Without
them nothing is asked: this never talks to Google.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.text import printable
from pipeline.errors import ServiceError, SetupError
from pipeline.gcp import explaining, limits

VARIABLES = ("BIGQUERY_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT")


def ask(sql: str) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns' names and the rows of a query; raises SetupError, ServiceError."""
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        raise SetupError(f"{missing[0]} is not set: `make cloud` prints what to export.")
    project = os.environ["GOOGLE_CLOUD_PROJECT"]
    credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
    with explaining("query BigQuery"), bigquery.Client(project, credentials) as client:
        # Without `job_retry`, which would try for ten minutes whatever the limits are.
        rows = client.query(sql, job_retry=None, **limits()).result(job_retry=None, **limits())
        return [field.name for field in rows.schema], [dict(row) for row in rows]


def main(arguments: list[str] | None = None) -> int:
    """Prints a query's rows; 1 with a sentence where it fails."""
    parser = argparse.ArgumentParser(prog="python -m emulators.query", description=__doc__)
    parser.add_argument("sql", metavar="SQL")
    try:
        names, rows = ask(parser.parse_args(arguments).sql)
    except (SetupError, ServiceError) as error:
        print(error, file=sys.stderr)
        return 1
    table = Table()
    for name in names:
        table.add_column(Text(printable(name)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(row[name])) for name in names))
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
