"""The REST routes of jobs and of queries' results, and those that control the emulator.

https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs
"""

from __future__ import annotations

from dataclasses import asdict

from bqemulator.storage.arrow_bridge import arrow_table_to_bq_rows
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulators.rules import catalogue, faults
from emulators.rules.errors import BigQueryError, Json
from emulators.rules.jobs import Jobs
from emulators.rules.routes import BASE
from emulators.rules.state import Job, State

CONTROL = "/_control"
RESULTS_WAIT_MS = 10_000
MOST_ROWS = 10_000


class JobRoutes:
    """The handlers of jobs."""

    def __init__(self, state: State, jobs: Jobs) -> None:
        self._state = state
        self._jobs = jobs

    def routes(self) -> list[Route]:
        """All of them."""
        jobs, queries = f"{BASE}/jobs", f"{BASE}/queries"
        return [
            Route(jobs, self.list_jobs, methods=["GET"]),
            Route(jobs, self.insert, methods=["POST"]),
            Route(f"{jobs}/{{job}}", self.get, methods=["GET"]),
            Route(f"{jobs}/{{job}}/cancel", self.cancel, methods=["POST"]),
            Route(queries, self.query, methods=["POST"]),
            Route(f"{queries}/{{job}}", self.results, methods=["GET"]),
        ]

    async def insert(self, request: Request) -> Response:
        """jobs.insert: 200 whatever becomes of the job."""
        job = await self._jobs.insert(request.path_params["project"], await request.json())
        return JSONResponse(job.as_json())

    async def get(self, request: Request) -> Response:
        """jobs.get."""
        return JSONResponse(self._job(request).as_json())

    async def cancel(self, request: Request) -> Response:
        """jobs.cancel."""
        job = self._job(request)
        self._jobs.cancel(job)
        return JSONResponse({"kind": "bigquery#jobCancelResponse", "job": job.as_json()})

    async def list_jobs(self, request: Request) -> Response:
        """jobs.list, the newest first."""
        project = request.path_params["project"]
        found = [job for key, job in self._state.jobs.items() if key[0] == project]
        listed = [
            {**job.as_json(), "state": job.state} for job in sorted(found, key=_age, reverse=True)
        ]
        return JSONResponse({"kind": "bigquery#jobList", "jobs": listed})

    async def query(self, request: Request) -> Response:
        """jobs.query: a job, and its first rows if it ends in time."""
        body = await request.json()
        query = {
            name: body[name]
            for name in ("query", "useLegacySql", "queryParameters", "defaultDataset")
            if name in body
        }
        inserted = await self._jobs.insert(
            request.path_params["project"],
            {
                "configuration": {"query": query, "dryRun": bool(body.get("dryRun"))},
                "jobReference": {"location": body.get("location")},
            },
        )
        return await self._results(
            inserted, int(body.get("timeoutMs") or RESULTS_WAIT_MS), 0, body.get("maxResults")
        )

    async def results(self, request: Request) -> Response:
        """jobs.getQueryResults."""
        asked = request.query_params
        start = int(asked.get("pageToken") or asked.get("startIndex") or 0)
        patience = int(asked.get("timeoutMs") or RESULTS_WAIT_MS)
        return await self._results(self._job(request), patience, start, asked.get("maxResults"))

    async def _results(
        self, job: Job, patience_ms: int, start: int, limit: str | int | None
    ) -> Response:
        done = await self._jobs.wait(job, patience_ms / 1000) or job.configuration.get("dryRun")
        answer: Json = {
            "kind": "bigquery#getQueryResultsResponse",
            "jobReference": job.reference(),
            "jobComplete": bool(done),
        }
        if not done:
            return JSONResponse(answer)
        if job.error is not None:
            raise job.error
        about = job.statistics.get("query", {})
        most = int(limit) if limit else MOST_ROWS
        answer |= {"schema": {"fields": job.schema}, "totalRows": "0", "cacheHit": False}
        answer["totalBytesProcessed"] = about.get("totalBytesProcessed", "0")
        if "numDmlAffectedRows" in about:
            answer["numDmlAffectedRows"] = about["numDmlAffectedRows"]
        if job.rows is not None:
            answer["totalRows"] = str(job.rows.num_rows)
            answer["rows"] = arrow_table_to_bq_rows(job.rows, offset=start, limit=most)
            if start + most < job.rows.num_rows:
                answer["pageToken"] = str(start + most)
        return JSONResponse(answer)

    def _job(self, request: Request) -> Job:
        path = request.path_params
        return self._state.job(path["project"], path["job"], request.query_params.get("location"))


def _age(job: Job) -> int:
    return int(job.created)


class ControlRoutes:
    """The handlers that are no part of BigQuery: faults, permissions, and forgetting."""

    def __init__(self, state: State, plan: faults.Plan) -> None:
        self._state = state
        self._plan = plan

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route(f"{CONTROL}/health", self.health, methods=["GET"]),
            Route(f"{CONTROL}/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route(f"{CONTROL}/permissions", self.permissions, methods=["GET", "POST", "DELETE"]),
            Route(f"{CONTROL}/projects/{{project}}", self.forget, methods=["DELETE"]),
        ]

    async def health(self, request: Request) -> Response:
        """Whether the server is up."""
        return JSONResponse({"path": request.url.path})

    async def faults(self, request: Request) -> Response:
        """Lists, adds or clears faults of jobs."""
        if request.method == "POST":
            return JSONResponse(self._plan.add(await request.json()))
        if request.method == "DELETE":
            self._plan.clear(request.query_params.get("project"))
        return JSONResponse(self._plan.as_json())

    async def permissions(self, request: Request) -> Response:
        """Lists, adds or lifts denials."""
        permissions = self._state.permissions
        if request.method == "POST":
            return JSONResponse(asdict(permissions.add(await request.json())))
        if request.method == "DELETE":
            permissions.clear(request.query_params.get("project"))
        return JSONResponse(permissions.as_json())

    async def forget(self, request: Request) -> Response:
        """Drops all that a project has: data sets, tables, jobs, faults and denials."""
        project = request.path_params["project"]
        catalogue.drop_project(self._state, project)
        self._plan.clear(project)
        self._state.permissions.clear(project)
        return Response(status_code=204)


async def as_answer(_: Request, error: Exception) -> Response:
    """Any refusal as BigQuery words it."""
    if not isinstance(error, BigQueryError):
        error = BigQueryError("internalError", f"{type(error).__name__}: {error}")
    return JSONResponse(error.as_body(), status_code=error.status)
