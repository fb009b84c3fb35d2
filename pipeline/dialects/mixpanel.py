"""Mixpanel's pixel: `/track/?data=BASE64&img=1`, an event or an array of events in JSON.

Source: https://docs.mixpanel.com/docs/tracking-methods/pixel (checked 2026-11-21). The token is no
secret: it names the project, and so the destination. `event` becomes the key, `$current_url` or
`url` the canonical URL, `distinct_id` the user id, `time` the client's time; all other properties go
into `params`. `ip=0` in the URL: no address is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pipeline.dialects.contract import Reading
from pipeline.dialects.json_data import DATA, JsonEvent, read_json_claims
from pipeline.options import Rules, UnsignedDialect

MARK = DATA
_URLS = ("$current_url", "url")
_OWN_COLUMNS = ("token", "distinct_id", "time")


def read_claims(queries: pa.BinaryArray, rules: Rules, dialect: UnsignedDialect) -> Reading:
    """Decodes query strings (distinct, binary, no nulls)."""
    return read_json_claims(queries, rules, dialect, _event)


def _event(found: Mapping[str, Any]) -> JsonEvent:
    properties = found.get("properties")
    rest = dict(properties) if isinstance(properties, dict) else {}
    token, user_id, time = (rest.pop(name, None) for name in _OWN_COLUMNS)
    at = next((name for name in _URLS if isinstance(rest.get(name), str)), "")
    return JsonEvent(token, found.get("event"), rest.pop(at, None), user_id, time, rest)
