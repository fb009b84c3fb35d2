"""CloudFront's standard log, version 2, as JSON lines of the fields that were chosen.

Source: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logging.html and
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html
(checked 2026-11-21).
Sample:
    {"date":"2026-04-04","time":"12:57:53","x-edge-location":"SFO53-P7","c-ip":"203.0.113.7",…}
History: version 2 came in November 2024. Its fields have the names of the log with a header, some
those of the real-time log (`timestamp`, `timestamp(ms)`, `asn`).

Names are matched without case. Values are strings, escaped as in the log with a header: each is
unescaped once. Times are the end of the answer, in UTC. `host` is what the client asked for
(`x-host-header`), else the distribution's own name. URLs over 8192 bytes are not logged.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import encode
from pipeline.formats.cloudfront_fields import unescape_agents
from pipeline.formats.contract import Format, Parsed, Quirks
from pipeline.formats.cookies import pxid_in
from pipeline.formats.json_lines import Dialect, read_object
from pipeline.formats.json_requests import Kinds, Values, Wanted, holds, is_there, parse_requests
from pipeline.formats.percent import unescape_values
from pipeline.formats.times import from_date_and_time, from_epoch, from_epoch_s

_WANTED: Wanted = {
    "milliseconds": [("timestamp(ms)",)],
    "seconds": [("timestamp",)],
    "date": [("date",)],
    "time": [("time",)],
    "request_id": [("x-edge-request-id",)],
    "ip": [("c-ip",)],
    "forwarded_for": [("x-forwarded-for",)],
    "method": [("cs-method",)],
    "host": [("x-host-header",), ("cs(host)",), ("cs-host",)],
    "path": [("cs-uri-stem",)],
    "query": [("cs-uri-query",)],
    "status": [("sc-status",)],
    "user_agent": [("cs(user-agent)",), ("cs-user-agent",)],
    "referrer": [("cs(referer)",), ("cs-referer",)],
    "cookie": [("cs(cookie)",), ("cs-cookie",)],
    "country": [("c-country",)],
    "asn": [("asn",)],
    "cache_status": [("x-edge-result-type",)],
    "tls_version": [("ssl-protocol",)],
    "edge_location": [("x-edge-location",)],
}
_UNESCAPED = ("forwarded_for", "method", "host", "path", "query", "referrer")
_ANY_CASE = Dialect(any_case=True)


class CloudFrontJson(Format):
    """The format `cloudfront-json`."""

    name = "cloudfront-json"
    quirks = Quirks(
        "CloudFront, standard log v2 as JSON",
        lateness="mostly within an hour, at times 24 hours",
        order="none",
        delivery="best effort: a request may be missing",
        lacks=("fields that were not chosen", "URLs over 8192 bytes"),
    )

    def recognises(self, line: bytes) -> bool:
        """An object with CloudFront's names for the path and the method or the status."""
        values = read_object(line, _ANY_CASE)
        return holds(values, ("cs-uri-stem",)) and any(
            holds(values, (name,)) for name in ("cs-method", "sc-status")
        )

    def parse(self, lines: Lines) -> Parsed:
        """Every record is a client's request."""
        return parse_requests(lines, _WANTED, _kinds, _columns, _ANY_CASE)


def _kinds(values: Values) -> Kinds:
    is_request = is_there(*(values[name] for name in ("path", "method", "status")))
    return is_request, is_request


def _columns(values: Values) -> Values:
    columns = dict(values)
    for name in _UNESCAPED:
        coded = encode(values[name])
        columns[name] = coded.with_values(unescape_values(coded.values)).dictionary()
    agents = encode(values["user_agent"])
    columns["user_agent"] = agents.with_values(unescape_agents(agents.values)).dictionary()
    columns["cookie_pxid"] = pxid_in(unescape_values(values["cookie"]))
    columns["timestamp"] = _times(values)
    return columns


def _times(values: Values) -> pa.Array:
    """Milliseconds or seconds since 1970, or date and time, whichever was chosen."""
    times = from_epoch(values["milliseconds"], 1000)
    if times.null_count:
        times = pc.coalesce(times, from_epoch_s(values["seconds"]))
    if times.null_count:
        clock = from_date_and_time(encode(values["date"]), encode(values["time"]))
        times = pc.coalesce(times, clock)
    return times
