"""Caddy's access log, JSON.

Source: https://caddyserver.com/docs/caddyfile/directives/log, https://caddyserver.com/docs/logging and
https://caddyserver.com/docs/caddyfile/options#trusted-proxies (checked 2026-11-21).
Sample:
    {"level":"info","ts":1703373474.8155608,"logger":"http.log.access","request":{…},"status":200}
History: Caddy 2.0 logs `remote_addr` with a port, 2.5 (2022) `remote_ip`, 2.7 (2023) also
`client_ip`. Cookies are empty or `REDACTED` where `log_credentials` is not set.

`client_ip` is who opened the connection, or with `trusted_proxies` set in Caddy what X-Forwarded-For
says: without `trusted_proxies_strict` its leftmost address that is no proxy, which a client can
forge if the proxy before Caddy adds to the header instead of setting it. Records of other loggers
(`http.log.error` has the request a second time) count as other records. `ts` is read in each of
Caddy's `time_format`s; `wall` has no offset and is taken for UTC, which is Caddy's own default.
The request id is whatever `log_append` writes as `uuid`, `request_id` or `id`.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import Mask, encode, map_values
from pipeline.formats.contract import Format, Parsed, Quirks, uri_columns
from pipeline.formats.cookies import pxid_in
from pipeline.formats.json_lines import read_object, value_at
from pipeline.formats.json_requests import (
    Kinds,
    Values,
    Wanted,
    bare_addresses,
    bare_hosts,
    holds,
    is_there,
    joined,
    parse_requests,
    plain,
)
from pipeline.formats.times import from_any, from_epoch

_ACCESS = r"^http\.log\.access(?:\.|$)"
_HEADERS = ("request", "headers")
_MOST_FORWARDED = 4
_FORWARDED = [f"forwarded_{place}" for place in range(_MOST_FORWARDED + 1)]
"""The X-Forwarded-For headers of a request, one after the other; the last is one too many."""
_WANTED: Wanted = {
    "logger": [("logger",)],
    "level": [("level",)],
    "timestamp": [("ts",)],
    "request_id": [("uuid",), ("request_id",), ("id",)],
    "ip": [("request", "client_ip"), ("request", "remote_ip"), ("request", "remote_addr")],
    "method": [("request", "method")],
    "host": [("request", "host")],
    "uri": [("request", "uri")],
    "status": [("status",)],
    "user_agent": [(*_HEADERS, "User-Agent", 0)],
    "referrer": [(*_HEADERS, "Referer", 0)],
    "cookie": [(*_HEADERS, "Cookie", 0)],
    "tls_version": [("request", "tls", "version")],
    **{name: [(*_HEADERS, "X-Forwarded-For", place)] for place, name in enumerate(_FORWARDED)},
}
_TLS = {b"769": b"tls1.0", b"770": b"tls1.1", b"771": b"tls1.2", b"772": b"tls1.3"}
"""Caddy's own names for the numbers it logs."""
_NANOSECONDS = 1_000_000_000
_MILLISECONDS = r"^([0-9]{10})([0-9]{3})(?:\.([0-9]*))?$"
_WALL = r"^([0-9]{4})/([0-9]{2})/([0-9]{2}) ([0-9:]{8}(?:\.[0-9]+)?)$"


class Caddy(Format):
    """The format `caddy`."""

    name = "caddy"
    quirks = Quirks(
        "Caddy, JSON",
        lateness="none: the line is written when the answer ends",
        order="by the end of the answer",
        delivery="exactly once",
        lacks=("cookie, unless log_credentials is set", "request id, unless log_append adds it"),
    )

    def recognises(self, line: bytes) -> bool:
        """A record of the access logger with a request."""
        record = read_object(line) or {}
        is_access = re.match(_ACCESS.encode(), value_at(record, ("logger",)) or b"") is not None
        return is_access and holds(record, ("status",), ("request", "uri"), ("request", "method"))

    def parse(self, lines: Lines) -> Parsed:
        """Records of the access logger; those of other loggers as other records."""
        return parse_requests(lines, _WANTED, _kinds, _columns)


def _kinds(values: Values) -> Kinds:
    is_access = _is_access(values["logger"]) | ~is_there(values["logger"])
    has_request = is_there(values["status"]) & is_there(values["uri"], values["method"])
    is_record = is_there(values["logger"], values["level"])
    return is_access & has_request, is_record


def _is_access(loggers: pa.Array) -> Mask:
    coded = encode(loggers)
    is_access = pc.match_substring_regex(coded.values, _ACCESS)
    return coded.look_up(is_access.to_numpy(zero_copy_only=False), False).astype(bool)


def _columns(values: Values) -> Values:
    return {
        **{name: values[name] for name in ("method", "status", "user_agent", "referrer")},
        **uri_columns(encode(values["uri"])),
        "timestamp": _times(plain(values["timestamp"])),
        "host": bare_hosts(values["host"]),
        "ip": bare_addresses(values["ip"]),
        "forwarded_for": _forwarded(values),
        "cookie_pxid": pxid_in(plain(values["cookie"])),
        "request_id": plain(values["request_id"]),
        "tls_version": _tls_names(values["tls_version"]),
    }


def _forwarded(values: Values) -> pa.Array:
    """All X-Forwarded-For headers as one; null where they are too many to be sure of the last."""
    *headers, surplus = (plain(values[name]) for name in _FORWARDED)
    whole = headers[0]
    for header in headers[1:]:
        whole = pc.coalesce(joined(b", ", whole, header), whole, header)
    return pc.if_else(surplus.is_valid(), pa.scalar(None, whole.type), whole)


def _tls_names(column: pa.Array) -> pa.Array:
    numbers = encode(column)
    names = map_values(numbers.values, lambda number: _TLS.get(number, number), pa.binary())
    return numbers.with_values(names).dictionary()


def _times(column: pa.Array) -> pa.Array:
    """Times in any `time_format`."""
    times = from_any(column)
    if times.null_count:
        times = pc.coalesce(times, from_epoch(column, _NANOSECONDS))
    if times.null_count:
        seconds = pc.replace_substring_regex(column, _MILLISECONDS, r"\1.\2\3")
        iso8601 = pc.replace_substring_regex(seconds, _WALL, r"\1-\2-\3T\4Z")
        times = pc.coalesce(times, from_any(iso8601))
    return times
