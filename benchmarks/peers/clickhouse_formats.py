"""ClickHouse (chDB) reads a log as `benchmarks.reading` does: the same columns, and no more.

Run as `python -m benchmarks.peers.clickhouse_formats FORMAT FILE`; prints one JSON line: `cpu_s`, what
the query took, start-up apart, and `rows`. One thread; the result goes nowhere (`FORMAT Null`), and
lines that cannot be read are skipped.

Plain strings, which it reads faster than its dictionaries (`LowCardinality`), and functions found
the fastest by trial. Times become DateTime64(6), URLs paths and queries, texts that stand for
nothing null.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import chdb

from benchmarks.format_traffic import COOKIE
from benchmarks.reading import cpu_s

_SETTINGS: Final = (
    "max_threads = 1, max_parsing_threads = 1, input_format_parallel_parsing = 0, "
    "input_format_allow_errors_ratio = 1, input_format_skip_unknown_fields = 1, "
    "input_format_json_defaults_for_missing_elements_in_named_tuple = 1, "
    "date_time_input_format = 'best_effort'"
)
_TIME: Final = "DateTime64(6, 'UTC')"
_HEADERS: Final = (
    "`User-Agent` Array(String), Referer Array(String), Cookie Array(String), "
    "`X-Forwarded-For` Array(String)"
)


@dataclass(frozen=True)
class Query:
    """How a format is read: ClickHouse's name of it, the columns with their types, what is taken."""

    structure: str
    taken: tuple[str, ...]
    reader: str = "JSONEachRow"


def _none(*columns: str, nothing: str = "") -> tuple[str, ...]:
    """Texts, null where they stand for nothing."""
    return tuple(f"nullIf({column}, '{nothing}')" for column in columns)


def _local(uri: str) -> tuple[str, str]:
    """The path and the query of a target such as `/a?b`."""
    mark = f"position({uri}, '?')"
    return (
        f"if({mark} = 0, {uri}, substring({uri}, 1, {mark} - 1))",
        f"if({mark} = 0, NULL, substring({uri}, {mark} + 1))",
    )


def _cookie(text: str) -> str:
    """The visitor's cookie out of all cookies."""
    at = f"position({text}, '{COOKIE}=')"
    rest = f"substring({text}, {at} + {len(COOKIE) + 1})"
    return f"if({at} = 0, NULL, substringIndex({rest}, ';', 1))"


def _strings(*names: str) -> str:
    return ", ".join(f"`{name}` String" for name in names)


_PX1: Final = (
    "request_id", "remote_addr", "http_x_forwarded_for", "request_method", "host", "request_uri",
    "status", "http_user_agent", "http_referer", "cookie__pxid",
)  # fmt: skip
_PX1_TAKEN: Final = tuple(name for name in _PX1 if name != "request_uri")
_CLOUDFRONT: Final = (
    "date", "time", "c-ip", "cs-method", "cs(Host)", "cs-uri-stem", "sc-status", "cs(Referer)",
    "cs(User-Agent)", "cs-uri-query", "cs(Cookie)", "x-edge-request-id", "x-host-header",
    "x-forwarded-for", "x-edge-location", "x-edge-result-type", "ssl-protocol",
)  # fmt: skip
_CLOUDFRONT_PLAIN: Final = (
    "`c-ip`", "`cs-method`", "`sc-status`", "`x-edge-request-id`", "`x-host-header`",
    "`x-forwarded-for`", "`x-edge-location`", "`x-edge-result-type`", "`ssl-protocol`",
)  # fmt: skip
_CLOUDFRONT_ESCAPED: Final = (
    "`cs-uri-stem`",
    "`cs-uri-query`",
    "`cs(Referer)`",
    "`cs(User-Agent)`",
)
_CLOUDFLARE: Final = (
    "ClientIP", "ClientRequestHost", "ClientRequestMethod", "ClientRequestReferer",
    "ClientRequestUserAgent", "RayID", "ClientCountry", "CacheCacheStatus", "ClientSSLProtocol",
    "EdgeColoCode", "EdgeResponseStatus", "ClientASN", "BotScore",
)  # fmt: skip
_FASTLY: Final = (
    "visits", "request_id", "client_ip", "forwarded_for", "request_method", "request_host",
    "response_status", "user_agent", "referrer", "cookie_pxid", "country", "asn", "cache_state",
    "tls_version", "pop",
)  # fmt: skip
_AKAMAI: Final = (
    "reqId", "cliIP", "statusCode", "reqHost", "reqMethod", "xForwardedFor", "tlsVersion",
    "cacheStatus", "country", "asn",
)  # fmt: skip
_AZURE: Final = (
    "trackingReference", "httpMethod", "userAgent", "clientIp", "socketIp", "httpStatusCode", "pop",
    "cacheStatus", "securityProtocol", "hostName", "referrer",
)  # fmt: skip
_TRAEFIK: Final = (
    "ClientHost", "DownstreamStatus", "RequestHost", "RequestMethod", "request_User-Agent",
    "request_Referer", "request_X-Forwarded-For", "TLSVersion",
)  # fmt: skip

