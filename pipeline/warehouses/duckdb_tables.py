"""The tables in a DuckDB file: makes them as `schemas/` says, and says why one cannot be loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from pipeline import schemas
from pipeline.errors import SetupError
from pipeline.warehouses.contract import RefusedError

CATALOG = "warehouse"
"""The name under which the file is attached."""
_TYPES = {"STRING": "VARCHAR", "INTEGER": "BIGINT", "TIMESTAMP": "TIMESTAMP", "BYTES": "BLOB"}
_REFUSALS = (
    duckdb.DataError,
    duckdb.DependencyException,
    duckdb.IntegrityError,
    duckdb.NotSupportedError,
    duckdb.ProgrammingError,
)


def connect(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A connection to the file; raises SetupError where it is busy or no DuckDB file.

    The file is attached under a name of its own: by default DuckDB would name it after its file,
    and `pixelship.duckdb` would clash with the schema `pixelship` inside. Its type is named too:
    DuckDB would fetch an extension for a file that looks like another database's.
    """
    file = literal(str(path.resolve()))
    db = duckdb.connect()
    try:
        db.execute(f"ATTACH {file} AS {CATALOG} (TYPE duckdb{', READ_ONLY' if read_only else ''})")
    except duckdb.Error as error:
        db.close()
        if "Could not set lock" in str(error):
            raise SetupError(
                f"{path} is busy: another process has it open; try again when it is done."
            ) from None
        raise SetupError(f"{path} cannot be opened as a DuckDB file: {first_line(error)}") from None
    db.execute(f"USE {CATALOG}")
    return db


@contextmanager
def refusing(table: str) -> Iterator[None]:
    """Makes DuckDB's refusal of rows or columns, such as a constraint of the user's, a RefusedError."""
    try:
        yield
    except _REFUSALS as error:
        raise RefusedError(table, f"DuckDB says: {first_line(error)}") from None


def prepare(db: duckdb.DuckDBPyConnection, destination: str) -> None:
    """Creates a destination, or gives it the columns it lacks; raises RefusedError."""
    schema, table = destination.split(".")
    found = db.execute(
        "SELECT table_schema, table_name, table_type FROM information_schema.tables "
        "WHERE table_catalog = ? AND lower(table_schema) = lower(?) AND lower(table_name) = lower(?)",
        [CATALOG, schema, table],
    ).fetchone()
    cased = db.execute(
        "SELECT schema_name FROM information_schema.schemata "
        "WHERE catalog_name = ? AND lower(schema_name) = lower(?)",
        [CATALOG, schema],
    ).fetchone()
    taken = f"{found[0]}.{found[1]}" if found else f"{cased[0] if cased else schema}.{table}"
    if taken != destination:
        why = f"its name differs only in case from {taken}, and DuckDB folds case"
        raise RefusedError(destination, why)
    if found and found[2] != "BASE TABLE":
        raise RefusedError(destination, "a view has its name")
    with refusing(destination):
        ensure_table(db, destination, schemas.table("event"))


def ensure_table(
    db: duckdb.DuckDBPyConnection, name: str, columns: Sequence[schemas.Column]
) -> None:
    """Creates a table with described columns, or gives it those that it lacks.

    Raises RefusedError where one is of another type.
    """
    found = db.execute(
        "SELECT lower(column_name), data_type FROM information_schema.columns "
        "WHERE table_catalog = ? AND table_schema = ? AND table_name = ?",
        [CATALOG, *name.split(".")],
    ).fetchall()
    types = dict(found)
    for column in columns:
        type_ = types.get(column.name, _TYPES[column.type])
        if type_ != _TYPES[column.type]:
            raise RefusedError(
                name, f"its column {column.name} is {type_}, not {_TYPES[column.type]}"
            )
    if not found:
        definitions = (_definition(column, column.is_required) for column in columns)
        db.execute(f"CREATE SCHEMA IF NOT EXISTS {place(name.partition('.')[0])}")
        db.execute(f"CREATE TABLE {place(name)} ({', '.join(definitions)})")
    for column in columns:
        if found and column.name not in types:
            db.execute(f"ALTER TABLE {place(name)} ADD COLUMN {_definition(column)}")
        if column.name not in types:
            described = f"{place(name)}.{quoted(column.name)}"
            db.execute(f"COMMENT ON COLUMN {described} IS {literal(column.description)}")


def _definition(column: schemas.Column, is_required: bool = False) -> str:
    """A column's name and type; DuckDB adds to a table none that may not be null."""
    return f"{quoted(column.name)} {_TYPES[column.type]}{' NOT NULL' if is_required else ''}"


def place(name: str) -> str:
    """A dotted name of a schema or a table as SQL, its catalog included.

    DuckDB has catalogs named `temp`, `system` and `memory`, as a schema may be.
    """
    return ".".join(quoted(part) for part in (CATALOG, *name.split(".")))


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def first_line(error: Exception) -> str:
    """What an error says, without the query and the marks below it."""
    return str(error).partition("\n")[0]
