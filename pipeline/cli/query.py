"""`pixelship query`: a look into the DuckDB file."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.text import printable
from pipeline.errors import SetupError


@click.command()
@click.argument("sql")
@click.option(
    "--db", "path", default="pixelship.duckdb", show_default=True,
    type=click.Path(path_type=Path), help="The DuckDB file.",
)  # fmt: skip
def query(sql: str, path: Path) -> None:
    """Run SQL on the DuckDB file and print the result as a table.

    The file is opened for reading only. `SHOW ALL TABLES` tells what is there.
    """
    import duckdb
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pipeline.warehouses.duckdb import connect

    if not path.is_file():
        raise SetupError(f"No DuckDB file is at {path}: load a log first, or name it with --db.")
    try:
        with connect(path, read_only=True) as connection:
            result = connection.sql(sql)
            names, rows = ((), []) if result is None else (result.columns, result.fetchall())
    except duckdb.Error as error:
        raise SetupError(f"The query failed: {str(error).splitlines()[0]}") from None
    table = Table()
    for name in names:
        table.add_column(Text(printable(name)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(value)) for value in row))
    Console().print(table)
