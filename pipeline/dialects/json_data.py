"""Events that a URL carries as JSON in base64 (`?data=eyJldmVudCI6…`): Mixpanel's and Segment's way.

The base64 may be of the standard or the URL-safe alphabet, padded or not, percent-escaped once or
twice; a `+` that came as a space is one again. The JSON is an event or an array of events: an array
counts whole or not at all.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from pipeline.columns import Mask
from pipeline.destinations import is_permitted, matches
from pipeline.dialects.contract import Claims, Reading, claims_of
from pipeline.model import TIMESTAMP, Reason
from pipeline.options import Rules, UnsignedDialect
from pipeline.query import parse_queries

DATA = "data"
_URL_SAFE = str.maketrans("-_ ", "+/+", "\t\r\n")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MOST_MS = 4_102_444_800_000
_MILLISECONDS_FROM = 100_000_000_000
"""An epoch time above this is of milliseconds: in seconds it would be the year 5138."""
_OFFSET_Z = re.compile(r"[zZ]$")


@dataclass(frozen=True)
class JsonEvent:
    """One event as its writer's keys have it: `token` says where it goes, `params` is the rest."""

    token: object
    key: object
    canonical: object
    user_id: object
    time: object
    params: Mapping[str, Any]


class _BadEventError(ValueError):
    """The data is not what it should be."""


def read_json_claims(
    queries: pa.BinaryArray,
    rules: Rules,
    dialect: UnsignedDialect,
    read_event: Callable[[Mapping[str, Any]], JsonEvent],
) -> Reading:
    """Decodes the events of query strings (distinct, binary, no nulls)."""
    parameters = parse_queries(queries)
    judge = _Judge(rules, dialect, read_event)
    judged = [
        [_refused(fault)] if fault else judge.events(data)
        for fault, data in zip(
            parameters.fault.tolist(), parameters.get(DATA).to_pylist(), strict=True
        )
    ]
    counts = [len(events) for events in judged]
    first = np.cumsum([0, *counts], dtype=np.int64)[:-1]
    hides = np.array([ip == "0" for ip in parameters.get("ip").to_pylist()], np.bool_)
    return Reading(_columns(dialect.name, judged, np.repeat(hides, counts)), first)


@dataclass(frozen=True)
class _Event:
    """An event as its columns hold it."""

    reason: int
    key: str | None = None
    canonical: str | None = None
    destination: str | None = None
    params: str | None = None
    user_id: str | None = None
    time_us: int | None = None


def _refused(reason: int) -> _Event:
    return _Event(int(reason))


def _columns(name: str, judged: Sequence[Sequence[_Event]], hides_address: Mask) -> Claims:
    events = [event for some in judged for event in some]
    texts = ("key", "canonical", "destination", "params", "user_id")
    columns = {
        text: pa.array([getattr(each, text) for each in events], pa.string()) for text in texts
    }
    times = pa.array([event.time_us for event in events], pa.int64()).cast(TIMESTAMP)
    reason = np.array([event.reason for event in events], np.int8)
    return claims_of(
        name, reason, {**columns, "client_time": times, "hides_address": hides_address}
    )


class _Judge:
    """Reads the data of distinct query strings, one by one: this is the kernel with the loop."""

    def __init__(
        self,
        rules: Rules,
        dialect: UnsignedDialect,
        read_event: Callable[[Mapping[str, Any]], JsonEvent],
    ) -> None:
        self._rules, self._dialect, self._read_event = rules, dialect, read_event

    def events(self, data: str | None) -> list[_Event]:
        """The events, or what is against the first that does not count."""
        if not data:
            return [_refused(Reason.NO_DATA)]
        try:
            events = [self._event(each) for each in _decoded(data)]
        except (ValueError, RecursionError):
            return [_refused(Reason.BAD_DATA)]
        faulty = next((event for event in events if event.reason), None)
        return [_refused(faulty.reason)] if faulty else events

    def _event(self, found: Mapping[str, Any]) -> _Event:
        event = self._read_event(found)
        token, key = _text(event.token), _text(event.key)
        destination = self._dialect.destinations.get(token or "")
        if not key:
            return _refused(Reason.NO_DATA)
        if destination is None:
            return _refused(Reason.UNKNOWN_TOKEN)
        if not is_permitted(destination, self._rules.allow):
            return _refused(Reason.BAD_DESTINATION)
        if matches(destination, self._rules.signed_only):
            return _refused(Reason.UNSIGNED)
        return _Event(
            0,
            key=key,
            canonical=_text(event.canonical),
            destination=destination,
            params=_json(event.params) if event.params else None,
            user_id=_text(event.user_id),
            time_us=_time_us(event.time),
        )


def _decoded(data: str) -> list[Mapping[str, Any]]:
    """The JSON objects in base64 text; raises ValueError, RecursionError."""
    text = (unquote(data) if "%" in data else data).translate(_URL_SAFE).rstrip("=")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise _BadEventError from None
    found = json.loads(raw.decode(), parse_constant=_refuse, parse_float=_finite)
    events = found if isinstance(found, list) else [found]
    if not events or not all(isinstance(event, dict) for event in events):
        raise _BadEventError
    return events


def _refuse(name: str) -> None:
    raise _BadEventError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _BadEventError(text)
    return number


def _text(value: object) -> str | None:
    """A text or a number as text, None for anything else; raises ValueError where it is no UTF-8."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    text = str(value)
    text.encode()
    if "\0" in text:
        raise _BadEventError
    return text or None


def _json(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    text.encode()
    return text


def _time_us(value: object) -> int | None:
    """Epoch seconds or milliseconds, or ISO 8601, as microseconds; None for what is no such time."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value) if isinstance(value, (int, float, str)) else math.nan
    except (ValueError, OverflowError):
        return _iso_us(str(value))
    ms = number if abs(number) > _MILLISECONDS_FROM else number * 1000
    return round(ms * 1000) if 0 <= ms < _MOST_MS else None


def _iso_us(text: str) -> int | None:
    try:
        time = datetime.fromisoformat(_OFFSET_Z.sub("+00:00", text))
    except ValueError:
        return None
    if time.tzinfo is None:
        return None
    ms = (time - _EPOCH) // timedelta(milliseconds=1)
    return (time - _EPOCH) // timedelta(microseconds=1) if 0 <= ms < _MOST_MS else None
