"""Tables that require a partition filter refuse queries without one.

https://cloud.google.com/bigquery/docs/querying-partitioned-tables#require_a_partition_filter_in_queries

A filter compares the partitioning column (bare, or within a function of it alone) with something
constant; both arms of an OR must have one. It counts where it stands at the table, and where it
stands outside a subquery, a CTE or a view and may be moved inside: not past a LIMIT, an aggregation
or a window, unless these go by the filtered column itself. That is on the strict side: where
BigQuery's optimiser moves more than this, we refuse what it would run.
"""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from emulators.rules.errors import BigQueryError
from emulators.rules.state import State
from emulators.rules.statements import Statement

Names = frozenset[str]
Ctes = dict[str, exp.Expr]

_COMPARISONS = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
_NONE: Names = frozenset()


def check_partition_filters(state: State, statement: Statement) -> None:
    """Refuses a statement that could read all partitions of a table that requires a filter."""
    tree = statement.tree
    if tree is None or not any(
        state.tables[ref].get("requirePartitionFilter") or state.tables[ref]["type"] == "VIEW"
        for ref in statement.reads | statement.writes
        if ref in state.tables
    ):
        return
    checker = _Checker(state, statement)
    if isinstance(tree, exp.Create | exp.Drop | exp.Alter):
        return  # a view's filter is looked for when it is queried
    if isinstance(tree, exp.Insert):
        checker.query(tree.expression, _NONE, {})
    elif isinstance(tree, exp.Update | exp.Delete):
        sources = [tree.this, *_sources(tree)]
        for source in sources:
            checker.source(source, _filtered(tree.args.get("where"), source, len(sources)), {})
        checker.nested(tree, {})
    elif isinstance(tree, exp.Merge):
        for source in (tree.this, tree.args["using"]):
            checker.source(source, _filtered_by(tree.args["on"], source, 2), {})
    else:
        checker.query(tree, _NONE, {})


class _Checker:
    """Walks a query from the outside in, with the names of the columns that are filtered so far."""

    def __init__(self, state: State, statement: Statement) -> None:
        self._state = state
        self._statement = statement

    def query(self, query: exp.Expr | None, outer: Names, ctes: Ctes) -> None:
        """A query, of whose result the columns `outer` are filtered outside."""
        if query is None or not isinstance(query, exp.Query):
            return
        ctes = {**ctes, **{cte.alias.lower(): cte.this for cte in query.ctes}}
        if isinstance(query, exp.Subquery):
            self.query(query.this, outer, ctes)
        elif isinstance(query, exp.SetOperation):
            self.query(query.left, outer, ctes)
            self.query(query.right, outer, ctes)
        elif isinstance(query, exp.Select):
            sources = _sources(query)
            for source in sources:
                inside = _inside(query, outer) | _filtered(
                    query.args.get("where"), source, len(sources)
                )
                for join in query.args.get("joins") or ():
                    inside |= _filtered_by(join.args.get("on"), source, len(sources))
                self.source(source, inside, ctes)
            self.nested(query, ctes)

    def nested(self, query: exp.Expr, ctes: Ctes) -> None:
        """The queries within a query's expressions, where nothing is filtered from outside."""
        parts = [query.args.get(name) for name in ("where", "qualify", "having")]
        for part in (*query.expressions, *parts):
            if isinstance(part, exp.Expr):
                inner = part.find(exp.Query)
                if inner is not None:
                    self.query(inner, _NONE, ctes)

    def source(self, source: exp.Expr, filtered: Names, ctes: Ctes) -> None:
        """What stands in a FROM, with the names of its columns that are filtered."""
        if not isinstance(source, exp.Table):
            self.query(source, filtered, ctes)
            return
        if len(source.parts) == 1 and source.name.lower() in ctes:
            name = source.name.lower()
            self.query(ctes[name], filtered, {k: v for k, v in ctes.items() if k != name})
            return
        ref = self._statement.ref(source)
        resource = self._state.tables.get(ref) if ref is not None else None
        if resource is None:
            return
        if resource["type"] == "VIEW":
            body = sqlglot.parse_one(resource["view"]["query"], read="bigquery")
            self.query(body, filtered, {})
            return
        if not resource.get("requirePartitionFilter"):
            return
        column = (resource.get("timePartitioning") or {}).get("field", "_PARTITIONTIME")
        if column.lower() not in filtered:
            table = f"{ref.dataset}.{ref.table}" if ref is not None else source.name
            raise BigQueryError(
                "invalidQuery",
                f"Cannot query over table '{table}' without a filter over column(s) '{column}'"
                " that can be used for partition elimination",
                "query",
            )


