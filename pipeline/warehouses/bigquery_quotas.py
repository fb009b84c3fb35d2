"""BigQuery's limits that bind a warehouse of very many tables, and what is said of them.

Source: https://docs.cloud.google.com/bigquery/quotas (load jobs, partitioned tables), read 2026-11-21;
the words of a project's quota: https://docs.cloud.google.com/bigquery/docs/google-ads-transfer.
"""

from __future__ import annotations

from pipeline.errors import ServiceError

JOBS_A_DAY = 100_000
"""Load jobs of a project in 24 hours, failed ones among them."""
OWN_TABLES = 4
"""Tables of the bookkeeping that a batch is loaded into at most, by a job each."""
_WARN_AT = 0.8
_DAY_MINUTES = 24 * 60
_OF_PROJECT = "per project"


def require_quota(reason: str | None, words: str | None) -> None:
    """Raises ServiceError where what was refused is the project's: no table is at fault.

    The batch stays open then, and no other is planned before it is finished: so runs slow down to
    what the quota allows, and the next batches are larger.
    """
    if reason == "quotaExceeded" and _OF_PROJECT in (words or ""):
        raise ServiceError(
            f"BigQuery takes no more load jobs of this project for now ({JOBS_A_DAY:,} in 24 hours): "
            "a later run goes on where this one stopped; load less often, so that batches are larger."
        )


def advice(jobs: int, batches: int) -> str | None:
    """What is to be said of the load jobs of 24 hours, which so many batches took; None if nothing."""
    if not batches or jobs < JOBS_A_DAY * _WARN_AT:
        return None
    minutes = -(-_DAY_MINUTES * jobs // int(batches * JOBS_A_DAY * _WARN_AT))
    return (
        f"{jobs:,} load jobs in 24 hours, of the {JOBS_A_DAY:,} that BigQuery takes of a project: "
        f"load every {minutes:,} minutes, or less often"
    )
