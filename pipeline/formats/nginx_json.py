"""nginx's log as JSON lines: flat objects, with `escape=json` or without.

Source: https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format (checked 2026-11-21).
Sample:
    {"format":"px1","msec":1763700000.123,"request_id":"5f…","remote_addr":"203.0.113.7",…}
History: every site names its own keys; `KEYS` holds the names understood, the best first. Without
`escape=json` nginx writes `\\xXX`, which is no JSON, and for a bare number that is missing `"a":-`;
with it, `"a":`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import Rows, encode
from pipeline.formats.contract import (
    Format,
    Parsed,
    Quirks,
    request_line_columns,
    requests,
    uri_columns,
)
from pipeline.formats.json_lines import Dialect, Path, read_json_lines, read_object
from pipeline.formats.times import from_any

KEYS: Mapping[str, tuple[str, ...]] = {
    "timestamp": ("msec", "time_iso8601", "timestamp", "@timestamp", "time", "ts", "time_local", "date"),
    "request_id": ("request_id", "req_id", "rid", "id"),
    "ip": ("remote_addr", "client_ip", "remote_ip", "ip", "client", "addr"),
    "forwarded_for": ("http_x_forwarded_for", "x_forwarded_for", "forwarded_for", "xff"),
    "method": ("request_method", "method", "verb"),
    "host": ("host", "http_host", "server_name", "vhost"),
    "uri": ("request_uri", "url", "uri", "path"),
    "args": ("args", "query_string", "query"),
    "request": ("request", "request_line"),
    "status": ("status", "status_code", "code", "response"),
    "user_agent": ("http_user_agent", "user_agent", "agent", "ua"),
    "referrer": ("http_referer", "http_referrer", "referer", "referrer", "ref"),
    "cookie_pxid": ("cookie__pxid", "_pxid", "pxid", "px"),
}  # fmt: skip
"""For each column (`uri`, `args` and `request` together give method, path and query) its keys."""

_WANTED: Mapping[str, Sequence[Path]] = {
    column: [(key,) for key in keys] for column, keys in KEYS.items()
}
_NGINX = Dialect(nginx=True)


class NginxJson(Format):
    """The format `nginx-json`."""

    name = "nginx-json"
    quirks = Quirks(
        "nginx, JSON lines with any site's keys",
        lateness="none: the line is written when the answer ends",
        order="by the end of the answer",
        delivery="exactly once",
        lacks=("whatever the site does not log",),
    )

    def recognises(self, line: bytes) -> bool:
        """A JSON object with a request, a status and a time."""
        values = read_object(line, _NGINX)
        if values is None:
            return False
        plain = {key for key, value in values.items() if not isinstance(value, (dict, list))}
        has = {column: not plain.isdisjoint(keys) for column, keys in KEYS.items()}
        return has["timestamp"] and has["status"] and (has["uri"] or has["request"])

    def parse(self, lines: Lines) -> Parsed:
        """Each line's best keys as columns."""
        records = read_json_lines(lines, _WANTED, _NGINX)
        return Parsed(_requests(records.rows, records.values), records.malformed)


def _requests(line: Rows, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """The columns named as in `KEYS` as requests."""
    targets = request_line_columns(encode(columns["request"]))
    for name, column in uri_columns(encode(columns["uri"])).items():
        targets[name] = _coalesce(column, targets[name])
    targets["query"] = _coalesce(targets["query"], columns["args"])
    targets["method"] = _coalesce(columns["method"], targets["method"])
    times = {"timestamp": from_any(columns["timestamp"])}
    return requests(line, {**columns, **targets, **times})


def _coalesce(column: pa.Array, other: pa.Array) -> pa.Array:
    """The first column, where it is null the second."""
    if not column.null_count or other.null_count == len(other):
        return column
    plain = [encode(each).plain() for each in (column, other)]
    return pc.coalesce(*plain).dictionary_encode()
