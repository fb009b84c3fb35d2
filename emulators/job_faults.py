"""What can go wrong with a job, as values that travel to the BigQuery server as JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass

IN_JOB, AT_INSERT = "job", "insert"


@dataclass(frozen=True)
class JobFault:
    """What befalls the next `times` jobs that fit, after `skip` of them went by unharmed.

    `at` is "job": it begins, lasts `lasts_s` seconds (jobs.insert answers at once, RUNNING), then
    fails for `reason` without a row, or succeeds where there is no reason. Or it is "insert":
    jobs.insert is refused for `reason`, and there is no job. `kind` is "load", "query" or "any";
    `project` and `job_id` (a regular expression that matches from the start) narrow it down.
    """

    reason: str | None = None
    at: str = "job"
    kind: str = "any"
    project: str | None = None
    job_id: str | None = None
    message: str | None = None
    lasts_s: float = 0.0
    skip: int = 0
    times: int = 1

    def __post_init__(self) -> None:
        """Refuses what is no fault."""
        if self.at not in {IN_JOB, AT_INSERT} or self.kind not in {"load", "query", "any"}:
            raise ValueError(f"no such fault: of {self.kind} at {self.at}")
        if self.at == AT_INSERT and not self.reason:
            raise ValueError("a fault at insert needs a reason")
        re.compile(self.job_id or "")

    def fits(self, at: str, kind: str, project: str, job_id: str) -> bool:
        """Whether the fault is for this job, here."""
        return (
            self.at == at
            and self.kind in {"any", kind}
            and self.project in {None, project}
            and (self.job_id is None or re.match(self.job_id, job_id) is not None)
        )
