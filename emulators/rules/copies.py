"""Copy jobs: whole tables into another, all of them or none.

https://cloud.google.com/bigquery/docs/managing-tables#copy-table
https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#jobconfigurationtablecopy
"""

from __future__ import annotations

from dataclasses import dataclass

from emulators.rules import catalogue
from emulators.rules.errors import BigQueryError, Json, duplicate, invalid, not_found
from emulators.rules.loads import APPEND, EMPTY, TRUNCATE
from emulators.rules.partitions import quoted
from emulators.rules.schemas import by_name, type_of
from emulators.rules.state import Job, State, TableRef


@dataclass(frozen=True)
class Copy:
    """A copy job's configuration, its defaults filled in."""

    target: TableRef
    sources: list[TableRef]
    write: str
    may_create: bool


def read_copy(project: str, configuration: Json) -> Copy:
    """Checks a copy job's configuration, as jobs.insert does before there is a job."""
    copy = configuration["copy"]
    if copy.get("operationType", "COPY") not in {"COPY", "OPERATION_TYPE_UNSPECIFIED"}:
        raise BigQueryError("notImplemented", "The emulator copies tables; no snapshots or clones.")
    named = [*(copy.get("sourceTables") or ()), copy.get("sourceTable")]
    sources = [_table(project, name) for name in named if name]
    if not sources:
        raise BigQueryError("required", "Required parameter is missing: sourceTable")
    if not copy.get("destinationTable"):
        raise BigQueryError("required", "Required parameter is missing: destinationTable")
    write = copy.get("writeDisposition", EMPTY)
    if write not in {APPEND, EMPTY, TRUNCATE}:
        raise invalid(f"Invalid value for writeDisposition: {write} is not a valid value")
    may_create = copy.get("createDisposition", "CREATE_IF_NEEDED") != "CREATE_NEVER"
    return Copy(_table(project, copy["destinationTable"]), sources, write, may_create)


def run_copy(state: State, job: Job) -> None:
    """Runs a copy job: all of it, or none of it and a `BigQueryError`."""
    copy = read_copy(job.project, job.configuration)
    for ref in copy.sources:
        state.permissions.check(False, ref.project, ref.dataset, ref.table)
        state.dataset(ref.project, ref.dataset, job.location)
        if state.table(ref)["type"] != "TABLE":
            raise invalid(f"Cannot copy {ref}: it is a {state.table(ref)['type']}.")
    target = copy.target
    state.permissions.check(True, target.project, target.dataset, target.table)
    state.dataset(target.project, target.dataset, job.location)
    fields = _common_fields(state, copy.sources)
    _prepare_target(state, copy, fields)
    names = ", ".join(quoted(field["name"]) for field in fields)
    rows = " UNION ALL ".join(f"SELECT {names} FROM {catalogue.duck(ref)}" for ref in copy.sources)
    state.sql("BEGIN")
    try:
        if copy.write == TRUNCATE:
            state.sql(f"DELETE FROM {catalogue.duck(target)}")
        copied = state.sql(f"INSERT INTO {catalogue.duck(target)} ({names}) {rows}")[0][0]
        state.sql("COMMIT")
    except BaseException:
        state.sql("ROLLBACK")
        raise
    job.statistics["copy"] = {"copiedRows": str(copied)}


def _prepare_target(state: State, copy: Copy, fields: list[Json]) -> None:
    """Makes the target like the first source where there is none; checks one that is there."""
    target = copy.target
    present = state.tables.get(target)
    if present is None:
        if not copy.may_create:
            raise not_found(f"Table {target}")
        source = state.table(copy.sources[0])
        layout = {
            name: source[name] for name in ("timePartitioning", "clustering") if source.get(name)
        }
        catalogue.create_table(state, target, {"schema": {"fields": fields}, **layout})
        return
    if present["type"] != "TABLE":
        raise invalid(f"{target} is not allowed for this operation: it is a {present['type']}.")
    rows = state.sql(f"SELECT count(*) FROM {catalogue.duck(target)}")[0][0]
    if copy.write == EMPTY and rows:
        raise duplicate(f"Table {target}")
    have, come = by_name(catalogue.fields_of(present)), by_name(fields)
    if have.keys() != come.keys() or any(type_of(have[key]) != type_of(come[key]) for key in have):
        raise invalid(f"Provided Schema does not match Table {target}.")


def _common_fields(state: State, sources: list[TableRef]) -> list[Json]:
    """The fields of all sources, which must have the same."""
    first, *others = [catalogue.fields_of(state.table(ref)) for ref in sources]
    told = {key: type_of(field) for key, field in by_name(first).items()}
    for fields in others:
        if {key: type_of(field) for key, field in by_name(fields).items()} != told:
            raise invalid("Source tables of a copy job must have the same schema.")
    return first


def _table(project: str, body: Json) -> TableRef:
    """A table's name in the configuration; no decorators."""
    if "$" in body["tableId"] or "@" in body["tableId"]:
        raise BigQueryError("notImplemented", "The emulator copies whole tables only.")
    return TableRef(body.get("projectId", project), body["datasetId"], body["tableId"])
