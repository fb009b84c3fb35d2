"""Views that answer the usual questions, and the questions themselves: SQL that both warehouses run.

In all of them one `event_id` is one view, however often a table holds it; rows without one, which
others wrote, count one each. Each names a time, which tables may require of their queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

SENDS = "pixelship.sends"
CAMPAIGNS = "pixelship.campaigns"
CAMPAIGN_SENDS = "pixelship.campaign_sends"
BY_KEY = "_by_key"
GROUPS = {
    "key": "key",
    "canonical": "canonical",
    "referrer_host": "referrer_host",
    "day": "CAST(CAST(timestamp AS DATE) AS STRING)",
    "dialect": "dialect",
}
"""What hits are counted by."""
_EVER = "timestamp >= TIMESTAMP '1970-01-01'"
_HITS = "COUNT(DISTINCT event_id) + COUNT(*) - COUNT(event_id)"
_MAILING = "campaign, campaign_hash, open_hash, job_number, client_id"
_SEND = f"{_MAILING}, send_id, created_at, recipient, recipient_key_id"
_OPENS = f"SELECT send_id, event_id, timestamp FROM {{}} WHERE send_id IS NOT NULL AND {_EVER}"

Quote = Callable[[str], str]
"""Makes SQL of the name DATASET.TABLE."""


@dataclass(frozen=True)
class View:
    """A view: its name, what it shows, and its query, which has a `{}` for each of some tables."""

    name: str
    description: str
    query: str
    tables: tuple[str, ...]

    def sql(self, quote: Quote) -> str:
        """The query."""
        return self.query.format(*map(quote, self.tables))


@dataclass(frozen=True)
class Question:
    """A query, as `View` has it, with values (`@name`)."""

    query: str
    tables: tuple[str, ...]
    values: Mapping[str, str | datetime] = field(default_factory=dict)


class Reader(Protocol):
    """A warehouse that is asked and not changed."""

    def has(self, name: str) -> bool:
        """Whether a table or view is there. Raises SetupError, ServiceError."""

    def ask(self, question: Question) -> list[tuple[Any, ...]]:
        """The rows of the answer, times in UTC. Raises SetupError, ServiceError."""


class Readable(Protocol):
    """A warehouse that need not be opened to be asked."""

    def reading(self) -> AbstractContextManager[Reader]:
        """Has it ready to be asked; raises SetupError, ServiceError."""


def hits_by_key(table: str) -> View:
    """Hits by key, as pixel-ping counts them."""
    query = (
        f"SELECT key, {_HITS} AS hits, MIN(timestamp) AS first_hit, MAX(timestamp) AS last_hit "
        f"FROM {{}} WHERE {_EVER} GROUP BY key"
    )
    return View(f"{table}{BY_KEY}", f"The hits of {table} by key.", query, (table,))


def campaign_views(opens: Sequence[str]) -> tuple[View, View]:
    """The sends with their opens, and the campaigns; `opens` are all tables that hold opens."""
    sends = View(
        CAMPAIGN_SENDS,
        "Each e-mail that was sent, with its opens.",
        f"SELECT {', '.join(f's.{name}' for name in _SEND.split(', '))}, "
        "COUNT(DISTINCT o.event_id) AS opens, "
        "MIN(o.timestamp) AS first_open, MAX(o.timestamp) AS last_open "
        f"FROM (SELECT {_SEND} FROM {{}} WHERE TRUE "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY send_id ORDER BY created_at) = 1) AS s "
        f"LEFT JOIN ({' UNION ALL '.join([_OPENS] * len(opens))}) AS o ON s.send_id = o.send_id "
        f"GROUP BY {', '.join(f's.{name}' for name in _SEND.split(', '))}",
        (SENDS, *opens),
    )
    campaigns = View(
        CAMPAIGNS,
        "The campaigns, with their sends and opens.",
        "SELECT campaign, campaign_hash, COUNT(*) AS sends, CAST(SUM(opens) AS INT64) AS opens, "
        "COUNT(first_open) AS unique_opens, "
        "ROUND(100.0 * COUNT(first_open) / COUNT(*), 1) AS open_percent, "
        "MIN(first_open) AS first_open, MAX(last_open) AS last_open "
        "FROM {} GROUP BY campaign, campaign_hash",
        (CAMPAIGN_SENDS,),
    )
    return sends, campaigns


def hits_question(
    table: str, by: str, since: datetime | None = None, until: datetime | None = None
) -> Question:
    """The hits of a table by one of GROUPS: rows of what, which may be null, and how many."""
    values = {name: time for name, time in (("since", since), ("until", until)) if time}
    conditions = [_EVER, *("timestamp >= @since" for _ in [since] if since)]
    conditions += ["timestamp < @until"] if until else []
    query = (
        f"SELECT {GROUPS[by]} AS what, {_HITS} AS hits FROM {{}} "
        f"WHERE {' AND '.join(conditions)} GROUP BY 1"
    )
    return Question(query, (table,), values)
