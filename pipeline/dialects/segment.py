"""Segment's pixel: `/v1/pixel/track?data=BASE64`, a message of its HTTP API in JSON.

Source: https://segment.com/docs/connections/sources/catalog/libraries/server/pixel-tracking-api/
(checked 2026-11-21). `writeKey` names the destination. `event`, else `name`, else `type` becomes the
key, the page's `url` the canonical URL, `userId`, else `anonymousId`, the user id, `timestamp`, else
`sentAt`, the client's time; `params` holds all other properties, and `traits` where there are some.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pipeline.dialects.contract import Reading
from pipeline.dialects.json_data import DATA, JsonEvent, read_json_claims
from pipeline.options import Rules, UnsignedDialect

MARK = DATA


def read_claims(queries: pa.BinaryArray, rules: Rules, dialect: UnsignedDialect) -> Reading:
    """Decodes query strings (distinct, binary, no nulls)."""
    return read_json_claims(queries, rules, dialect, _event)


def _event(found: Mapping[str, Any]) -> JsonEvent:
    params = dict(_object(found, "properties"))
    page = _object(_object(found, "context"), "page")
    canonical = params.pop("url", None) or page.get("url")
    if traits := _object(found, "traits"):
        params["traits"] = traits
    return JsonEvent(
        token=found.get("writeKey"),
        key=_first(found, "event", "name", "type"),
        canonical=canonical,
        user_id=_first(found, "userId", "anonymousId"),
        time=_first(found, "timestamp", "sentAt"),
        params=params,
    )


def _object(around: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = around.get(name)
    return found if isinstance(found, dict) else {}


def _first(found: Mapping[str, Any], *names: str) -> object:
    return next((found[name] for name in names if found.get(name)), None)
