"""The requests that a log holds, before any verdict: rows to look at, not to load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import MOST_LINE_BYTES, Lines, read_blocks
from pipeline.columns import encode, to_text
from pipeline.engine import sniff
from pipeline.formats import Format
from pipeline.formats.contract import NO_ROWS, behind, requests
from pipeline.inflate import Damage
from pipeline.model import EDGE_NUMBERS, EDGE_TEXTS, REQUEST_SCHEMA, Reason

_EDGE = tuple(name for name in REQUEST_SCHEMA.names if name in {*EDGE_TEXTS, *EDGE_NUMBERS})
_COLUMNS = tuple(name for name in REQUEST_SCHEMA.names if name not in {"line", *_EDGE})
KEYS = ("format", *_COLUMNS)
"""The keys that every row has, in their order."""
_ROWS = 1 << 12
"""Rows made at a time: as Python's objects they are large."""
_MOST_REFUSED = 10
_HIT, _HEADER, _OTHER, _MALFORMED, _TOO_LONG = range(5)

Row = dict[str, str | None]
_Fates = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Refused:
    """A line that is no record: `line` counts from 1, `position` inflated bytes from 0."""

    line: int
    position: int
    reason: Reason


@dataclass
class Seen:
    """What was met in a log so far; `lines` is the sum of `hits`, `header`, `other` and `rejected`.

    `header` counts blank lines and headers, `other` sound records of something else than a client's
    request; `refused` holds the first of the rejected lines.
    """

    lines: int = 0
    hits: int = 0
    header: int = 0
    other: int = 0
    rejected: Counter[Reason] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether all that was met could be read."""
        return not (self.rejected or self.damage)


class Hits:
    """The requests of one log object, in the log's order.

    The object is read block by block, as the loading job reads it, and no further than asked for.
    `format` is None where no format knows the log's lines; all of them are malformed then.
    """

    def __init__(self, stream: BinaryIO, size: int, chosen: Format | None = None) -> None:
        self.format = sniff(stream, size, chosen)
        self.seen = Seen()
        self._stream = stream
        self._size = size

    @property
    def lacks_header(self) -> bool:
        """Whether no line can be read for want of the header that names the columns."""
        return bool(self.format and self.format.needs_header and self.format.header is None)

    def rows(self, most: int | None = None) -> Iterator[Row]:
        """The first `most` requests (1 at least), or all; what stands behind the last of `most` is not met."""
        for found in read_blocks(self._stream, 0, self._size, self._size):
            if isinstance(found, Damage):
                self.seen.damage.append(found)
                continue
            room = None if most is None else most - self.seen.hits
            yield from self._rows_of_block(found.lines(), room)
            if self.seen.hits == most:
                return

    def _rows_of_block(self, lines: Lines, room: int | None) -> Iterator[Row]:
        hits, fates, self.format = _fates(lines, self.format)
        if room is not None and hits.num_rows >= room:
            hits = hits.slice(0, room)
            fates = fates[: hits.column("line")[-1].as_py() + 1]
        self._note(lines, fates)
        if self.format:
            yield from rows_of(hits, self.format)

    def _note(self, lines: Lines, fates: _Fates) -> None:
        """Counts the fates of a block's first lines."""
        seen = self.seen
        rejected = np.flatnonzero(fates >= _MALFORMED)
        for row in rejected[: _MOST_REFUSED - len(seen.refused)].tolist():
            reason = _reason_of(int(fates[row]))
            seen.refused.append(Refused(seen.lines + row + 1, int(lines.position[row]), reason))
        counts = np.bincount(fates, minlength=_TOO_LONG + 1).tolist()
        seen.lines += len(fates)
        seen.hits += counts[_HIT]
        seen.header += counts[_HEADER]
        seen.other += counts[_OTHER]
        seen.rejected += Counter(
            {_reason_of(fate): counts[fate] for fate in (_MALFORMED, _TOO_LONG)}
        )


def rows_of(hits: pa.RecordBatch, format_: Format) -> Iterator[Row]:
    """Requests (columns of `REQUEST_SCHEMA`) as rows for people and JSON.

    A row has the keys `KEYS`, null where the log has nothing, and behind them what the edge told.
    Values are text as the client sent it, bytes that are not UTF-8 as U+FFFD; times are ISO 8601,
    UTC, with microseconds, null where they cannot be read.
    """
    for start in range(0, hits.num_rows, _ROWS):
        some = hits.slice(start, _ROWS)
        columns = [_texts(some.column(name)) for name in (*_COLUMNS, *_EDGE)]
        for values in zip(*columns, strict=True):
            row = dict(zip(KEYS, (format_.name, *values), strict=False))
            told = zip(_EDGE, values[len(_COLUMNS) :], strict=True)
            row.update((name, value) for name, value in told if value is not None)
            yield row


def _texts(column: pa.Array) -> list[str | None]:
    if pa.types.is_timestamp(column.type):
        times = column.cast(pa.int64()).to_numpy(zero_copy_only=False).astype("datetime64[us]")
        texts = pa.array(np.datetime_as_string(times, unit="us").astype(str))
        column = pc.if_else(column.is_valid(), pc.binary_join_element_wise(texts, "Z", ""), None)
        return column.to_pylist()
    return to_text(encode(column).compact().plain()).to_pylist()


def _fates(every: Lines, format_: Format | None) -> tuple[pa.RecordBatch, _Fates, Format | None]:
    """A block's requests, sorted by `line` (its number among all lines), and the fate of each line.

    The third is the format of the lines behind.
    """
    fates = np.full(len(every), _MALFORMED, np.int8)
    fates[every.lengths == 0] = _HEADER
    fates[every.lengths > MOST_LINE_BYTES] = _TOO_LONG
    records = np.flatnonzero(fates == _MALFORMED)
    if format_ is None or not len(records):
        return requests(NO_ROWS, {}), fates, format_
    lines = every if len(records) == len(every) else every.take(records)
    parsed = format_.parse(lines)
    fates[records[parsed.header]] = _HEADER
    fates[records[parsed.other]] = _OTHER
    line = records[parsed.requests.column("line").to_numpy()]
    fates[line] = _HIT
    at = parsed.requests.schema.get_field_index("line")
    numbered = parsed.requests.set_column(at, REQUEST_SCHEMA.field(at), pa.array(line, pa.int32()))
    hits = numbered.take(pa.array(np.argsort(line, kind="stable")))
    return hits, fates, behind(format_, lines, parsed)


def _reason_of(fate: int) -> Reason:
    return Reason.TOO_LONG if fate == _TOO_LONG else Reason.MALFORMED_LINE
