"""CloudFront's standard log: tab separated, its columns named by a header.

Source: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html
(checked 2026-11-21).
Sample (tabs shown as spaces):
    #Version: 1.0
    #Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status …
    2019-12-04 21:02:31 LAX1 392 192.0.2.100 GET d111111abcdef8.cloudfront.net /index.html 200 …
History: 12 fields at first; 15 with the cookie, the result and the request id, 18 with the viewer's
host and protocol, 19 with the time taken, 23 with X-Forwarded-For and TLS, 24 with HTTP's version,
26 with field-level encryption, 33 since December 2019. Version 2 logs the fields that the user
chose. So a field is found by its name alone.

Times are the end of the answer, in UTC. Field values are unescaped once, as `cloudfront_fields`
says. `cache_status` is `x-edge-result-type`, the verdict once the answer was sent, which all but
the oldest logs have; a client that left early makes it `Error`, with the status `000`. `host` is what
the client asked for (`x-host-header`), else the distribution's own name. URLs over 8192 bytes are
not logged.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import Mask, Rows, encode, none_where_absent, on_values
from pipeline.formats.cloudfront_fields import unescape_agents
from pipeline.formats.contract import Parsed, Quirks, requests
from pipeline.formats.cookies import pxid_in
from pipeline.formats.delimited import matches, split_fields
from pipeline.formats.headers import HeaderFormat, Layout
from pipeline.formats.percent import unescape_values
from pipeline.formats.times import from_date_and_time, from_epoch

_COLUMNS = {
    "date": "date",
    "time": "time",
    "timestamp(ms)": "milliseconds",
    "c-ip": "ip",
    "x-forwarded-for": "forwarded_for",
    "cs-method": "method",
    "x-host-header": "host",
    "cs(host)": "distribution",
    "cs-uri-stem": "path",
    "cs-uri-query": "query",
    "sc-status": "status",
    "cs(user-agent)": "user_agent",
    "cs(referer)": "referrer",
    "cs(cookie)": "cookie",
    "x-edge-request-id": "request_id",
    "c-country": "country",
    "asn": "asn",
    "x-edge-result-type": "cache_status",
    "ssl-protocol": "tls_version",
    "x-edge-location": "edge_location",
}
"""The log's field for each column, and for what the columns are made of."""
_NEEDED = {"ip", "method", "path", "status", "user_agent"}
_UNESCAPED = {
    "forwarded_for", "method", "host", "distribution", "path", "query", "referrer", "cookie",
}  # fmt: skip
_PLAIN = {"milliseconds", "ip", "request_id", "cookie"}
_CODED = pa.dictionary(pa.int32(), pa.binary())
_FIELDS = b"#Fields:"
_SHAPES = {
    "date": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "time": "^[0-9]{2}:[0-9]{2}:[0-9]{2}$",
    "status": "^[0-9]{3}$",
}
"""What tells a request from other text of as many fields."""


class CloudFront(HeaderFormat):
    """The format `cloudfront`."""

    name = "cloudfront"
    quirks = Quirks(
        "CloudFront, standard log",
        lateness="mostly within an hour, at times 24 hours",
        order="none",
        delivery="best effort: a request may be missing",
        lacks=("fractions of a second", "URLs over 8192 bytes"),
    )

    def layout_of(self, line: bytes) -> Layout | None:
        """What a `#Fields:` line says."""
        if not (line.startswith(_FIELDS) and line.isascii()):
            return None
        names = line.removeprefix(_FIELDS).decode().lower().split()
        layout = Layout.of(names, _COLUMNS)
        known = {name for name, _ in layout.places}
        has_time = "milliseconds" in known or {"date", "time"} <= known
        is_edge = any(name.startswith("x-edge-") for name in names)
        return layout if is_edge and has_time and known >= _NEEDED else None

    def are_headers(self, lines: Lines) -> Mask:
        """Those that begin with `#`."""
        starts = lines.ends - lines.lengths - 1
        return np.frombuffer(lines.data, np.uint8)[starts] == ord("#")

    def names_fields(self, line: bytes) -> bool:
        """Not so `#Version: 1.0`."""
        return line.startswith(_FIELDS)

    def is_record(self, line: bytes, layout: Layout) -> bool:
        """The number of fields, and the shapes of date, time and status."""
        fields = line.split(b"\t")
        if len(fields) != layout.width or b"\0" in line or b"\r" in line:
            return False
        shaped = [(_SHAPES[name], place) for name, place in layout.places if name in _SHAPES]
        return all(re.search(shape.encode(), fields[place]) for shape, place in shaped)

    def read(self, lines: Lines, rows: Rows, layout: Layout) -> Parsed:
        """Columns straight from the tab-separated fields."""
        types = {place: pa.binary() if name in _PLAIN else _CODED for name, place in layout.places}
        fields = split_fields(lines, b"\t", layout.width, types)
        shaped = [(place, _SHAPES[name]) for name, place in layout.places if name in _SHAPES]
        is_fit = np.logical_and.reduce(
            [matches(fields.column(place), shape) for place, shape in shaped]
        )
        if not is_fit.all():
            fields = fields.filter(is_fit)
        column = {name: none_where_absent(fields.column(place)) for name, place in layout.places}
        return Parsed(requests(rows[fields.regular], _columns(column)), rows[fields.irregular])


def _columns(column: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """The log's fields as the columns of requests."""
    for name in _UNESCAPED & column.keys():
        column[name] = on_values(column[name], unescape_values)
    column["user_agent"] = on_values(column["user_agent"], unescape_agents)
    if "cookie" in column:
        column["cookie_pxid"] = pxid_in(column["cookie"])
    if "distribution" in column:
        column["host"] = _first_of(column.get("host"), column["distribution"])
    if "milliseconds" in column:
        column["timestamp"] = from_epoch(column["milliseconds"], 1000)
    else:
        column["timestamp"] = from_date_and_time(encode(column["date"]), encode(column["time"]))
    return column


def _first_of(column: pa.Array | None, other: pa.Array) -> pa.Array:
    """A column, where it is null another."""
    if column is None or column.null_count == 0:
        return other if column is None else column
    return pc.coalesce(encode(column).plain(), encode(other).plain()).dictionary_encode()
