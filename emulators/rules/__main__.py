"""Starts the server: `python -m emulators.rules --port N --root FOLDER`, in `.venv-emulators`."""

from __future__ import annotations

import argparse
import asyncio
import base64
from pathlib import Path
from typing import Any

import uvicorn
from bqemulator.api.dependencies import AppContext
from bqemulator.catalog.memory_repository import MemoryCatalogRepository
from bqemulator.config import LogLevel, Settings
from bqemulator.domain.clock import SystemClock
from bqemulator.domain.errors import DomainError
from bqemulator.domain.events import EventBus
from bqemulator.jobs import executor
from bqemulator.observability.logging_ import configure_logging
from bqemulator.observability.metrics import MetricsRegistry
from bqemulator.row_access.policy import RowAccessPolicyManager
from bqemulator.sql import parameters
from bqemulator.storage.engine import DuckDBEngine
from bqemulator.udf.runtime import UDFRegistry
from bqemulator.versioning.snapshots import SnapshotManager
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from emulators.rules import faults
from emulators.rules.errors import BigQueryError
from emulators.rules.job_routes import ControlRoutes, JobRoutes, as_answer
from emulators.rules.jobs import Jobs
from emulators.rules.routes import Resources
from emulators.rules.state import State


class Engine(DuckDBEngine):
    """The DuckDB connection of bqemulator, without the spatial extension: nothing here is a GEOGRAPHY."""

    def _load_spatial(self) -> None:
        return None


async def make_context(root: Path) -> AppContext:
    """The parts of bqemulator, without its servers."""
    settings = Settings(
        log_level=LogLevel.ERROR, enable_format_extensions=False, gcs_local_root=root
    )
    configure_logging(level=settings.log_level, fmt=settings.log_format)
    engine, clock, events = Engine(settings), SystemClock(), EventBus()
    await engine.start()
    catalog = MemoryCatalogRepository(engine)
    snapshots = SnapshotManager(
        engine=engine, catalog=catalog, clock=clock, events=events, retention_days=0
    )
    return AppContext(
        settings=settings,
        clock=clock,
        engine=engine,
        catalog=catalog,
        metrics=MetricsRegistry(),
        events=events,
        udf_registry=UDFRegistry(settings),
        snapshots=snapshots,
        row_access=RowAccessPolicyManager(catalog=catalog, clock=clock),
    )


def mend_bqemulator() -> None:
    """Two of bqemulator's habits that would not do.

    It copies the whole table at every change, for time travel; and it takes the base64 of a BYTES
    parameter for the bytes themselves.
    """

    async def keep_no_copy(*_: Any) -> None:
        return None

    setattr(executor, "_capture_dml_snapshots", keep_no_copy)  # noqa: B010 - of another type
    parameters._SCALAR_CONVERTERS["BYTES"] = base64.b64decode


def make_app(context: AppContext, root: Path) -> Starlette:
    """The application: our routes, and refusals as BigQuery words them."""
    state, plan = State(context), faults.Plan()
    jobs = Jobs(state, root, plan)

    async def not_ours(request: Request, _: Exception) -> Response:
        what = f"The emulator has no {request.method} {request.url.path}."
        return await as_answer(request, BigQueryError("notImplemented", what))

    return Starlette(
        routes=[
            *Resources(state).routes(),
            *JobRoutes(state, jobs).routes(),
            *ControlRoutes(state, plan).routes(),
        ],
        exception_handlers={
            BigQueryError: as_answer,
            DomainError: _inner_error,
            404: not_ours,
            405: not_ours,
        },
    )


async def _inner_error(request: Request, error: Exception) -> Response:
    if isinstance(error, DomainError):
        return await as_answer(request, BigQueryError(error.bq_reason, error.message))
    return await as_answer(request, error)


async def serve(port: int, root: Path) -> None:
    """Serves until the process ends."""
    mend_bqemulator()
    context = await make_context(root)
    config = uvicorn.Config(
        make_app(context, root),
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
    )
    await uvicorn.Server(config).serve()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--root", type=Path, required=True, help="where gs://BUCKET/NAME lies")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.root))


if __name__ == "__main__":
    main()
