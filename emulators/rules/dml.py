"""What BigQuery's DML refuses or understands, and DuckDB's does not.

https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax
"""

from __future__ import annotations

from sqlglot import exp

from emulators.rules.catalogue import fields_of
from emulators.rules.errors import BigQueryError
from emulators.rules.execution import execute
from emulators.rules.state import Job, State
from emulators.rules.statements import Statement


def check_where(statement: Statement) -> None:
    """UPDATE and DELETE have a WHERE.

    https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax#where_keyword
    """
    tree = statement.tree
    if isinstance(tree, exp.Update | exp.Delete) and tree.args.get("where") is None:
        raise _refused(f"{statement.kind} must have a WHERE clause")


async def check_matches(state: State, job: Job, statement: Statement) -> None:
    """A row is changed by one row at most; DuckDB would take any of them.

    https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax#update_statement
    https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax#merge_statement
    """
    joined = _joined(statement.tree)
    if joined is None or statement.tree is None:
        return
    target = statement.tree.this
    row = f"`{target.alias_or_name}`.rowid"
    sql = f"SELECT 1 AS one {joined} GROUP BY {row} HAVING COUNT(*) > 1 LIMIT 1"
    _, rows, _ = await execute(state, job, sql)
    if rows is not None and rows.num_rows:
        raise _refused("UPDATE/MERGE must match at most one source row for each target row")


def _joined(tree: exp.Expr | None) -> str | None:
    """The FROM and WHERE that join a statement's target with what it is changed by, if any."""
    if isinstance(tree, exp.Update) and tree.args.get("from_") is not None:
        source = tree.args["from_"].this.sql(dialect="bigquery")
        condition = tree.args["where"].this.sql(dialect="bigquery")
        return f"FROM {tree.this.sql(dialect='bigquery')} CROSS JOIN {source} WHERE {condition}"
    if not isinstance(tree, exp.Merge):
        return None
    matched = [when for when in tree.args["whens"].expressions if when.args["matched"]]
    if not matched:
        return None
    conditions = [when.args.get("condition") for when in matched]
    either = " OR ".join(
        "TRUE" if c is None else f"({c.sql(dialect='bigquery')})" for c in conditions
    )
    target, source, on = (
        tree.args[name].sql(dialect="bigquery") for name in ("this", "using", "on")
    )
    return f"FROM {target} JOIN {source} ON {on} WHERE {either}"


async def without_insert_row(state: State, job: Job, statement: Statement) -> str:
    """The statement with `INSERT ROW` written out: the source's columns into the target's, in order.

    https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax#merge_statement
    """
    tree = statement.tree
    clauses = _insert_rows(tree)
    if tree is None or not clauses:
        return statement.sql
    (ref,) = statement.writes
    target = [field["name"] for field in fields_of(state.table(ref))]
    using = tree.args["using"]
    _, _, columns = await execute(
        state, job, f"SELECT * FROM {using.sql(dialect='bigquery')} LIMIT 0"
    )
    if len(target) != len(columns):
        raise _refused(
            f"Inserted row has wrong column count; Has {len(columns)}, expected {len(target)}"
        )
    for clause in clauses:
        into = [exp.column(exp.Identifier(this=name, quoted=True)) for name in target]
        values = [
            exp.column(exp.Identifier(this=column["name"], quoted=True), table=using.alias_or_name)
            for column in columns
        ]
        clause.set("this", exp.Tuple(expressions=into))
        clause.set("expression", exp.Tuple(expressions=values))
    return tree.sql(dialect="bigquery")


def _insert_rows(tree: exp.Expr | None) -> list[exp.Insert]:
    """The `INSERT ROW` clauses of a MERGE."""
    if not isinstance(tree, exp.Merge):
        return []
    return [
        insert
        for insert in tree.args["whens"].find_all(exp.Insert)
        if isinstance(insert.this, exp.Var) and insert.this.name.upper() == "ROW"
    ]


def _refused(message: str) -> BigQueryError:
    return BigQueryError("invalidQuery", message, "query")
