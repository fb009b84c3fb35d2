"""What a map's raw values mean: a log's own words as the columns of a request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import (
    Rows,
    encode,
    holding,
    none_where_absent,
    on_values,
    replace_where,
)
from pipeline.formats.contract import request_line_columns, requests, uri_columns
from pipeline.formats.cookies import pxid_in
from pipeline.formats.json_lines import Path
from pipeline.formats.maps.times import Times
from pipeline.model import REQUEST_SCHEMA

_HEX = re.compile(rb"\\x([0-9A-Fa-f]{2})")
_APACHE = re.compile(rb"\\(x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_APACHE_CODES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"v": b"\v", b"f": b"\f"}
_URL = r"^(?:[A-Za-z][A-Za-z0-9+.\-]*://|//)?(?:[^/?#@]*@)?(?P<host>\[[^\]/?#]*\]|[^/?#:]*)(?::[0-9]*)?(?P<rest>[/?#](?s:.*))?$"


@dataclass(frozen=True)
class Field:
    """Where a column of ours comes from: the first of `sources` that holds something.

    `unescape` names the escaping of the log that is undone, once; `absent` are the log's words for
    nothing.
    """

    sources: tuple[Path, ...]
    unescape: str
    absent: tuple[bytes, ...]

    @property
    def words(self) -> str:
        """The sources as people write them."""
        return ", ".join(".".join(map(str, path)) for path in self.sources)


def wanted(fields: Mapping[str, Field]) -> dict[str, Path]:
    """Every source of every field under a name of its own, for a reader."""
    return {
        f"{target}.{at}": source
        for target, each in fields.items()
        for at, source in enumerate(each.sources)
    }


def columns_of(targets: Iterable[str]) -> tuple[str, ...]:
    """The columns of a request that some targets fill, in the order of `REQUEST_SCHEMA`."""
    filled = {name for target in targets for name in _FILLS.get(target, (target,))}
    return tuple(name for name in REQUEST_SCHEMA.names if name in filled)


_FILLS = {
    "date": ("timestamp",),
    "time": ("timestamp",),
    "uri": ("path", "query"),
    "url": ("host", "path", "query"),
    "request": ("method", "path", "query"),
    "cookie": ("cookie_pxid",),
}


def requests_of(
    rows: Rows,
    values: Mapping[str, pa.Array],
    fields: Mapping[str, Field],
    constants: Mapping[str, bytes],
    times: Times,
) -> pa.RecordBatch:
    """A reader's values, under the names that `wanted` gave, as requests."""
    column = {target: _first(values, target, each) for target, each in fields.items()}
    made = {name: column[name] for name in column.keys() & _TAKEN}
    for targets in (_from_uri, _from_url, _from_request, _from_parts):
        for name, array in targets(column).items():
            made[name] = _coalesce(made[name], array) if name in made else array
    if "cookie" in column:
        coded = encode(column["cookie"])
        pxid = coded.with_values(pxid_in(coded.values)).dictionary()
        made["cookie_pxid"] = (
            _coalesce(made["cookie_pxid"], pxid) if "cookie_pxid" in made else pxid
        )
    for name, value in constants.items():
        one = pa.DictionaryArray.from_arrays(
            pa.repeat(pa.scalar(0, pa.int32()), len(rows)), [value]
        )
        made[name] = _coalesce(made[name], one) if name in made else one
    made["timestamp"] = times.read(_time(column))
    plain = {name: encode(made[name]).plain() for name in _PLAIN & made.keys()}
    return requests(rows, made | plain)


def time_texts(values: Mapping[str, pa.Array], fields: Mapping[str, Field]) -> pa.Array:
    """Each line's time as it is read, date and time joined by a space."""
    return _time({target: _first(values, target, each) for target, each in fields.items()})


_PLAIN = {"ip", "cookie_pxid", "request_id"}
_TAKEN = {
    "method", "host", "status", "ip", "forwarded_for", "user_agent", "referrer", "cookie_pxid",
    "request_id", "country", "asn", "cache_status", "bot_score", "tls_version", "edge_location",
}  # fmt: skip


def _first(values: Mapping[str, pa.Array], target: str, each: Field) -> pa.Array:
    """The first source's value that is something, unescaped."""
    found: pa.Array | None = None
    undo = UNESCAPES[each.unescape]
    for at in range(len(each.sources)):
        column = none_where_absent(values[f"{target}.{at}"], each.absent)
        column = column if undo is None else on_values(column, undo)
        found = column if found is None else _coalesce(found, column)
    return found


def _time(column: Mapping[str, pa.Array]) -> pa.Array:
    if "timestamp" in column:
        return encode(column["timestamp"]).plain()
    date, time = (encode(column[name]).plain() for name in ("date", "time"))
    return pc.binary_join_element_wise(date, time, pa.scalar(b" ", pa.binary()))


def _from_uri(column: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    return uri_columns(encode(column["uri"])) if "uri" in column else {}


def _from_url(column: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    if "url" not in column:
        return {}
    coded = encode(column["url"])
    parts = pc.extract_regex(coded.values, _URL)
    host = coded.with_values(_none_where_empty(pc.struct_field(parts, "host")))
    return {
        "host": host.dictionary(),
        **uri_columns(coded.with_values(pc.struct_field(parts, "rest"))),
    }


def _from_request(column: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    return request_line_columns(encode(column["request"])) if "request" in column else {}


def _from_parts(column: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """`path` and `query` as they are; a query may come with its `?`."""
    parts = {name: column[name] for name in ("path", "query") if name in column}
    if "query" in parts:
        parts["query"] = on_values(
            parts["query"], lambda values: pc.replace_substring_regex(values, r"^\?", "")
        )
    return parts


def _none_where_empty(values: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(pc.binary_length(values), 0), pa.scalar(None, values.type), values)


def _coalesce(column: pa.Array, other: pa.Array) -> pa.Array:
    """The first column, where it is null the second."""
    if column.null_count == 0:
        return column
    plain = [encode(each).plain() for each in (column, other)]
    return pc.coalesce(*plain).dictionary_encode()


def _where(byte: bytes, undo: Callable[[bytes], bytes]) -> Callable[[pa.Array], pa.Array]:
    """An undoing of values that hold a byte; the others stay."""

    def on(values: pa.Array) -> pa.Array:
        marks = [ord(mark) for mark in byte.decode()]
        hit = holding(values, lambda data: sum((data == mark) for mark in marks) > 0)
        return replace_where(values, hit, undo)

    return on


def _from_nginx(value: bytes) -> bytes:
    return _HEX.sub(lambda match: bytes([int(match[1], 16)]), value)


def _from_apache(value: bytes) -> bytes:
    return _APACHE.sub(_apache_byte, value)


def _apache_byte(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes([int(code[1:], 16)]) if len(code) == 3 else _APACHE_CODES.get(code, code)


def _from_json(value: bytes) -> bytes:
    try:
        text = json.loads(f'"{value.decode("utf-8", "surrogateescape")}"', strict=False)
        return str(text).encode("utf-8", "surrogateescape")
    except ValueError:  # no escape of JSON, or half of a surrogate pair
        return value


def _from_form(value: bytes) -> bytes:
    return unquote_to_bytes(value.replace(b"+", b" "))


UNESCAPES: Mapping[str, Callable[[pa.Array], pa.Array] | None] = {
    "none": None,
    "percent": _where(b"%", unquote_to_bytes),
    "percent-plus": _where(b"%+", _from_form),
    "nginx": _where(b"\\", _from_nginx),
    "apache": _where(b"\\", _from_apache),
    "json": _where(b"\\", _from_json),
}
"""The escapings that logs use, undone once."""
