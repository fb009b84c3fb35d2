"""The plan of jobs' faults: each is spent on the jobs that it fits.

Reasons and messages: https://cloud.google.com/bigquery/docs/error-messages
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from emulators.job_faults import JobFault
from emulators.rules.errors import BigQueryError, Json, invalid
from emulators.rules.state import Job

MESSAGES = {
    "backendError": "Error encountered during execution. Retrying may solve the problem.",
    "internalError": "An internal error occurred and the request could not be completed.",
    "quotaExceeded": "Quota exceeded: Your table exceeded quota for imports or query appends.",
    "rateLimitExceeded": "Exceeded rate limits: too many table update operations for this table.",
    "accessDenied": "Access Denied: Permission bigquery.tables.updateData denied.",
    "invalid": "Error while reading data, error message: made to fail.",
}


@dataclass
class Planned:
    """A fault with what is left of it."""

    fault: JobFault
    skip: int
    times: int
    hits: int = 0


class Plan:
    """The faults to come, oldest first."""

    def __init__(self) -> None:
        self._planned: list[Planned] = []

    def add(self, body: Json) -> Json:
        """Adds a fault from its JSON form."""
        try:
            fault = JobFault(**body)
        except (TypeError, ValueError) as error:
            raise invalid(f"Not a fault: {error}") from error
        self._planned.append(Planned(fault, fault.skip, fault.times))
        return asdict(fault)

    def take(self, at: str, job: Job) -> JobFault | None:
        """The fault that befalls this job now, if any; it is counted."""
        for planned in self._planned:
            if not planned.times or not planned.fault.fits(at, job.kind, job.project, job.job_id):
                continue
            if planned.skip:
                planned.skip -= 1
                continue
            planned.times -= 1
            planned.hits += 1
            return planned.fault
        return None

    def clear(self, project: str | None) -> None:
        """Forgets all faults, or a project's."""
        self._planned = [
            planned
            for planned in self._planned
            if project is not None and planned.fault.project != project
        ]

    def as_json(self) -> list[Json]:
        """All faults, with what is left of them and their hits."""
        return [
            {**asdict(p.fault), "skip": p.skip, "times": p.times, "hits": p.hits}
            for p in self._planned
        ]


def failure(fault: JobFault) -> BigQueryError:
    """The failure that a fault brings."""
    reason = fault.reason or "backendError"
    return BigQueryError(reason, fault.message or MESSAGES.get(reason, f"Made to fail: {reason}"))
