"""Traefik's access log, JSON.

Source: https://doc.traefik.io/traefik/observability/access-logs/ and
https://doc.traefik.io/traefik/routing/entrypoints/#forwarded-headers (checked 2026-11-21).
Sample:
    {"ClientAddr":"203.0.113.7:53412","RequestMethod":"GET","RequestPath":"/i.gif?k=a",…}
History: the names are those of Traefik 1; `TLSVersion` came with 2. Request headers stand beside the
fields as `request_User-Agent`, and so on, only if the configuration keeps them: its default drops
all headers. A header set to `redact` is there as `REDACTED`.

The address is that of `ClientAddr`, who opened the connection. `ClientHost` is the X-Forwarded-For
header instead, where Traefik let one pass (from its `trustedIPs`): it stands in for that header, and
where `ClientAddr` is dropped its last address is the peer's. Traefik's other log lines, in the same
stream, count as other records.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import encode, none_where_absent
from pipeline.formats.contract import Format, Parsed, Quirks, uri_columns
from pipeline.formats.cookies import pxid_in
from pipeline.formats.json_lines import read_object
from pipeline.formats.json_requests import (
    Kinds,
    Values,
    Wanted,
    bare_addresses,
    bare_hosts,
    holds,
    is_there,
    parse_requests,
    plain,
)
from pipeline.formats.times import from_iso8601

_WANTED: Wanted = {
    "level": [("level",)],
    "message": [("msg",), ("message",), ("error",)],
    "timestamp": [("StartUTC",), ("StartLocal",), ("time",)],
    "peer": [("ClientAddr",), ("ClientHost",)],
    "claimed": [("ClientHost",)],
    "forwarded_for": [("request_X-Forwarded-For",)],
    "method": [("RequestMethod",)],
    "host": [("RequestHost",), ("RequestAddr",)],
    "uri": [("RequestPath",)],
    "status": [("DownstreamStatus",), ("OriginStatus",)],
    "user_agent": [("request_User-Agent",)],
    "referrer": [("request_Referer",)],
    "cookie": [("request_Cookie",)],
    "tls_version": [("TLSVersion",)],
}
_REDACTED = (b"REDACTED",)


class Traefik(Format):
    """The format `traefik`."""

    name = "traefik"
    quirks = Quirks(
        "Traefik, JSON",
        lateness="none: the line is written when the answer ends",
        order="by the end of the answer",
        delivery="exactly once",
        lacks=(
            "request id",
            "user agent, referrer and cookie, unless fields.headers keeps them",
        ),
    )

    def recognises(self, line: bytes) -> bool:
        """An object with Traefik's names for the request and the answer."""
        names = ("RequestMethod", "RequestPath", "DownstreamStatus")
        return holds(read_object(line), *((name,) for name in names))

    def parse(self, lines: Lines) -> Parsed:
        """Access records; Traefik's own log lines as other records."""
        return parse_requests(lines, _WANTED, _kinds, _columns)


def _kinds(values: Values) -> Kinds:
    has_request = is_there(*(values[name] for name in ("method", "uri", "status")))
    return has_request, is_there(values["level"]) & is_there(values["message"])


def _columns(values: Values) -> Values:
    peer = _last_addresses(values["peer"])
    return {
        **{name: values[name] for name in ("method", "status", "tls_version")},
        **uri_columns(encode(values["uri"])),
        **{name: none_where_absent(values[name], _REDACTED) for name in ("user_agent", "referrer")},
        "timestamp": from_iso8601(plain(values["timestamp"])),
        "host": bare_hosts(values["host"]),
        "ip": peer,
        "forwarded_for": _forwarded(peer, values),
        "cookie_pxid": pxid_in(plain(values["cookie"])),
    }


def _last_addresses(column: pa.Array) -> pa.Array:
    """The address, of a list the last."""
    addresses = plain(column)
    if pc.any(pc.match_substring(addresses, ","), min_count=0).as_py():
        addresses = pc.replace_substring_regex(addresses, r"^.*,[ \t]*", "")
    return bare_addresses(addresses)


def _forwarded(peer: pa.Array, values: Values) -> pa.Array:
    """The X-Forwarded-For header, else what `ClientHost` has of it."""
    header = none_where_absent(plain(values["forwarded_for"]), _REDACTED)
    claimed = plain(values["claimed"])
    is_own = pc.equal(peer, claimed)
    return pc.coalesce(header, pc.if_else(is_own, pa.scalar(None, claimed.type), claimed))