QUERIES: Final[Mapping[str, Query]] = {
    "nginx-tsv": Query(
        f"format String, msec {_TIME}, {_strings(*_PX1)}, end String",
        ("msec", *_local("request_uri"), *_none(*_PX1_TAKEN, nothing="-")),
        "TabSeparated",
    ),
    "nginx-json": Query(
        f"msec {_TIME}, {_strings(*_PX1)}",
        ("msec", *_local("request_uri"), *_none(*_PX1_TAKEN)),
    ),
    "cloudfront-json": Query(
        _strings(*_CLOUDFRONT),
        (
            "parseDateTimeBestEffortOrNull(concat(date, 'T', time, 'Z'))",
            *(f"nullIf(decodeURLComponent({name}), '-')" for name in _CLOUDFRONT_ESCAPED),
            *_none(*_CLOUDFRONT_PLAIN, nothing="-"),
            _cookie("`cs(Cookie)`"),
        ),
    ),
    "google-lb": Query(
        f"insertId String, timestamp {_TIME}, httpRequest Tuple(requestMethod String, "
        "requestUrl String, status String, userAgent String, remoteIp String, referer String), "
        "jsonPayload Tuple(cacheId String, statusDetails String)",
        (
            "timestamp",
            "domain(httpRequest.requestUrl)",
            "path(httpRequest.requestUrl)",
            *_none("queryString(httpRequest.requestUrl)", "insertId"),
            *_none(*(f"httpRequest.{name}" for name in ("requestMethod", "status"))),
            *_none(*(f"httpRequest.{name}" for name in ("userAgent", "remoteIp", "referer"))),
            *_none("jsonPayload.cacheId", "jsonPayload.statusDetails"),
        ),
    ),
    "cloudflare": Query(
        f"EdgeStartTimestamp Int64, ClientRequestURI String, {_strings(*_CLOUDFLARE)}, "
        f"WorkerSubrequest Bool, Cookies Tuple({COOKIE} String)",
        (
            "fromUnixTimestamp64Micro(intDiv(EdgeStartTimestamp, 1000), 'UTC')",
            *_local("ClientRequestURI"),
            *_none(*_CLOUDFLARE, f"Cookies.{COOKIE}"),
            "WorkerSubrequest",
        ),
    ),
    "fastly": Query(
        f"time_start_us Int64, request_url String, {_strings(*_FASTLY)}",
        (
            "fromUnixTimestamp64Micro(time_start_us, 'UTC')",
            *_local("request_url"),
            *_none(*_FASTLY),
        ),
    ),
    "akamai": Query(
        f"reqTimeSec {_TIME}, {_strings(*_AKAMAI)}, "
        + _strings("reqPath", "queryStr", "UA", "referer", "cookie"),
        (
            "reqTimeSec",
            *_none(*_AKAMAI, "reqPath", "queryStr"),
            *_none("decodeURLFormComponent(UA)", "decodeURLFormComponent(referer)"),
            _cookie("cookie"),
        ),
    ),
    "azure-front-door": Query(
        f"time {_TIME}, properties Tuple(requestUri String, {_strings(*_AZURE)})",
        (
            "time",
            "path(properties.requestUri)",
            *_none("queryString(properties.requestUri)"),
            *_none(*(f"properties.{name}" for name in _AZURE)),
        ),
    ),
    "caddy": Query(
        f"ts {_TIME}, status String, request Tuple(client_ip String, method String, host String, "
        f"uri String, headers Tuple({_HEADERS}), tls Tuple(version String))",
        (
            "ts",
            *_local("request.uri"),
            *_none("status", "request.client_ip", "request.method", "request.host"),
            *_none("request.headers.`User-Agent`[1]", "request.headers.Referer[1]"),
            *_none("request.headers.`X-Forwarded-For`[1]", "request.tls.version"),
            _cookie("request.headers.Cookie[1]"),
        ),
    ),
    "traefik": Query(
        f"StartUTC {_TIME}, RequestPath String, {_strings(*_TRAEFIK)}, request_Cookie String",
        (
            "StartUTC",
            *_local("RequestPath"),
            *_none(*(f"`{name}`" for name in _TRAEFIK)),
            _cookie("request_Cookie"),
        ),
    ),
}
"""For each format the query that reads it; those without one have another peer."""


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def read(name: str, path: Path) -> dict[str, float]:
    """Reads a log of the named format once."""
    query = QUERIES[name]
    taken = ", ".join(f"{expression} AS c{at}" for at, expression in enumerate(query.taken))
    place = f"file({_literal(str(path))}, '{query.reader}', {_literal(query.structure)})"
    chdb.query("SELECT 1")
    began = cpu_s()
    chdb.query(f"SELECT {taken} FROM {place} SETTINGS {_SETTINGS} FORMAT Null")
    took_s = cpu_s() - began
    rows = chdb.query(f"SELECT count() FROM {place} SETTINGS {_SETTINGS} FORMAT CSV")
    return {"cpu_s": took_s, "rows": int(str(rows))}


if __name__ == "__main__":
    print(json.dumps(read(sys.argv[1], Path(sys.argv[2]).resolve())))
