"""Cloud Storage's usage log: CSV, every field in quotes, its columns named by a header.

Source: https://docs.cloud.google.com/storage/docs/access-logs (checked 2026-11-21).
Sample:
    "time_micros","c_ip","c_ip_type","c_ip_region","cs_method","cs_uri","sc_status","cs_bytes",…
    "1693206014339368","172.71.142.38","1","","GET","/v1/kanji/%E9%9B%86","200","0","277",…
History: 17 fields, unchanged since the first; they are found by their names all the same. A quote
within a field is written twice; an empty field is nothing.

`cs_uri` is the path and query as the client sent them, and `cs_host` its Host. Times are the end of
the answer. A row may come twice, with the same `s_request_id`: that is Google's own word for how to
tell. The operations of one batch request share it too, but none of these is a view: a batch holds
calls of the JSON API, and the content of an object cannot be asked for in one. So it is the request
id as it stands.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import Mask, Rows, encode, none_where_absent
from pipeline.formats.contract import Parsed, Quirks, join, requests, uri_columns
from pipeline.formats.delimited import split_quoted
from pipeline.formats.headers import HeaderFormat, Layout
from pipeline.formats.times import from_epoch

_COLUMNS = {
    "time_micros": "timestamp",
    "c_ip": "ip",
    "cs_method": "method",
    "cs_uri": "uri",
    "sc_status": "status",
    "cs_host": "host",
    "cs_referer": "referrer",
    "cs_user_agent": "user_agent",
    "s_request_id": "request_id",
}
_NEEDED = {"timestamp", "ip", "method", "uri", "status", "user_agent"}
_PLAIN = {"timestamp", "ip", "request_id"}
_CODED = pa.dictionary(pa.int32(), pa.binary())
_HEADER = b'"time_micros"'
_FIELD = rb'"((?:[^"]|"")*)"'
_ONE, _LINE = re.compile(_FIELD), re.compile(_FIELD + rb"(?:," + _FIELD + rb")*")


class GcsUsage(HeaderFormat):
    """The format `gcs-usage`."""

    name = "gcs-usage"
    quirks = Quirks(
        "Google Cloud Storage, usage log",
        lateness="mostly 15 minutes after the hour, at times hours",
        order="none; an object may hold rows of earlier hours",
        delivery="best effort: a row may be missing, or come twice",
        lacks=("cookie", "X-Forwarded-For"),
    )

    def layout_of(self, line: bytes) -> Layout | None:
        """What a line of quoted names says."""
        if not line.startswith(_HEADER) or not line.isascii():
            return None
        layout = Layout.of([name.decode() for name in _fields(line) or ()], _COLUMNS)
        return layout if {name for name, _ in layout.places} >= _NEEDED else None

    def are_headers(self, lines: Lines) -> Mask:
        """Those that begin with the name `time_micros`."""
        starts = lines.ends - lines.lengths - 1
        is_name = np.frombuffer(lines.data, np.uint8)[starts + 1] == ord(_HEADER[1:2])
        if is_name.any():
            names = pc.starts_with(lines.raw(np.flatnonzero(is_name)), _HEADER)
            is_name[is_name] = names.to_numpy(zero_copy_only=False)
        return is_name

    def is_record(self, line: bytes, layout: Layout) -> bool:
        """The number of fields, all in quotes."""
        return len(_fields(line) or ()) == layout.width

    def read(self, lines: Lines, rows: Rows, layout: Layout) -> Parsed:
        """Lines without quotes in a field by columns, the others singly."""
        types = {place: pa.binary() if name in _PLAIN else _CODED for name, place in layout.places}
        fields = split_quoted(lines, b",", layout.width, types)
        column = {name: fields.column(place) for name, place in layout.places}
        regular = Parsed(_requests(rows[fields.regular], column), rows[:0])
        if not len(fields.irregular):
            return regular
        return join([regular, _singly(lines.raw(fields.irregular), rows[fields.irregular], layout)])


def _singly(lines: pa.Array, rows: Rows, layout: Layout) -> Parsed:
    """Lines with quotes in a field, and those that are none of the log's."""
    split = [_fields(line) for line in lines.to_pylist()]
    is_fit = np.array([fields is not None and len(fields) == layout.width for fields in split])
    fit = [fields for fields in split if fields is not None and len(fields) == layout.width]
    column = {
        name: pa.array([fields[place] for fields in fit], pa.binary())
        for name, place in layout.places
    }
    return Parsed(_requests(rows[is_fit], column), rows[~is_fit])


def _fields(line: bytes) -> list[bytes] | None:
    """The fields of a line; None where it is no such line."""
    if b"\0" in line or b"\r" in line or not _LINE.fullmatch(line):
        return None
    return [field.replace(b'""', b'"') for field in _ONE.findall(line)]


def _requests(rows: Rows, fields: dict[str, pa.Array]) -> pa.RecordBatch:
    column = {name: none_where_absent(array) for name, array in fields.items()}
    column |= uri_columns(encode(column["uri"]))
    column["timestamp"] = from_epoch(column["timestamp"], 1_000_000)
    return requests(rows, column)
