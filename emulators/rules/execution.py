"""Hands one statement to bqemulator, which translates it for DuckDB and runs it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from bqemulator.domain.errors import DomainError
from bqemulator.jobs import executor
from bqemulator.row_access.identity import resolve_caller_from_headers

from emulators.rules.errors import BigQueryError, Json
from emulators.rules.state import Job, State

if TYPE_CHECKING:
    import pyarrow as pa


async def execute(state: State, job: Job, sql: str) -> tuple[Json, pa.Table | None, list[Json]]:
    """Runs a statement with a job's parameters; statistics, rows, and the rows' schema."""
    inner_id = uuid.uuid4().hex
    try:
        meta = await executor.execute_query_job(
            job.project,
            inner_id,
            sql,
            job.configuration["query"].get("queryParameters"),
            state.context,
            caller=resolve_caller_from_headers({}),
        )
    except DomainError as error:
        raise BigQueryError(error.bq_reason, error.message, "query") from error
    finally:
        rows = executor.JOB_RESULTS.pop(inner_id, None)
        schema = executor.JOB_SCHEMAS.pop(inner_id, [])
    return meta.statistics.get("query", {}), rows, schema
