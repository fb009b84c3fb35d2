"""An Application Load Balancer's access log: fields between spaces, texts in quotes.

Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
(checked 2026-11-21).
Sample:
    https 2018-07-02T22:23:00.186641Z app/my-lb/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80
    0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/i.gif?k=a HTTP/1.1"
    "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:…/73e2d6bc24d8a067
    "Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" "arn:aws:acm:…" 1 …
History: the first logs end with the trace id; the domain, the certificate, the rule, the actions, the
targets, the classification and the connection's `TID_…` were appended. What comes behind the trace
id is left unread.

Times are the end of the answer. The client's port, and that in the URL, are left out. A quote and
other bytes that could be mistaken are written as `\\xXX` (`\\"` in old logs). A request that could not
be parsed is `"- - - "`.

The trace id is X-Amzn-Trace-Id. A client may send one with a `Root` of its own, the same for many
requests; the balancer then adds a `Self`, always its own. So the request id is that `Self`; or the
`Root` where it stands alone, for then the balancer made it. Anything else is no request id.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import (
    Mask,
    Rows,
    encode,
    holding,
    none_where_absent,
    on_values,
    replace_where,
)
from pipeline.formats.contract import (
    NO_ROWS,
    Format,
    Parsed,
    Quirks,
    join,
    request_line_columns,
    requests,
)
from pipeline.formats.delimited import split_first
from pipeline.formats.times import from_iso8601

_HEAD = (
    r'(?:https?|h2|grpcs?|wss?) (?P<time>[0-9]{4}-[^ "]{1,40}) [^ "]+ (?P<client>[^ "]+) [^ "]+ '
    r"(?:-?[0-9.]+ ){3}(?P<status>[0-9]{3}|-) (?:[0-9]{3}|-) (?:[0-9]+|-) (?:[0-9]+|-) "
)
"""Type, time, the balancer, client and target, three durations, two states, two sizes."""
_TLS = r' [^ "]+ (?P<tls_version>[^ "]+) [^ "]+ '
"""The cipher, TLS, the target group."""
_TRACE = r"^(?:Self=(?P<own>1-[0-9a-f]+-[0-9a-f]+)(?:;|$)|Root=(?P<only>1-[0-9a-f]+-[0-9a-f]+)$)"
_QUOTED = r'"(?P<{}>(?:[^"\\]|\\.)*)"'
_LINE = re.compile(
    (
        _HEAD + _QUOTED.format("request") + " " + _QUOTED.format("user_agent")
        + _TLS + _QUOTED.format("trace") + "(?: .*)?"
    ).encode(),
    re.DOTALL,
)  # fmt: skip
_NAMES = ("time", "client", "status", "request", "user_agent", "tls_version", "trace")
_HOST = r"^[A-Z]+ [A-Za-z][A-Za-z0-9+.\-]*://(?P<host>[^/?# ]*?)(?::[0-9]*)?(?:[/?# ]|$)"
_CLIENT = r"^\[?(?P<ip>.*?)\]?:[0-9]+$"
_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([\"\\]))")
_CODED = pa.dictionary(pa.int32(), pa.binary())
_TYPES = {
    0: pa.binary(), 1: _CODED, 2: _CODED, 3: _CODED, 4: _CODED, 5: pa.binary(), 6: pa.binary(),
}  # fmt: skip


class Alb(Format):
    """The format `alb`."""

    name = "alb"
    quirks = Quirks(
        "AWS Application Load Balancer",
        lateness="about five minutes",
        order="by load balancer node, of which each writes its own",
        delivery="best effort: a request may be missing",
        lacks=("referrer", "cookie", "X-Forwarded-For", "request id where the client forged it"),
    )

    def recognises(self, line: bytes) -> bool:
        """All up to the trace id must fit."""
        return _match(line) is not None

    def parse(self, lines: Lines) -> Parsed:
        """Lines without a quote of the client's by columns, the others singly."""
        plain = np.flatnonzero(~_holding_escaped_quote(lines))
        fields = split_first(lines.take(plain), b'"', 6, _TYPES)
        head = pc.extract_regex(fields.column(0), f"^{_HEAD}$")
        coded = encode(fields.column(4))
        tls = pc.extract_regex(coded.values, f"^{_TLS}$")
        tls_version = coded.with_values(pc.struct_field(tls, "tls_version"))
        is_end = pc.match_substring_regex(fields.column(6), "^(?: |$)")
        is_fit = pc.and_(head.is_valid(), is_end).to_numpy(zero_copy_only=False)
        is_fit = is_fit & ~tls_version.is_absent & encode(fields.column(2)).is_in([b" "])
        column = {
            **{name: pc.struct_field(head, name) for name in ("time", "client", "status")},
            "request": fields.column(1),
            "user_agent": fields.column(3),
            "tls_version": tls_version.dictionary(),
            "trace": fields.column(5),
        }
        if not is_fit.all():
            column = {name: array.filter(pa.array(is_fit)) for name, array in column.items()}
        rows = plain[fields.regular[is_fit]]
        regular = Parsed(_requests(rows, column), NO_ROWS)
        others = np.setdiff1d(np.arange(len(lines)), rows, assume_unique=True)
        return join([regular, _singly(lines, others)]) if len(others) else regular


def _holding_escaped_quote(lines: Lines) -> Mask:
    """Which lines hold `\\"`."""
    mask = np.zeros(len(lines), np.bool_)
    if b'\\"' in lines.data:
        text = np.frombuffer(lines.data, np.uint8)
        at = np.flatnonzero((text[:-1] == ord("\\")) & (text[1:] == ord('"')))
        mask[np.searchsorted(lines.ends, at, side="right")] = True
    return mask


def _requests(rows: Rows, fields: dict[str, pa.Array]) -> pa.RecordBatch:
    column = {
        name: none_where_absent(on_values(array, _unescape)) for name, array in fields.items()
    }
    client = column.pop("client")
    bare = pc.struct_field(pc.extract_regex(client, _CLIENT), "ip")
    trace = pc.extract_regex(column.pop("trace"), _TRACE)
    own, only = (pc.struct_field(trace, name) for name in ("own", "only"))
    request = encode(column.pop("request"))
    host = pc.struct_field(pc.extract_regex(request.values, _HOST), "host")
    column |= request_line_columns(request)
    column["host"] = none_where_absent(request.with_values(host).dictionary())
    column["ip"] = pc.coalesce(bare, client)
    column["request_id"] = pc.if_else(pc.equal(own, b""), only, own)
    column["timestamp"] = from_iso8601(column.pop("time"))
    return requests(rows, column)


def _singly(lines: Lines, rows: Rows) -> Parsed:
    """Lines with a quote of the client's, and damaged ones."""
    matches = [_match(line) for line in lines.raw(rows).to_pylist()]
    is_match = np.array([match is not None for match in matches], np.bool_)
    found = [match.group(*_NAMES) for match in matches if match]
    columns = zip(*found, strict=True) if found else [()] * len(_NAMES)
    column = {
        name: pa.array(values, pa.binary()) for name, values in zip(_NAMES, columns, strict=True)
    }
    return Parsed(_requests(rows[is_match], column), rows[~is_match])


def _match(line: bytes) -> re.Match[bytes] | None:
    return None if b"\0" in line or b"\r" in line else _LINE.fullmatch(line)


def _unescape(values: pa.Array) -> pa.Array:
    """`\\xXX` and `\\"` undone."""
    return replace_where(values, holding(values, lambda data: data == ord("\\")), _unescaped)


def _unescaped(value: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: match[2] or bytes([int(match[1], 16)]), value)
