"""What the server remembers: data sets, tables and jobs, in memory, for as long as it lives."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emulators.rules.errors import BigQueryError, Json, not_found
from emulators.rules.permissions import Permissions

if TYPE_CHECKING:
    import pyarrow as pa
    from bqemulator.api.dependencies import AppContext

DEFAULT_LOCATION = "US"
# Jobs of the two multi-regions are found without their location.
# https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/get (location)
FOUND_ANYWHERE = ("US", "EU")


def now_ms() -> str:
    """The time as BigQuery writes it: milliseconds, in a string."""
    return str(time.time_ns() // 1_000_000)


@dataclass(frozen=True)
class TableRef:
    """A table's full name, without a partition decorator."""

    project: str
    dataset: str
    table: str

    def __str__(self) -> str:
        return f"{self.project}:{self.dataset}.{self.table}"

    @property
    def dataset_name(self) -> str:
        """The data set as messages name it."""
        return f"{self.project}:{self.dataset}"

    def as_json(self) -> Json:
        """The REST form."""
        return {"projectId": self.project, "datasetId": self.dataset, "tableId": self.table}


@dataclass
class Job:
    """A job, and all that is known of it. `created`, `started` and `ended` are in milliseconds."""

    project: str
    location: str
    job_id: str
    configuration: Json
    state: str = "PENDING"
    error: BigQueryError | None = None
    statistics: Json = field(default_factory=dict)
    created: str = field(default_factory=now_ms)
    started: str | None = None
    ended: str | None = None
    rows: pa.Table | None = None
    schema: list[Json] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    @property
    def kind(self) -> str:
        """`load` or `query`."""
        return str(self.configuration.get("jobType", "")).lower()

    def reference(self) -> Json:
        """The REST form of its name."""
        return {"projectId": self.project, "jobId": self.job_id, "location": self.location}

    def as_json(self) -> Json:
        """The REST resource; what went wrong stands in its status.

        https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#JobStatus
        """
        times = {"creationTime": self.created, "startTime": self.started, "endTime": self.ended}
        status: Json = {"state": self.state}
        if self.error is not None:
            status |= {"errorResult": self.error.as_proto(), "errors": [self.error.as_proto()]}
        return {
            "kind": "bigquery#job",
            "id": f"{self.project}:{self.location}.{self.job_id}",
            "jobReference": self.reference(),
            "configuration": self.configuration,
            "status": status,
            "statistics": {
                **{name: at for name, at in times.items() if at is not None},
                **self.statistics,
            },
            "user_email": "somebody@example.com",
        }


class State:
    """All of it. `context` is bqemulator's, with the DuckDB connection and its own catalogue."""

    def __init__(self, context: AppContext) -> None:
        self.context = context
        self.datasets: dict[tuple[str, str], Json] = {}
        self.tables: dict[TableRef, Json] = {}
        self.jobs: dict[tuple[str, str, str], Job] = {}
        self.permissions = Permissions()
        self._etags = itertools.count(1)

    def sql(self, statement: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Runs one DuckDB statement and fetches its rows."""
        rows: list[tuple[Any, ...]] = self.context.engine.execute(statement, parameters).fetchall()
        return rows

    def new_etag(self) -> str:
        """An etag that was never given before."""
        return f'"{next(self._etags):08x}"'

    def dataset(self, project: str, dataset: str, location: str | None = None) -> Json:
        """A data set's resource; not found where it is missing or lies elsewhere.

        https://cloud.google.com/bigquery/docs/locations#specify_locations
        """
        found = self.datasets.get((project, dataset))
        if found is not None and location in {None, found["location"]}:
            return found
        where = "" if location is None else f" was not found in location {location}"
        raise not_found(f"Dataset {project}:{dataset}{where}")

    def table(self, ref: TableRef) -> Json:
        """A table's resource, or not found."""
        self.dataset(ref.project, ref.dataset)
        if ref not in self.tables:
            raise not_found(f"Table {ref}")
        return self.tables[ref]

    def job(self, project: str, job_id: str, location: str | None) -> Job:
        """A job, with the location given or one of the multi-regions; not found else.

        https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/get
        """
        for place in (location,) if location else FOUND_ANYWHERE:
            found = self.jobs.get((project, place.upper() if len(place) == 2 else place, job_id))
            if found is not None:
                return found
        place = f"{location}." if location else ""
        raise not_found(f"Job {project}:{place}{job_id}")