def _sources(query: exp.Expr) -> list[exp.Expr]:
    """What stands in a statement's FROM, joins included."""
    start = query.args.get("from_") or query.args.get("from")
    joins = query.args.get("joins") or ()
    return [part.this for part in (start, *joins) if part is not None]


def _inside(query: exp.Select, outer: Names) -> Names:
    """The columns of a SELECT's sources that are filtered when its results are by `outer`."""
    moved = set(outer)
    if query.args.get("limit") or query.args.get("offset") or query.args.get("distinct"):
        moved = set()
    grouped = query.args.get("group")
    if grouped or any(
        part.find(exp.AggFunc) and not part.find(exp.Window) for part in query.selects
    ):
        moved &= _bare(grouped.expressions if grouped else ())
    for window in query.find_all(exp.Window):
        if window.find_ancestor(exp.Select) is query:
            moved &= _bare(window.args.get("partition_by") or ())
    names: set[str] = set()
    for part in query.selects:
        if isinstance(part, exp.Star) or part.is_star:
            names |= moved
        elif part.alias_or_name.lower() in moved and isinstance(part.unalias(), exp.Column):
            names.add(part.unalias().name.lower())
    return frozenset(names)


def _bare(expressions: tuple[exp.Expr, ...] | list[exp.Expr]) -> set[str]:
    return {part.name.lower() for part in expressions if isinstance(part, exp.Column)}


def _filtered(where: exp.Expr | None, source: exp.Expr, sources: int) -> Names:
    return _filtered_by(where.this if where is not None else None, source, sources)


def _filtered_by(condition: exp.Expr | None, source: exp.Expr, sources: int) -> Names:
    """The columns of `source`, one of so many, that a condition holds to constants."""
    if isinstance(condition, exp.Paren):
        return _filtered_by(condition.this, source, sources)
    if isinstance(condition, exp.And | exp.Or):
        left = _filtered_by(condition.left, source, sources)
        right = _filtered_by(condition.right, source, sources)
        return left | right if isinstance(condition, exp.And) else left & right
    held = (_held(side, others, source, sources) for side, others in _comparisons(condition))
    return _NONE.union(*held)


def _comparisons(condition: exp.Expr | None) -> list[tuple[exp.Expr, list[exp.Expr]]]:
    """What a condition compares with what: either side of it, where both may be held."""
    if isinstance(condition, _COMPARISONS):
        return [(condition.left, [condition.right]), (condition.right, [condition.left])]
    if isinstance(condition, exp.Between):
        return [(condition.this, [condition.args["low"], condition.args["high"]])]
    if isinstance(condition, exp.In) and not condition.args.get("query"):
        others = condition.expressions or [condition.args.get("unnest")]
        return [(condition.this, [other for other in others if other])]
    if isinstance(condition, exp.Is):
        return [(condition.this, [condition.expression])]
    return []


def _held(side: exp.Expr, others: list[exp.Expr], source: exp.Expr, sources: int) -> Names:
    """The one column of `source` on a side of a comparison whose other side is constant."""
    if any(other.find(exp.Column, exp.Query) for other in others) or side.find(exp.Query):
        return _NONE
    columns = {(column.table.lower(), column.name.lower()) for column in side.find_all(exp.Column)}
    if len(columns) != 1:
        return _NONE
    ((table, name),) = columns
    is_ours = table == source.alias_or_name.lower() or (not table and sources == 1)
    return frozenset({name}) if is_ours else _NONE
