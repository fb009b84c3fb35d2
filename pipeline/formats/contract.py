"""What a log format is: a name, a way to recognise its lines, a way to read them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import Coded, Rows
from pipeline.model import REQUEST_SCHEMA

NO_ROWS: Rows = np.empty(0, np.int64)


@dataclass(frozen=True)
class Parsed:
    """What a format makes of some lines. Each line is in just one of the four.

    `requests` has the columns of `REQUEST_SCHEMA`; its `line` is the number of the line among those
    given. The others are numbers of lines: `malformed` are not in the format, `header` speak of the
    file (the names of its columns), `other` are sound records of something else than a client's
    request, such as what a worker of the edge asked for.
    """

    requests: pa.RecordBatch
    malformed: Rows
    header: Rows = field(default_factory=lambda: NO_ROWS)
    other: Rows = field(default_factory=lambda: NO_ROWS)


@dataclass(frozen=True)
class Quirks:
    """What a user must know of a format's logs, in a few words each.

    `lateness`: how long after the request a line may arrive; `order`: whether lines stand in the
    order of their times; `delivery`: whether each request is logged exactly, at least or at most
    once; `lacks`: what the format cannot tell.
    """

    title: str
    lateness: str
    order: str
    delivery: str
    lacks: tuple[str, ...] = ()


class Format(ABC):
    """A log format. Formats hold no state and raise on no content.

    `name` is that for `--format`. `header` is the line of the log that names its columns, for
    formats that need one: `bound` gives the format as a log's first lines have it, and one that is
    not bound reads no line.
    """

    name: ClassVar[str]
    quirks: ClassVar[Quirks]
    needs_header: ClassVar[bool] = False

    @property
    def header(self) -> str | None:
        """The line that names the columns; None where the format needs none, or is not bound."""
        return None

    def bound(self, lines: Sequence[bytes]) -> Format:  # noqa: ARG002 - most formats need no header
        """The format as a log's first lines have it."""
        return self

    def after(self, headers: Sequence[bytes]) -> Format:  # noqa: ARG002 - as above
        """The format behind these lines, which `parse` found to speak of the file."""
        return self

    @abstractmethod
    def recognises(self, line: bytes) -> bool:
        """Whether a line (without its newline) is in this format."""

    @abstractmethod
    def parse(self, lines: Lines) -> Parsed:
        """The lines, none blank and none over the cap, as requests."""


def behind(format_: Format, lines: Lines, parsed: Parsed) -> Format:
    """The format as it is behind lines that it read: a header among them may name other columns."""
    if not (format_.needs_header and len(parsed.header)):
        return format_
    return format_.after(lines.raw(parsed.header).to_pylist())


def requests(line: Rows, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """A batch of `REQUEST_SCHEMA` from the columns a format has; the others are null."""
    arrays = []
    for wanted in REQUEST_SCHEMA:
        if wanted.name == "line":
            arrays.append(pa.array(line, pa.int32()))
            continue
        column = columns.get(wanted.name)
        if column is None:
            column = pa.nulls(len(line), wanted.type)
        elif pa.types.is_dictionary(wanted.type) and not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        arrays.append(column)
    return pa.RecordBatch.from_arrays(arrays, schema=REQUEST_SCHEMA)


def join(parts: Sequence[Parsed]) -> Parsed:
    """Several readings of separate lines as one."""
    if len(parts) == 1:
        return parts[0]
    tables = pa.Table.from_batches([part.requests for part in parts], REQUEST_SCHEMA)
    batches = tables.unify_dictionaries().combine_chunks().to_batches()
    read = batches[0] if batches else requests(NO_ROWS, {})
    malformed, header, other = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("malformed", "header", "other")
    )
    return Parsed(read, malformed, header, other)


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
