"""What a log format is: a name, a way to recognise its lines, a way to read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import Coded, Rows
from pipeline.model import REQUEST_SCHEMA

NO_ROWS: Rows = np.empty(0, np.int64)


@dataclass(frozen=True)
class Parsed:
    """What a format makes of some lines: requests, and the numbers of the malformed lines.

    Each line is in just one of the two. `requests` has the columns of `REQUEST_SCHEMA`; its `line`
    is the number of the line among those given.
    """

    requests: pa.RecordBatch
    malformed: Rows


class Format(Protocol):
    """A log format. Implementations hold no state and raise on no content."""

    @property
    def name(self) -> str:
        """The name for `--format`."""

    def recognises(self, line: bytes) -> bool:
        """Whether a line (without its newline) is in this format."""

    def parse(self, lines: Lines) -> Parsed:
        """The lines, none blank and none over the cap, as requests."""


def requests(line: Rows, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """A batch of `REQUEST_SCHEMA` from the columns a format has; the others are null."""
    arrays = []
    for field in REQUEST_SCHEMA:
        if field.name == "line":
            arrays.append(pa.array(line, pa.int32()))
            continue
        column = columns.get(field.name)
        if column is None:
            column = pa.nulls(len(line), field.type)
        elif pa.types.is_dictionary(field.type) and not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        arrays.append(column)
    return pa.RecordBatch.from_arrays(arrays, schema=REQUEST_SCHEMA)


def join(parts: Sequence[Parsed]) -> Parsed:
    """Several readings of separate lines as one."""
    if len(parts) == 1:
        return parts[0]
    tables = pa.Table.from_batches([part.requests for part in parts], REQUEST_SCHEMA)
    batches = tables.unify_dictionaries().combine_chunks().to_batches()
    empty = requests(NO_ROWS, {})
    malformed = np.concatenate([part.malformed for part in parts])
    return Parsed(batches[0] if batches else empty, malformed)


def uri_columns(uris: Coded) -> dict[str, pa.Array]:
    """Request targets as the columns `path` and `query`; null query where there is no `?`.

    A target in absolute form (`GET http://host/path`) loses its scheme and host.
    """
    local = pc.replace_substring_regex(uris.values, r"^[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*", "")
    parts = pc.split_pattern(local, "?", max_splits=1)
    has_query = pc.equal(pc.list_value_length(parts), 2)
    last = pc.subtract(pc.cumulative_sum(pc.list_value_length(parts)), 1)
    query = pc.if_else(has_query, pc.list_flatten(parts).take(last), pa.scalar(None, local.type))
    path = pc.list_element(parts, 0)
    return {
        name: uris.with_values(values).dictionary()
        for name, values in (("path", path), ("query", query))
    }


def request_line_columns(lines: Coded) -> dict[str, pa.Array]:
    """Request lines such as `GET /a HTTP/1.1` as the columns `method`, `path` and `query`.

    All are null for what is no request line: an empty one, a TLS greeting, garbage.
    """
    parts = pc.extract_regex(lines.values, r"^(?P<method>[A-Z]+) (?P<uri>\S+)(?: HTTP/[0-9.]+)?$")
    method, uri = (lines.with_values(pc.struct_field(parts, name)) for name in ("method", "uri"))
    return {"method": method.dictionary(), **uri_columns(uri)}
