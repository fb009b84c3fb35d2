"""Pixelship's own nginx log, `px1`: tab separated, defined in `nginx/log-format.conf`.

Source: https://nginx.org/en/docs/http/ngx_http_log_module.html (checked 2026-11-21).
Sample (tabs shown as spaces):
    px1 1763700000.123 5f0c…e1 203.0.113.7 - GET px.example.org /i.gif?k=a&… 200 Mozilla/5.0 … - - .
History: px1 (2026-11) is the first. The tag comes first, and a full stop closes the line, so that a
line that was cut can be told. nginx's default escaping writes `"`, `\\`, bytes below 32 and above
126 as `\\xXX` and an empty value as `-`, so no tab or newline stands inside a field.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import encode, holding, none_where_absent, on_values, replace_where
from pipeline.formats.contract import Format, Parsed, Quirks, requests, uri_columns
from pipeline.formats.delimited import split_fields
from pipeline.formats.times import from_epoch_s

_TAG, _END = b"px1", b"."
_PLACES = (
    "tag", "msec", "request_id", "ip", "forwarded_for", "method", "host", "uri", "status",
    "user_agent", "referrer", "cookie_pxid", "end",
)  # fmt: skip
_PLAIN = {"msec", "request_id", "ip", "cookie_pxid", "tag", "end"}
"""Fields that hardly repeat (or never vary): not worth a dictionary."""
_TYPES = {
    place: pa.binary() if name in _PLAIN else pa.dictionary(pa.int32(), pa.binary())
    for place, name in enumerate(_PLACES)
}
_ESCAPE = re.compile(rb"\\x([0-9A-Fa-f]{2})")


class NginxTsv(Format):
    """The format `nginx-tsv`."""

    name = "nginx-tsv"
    quirks = Quirks(
        "nginx, Pixelship's own log (px1)",
        lateness="none: the line is written when the answer ends",
        order="by the end of the answer",
        delivery="exactly once",
    )

    def recognises(self, line: bytes) -> bool:
        """A px1 line has the tag, the number of fields and the closing full stop."""
        fields = line.split(b"\t")
        is_ours = len(fields) == len(_PLACES) and fields[0] == _TAG and fields[-1] == _END
        return is_ours and b"\0" not in line and b"\r" not in line

    def parse(self, lines: Lines) -> Parsed:
        """Columns straight from the tab-separated fields."""
        fields = split_fields(lines, b"\t", len(_PLACES), _TYPES)
        is_ours = pc.and_(
            pc.equal(fields.column(0), _TAG), pc.equal(fields.column(len(_PLACES) - 1), _END)
        )
        if not pc.all(is_ours, min_count=0).as_py():
            fields = fields.filter(is_ours.to_numpy(zero_copy_only=False))
        column = {name: fields.column(_PLACES.index(name)) for name in _PLACES[1:-1]}
        if b"\\" in lines.data:
            column = {name: on_values(array, unescape) for name, array in column.items()}
        column = {name: none_where_absent(array) for name, array in column.items()}
        column |= uri_columns(encode(column["uri"]))
        column["timestamp"] = from_epoch_s(column["msec"])
        return Parsed(requests(fields.regular, column), fields.irregular)


def unescape(values: pa.Array) -> pa.Array:
    """Nginx's `\\xXX` undone."""
    return replace_where(values, holding(values, lambda data: data == ord("\\")), _unescape)


def _unescape(value: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), value)
