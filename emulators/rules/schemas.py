"""What a load or a change of a table may do to its schema.

https://cloud.google.com/bigquery/docs/managing-table-schemas
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from emulators.rules.errors import Json, invalid

_ALIASES = {
    "INT64": "INTEGER",
    "FLOAT64": "FLOAT",
    "BOOL": "BOOLEAN",
    "STRUCT": "RECORD",
}
ADDITION = "ALLOW_FIELD_ADDITION"
RELAXATION = "ALLOW_FIELD_RELAXATION"


def type_of(field: Json) -> str:
    """A field's type under its REST name."""
    name = str(field.get("type", "STRING")).upper()
    return _ALIASES.get(name, name)


def mode_of(field: Json) -> str:
    """A field's mode; NULLABLE where none is given."""
    return str(field.get("mode") or "NULLABLE").upper()


def by_name(fields: Sequence[Json]) -> dict[str, Json]:
    """Fields by their names in lower case: BigQuery's column names do not differ by case alone."""
    return {field["name"].lower(): field for field in fields}


def merge_for_load(
    table: str, present: Sequence[Json], coming: Sequence[Json], allowed: Collection[str]
) -> list[Json]:
    """The table's fields after a load of `coming`; refuses what `allowed` does not permit.

    https://cloud.google.com/bigquery/docs/managing-table-schemas (adding a column in a load append
    job, relaxing a column in a load append job)
    """
    mismatch = f"Provided Schema does not match Table {table}."
    have, come = by_name(present), by_name(coming)
    merged = []
    for key, field in have.items():
        other = come.get(key)
        if other is not None and type_of(other) != type_of(field):
            raise invalid(
                f"{mismatch} Field {field['name']} has changed type from {type_of(field)}"
                f" to {type_of(other)}"
            )
        if other is not None and mode_of(field) == "NULLABLE" and mode_of(other) == "REQUIRED":
            raise invalid(
                f"{mismatch} Field {field['name']} has changed mode from NULLABLE to REQUIRED"
            )
        relaxed = mode_of(field) == "REQUIRED" and (other is None or mode_of(other) == "NULLABLE")
        if relaxed and RELAXATION not in allowed:
            if other is None:
                raise invalid(f"{mismatch} Field {field['name']} is missing in new schema")
            raise invalid(
                f"{mismatch} Field {field['name']} has changed mode from REQUIRED to NULLABLE"
            )
        merged.append({**field, "mode": "NULLABLE"} if relaxed else field)
    for key, field in come.items():
        if key in have:
            continue
        if ADDITION not in allowed:
            raise invalid(f"{mismatch} Cannot add fields (field: {field['name']})")
        merged.append(added(mismatch, field))
    return merged


def added(mismatch: str, field: Json) -> Json:
    """A field that is new to a table that exists; it may not be REQUIRED."""
    if mode_of(field) == "REQUIRED":
        raise invalid(
            f"{mismatch} Cannot add required fields to an existing schema. (field: {field['name']})"
        )
    return field


def check_change(table: str, present: Sequence[Json], wanted: Sequence[Json]) -> None:
    """Refuses a change of a table's schema that is more than new or relaxed columns.

    https://cloud.google.com/bigquery/docs/managing-table-schemas#change_a_columns_data_type and
    the sections beside it: columns are not removed, retyped or made REQUIRED by tables.patch.
    """
    mismatch = f"Provided Schema does not match Table {table}."
    have, want = by_name(present), by_name(wanted)
    for key, field in have.items():
        other = want.get(key)
        if other is None:
            raise invalid(f"{mismatch} Field {field['name']} is missing in new schema")
        if type_of(other) != type_of(field):
            raise invalid(
                f"{mismatch} Field {field['name']} has changed type from {type_of(field)}"
                f" to {type_of(other)}"
            )
        if mode_of(other) != mode_of(field) and mode_of(other) != "NULLABLE":
            raise invalid(
                f"{mismatch} Field {field['name']} has changed mode from {mode_of(field)}"
                f" to {mode_of(other)}"
            )
    for key, field in want.items():
        if key not in have:
            added(mismatch, field)
