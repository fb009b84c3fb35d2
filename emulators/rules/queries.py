"""Query jobs: what BigQuery checks before it runs one, and what it says afterwards.

bqemulator translates and runs the statement; each is a DuckDB transaction of its own, so one that
fails changes nothing. https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#jobstatistics2
"""

from __future__ import annotations

from sqlglot import exp

from emulators.rules.catalogue import TABLE_FIELDS, duck, touch, update
from emulators.rules.ddl import adopt, check_ddl
from emulators.rules.dml import check_matches, check_where, without_insert_row
from emulators.rules.errors import BigQueryError, Json, duplicate
from emulators.rules.execution import execute
from emulators.rules.partition_filters import check_partition_filters
from emulators.rules.state import Job, State, TableRef
from emulators.rules.statements import Statement, read_statement

BYTES_A_ROW_GUESSED = 100
_CHANGES = {"INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE_TABLE"}


def read_query(configuration: Json) -> str:
    """The statement of a query job, as jobs.insert checks it before there is a job."""
    query = configuration["query"]
    sql = str(query.get("query") or "")
    if not sql.strip():
        raise BigQueryError("required", "Required parameter is missing: query")
    if query.get("useLegacySql", True):
        raise BigQueryError(
            "notImplemented", "The emulator runs GoogleSQL: set useLegacySql=false."
        )
    if query.get("destinationTable") or query.get("clustering") or query.get("timePartitioning"):
        raise BigQueryError("notImplemented", "The emulator writes no query's result to a table.")
    return sql


def examine(state: State, job: Job) -> Statement:
    """Checks what a statement names: tables that exist in the job's location, partition filters."""
    query = job.configuration["query"]
    default = query.get("defaultDataset") or {}
    statement = read_statement(read_query(job.configuration), job.project, default.get("datasetId"))
    for ref in statement.reads | statement.writes:
        if ref in statement.creates:
            if statement.is_new and ref in state.tables:
                raise duplicate(f"Table {ref}")
            continue
        state.permissions.check(ref in statement.writes, ref.project, ref.dataset, ref.table)
        state.dataset(ref.project, ref.dataset, job.location)
        if ref not in state.tables:
            raise BigQueryError(
                "notFound", f"Not found: Table {ref} was not found in location {job.location}"
            )
    for project, dataset in statement.datasets:
        state.permissions.check(True, project, dataset)
        state.dataset(project, dataset, job.location)
    check_where(statement)
    check_ddl(statement)
    check_partition_filters(state, statement)
    return statement


def estimate(state: State, statement: Statement) -> int:
    """The bytes that a query would read, as a dry run tells: a guess, above nothing.

    https://cloud.google.com/bigquery/docs/running-queries#dry-run
    """
    rows = 0
    for ref in statement.reads | statement.writes:
        resource = state.tables.get(ref)
        if resource is not None and resource["type"] == "TABLE":
            rows += state.sql(f"SELECT count(*) FROM {duck(ref)}")[0][0]
    return BYTES_A_ROW_GUESSED * max(rows, 1)


async def run_query(state: State, job: Job) -> None:
    """Runs a query job; its rows, schema and statistics are put into `job`."""
    statement = examine(state, job)
    processed = str(estimate(state, statement))
    statistics: Json = {"totalBytesProcessed": processed, "statementType": statement.kind}
    if job.configuration.get("dryRun"):
        job.statistics |= {"totalBytesProcessed": processed, "query": statistics}
        return
    if not statement.is_new and _is_there(state, statement):
        statistics["ddlOperationPerformed"] = "SKIP"
        job.statistics |= {"totalBytesProcessed": "0", "query": statistics}
        return
    await check_matches(state, job, statement)
    sql = await without_insert_row(state, job, statement)
    inner, job.rows, job.schema = await execute(state, job, sql)
    adopt(state, statement)
    if statement.kind in _CHANGES:
        affected = int(inner.get("numDmlAffectedRows") or 0)
        statistics["numDmlAffectedRows"] = str(affected)
        statistics["dmlStats"] = _dml_stats(statement.kind, affected)
        job.rows = None
        job.schema = []
    job.statistics |= {
        "totalBytesProcessed": processed,
        "query": {
            **statistics,
            "totalBytesBilled": processed,
            "cacheHit": False,
            **{name: inner[name] for name in ("ddlOperationPerformed",) if name in inner},
        },
    }


def _is_there(state: State, statement: Statement) -> bool:
    """Whether a CREATE … IF NOT EXISTS has nothing to do."""
    tree = statement.tree
    is_create = isinstance(tree, exp.Create) and bool(tree.args.get("exists"))
    return is_create and any(ref in state.tables for ref in statement.creates)


async def create_view(state: State, ref: TableRef, body: Json, replace: bool) -> None:
    """Makes a view, or gives it another query, as tables.insert and tables.update do."""
    existing = state.tables.get(ref)
    dataset = state.dataset(ref.project, ref.dataset)
    if existing is not None and not replace:
        raise duplicate(f"Table {ref}")
    name = f"`{ref.project}.{ref.dataset}.{ref.table}`"
    text = f"CREATE OR REPLACE VIEW {name} AS {body['view']['query']}"
    query = {"query": text, "useLegacySql": False}
    job = Job(ref.project, dataset["location"], "", {"jobType": "QUERY", "query": query})
    await run_query(state, job)
    resource = state.table(ref)
    update(resource, {**(existing or {}), **body}, TABLE_FIELDS, whole=False)
    touch(state, resource)


def _dml_stats(kind: str, affected: int) -> Json:
    name = {
        "INSERT": "insertedRowCount",
        "MERGE": "insertedRowCount",
        "UPDATE": "updatedRowCount",
    }.get(kind, "deletedRowCount")
    return {name: str(affected)}
