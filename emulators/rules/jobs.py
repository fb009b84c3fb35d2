"""Jobs: their ids are given once, they run by themselves, and what becomes of them is kept.

https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/insert
https://cloud.google.com/bigquery/docs/managing-jobs
"""

from __future__ import annotations

import asyncio
import re
import uuid
from pathlib import Path

from emulators.job_faults import AT_INSERT, IN_JOB, JobFault
from emulators.rules.copies import read_copy, run_copy
from emulators.rules.errors import BigQueryError, Json, duplicate, invalid
from emulators.rules.faults import Plan, failure
from emulators.rules.loads import read_load, run_load
from emulators.rules.queries import read_query, run_query
from emulators.rules.state import DEFAULT_LOCATION, Job, State, now_ms
from emulators.rules.statements import read_statement

_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,1024}")
KINDS = ("load", "query", "copy")
QUICK_S = 60.0


class Jobs:
    """Takes jobs in and runs them. `root` is the folder of the object store's buckets."""

    def __init__(self, state: State, root: Path, plan: Plan) -> None:
        self._state = state
        self._root = root
        self._plan = plan

    async def insert(self, project: str, body: Json) -> Job:
        """Takes in a job under an id that was never used, and starts it.

        It is answered when the job is done, or at once if a fault makes it last.
        https://cloud.google.com/bigquery/docs/running-jobs#generate-jobid
        """
        configuration = dict(body.get("configuration") or {})
        kind = next((name for name in KINDS if name in configuration), None)
        if kind is None:
            raise BigQueryError("notImplemented", f"The emulator runs jobs of {', '.join(KINDS)}.")
        configuration["jobType"] = kind.upper()
        reference = body.get("jobReference") or {}
        job_id = reference.get("jobId") or str(uuid.uuid4())
        if not _JOB_ID.fullmatch(job_id):
            raise invalid(f"Invalid job ID '{job_id}'.")
        location = reference.get("location") or self._location(project, configuration)
        location = location.upper() if len(location) == 2 else location
        if kind == "load":
            read_load(project, configuration)
        elif kind == "copy":
            read_copy(project, configuration)
        else:
            read_query(configuration)
        job = Job(project, location, job_id, configuration)
        if configuration.get("dryRun"):
            await self._run(job, None)
            if job.error is not None:
                raise job.error
            return job
        key = (project, location, job_id)
        if key in self._state.jobs:
            raise duplicate(f"Job {project}:{location}.{job_id}")
        fault = self._plan.take(AT_INSERT, job)
        if fault is not None:
            raise failure(fault)
        self._state.jobs[key] = job
        fault = self._plan.take(IN_JOB, job)
        job.task = asyncio.create_task(self._run(job, fault))
        if fault is None or not fault.lasts_s:
            await self.wait(job, QUICK_S)
        return job

    async def wait(self, job: Job, seconds: float) -> bool:
        """Waits for a job's end; whether it came."""
        if job.task is not None:
            await asyncio.wait({job.task}, timeout=seconds)
        return job.state == "DONE"

    def cancel(self, job: Job) -> None:
        """Stops a job that only waits; one that is done stays as it is."""
        if job.task is not None and job.state != "DONE":
            job.task.cancel()

    async def _run(self, job: Job, fault: JobFault | None) -> None:
        job.state, job.started = "RUNNING", now_ms()
        try:
            if fault is not None and fault.lasts_s:
                await asyncio.sleep(fault.lasts_s)
            if fault is not None and fault.reason:
                raise failure(fault)
            if job.kind == "load":
                run_load(self._state, job, self._root)
            elif job.kind == "copy":
                run_copy(self._state, job)
            else:
                await run_query(self._state, job)
        except asyncio.CancelledError:
            job.error = BigQueryError("stopped", "Job execution was cancelled: User requested")
        except BigQueryError as error:
            job.error = error
        except Exception as error:  # a bug of ours or of bqemulator's is the job's error, too
            job.error = BigQueryError("internalError", f"{type(error).__name__}: {error}")
        job.state, job.ended = "DONE", now_ms()

    def _location(self, project: str, configuration: Json) -> str:
        """Where a job without a location runs: where the data sets it names are.

        https://cloud.google.com/bigquery/docs/locations#specify_locations
        """
        names: list[tuple[str, str]] = []
        if "query" not in configuration:
            kind = "load" if "load" in configuration else "copy"
            target = configuration[kind].get("destinationTable") or {}
            names.append((target.get("projectId", project), target.get("datasetId", "")))
        else:
            query = configuration["query"]
            default = (query.get("defaultDataset") or {}).get("datasetId")
            try:
                statement = read_statement(str(query.get("query") or ""), project, default)
            except BigQueryError:
                return DEFAULT_LOCATION
            names += sorted((ref.project, ref.dataset) for ref in statement.writes)
            names += sorted((ref.project, ref.dataset) for ref in statement.reads)
        found = (self._state.datasets.get(name) for name in names)
        return next((str(there["location"]) for there in found if there), DEFAULT_LOCATION)
