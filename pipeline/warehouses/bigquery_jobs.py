"""BigQuery jobs that happen once, however often they are asked for.

A job's id is made of its batch and what it changes, with a generation behind: `px_<batch>_<hash>_g1`.
BigQuery refuses an id that it has seen (409), so whoever comes second waits for the job that exists.
The generation rises only after the job of the one before was seen to have ended with an error: load
jobs and DML are atomic, so it left nothing behind. A job that may still run is never given up.

Source: https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/insert and
https://cloud.google.com/bigquery/docs/running-jobs, read 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any, TypeAlias, TypeVar

from google.api_core.exceptions import BadRequest, Conflict, Forbidden, NotFound, RetryError
from google.api_core.retry import Retry, exponential_sleep_generator, if_exception_type
from google.cloud import bigquery

from pipeline import gcp
from pipeline.errors import ServiceError, SetupError
from pipeline.warehouses.bigquery_quotas import require_quota
from pipeline.warehouses.contract import RefusedError

WAIT_S = 1800.0
"""How long a job is waited for. It goes on without us, and the next run waits for it again."""
_WAIT_VARIABLE = "PIXELSHIP_JOB_WAIT_S"
_FIRST_POLL_S = 0.2
_LONGEST_POLL_S = 10.0
_SHOWN_WITHIN_S = 30.0
"""For so long BigQuery may say of a job whose id it has just refused that there is none
(googleapis/python-bigquery#2134)."""
_PASSING = {
    "backendError", "internalError", "jobBackendError", "jobInternalError",
    "rateLimitExceeded", "jobRateLimitExceeded",
}  # fmt: skip
_MOST_TRIES = 5
_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 20.0
_MOST_WORDS = 500

Job: TypeAlias = bigquery.LoadJob | bigquery.QueryJob
_T = TypeVar("_T")


class _NotYetError(Exception):
    """A job has not ended, or is not shown yet."""


@contextmanager
def refusing(table: str, task: str) -> Iterator[None]:
    """Has what a person must mend at a table concern that table alone.

    Raises RefusedError; ServiceError for what passes by itself; SetupError for credentials.
    """
    with gcp.explaining(task):
        try:
            yield
        except (BadRequest, Forbidden, NotFound) as error:
            if gcp.is_transient(error):
                raise
            require_quota(gcp.reason(error), gcp.words(error))
            raise RefusedError(table, f"BigQuery says: {gcp.words(error)}") from None


@dataclass(frozen=True)
class Work:
    """What a job is to do.

    `id` is the job's without the generation, `table` what it changes, `location` where. `begin`
    inserts the job under an id. `sources` are the URIs that a job found under the id must have loaded.
    """

    id: str
    table: str
    location: str
    begin: Callable[[str], Job]
    sources: Sequence[str] = ()


class Jobs:
    """Runs the jobs of one project. May be used by several threads."""

    def __init__(self, client: bigquery.Client) -> None:
        self._client = client
        self._wait_s = gcp.seconds_of(_WAIT_VARIABLE, WAIT_S)
        self._is_over = Event()

    def give_up(self) -> None:
        """Has all threads stop waiting: the run ends. Jobs go on without it."""
        self._is_over.set()

    def run(self, work: Work) -> Job:
        """Sees the work done once; gives the job that did it.

        What failed in earlier runs is begun once more; what fails in this one for a passing reason, a
        few times. Raises RefusedError with what BigQuery says of the last failure, ServiceError where
        the end of a job could not be seen.
        """
        delays = iter(exponential_sleep_generator(_FIRST_DELAY_S, _LONGEST_DELAY_S))
        generation, tries = 0, 0
        may_begin, is_passing, why = True, False, ""
        while True:
            generation += 1
            job, is_ours = self._obtain(work, generation, may_begin=may_begin)
            if job is None:
                raise RefusedError(work.table, why, is_passing=is_passing)
            failure = self.wait(job)
            if failure is None:
                return _require_same(job, work)
            why, is_passing = _words(failure), failure.get("reason") in _PASSING
            if is_ours:
                require_quota(failure.get("reason"), why)
                tries += 1
                may_begin = is_passing and tries < _MOST_TRIES
                if may_begin:
                    self._is_over.wait(next(delays))
            else:
                generation = max(generation, self._last_generation(work, generation) - 1)

    def wait(self, job: Job) -> dict[str, Any] | None:
        """Waits for a job's end; gives its error. Raises ServiceError."""

        def look() -> None:
            if self._is_over.is_set():
                raise ServiceError(f"The BigQuery job {job.job_id} goes on without this run.")
            if job.state != "DONE":
                job.reload(**gcp.limits())
            if job.state != "DONE":
                raise _NotYetError

        with gcp.explaining(f"wait for the job {job.job_id}"):
            _patiently(
                look,
                self._wait_s,
                f"The BigQuery job {job.job_id} has not ended within {self._wait_s:.0f} s: "
                "run again later, and it is waited for.",
            )
        return dict(job.error_result) if job.error_result else None

    def _obtain(self, work: Work, generation: int, *, may_begin: bool) -> tuple[Job | None, bool]:
        """The job of a generation, and whether it was begun here; none where there may be none."""
        id_ = f"{work.id}_g{generation}"
        if not may_begin:
            return self._find(work, id_), False
        with refusing(work.table, f"begin a job for {work.table}"):  # no job was made
            try:
                return work.begin(id_), True
            except Conflict:
                return self._existing(work, id_), False

    def _existing(self, work: Work, id_: str) -> Job:
        """The job that is there under an id."""

        def look() -> Job:
            if job := self._find(work, id_):
                return job
            raise _NotYetError

        return _patiently(
            look,
            _SHOWN_WITHIN_S,
            f"BigQuery has a job {id_} and does not show it in {work.location}; run again later.",
        )

    def _find(self, work: Work, id_: str) -> Job | None:
        with gcp.explaining(f"look at the job {id_}"):
            try:
                return self._client.get_job(id_, location=work.location, **gcp.limits())
            except NotFound:
                return None

    def _last_generation(self, work: Work, known: int) -> int:
        """The last generation that there is, by leaps and then by halves."""
        low, leap = known, 1
        while self._find(work, f"{work.id}_g{low + leap}"):
            low, leap = low + leap, leap * 2
        high = low + leap
        while high - low > 1:
            middle = (low + high) // 2
            is_there = self._find(work, f"{work.id}_g{middle}") is not None
            low, high = (middle, high) if is_there else (low, middle)
        return low


def _patiently(look: Callable[[], _T], wait_s: float, too_late: str) -> _T:
    """What `look` gives once it raises _NotYetError no more; raises ServiceError after a while."""
    patience = Retry(
        if_exception_type(_NotYetError),
        initial=_FIRST_POLL_S, maximum=_LONGEST_POLL_S, multiplier=1.5, timeout=wait_s,
    )  # fmt: skip
    try:
        return patience(look)()
    except RetryError as error:
        if not isinstance(error.cause, _NotYetError):
            raise
        raise ServiceError(too_late) from None


def _require_same(job: Job, work: Work) -> Job:
    """The job; raises SetupError where it did other work than this."""
    if work.sources and sorted(getattr(job, "source_uris", ())) != sorted(work.sources):
        raise SetupError(
            f"The BigQuery job {job.job_id} was done before, for other files: the state folder is a "
            "copy of one that is in use, or was put back from a backup. Use the other, or a new one."
        )
    return job


def _words(failure: dict[str, Any]) -> str:
    said = str(failure.get("message") or failure.get("reason")).strip().split("\n")[0]
    return f"BigQuery says: {said[:_MOST_WORDS].rstrip('. ')}"
