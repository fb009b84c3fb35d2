"""Cloudflare's HTTP requests log, as Logpush delivers it: JSON lines of the fields that were chosen.

Source: https://developers.cloudflare.com/logs/logpush/logpush-job/datasets/zone/http_requests/ and
https://developers.cloudflare.com/logs/logpush/logpush-job/log-output-options/ (checked 2026-11-21).
Sample:
    {"ClientIP":"203.0.113.7","ClientRequestURI":"/i.gif?k=…","EdgeStartTimestamp":1763726400123000000,…}
History: times are nanoseconds since 1970 by default, seconds or RFC 3339 by choice (the dashboard
chooses RFC 3339). Cookies and request headers are there since 2021, where custom fields name them:
`_pxid` and `x-forwarded-for` for us.

`EdgeStartTimestamp` is when the edge received the request. Requests that Cloudflare made itself (a
Worker's, a purge, a health check) are records of something else, told by `WorkerSubrequest` and
`ClientRequestSource`. The option CVE-2021-44228 writes `x{` for every `${`, which breaks signatures
of URLs that hold it. When a job is set up, a file `ownership-challenge….txt` is put beside the logs.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import encode
from pipeline.formats.contract import Format, Parsed, Quirks, uri_columns
from pipeline.formats.json_lines import read_object
from pipeline.formats.json_requests import (
    Kinds,
    Values,
    Wanted,
    holds,
    is_any,
    is_there,
    parse_requests,
)
from pipeline.formats.times import from_epoch, from_iso8601

_WANTED: Wanted = {
    "timestamp": [("EdgeStartTimestamp",), ("EdgeEndTimestamp",)],
    "request_id": [("RayID",)],
    "ip": [("ClientIP",)],
    "forwarded_for": [("RequestHeaders", "x-forwarded-for")],
    "method": [("ClientRequestMethod",)],
    "host": [("ClientRequestHost",)],
    "uri": [("ClientRequestURI",), ("ClientRequestPath",)],
    "status": [("EdgeResponseStatus",)],
    "user_agent": [("ClientRequestUserAgent",), ("RequestHeaders", "user-agent")],
    "referrer": [("ClientRequestReferer",), ("RequestHeaders", "referer")],
    "cookie_pxid": [("Cookies", "_pxid")],
    "country": [("ClientCountry",)],
    "asn": [("ClientASN",)],
    "cache_status": [("CacheCacheStatus",)],
    "bot_score": [("BotScore",)],
    "tls_version": [("ClientSSLProtocol",)],
    "edge_location": [("EdgeColoCode",)],
    "is_subrequest": [("WorkerSubrequest",)],
    "source": [("ClientRequestSource",)],
}
_OWN_SOURCES = (
    b"purge", b"alwaysOnline", b"healthcheck", b"edgeWorkerFetch", b"edgeWorkerCacheAPI",
    b"edgeWorkerKV", b"imageResizing", b"sslDetector", b"earlyHintsCache",
)  # fmt: skip
"""What Cloudflare itself asks for; `orangeToOrange` is a client's request that another zone passed on."""
_NS_A_SECOND = 1_000_000_000


class Cloudflare(Format):
    """The format `cloudflare`."""

    name = "cloudflare"
    quirks = Quirks(
        "Cloudflare Logpush, HTTP requests",
        lateness="a minute or so",
        order="none",
        delivery="at most once, as documented: what cannot be delivered is dropped",
        lacks=("cookie and X-Forwarded-For, unless custom fields name them",),
    )

    def recognises(self, line: bytes) -> bool:
        """An object with the edge's time, the client's address or method, and the target."""
        values = read_object(line) or {}
        has_time = any(name in values for name in ("EdgeStartTimestamp", "EdgeEndTimestamp"))
        return has_time and any(
            holds(values, path) for path in (*_WANTED["uri"], *_WANTED["method"])
        )

    def parse(self, lines: Lines) -> Parsed:
        """Clients' requests; those of Cloudflare itself as other records."""
        return parse_requests(lines, _WANTED, _kinds, _columns)


def _kinds(values: Values) -> Kinds:
    is_own = is_any(values["is_subrequest"], [b"true"]) | is_any(values["source"], _OWN_SOURCES)
    is_record = is_there(values["uri"], values["method"])
    return is_record & ~is_own, is_record


def _columns(values: Values) -> Values:
    columns = {**values, **uri_columns(encode(values["uri"]))}
    columns["timestamp"] = _times(values["timestamp"])
    return columns


def _times(column: pa.Array) -> pa.Array:
    """Nanoseconds or seconds since 1970, or RFC 3339, each value as it comes."""
    times = from_iso8601(column)
    for per_second in (_NS_A_SECOND, 1):
        if times.null_count:
            times = pc.coalesce(times, from_epoch(column, per_second))
    return times
