"""Google Cloud's load balancers and Cloud CDN, as a log sink writes them to Cloud Storage.

Source: https://docs.cloud.google.com/load-balancing/docs/https/https-logging-monitoring,
https://docs.cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry and
https://docs.cloud.google.com/logging/docs/export/storage (checked 2026-11-21).
Sample:
    {"insertId":"1oek5rg3l3fxj7","httpRequest":{"requestMethod":"GET","requestUrl":"https://…",…},…}
History: `httpRequest` is as old as the log. Regional load balancers give `remoteIp` a port, and
`jsonPayload.tls` and `securityPolicyRequestData` came later.

A sink is at least once, and late entries come in addendum files (`…_A0:…json`) of the same form.
An `insertId` is unique among the entries of one time, so the request id is made of both. Other
entries in the file count as other records: also the requests that services behind the load balancer
log, which would count views twice. `cache_status` is `statusDetails`, the load balancer's own word
for where the answer came from; `edge_location` is what stands in the `cacheId` before its hyphen.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import encode
from pipeline.formats.contract import Format, Parsed, Quirks
from pipeline.formats.json_lines import read_object, value_at
from pipeline.formats.json_requests import (
    Kinds,
    Values,
    Wanted,
    bare_addresses,
    holds,
    is_any,
    is_there,
    joined,
    parse_requests,
    plain,
    url_columns,
)
from pipeline.formats.times import from_iso8601

_TYPES = (b"http_load_balancer", b"http_external_regional_lb_rule", b"internal_http_lb_rule")
"""The resources that log a client's request at the edge."""
_CLIENT = ("jsonPayload", "securityPolicyRequestData", "remoteIpInfo")
_WANTED: Wanted = {
    "timestamp": [("timestamp",)],
    "insert_id": [("insertId",)],
    "log": [("logName",)],
    "resource": [("resource", "type")],
    "method": [("httpRequest", "requestMethod")],
    "url": [("httpRequest", "requestUrl")],
    "status": [("httpRequest", "status")],
    "user_agent": [("httpRequest", "userAgent")],
    "referrer": [("httpRequest", "referer")],
    "ip": [("httpRequest", "remoteIp"), ("jsonPayload", "remoteIp")],
    "country": [(*_CLIENT, "regionCode")],
    "asn": [(*_CLIENT, "asn")],
    "cache_status": [("jsonPayload", "statusDetails")],
    "tls_version": [("jsonPayload", "tls", "protocol")],
    "cache_id": [("jsonPayload", "cacheId")],
}
_AS_THEY_ARE = (
    "method", "status", "user_agent", "referrer", "country", "asn", "cache_status", "tls_version",
)  # fmt: skip


class GoogleLb(Format):
    """The format `google-lb`."""

    name = "google-lb"
    quirks = Quirks(
        "Google Cloud load balancer and Cloud CDN, through a log sink",
        lateness="an hour or two; late entries come in addendum files",
        order="none",
        delivery="at least once; a backend service may log a sample only",
        lacks=("X-Forwarded-For", "cookie"),
    )

    def recognises(self, line: bytes) -> bool:
        """A log entry of a load balancer with a request."""
        entry = read_object(line) or {}
        is_edge = value_at(entry, ("resource", "type")) in _TYPES
        return is_edge and holds(
            entry, ("timestamp",), ("httpRequest", "requestUrl"), ("httpRequest", "requestMethod")
        )

    def parse(self, lines: Lines) -> Parsed:
        """Entries of load balancers with an `httpRequest`; other log entries as other records."""
        return parse_requests(lines, _WANTED, _kinds, _columns)


def _kinds(values: Values) -> Kinds:
    has_request = is_there(*(values[name] for name in ("method", "url", "status")))
    is_edge = is_any(values["resource"], _TYPES) | ~is_there(values["resource"])
    is_entry = is_there(*(values[name] for name in ("insert_id", "log", "resource")))
    return has_request & is_edge, is_entry


def _columns(values: Values) -> Values:
    return {
        **{name: values[name] for name in _AS_THEY_ARE},
        **url_columns(encode(values["url"])),
        "timestamp": from_iso8601(plain(values["timestamp"])),
        "ip": bare_addresses(values["ip"]),
        "request_id": joined(b"/", values["insert_id"], values["timestamp"]),
        "edge_location": _locations(values["cache_id"]),
    }


def _locations(cache_ids: pa.Array) -> pa.Array:
    """`SFO` of `SFO-fbae48ad`."""
    coded = encode(cache_ids)
    return coded.with_values(pc.replace_substring_regex(coded.values, "-.*", "")).dictionary()
