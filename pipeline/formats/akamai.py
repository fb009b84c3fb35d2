"""Akamai DataStream 2, JSON.

Source: https://techdocs.akamai.com/datastream2/docs/data-set-parameters and
https://techdocs.akamai.com/datastream2/docs/log-format (checked 2026-11-21).
Sample:
    {"reqTimeSec":"1573840000.120","cliIP":"128.147.28.68","statusCode":"206","reqPath":"/a/b",…}
History: DataStream 2 (2021) names the fields so. A stream logs those that its owner chose; what it
has no value for is left out, or is `-`. Later streams can log Akamai's own requests between its
servers (`isMidgress`), which count as other records.

Akamai percent-escapes fields. The document's sample escapes all but letters, digits and a few marks
and writes a space as `+`; its text, and logs seen, escape spaces and bytes past ASCII alone. Which
of the two holds is told from each value: `+` is a space, and a referrer is unescaped, only where
all of it is escaped so. Query strings keep the client's own escapes. `reqId` is short and given
anew by each server, so the request id is made of it and of the time.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import encode, none_where_absent
from pipeline.formats.contract import Format, Parsed, Quirks
from pipeline.formats.cookies import pxid_in
from pipeline.formats.json_lines import read_object
from pipeline.formats.json_requests import (
    Kinds,
    Values,
    Wanted,
    bare_hosts,
    holds,
    is_any,
    is_there,
    joined,
    parse_requests,
    plain,
)
from pipeline.formats.percent import unescape_values
from pipeline.formats.times import from_epoch_s

_WANTED: Wanted = {
    "timestamp": [("reqTimeSec",)],
    "request_id": [("reqId",)],
    "midgress": [("isMidgress",)],
    "ip": [("cliIP",)],
    "forwarded_for": [("xForwardedFor",)],
    "method": [("reqMethod",)],
    "host": [("reqHost",)],
    "path": [("reqPath",)],
    "query": [("queryStr",)],
    "status": [("statusCode",)],
    "user_agent": [("UA",)],
    "referrer": [("referer",)],
    "cookie": [("cookie",)],
    "country": [("country",)],
    "asn": [("asn",)],
    "cache_status": [("cacheStatus",)],
    "tls_version": [("tlsVersion",)],
}
_AS_THEY_ARE = (
    "method", "query", "status", "country", "asn", "cache_status", "tls_version",
)  # fmt: skip
_ABSENT = (b"-", b"^", b"")
_ALL_ESCAPED = r"^[A-Za-z0-9*._~%+-]*$"


class Akamai(Format):
    """The format `akamai`."""

    name = "akamai"
    quirks = Quirks(
        "Akamai DataStream 2, JSON",
        lateness="minutes",
        order="none",
        delivery="best effort: a request may be missing",
        lacks=("edge location", "fields that the stream does not log"),
    )

    def recognises(self, line: bytes) -> bool:
        """An object with Akamai's names for the time and the request."""
        return holds(read_object(line), ("reqTimeSec",), ("statusCode",), ("reqPath",))

    def parse(self, lines: Lines) -> Parsed:
        """Objects with a request's time; those of midgress as other records."""
        return parse_requests(lines, _WANTED, _kinds, _columns)


def _kinds(values: Values) -> Kinds:
    is_record = is_there(values["timestamp"]) & is_there(
        *(values[name] for name in ("method", "path", "status"))
    )
    is_midgress = is_any(values["midgress"], (b"1", b"true"))
    return is_record & ~is_midgress, is_record


def _columns(values: Values) -> Values:
    values = {name: none_where_absent(column, _ABSENT) for name, column in values.items()}
    return {
        **{name: values[name] for name in _AS_THEY_ARE},
        "timestamp": from_epoch_s(plain(values["timestamp"])),
        "host": bare_hosts(values["host"]),
        "path": _paths(values["path"]),
        "ip": plain(values["ip"]),
        "forwarded_for": _unescaped(values["forwarded_for"]),
        "user_agent": _unescaped(values["user_agent"]),
        "referrer": _unescaped_referrers(values["referrer"]),
        "cookie_pxid": pxid_in(plain(_unescaped(values["cookie"]))),
        "request_id": joined(b"/", values["request_id"], values["timestamp"]),
    }


def _paths(column: pa.Array) -> pa.Array:
    """Paths with the slash that some streams leave out."""
    paths = encode(column)
    return paths.with_values(pc.replace_substring_regex(paths.values, "^/?", "/")).dictionary()


def _unescaped(column: pa.Array) -> pa.Array:
    """Texts with Akamai's escaping undone once."""
    texts = encode(column)
    return texts.with_values(_undone(texts.values, _is_all_escaped(texts.values))).dictionary()


def _unescaped_referrers(column: pa.Array) -> pa.Array:
    """URLs with Akamai's escaping undone where all of them is escaped, their own escapes kept."""
    urls = encode(column)
    is_all = _is_all_escaped(urls.values)
    undone = pc.if_else(is_all, _undone(urls.values, is_all), urls.values)
    return urls.with_values(undone).dictionary()


def _is_all_escaped(values: pa.Array) -> pa.Array:
    """Which values are as in the document's sample, where a space is `+`, never `%20`."""
    is_all = pc.match_substring_regex(values, _ALL_ESCAPED)
    return pc.and_not(is_all, pc.match_substring(values, "%20"))


def _undone(values: pa.Array, is_plus: pa.Array) -> pa.Array:
    return unescape_values(pc.if_else(is_plus, pc.replace_substring(values, "+", " "), values))
