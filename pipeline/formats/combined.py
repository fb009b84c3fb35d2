"""The combined log of nginx and Apache, nginx's `main` and Apache's `vhost_combined`.

Source: https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format and
https://httpd.apache.org/docs/2.4/mod/mod_log_config.html (checked 2026-11-21).
Sample:
    1.2.3.4 - u [10/Feb/2012:16:42:07 -0500] "GET / HTTP/1.0" 301 368 "-" "Mozilla/5.0 (X11; …)"
History: unchanged since NCSA's httpd. It has no request id and no cookie. `main` adds
X-Forwarded-For at the end, `vhost_combined` the host and its port at the start. nginx writes `"`, `\\` and
control characters as `\\xXX`, Apache as `\\"`, `\\\\`, `\\n`, `\\t` and `\\xhh`; so a line without a
backslash splits on its quotes, and the few with one are read singly.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import Mask, Rows, encode, none_where_absent
from pipeline.formats.contract import Format, Parsed, Quirks, join, request_line_columns, requests
from pipeline.formats.delimited import matches, split_fields
from pipeline.formats.times import from_clf

_VHOST_BEFORE = r"^(?:\[[^\] ]{1,255}\]|[^ :\[]{1,255}):[0-9]{1,5} (?:[^-]|-[^ ])"
_VHOST_PARTS = r"^(?P<host>\[[^\] ]*\]|[^ :\[]*):[0-9]+ (?P<rest>(?s:.*))$"
_CODED = pa.dictionary(pa.int32(), pa.binary())
_QUOTED = rb'"((?:[^"\\]|\\.)*)"'
_VHOST = rb"(\[[^\]\" ]{1,255}\]|[^ :\"\[]{1,255}):[0-9]{1,5} (?!- )"
"""The host that answered and its port; behind them the client, which is not `-` as an ident is."""
_LINE = re.compile(
    b"(?:" + _VHOST + b"|(?!" + _VHOST.replace(b"(", b"(?:", 1) + b"))"
    rb'([^ "]{1,255}) (?:[^"\\]|\\.){1,512}? \[([^"\[\]]{1,40})\] '
    + _QUOTED + rb" ([0-9]{3}) (?:[0-9]+|-) " + _QUOTED + b" " + _QUOTED
    + b"(?: " + _QUOTED + rb')?(?: (?:[^"]|"(?:[^"\\]|\\.)*")*)?',
    re.DOTALL,
)  # fmt: skip
_GROUPS = ("host", "ip", "time", "request", "status", "referrer", "user_agent", "forwarded_for")
_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"v": b"\v"}
_TIME_BYTES = len("[10/Feb/2012:16:42:07 -0500] ")


class Combined(Format):
    """The format `combined`."""

    name = "combined"
    quirks = Quirks(
        "nginx and Apache, combined (and nginx's main, Apache's vhost_combined)",
        lateness="none: the line is written when the answer ends",
        order="by the end of the answer",
        delivery="exactly once",
        lacks=("request id", "cookie", "host, but for vhost_combined", "fractions of a second"),
    )

    def recognises(self, line: bytes) -> bool:
        """The whole line must fit."""
        return _match(line) is not None

    def parse(self, lines: Lines) -> Parsed:
        """Lines without a backslash by columns, the others singly."""
        is_simple = ~lines.holding(b"\\")
        quotes = lines.count(b'"')
        for width in (7, 9):
            is_width = is_simple & (quotes == width - 1)
            if 2 * is_width.sum() > len(lines):
                return self._by_columns(lines, np.flatnonzero(is_width), width)
        return _singly(lines, np.arange(len(lines)))

    def _by_columns(self, lines: Lines, rows: Rows, width: int) -> Parsed:
        chosen = lines if len(rows) == len(lines) else lines.take(rows)
        types = {0: pa.binary(), 1: _CODED, 2: _CODED, 3: _CODED, 4: _CODED, 5: _CODED, 6: _CODED}
        if width == 9:
            types |= {7: _CODED, 8: _CODED}
        fields = split_fields(chosen, b'"', width, types)
        is_fit, column = _columns(*(fields.column(place) for place in range(width)))
        if not is_fit.all():
            column = {name: array.filter(pa.array(is_fit)) for name, array in column.items()}
        fit = rows[fields.regular[is_fit]]
        others = np.setdiff1d(np.arange(len(lines)), fit, assume_unique=True)
        regular = Parsed(requests(fit, column), fit[:0])
        return join([regular, _singly(lines, others)]) if len(others) else regular


def _columns(
    prefix: pa.Array, request: pa.Array, numbers: pa.Array, *rest: pa.Array
) -> tuple[Mask, dict[str, pa.Array]]:
    """The pieces between quotes as columns, and which rows are in the format."""
    host, prefix = _without_vhost(prefix)
    is_whole = pc.greater(pc.binary_length(prefix), _TIME_BYTES + 1)
    prefix = pc.if_else(is_whole, prefix, pa.scalar(b" " * (_TIME_BYTES + 2), pa.binary()))
    ip = pc.list_element(pc.split_pattern(prefix, " ", max_splits=1), 0)
    ip_bytes = pc.binary_length(ip)
    between = pc.subtract(pc.binary_length(prefix), pc.add(ip_bytes, _TIME_BYTES + 2))
    fits = [
        pc.and_(pc.greater(ip_bytes, 0), pc.less_equal(ip_bytes, 255)),
        pc.and_(pc.greater(between, 0), pc.less_equal(between, 512)),
        pc.match_substring_regex(pc.binary_slice(prefix, -_TIME_BYTES - 1), r"^ \[[^\[\]]{26}\] $"),
    ]
    is_fit = np.logical_and.reduce([fit.to_numpy(zero_copy_only=False) for fit in fits])
    status = encode(numbers)
    digits = pc.extract_regex(status.values, r"^ (?P<status>[0-9]{3}) (?:[0-9]+|-) $")
    status = status.with_values(pc.struct_field(digits, "status"))
    is_fit &= ~status.is_absent
    referrer, gap, user_agent, tail, *more = rest
    is_fit &= encode(gap).is_in([b" "])
    column = {"referrer": referrer, "user_agent": user_agent}
    if more:
        is_fit &= encode(tail).is_in([b" "])
        column["forwarded_for"], tail = more
    is_fit &= matches(tail, r"^(?: |$)")
    column = {name: none_where_absent(array) for name, array in column.items()}
    column |= request_line_columns(encode(request))
    column |= {"host": host, "ip": none_where_absent(ip), "status": status.dictionary()}
    return is_fit, column | {"timestamp": from_clf(pc.binary_slice(prefix, 1 - _TIME_BYTES, -2))}


def _without_vhost(prefix: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The host that answered, null where it is not logged, and what stands behind it."""
    is_vhost = pc.match_substring_regex(prefix, _VHOST_BEFORE)
    if not pc.any(is_vhost, min_count=0).as_py():
        return pa.nulls(len(prefix), prefix.type), prefix
    parts = pc.extract_regex(prefix, _VHOST_PARTS)
    host, rest = (pc.struct_field(parts, name) for name in ("host", "rest"))
    return pc.if_else(is_vhost, host, None), pc.if_else(is_vhost, rest, prefix)


