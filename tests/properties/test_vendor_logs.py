"""What a vendor's JSON log holds of a request comes back from it as the client sent it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.logs import SECOND_US, Hit, format_named, requests_of
from tests.properties import strategies
from tests.vendor_logs import (
    akamai,
    azure_front_door,
    azure_front_door_classic,
    caddy,
    fastly,
    fastly_classic,
    google_lb,
    traefik,
)

ALL = {"forwarded_for", "cookie_pxid", "request_id"}
WRITERS = (
    (google_lb, "google-lb", set()),
    (azure_front_door, "azure-front-door", {"request_id"}),
    (azure_front_door_classic, "azure-front-door", {"request_id"}),
    (akamai, "akamai", {"forwarded_for", "cookie_pxid"}),
    (fastly, "fastly", ALL),
    (fastly_classic, "fastly", ALL),
    (caddy, "caddy", ALL),
    (traefik, "traefik", {"forwarded_for", "cookie_pxid"}),
)
"""The writers, their formats, and which of the columns that not all logs have theirs has."""


@pytest.mark.parametrize(
    ("write", "name", "has"), WRITERS, ids=[write.__name__ for write, *_ in WRITERS]
)
@given(hit=strategies.hits())
def test_what_the_client_sent_comes_back(write: Any, name: str, has: set[str], hit: Hit) -> None:
    (row,) = requests_of(format_named(name), write(hit))
    path, _, query = hit.uri.partition(b"?")
    assert (row["path"], row["query"] or b"") == (path, query)
    assert row["timestamp"].timestamp() == hit.time_us / SECOND_US
    assert row["user_agent"] == (None if hit.user_agent == b"-" else hit.user_agent)
    assert row["referrer"] == (None if hit.referrer == b"-" else hit.referrer)
    for column in ("method", "host", "status", "ip", *sorted(has)):
        assert row[column] == getattr(hit, column)
    if "forwarded_for" not in has:
        assert row["forwarded_for"] is None
