"""Azure Front Door, standard, premium and classic, as diagnostic settings write it to a storage account.

Source: https://learn.microsoft.com/azure/frontdoor/front-door-diagnostics, for standard, premium and
classic (checked 2026-11-21).
Sample:
    {"time":"2021-12-15T03:10:11.6479719Z","category":"FrontDoorAccessLog","properties":{…}}
History: classic has the category `FrontdoorAccessLog`. It had neither `socketIp` nor
`isReceivedFromClient` at first (January 2020); the latter is false where a parent node answered an
edge node, so that such a record is none of a client's. Standard and premium (2021) have
`FrontDoorAccessLog`, and `clientCountry`. The referrer is `referrer` or `referer`.

One record a line; the event hub's `{"records":[…]}` is not this format. `clientIp` is taken from
X-Forwarded-For where the request has one, so anybody can choose it. `socketIp` is who opened the
connection: that is the address, and `clientIp` is what the header claims.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import encode, none_where_absent
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
    parse_requests,
    plain,
    url_columns,
)
from pipeline.formats.times import from_iso8601

_CATEGORIES = (b"FrontDoorAccessLog", b"FrontdoorAccessLog")
_WANTED: Wanted = {
    "category": [("category",)],
    "timestamp": [("time",)],
    "from_client": [("properties", "isReceivedFromClient")],
    "request_id": [("properties", "trackingReference")],
    "method": [("properties", "httpMethod")],
    "url": [("properties", "requestUri")],
    "status": [("properties", "httpStatusCode")],
    "user_agent": [("properties", "userAgent")],
    "referrer": [("properties", "referrer"), ("properties", "referer")],
    "peer": [("properties", "socketIp"), ("properties", "clientIp")],
    "claimed": [("properties", "clientIp")],
    "country": [("properties", "clientCountry")],
    "cache_status": [("properties", "cacheStatus")],
    "tls_version": [("properties", "securityProtocol")],
    "edge_location": [("properties", "pop")],
}
_AS_THEY_ARE = (
    "method", "status", "user_agent", "referrer", "country", "tls_version", "edge_location",
)  # fmt: skip


class AzureFrontDoor(Format):
    """The format `azure-front-door`."""

    name = "azure-front-door"
    quirks = Quirks(
        "Azure Front Door, standard, premium and classic",
        lateness="minutes, at times 48 hours; a file is of the hour in which its lines came in",
        order="none; the file grows for an hour and more",
        delivery="best effort: a request may be missing, or come twice",
        lacks=("cookie", "X-Forwarded-For but for one address of it", "ASN"),
    )

    def recognises(self, line: bytes) -> bool:
        """A record of the access log with its properties."""
        record = read_object(line) or {}
        is_access = value_at(record, ("category",)) in _CATEGORIES
        return is_access and holds(
            record, ("time",), ("properties", "requestUri"), ("properties", "trackingReference")
        )

    def parse(self, lines: Lines) -> Parsed:
        """Records of the access log; those of parent nodes and other categories as other records."""
        return parse_requests(lines, _WANTED, _kinds, _columns)


def _kinds(values: Values) -> Kinds:
    is_access = is_any(values["category"], _CATEGORIES)
    is_parent = is_any(values["from_client"], (b"false", b"False"))
    has_request = is_there(*(values[name] for name in ("method", "url", "status")))
    is_other = ~is_access & is_there(values["category"])
    return is_access & has_request & ~is_parent, is_other | (is_access & is_parent)


def _columns(values: Values) -> Values:
    peer, claimed = bare_addresses(values["peer"]), plain(values["claimed"])
    is_own = pc.equal(peer, bare_addresses(claimed))
    return {
        **{name: values[name] for name in _AS_THEY_ARE},
        **url_columns(encode(values["url"])),
        "timestamp": from_iso8601(plain(values["timestamp"])),
        "ip": peer,
        "forwarded_for": pc.if_else(is_own, pa.scalar(None, claimed.type), claimed),
        "request_id": plain(values["request_id"]),
        "cache_status": none_where_absent(values["cache_status"], (b"N/A",)),
    }