def _singly(lines: Lines, rows: Rows) -> Parsed:
    """The lines that do not split plainly: escaped quotes, other fields, damage."""
    matches = [_match(line) for line in lines.raw(rows).to_pylist()]
    is_match = np.array([match is not None for match in matches], np.bool_)
    found = [match.groups() for match in matches if match]
    groups = zip(*found, strict=True) if found else [()] * len(_GROUPS)
    column = {
        name: pa.array([value and _unescape(value) for value in values], pa.binary())
        for name, values in zip(_GROUPS, groups, strict=True)
    }
    column = {name: none_where_absent(array) for name, array in column.items()}
    column["timestamp"] = from_clf(column.pop("time"))
    column |= request_line_columns(encode(column.pop("request")))
    return Parsed(requests(rows[is_match], column), rows[~is_match])


def _match(line: bytes) -> re.Match[bytes] | None:
    return None if b"\0" in line or b"\r" in line else _LINE.fullmatch(line)


def _unescape(value: bytes) -> bytes:
    return _ESCAPE.sub(_escaped, value) if b"\\" in value else value


def _escaped(match: re.Match[bytes]) -> bytes:
    escape = match[1]
    if len(escape) == 3:
        return bytes([int(escape[1:], 16)])
    return _ESCAPED.get(escape, escape)
