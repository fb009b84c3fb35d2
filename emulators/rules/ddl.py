"""Tables and views that SQL made, changed or dropped, taken into the catalogue."""

from __future__ import annotations

from bqemulator.api.routes.tables import _table_to_rest
from bqemulator.catalog.models import TableMeta
from bqemulator.storage.type_map import duckdb_type_to_bq_field
from sqlglot import exp

from emulators.rules import catalogue
from emulators.rules.errors import BigQueryError, Json
from emulators.rules.schemas import by_name
from emulators.rules.state import State, TableRef, now_ms
from emulators.rules.statements import Statement


def check_ddl(statement: Statement) -> None:
    """Refuses tables whose layout would be lost on the way."""
    tree = statement.tree
    if isinstance(tree, exp.Create) and str(tree.args.get("kind")).upper() == "TABLE":
        layout = (exp.PartitionedByProperty, exp.Cluster, exp.Property)
        if any(
            isinstance(each, layout)
            for each in getattr(tree.args.get("properties"), "expressions", ())
        ):
            raise BigQueryError(
                "notImplemented",
                "The emulator makes tables with PARTITION BY, CLUSTER BY or OPTIONS by tables.insert"
                " only.",
            )


def adopt(state: State, statement: Statement) -> None:
    """After a CREATE, ALTER or DROP: our catalogue follows what was done."""
    tree = statement.tree
    if not isinstance(tree, exp.Create | exp.Drop | exp.Alter):
        return
    for ref in statement.writes:
        if isinstance(tree, exp.Alter):
            _reread_columns(state, ref)
            continue
        meta = state.context.catalog.get_table(ref.project, ref.dataset, ref.table)
        if meta is None:
            state.tables.pop(ref, None)
        else:
            _take_in(state, ref, meta)


def _take_in(state: State, ref: TableRef, meta: TableMeta) -> None:
    """A table or view that bqemulator's catalogue got from a CREATE."""
    inner = _table_to_rest(meta)
    resource: Json = {
        "kind": "bigquery#table",
        "id": str(ref),
        "tableReference": ref.as_json(),
        "type": inner["type"],
        "creationTime": now_ms(),
        "location": state.dataset(ref.project, ref.dataset)["location"],
        **{name: inner[name] for name in catalogue.TABLE_FIELDS if name in inner},
    }
    if inner["type"] == "VIEW":
        resource["view"] = {"query": meta.view_query, "useLegacySql": False}
    state.tables[ref] = resource
    catalogue.touch(state, resource)


def _reread_columns(state: State, ref: TableRef) -> None:
    """A table's columns after an ALTER, as DuckDB has them now."""
    resource = state.table(ref)
    known = by_name(catalogue.fields_of(resource))
    fields = []
    for name, kind, is_null, *_ in state.sql(f"DESCRIBE {catalogue.duck(ref)}"):
        field = known.get(name.lower()) or duckdb_type_to_bq_field(name, kind)
        fields.append({**field, "mode": "NULLABLE" if is_null == "YES" else "REQUIRED"})
    resource["schema"] = {"fields": fields}
    catalogue.touch(state, resource)
    catalogue.mirror(state, ref)
