"""Fastly's streamed log in Pixelship's own format string, `px1-fastly`: `fastly/log-format.txt`.

Source: https://www.fastly.com/documentation/guides/integrations/streaming-logs/custom-log-formats,
https://www.fastly.com/documentation/guides/integrations/streaming-logs/changing-log-line-formats and
https://www.fastly.com/documentation/reference/vcl/variables (checked 2026-11-21).
Sample:
    {"format":"px1-fastly","visits":"0","request_id":"…","time_start_us":"1763726400000123",…}
History: px1-fastly (2026-11) is the first.

Fastly has no format of its own, so this one is shipped. With shielding a request is logged by two
data centres; `visits` is above 0 at the second, whose lines count as other records. The address is
`client.ip`: the header Fastly-Client-IP can be forged. The line formats `classic`, `loggly` and
`logplex` put a prefix before the object, which is skipped; `blank` has none.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import encode, none_where_absent
from pipeline.formats.contract import Format, Parsed, Quirks, uri_columns
from pipeline.formats.json_lines import read_object, value_at
from pipeline.formats.json_requests import (
    Kinds,
    Values,
    Wanted,
    bare_hosts,
    is_any,
    is_there,
    parse_requests,
    plain,
)
from pipeline.formats.times import from_epoch

_TAG = b"px1-fastly"
_PREFIX = r'(?:[0-9]{1,6} )?<[0-9]{1,3}>[^{"]{1,512}'
_MICROSECONDS = 1_000_000
_WANTED: Wanted = {
    "tag": [("format",)],
    "visits": [("visits",)],
    "timestamp": [("time_start_us",)],
    "request_id": [("request_id",)],
    "ip": [("client_ip",)],
    "forwarded_for": [("forwarded_for",)],
    "method": [("request_method",)],
    "host": [("request_host",)],
    "url": [("request_url",)],
    "status": [("response_status",)],
    "user_agent": [("user_agent",)],
    "referrer": [("referrer",)],
    "cookie_pxid": [("cookie_pxid",)],
    "country": [("country",)],
    "asn": [("asn",)],
    "cache_status": [("cache_state",)],
    "tls_version": [("tls_version",)],
    "edge_location": [("pop",)],
}
_AS_THEY_ARE = (
    "forwarded_for", "method", "status", "user_agent", "referrer", "country", "cache_status",
    "tls_version", "edge_location",
)  # fmt: skip


class Fastly(Format):
    """The format `fastly`."""

    name = "fastly"
    quirks = Quirks(
        "Fastly, Pixelship's own format string (px1-fastly)",
        lateness="the period of the logging endpoint, an hour if it is not set",
        order="none",
        delivery="best effort: a request may be missing",
    )

    def recognises(self, line: bytes) -> bool:
        """An object with the tag, with a prefix or without."""
        prefix, brace, rest = line.partition(b"{")
        bare = brace + rest if re.fullmatch(_PREFIX.encode(), prefix) else line
        return value_at(read_object(bare) or {}, ("format",)) == _TAG

    def parse(self, lines: Lines) -> Parsed:
        """Objects with the tag; those of shields as other records."""
        return parse_requests(_without_prefixes(lines), _WANTED, _kinds, _columns)


def _without_prefixes(lines: Lines) -> Lines:
    """The lines with what stands before an object left out, where it is a prefix of Fastly's."""
    data = np.frombuffer(lines.data, np.uint8)
    starts = lines.ends - lines.lengths - 1
    if (data[starts] == ord("{")).all():
        return lines
    braces = np.append(np.flatnonzero(data == ord("{")), len(data))
    firsts = np.minimum(braces[np.searchsorted(braces, starts)], lines.ends - 1)
    edges = np.append(np.column_stack((starts, firsts)), len(data)).astype(np.int32)
    buffers = [None, pa.py_buffer(edges), pa.py_buffer(lines.data)]
    pieces = pa.Array.from_buffers(pa.binary(), 2 * len(lines), buffers)
    prefixes = pieces.take(pa.array(np.arange(0, len(pieces), 2)))
    is_prefix = pc.match_substring_regex(prefixes, f"^{_PREFIX}$").to_numpy(zero_copy_only=False)
    is_gone = np.zeros(len(data) + 1, np.int8)
    is_gone[starts[is_prefix]] = 1
    is_gone[firsts[is_prefix]] = -1
    is_kept = np.cumsum(is_gone[:-1], dtype=np.int8) == 0
    gone_bytes = np.cumsum(np.where(is_prefix, firsts - starts, 0))
    return Lines(data[is_kept].tobytes(), lines.ends - gone_bytes, lines.position)


def _kinds(values: Values) -> Kinds:
    is_ours = is_any(values["tag"], (_TAG,))
    is_shield = is_there(values["visits"]) & ~is_any(values["visits"], (b"0",))
    return is_ours & ~is_shield, is_ours


def _columns(values: Values) -> Values:
    return {
        **{name: values[name] for name in _AS_THEY_ARE},
        **uri_columns(encode(values["url"])),
        "timestamp": from_epoch(plain(values["timestamp"]), _MICROSECONDS),
        "host": bare_hosts(values["host"]),
        "ip": plain(values["ip"]),
        "cookie_pxid": plain(values["cookie_pxid"]),
        "request_id": plain(values["request_id"]),
        "asn": none_where_absent(values["asn"], (b"0",)),
    }
