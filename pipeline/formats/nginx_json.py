"""nginx's log as JSON lines: flat objects, with `escape=json` or without.

Source: https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format (checked 2026-11-21).
Sample:
    {"format":"px1","msec":1763700000.123,"request_id":"5f…","remote_addr":"203.0.113.7",…}
History: every site names its own keys; `KEYS` holds the names understood, the best first. Without
`escape=json` nginx writes `\\xXX`, which is no JSON, and for a bare number that is missing `"a":-`;
with it, `"a":`.

One `log_format` gives every line the same keys in the same order. So a line is a template filled
in: its text outside the values is learnt from one line, the others split on their quotes, and every
piece outside the values is held against the template's. Lines with a backslash, or of another
shape, are read singly by a JSON parser; both ways give the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import Mask, Rows, encode, none_where_absent
from pipeline.formats.contract import (
    NO_ROWS,
    Format,
    Parsed,
    Quirks,
    join,
    request_line_columns,
    requests,
    uri_columns,
)
from pipeline.formats.delimited import Fields, split_fields
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

_CODED = pa.dictionary(pa.int32(), pa.binary())
_PLAIN = {"timestamp", "request_id", "ip", "cookie_pxid"}
_MOST_TEMPLATES = 4
_BARE_VALUE = r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null|-|)"
_BARE = re.compile(rb"([ \t]*:[ \t]*)(?![ \t])" + _BARE_VALUE.encode() + rb"([ \t]*[,}][ \t]*)")
_MISSING_VALUE = re.compile(
    r'\\.|("[^"\\]*(?:\\.[^"\\]*)*")(?:[ \t]*(:)[ \t]*(?:-[ \t]*)?(?=[,}]))?', re.DOTALL
)
"""A string (whole, so that nothing within one is taken for a missing value) and what follows it."""
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|.)", re.DOTALL)


@dataclass(frozen=True)
class _Template:
    """A line's pieces between quotes: `fixed` by place, and for each key where its value stands.

    A bare value (a number) shares its piece with punctuation: `bare` gives the text before and
    after it.
    """

    width: int
    fixed: Mapping[int, bytes]
    value: Mapping[str, int]
    bare: Mapping[int, tuple[bytes, bytes]]

    @classmethod
    def of(cls, line: bytes) -> _Template | None:
        """The template that a flat object without backslashes fills in, or None."""
        pieces = line.split(b'"')
        is_even = len(pieces) % 2 == 0
        if pieces[0].strip(b" \t") != b"{" or is_even or len(pieces) == 1 or b"\\" in line:
            return None
        fixed, value, bare = {0: pieces[0]}, {}, {}
        place = 1
        while place < len(pieces):
            key, after = pieces[place].decode("utf-8", "replace"), pieces[place + 1]
            fixed[place] = pieces[place]
            if after.strip(b" \t") == b":" and place + 3 < len(pieces):
                value[key] = place + 2
                fixed |= {place + 1: after, place + 3: (after := pieces[place + 3])}
                place += 4
            elif number := _BARE.fullmatch(after):
                value[key], bare[place + 1] = place + 1, (number[1], after := number[2])
                place += 2
            else:
                return None
            if after.strip(b" \t") != (b"," if place < len(pieces) else b"}"):
                return None
        return cls(len(pieces), fixed, value, bare)

    def fill(self, lines: Lines, is_left: Mask) -> tuple[Rows, dict[str, pa.Array]]:
        """Which of the lines left fill in the template, and their columns by names of `KEYS`."""
        places = {
            name: self.value[key]
            for name, keys in KEYS.items()
            if (key := next((key for key in keys if key in self.value), None))
        }
        types: dict[int, pa.DataType] = dict.fromkeys([*self.fixed, *self.bare], pa.binary())
        for name, place in places.items():
            types.setdefault(place, pa.binary() if name in _PLAIN else _CODED)
        fields = split_fields(lines, b'"', self.width, types)
        is_fit = is_left[fields.regular]
        for place, text in self.fixed.items():
            is_fit &= _to_mask(pc.equal(fields.column(place), text))
        for place, (before, after) in self.bare.items():
            shape = f"^{re.escape(before.decode())}{_BARE_VALUE}{re.escape(after.decode())}$"
            is_fit &= _to_mask(pc.match_substring_regex(fields.column(place), shape))
        fit = fields if is_fit.all() else fields.filter(is_fit)
        return fit.regular, {name: self._column(fit, place) for name, place in places.items()}

    def _column(self, fields: Fields, place: int) -> pa.Array:
        column = fields.column(place)
        if place not in self.bare:
            return none_where_absent(column)
        before, after = self.bare[place]
        return none_where_absent(
            pc.binary_slice(column, len(before), -len(after)), (b"null", b"-", b"")
        )


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
        values = _read_object(line)
        if values is None:
            return False
        has = {column: any(key in values for key in keys) for column, keys in KEYS.items()}
        return has["timestamp"] and has["status"] and (has["uri"] or has["request"])

    def parse(self, lines: Lines) -> Parsed:
        """Lines that fill in a learnt template by columns, the others singly."""
        is_left = ~lines.holding(b"\\")
        is_unread = np.ones(len(lines), np.bool_)
        parts = []
        for _ in range(_MOST_TEMPLATES):
            left = np.flatnonzero(is_left)
            if not len(left):
                break
            template = _Template.of(lines.raw(left[:1])[0].as_py())
            is_left[left[0]] = template is not None
            if template:
                filled, columns = template.fill(lines, is_left)
                parts.append(Parsed(_requests(filled, columns), NO_ROWS))
                is_left[filled] = is_unread[filled] = False
        if is_unread.any() or not parts:
            parts.append(_singly(lines, np.flatnonzero(is_unread)))
        return join(parts)


def _to_mask(column: pa.Array) -> Mask:
    return column.to_numpy(zero_copy_only=False).astype(np.bool_, copy=False)


def _requests(line: Rows, columns: dict[str, pa.Array]) -> pa.RecordBatch:
    """The columns named as in `KEYS` as requests."""
    targets: dict[str, pa.Array] = {}
    if "request" in columns:
        targets = request_line_columns(encode(columns["request"]))
    if "uri" in columns:
        for name, column in uri_columns(encode(columns["uri"])).items():
            targets[name] = _coalesce(column, targets.get(name))
    if "args" in columns:
        targets["query"] = _coalesce(targets.get("query"), columns["args"])
    if "method" in columns:
        targets["method"] = _coalesce(columns["method"], targets.get("method"))
    times = {"timestamp": from_any(columns["timestamp"])} if "timestamp" in columns else {}
    return requests(line, columns | targets | times)


def _coalesce(column: pa.Array | None, other: pa.Array | None) -> pa.Array:
    """The first column, where it is null the second."""
    if column is None or other is None:
        return other if column is None else column
    if column.null_count == 0:
        return column
    plain = [encode(each).plain() for each in (column, other)]
    return pc.coalesce(*plain).dictionary_encode()


def _singly(lines: Lines, rows: Rows) -> Parsed:
    """The lines that fill in no template, each by a JSON parser."""
    objects = [_read_object(line) for line in lines.raw(rows).to_pylist()]
    is_object = np.array([values is not None for values in objects], np.bool_)
    columns = {
        name: pa.array(
            [_first(values, keys) for values in objects if values is not None], pa.binary()
        )
        for name, keys in KEYS.items()
    }
    return Parsed(_requests(rows[is_object], columns), rows[~is_object])


def _first(values: Mapping[str, bytes | None], keys: tuple[str, ...]) -> bytes | None:
    return next((values[key] for key in keys if key in values), None)


def _read_object(line: bytes) -> dict[str, bytes | None] | None:
    """A JSON object's plain values as the bytes that the client sent; None for anything else."""
    if b"\0" in line or b"\r" in line or not line.lstrip(b" \t").startswith(b"{"):
        return None
    text = _ESCAPE.sub(_to_json_escape, line.decode("utf-8", "surrogateescape"))
    try:
        values = _DECODER.decode(text)
    except (ValueError, RecursionError):
        try:
            values = _DECODER.decode(_MISSING_VALUE.sub(_with_null, text))
        except (ValueError, RecursionError):
            return None
    try:
        return {str(key): _to_bytes(value) for key, value in values.items()}
    except UnicodeEncodeError:  # half of a surrogate pair
        return None


def _to_json_escape(match: re.Match[str]) -> str:
    """Nginx's `\\xXX` as JSON; bytes past ASCII as the surrogate that stands for the raw byte."""
    if match[1] is None:  # an escape of JSON's own, such as two backslashes
        return match[0]
    byte = int(match[1], 16)
    return f"\\u{byte:04x}" if byte < 0x80 else f"\\udc{byte:02x}"


def _with_null(match: re.Match[str]) -> str:
    return f"{match[1]}:null" if match[2] else match[0]


def _to_bytes(value: object) -> bytes | None:
    """A value as logged; null for the log's words for nothing, and for what is no plain value."""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if not isinstance(value, str) or value in ("", "-"):
        return None
    return value.encode("utf-8", "surrogateescape")


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


_DECODER = json.JSONDecoder(
    parse_int=str, parse_float=str, parse_constant=_refuse_constant, strict=False
)
