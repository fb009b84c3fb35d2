"""What a GoogleSQL statement reads, writes and creates."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlglot
from bqemulator.jobs.executor import classify_statement_type
from bqemulator.sql.rewriter.default_dataset import qualify_unqualified_tables
from sqlglot import exp

from emulators.rules.errors import BigQueryError
from emulators.rules.state import TableRef


@dataclass
class Statement:
    """One statement (or a script, whose `tree` is None), with the tables that it names.

    `is_new` says that what it creates must not be there yet.
    """

    sql: str
    kind: str
    project: str
    tree: exp.Expr | None = None
    reads: set[TableRef] = field(default_factory=set)
    writes: set[TableRef] = field(default_factory=set)
    creates: set[TableRef] = field(default_factory=set)
    datasets: set[tuple[str, str]] = field(default_factory=set)
    is_new: bool = False

    def ref(self, table: exp.Table) -> TableRef | None:
        """The table that a node names; None for one of the query's own, or a catalogue's view."""
        parts = [part.name for part in table.parts]
        if len(parts) == 1 and "." in parts[0]:
            parts = parts[0].split(".")
        if any(part.upper().startswith("INFORMATION_SCHEMA") for part in parts):
            return None
        if len(parts) == 2:
            return TableRef(self.project, parts[0], parts[1])
        if len(parts) == 3:
            return TableRef(parts[0], parts[1], parts[2])
        return None


def read_statement(sql: str, project: str, default: str | None = None) -> Statement:
    """Parses a statement; `default` is the data set of tables that are named without one.

    Several statements are a script, whose tables are not looked into.
    """
    if default:
        sql = qualify_unqualified_tables(sql, default_project=project, default_dataset=default)
    try:
        trees = [tree for tree in sqlglot.parse(sql, read="bigquery") if tree is not None]
    except sqlglot.errors.ParseError as error:
        raise BigQueryError("invalidQuery", f"Syntax error: {error}", "query") from error
    if len(trees) != 1 or isinstance(trees[0], exp.Command):
        return Statement(sql, "SCRIPT", project)
    tree = trees[0]
    statement = Statement(sql, classify_statement_type(sql), project, tree)
    target = _target(tree)
    for table in _tables(tree):
        ref = statement.ref(table)
        if table is target and isinstance(tree, exp.Create | exp.Drop | exp.Alter):
            _note_ddl(statement, tree, table, ref)
        elif ref is not None:
            (statement.writes if table is target else statement.reads).add(ref)
    return statement


def _tables(tree: exp.Expr) -> list[exp.Table]:
    """The tables that a statement names: not its CTEs, not table functions."""
    ctes = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    return [
        table
        for table in tree.find_all(exp.Table)
        if not isinstance(table.this, exp.Func)
        and not (len(table.parts) == 1 and table.name.lower() in ctes)
    ]


def _target(tree: exp.Expr) -> exp.Table | None:
    """The table that the statement changes."""
    if not isinstance(tree, exp.DML | exp.Create | exp.Drop | exp.Alter | exp.TruncateTable):
        return None
    target = tree.expressions[0] if isinstance(tree, exp.TruncateTable) else tree.this
    if isinstance(target, exp.Schema):
        target = target.this
    return target if isinstance(target, exp.Table) else None


def _note_ddl(statement: Statement, tree: exp.Expr, table: exp.Table, ref: TableRef | None) -> None:
    kind = str(tree.args.get("kind") or "").upper()
    if kind == "SCHEMA":
        return
    if ref is None:
        raise BigQueryError("invalidQuery", f"Table {table.name!r} must be qualified", "query")
    if isinstance(tree, exp.Create):
        statement.is_new = not tree.args.get("replace") and not tree.args.get("exists")
    if isinstance(tree, exp.Create) or tree.args.get("exists"):
        statement.creates.add(ref)
        statement.datasets.add((ref.project, ref.dataset))
    statement.writes.add(ref)
