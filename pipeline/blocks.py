"""Cuts a log object into blocks of whole lines: the only place that knows where lines end.

A line ends at `\\n` alone. Positions count inflated bytes from the object's start, so the same line
has the same position however the object is split. Memory is bounded whatever the bytes hold: of a
line past the cap only its head is kept.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.inflate import Damage, codec_of, inflate

BLOCK_BYTES = 1 << 24
BLOCK_LINES = 1 << 18
"""A block is full with so many bytes, or so many lines: what is known of a line takes memory too."""
MOST_LINE_BYTES = 1 << 16
"""A longer line is rejected as too long; of it, this many bytes are kept."""
READ_BYTES = 1 << 21

Int64s = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Lines:
    """Whole lines in one buffer, each ending in `\\n`.

    `ends` is where each line ends in `data`, after its newline; `position` is where each starts in
    the inflated object.
    """

    data: bytes
    ends: Int64s
    position: Int64s

    def __len__(self) -> int:
        return len(self.ends)

    @cached_property
    def lengths(self) -> Int64s:
        """Bytes of each line, its newline not counted."""
        return np.diff(self.ends, prepend=0) - 1

    def holding(self, byte: bytes) -> Mask:
        """Which lines hold the byte."""
        mask = np.zeros(len(self), np.bool_)
        if byte in self.data:
            mask[np.searchsorted(self.ends, _positions(self.data, byte), side="right")] = True
        return mask

    def count(self, byte: bytes) -> Int64s:
        """How often each line holds the byte."""
        return np.diff(np.searchsorted(_positions(self.data, byte), self.ends), prepend=0)

    def take(self, rows: Int64s) -> Lines:
        """Some of the lines, in the order given."""
        ends = np.cumsum(self.lengths[rows] + 1)
        taken = self._array().take(pa.array(rows)).buffers()[2]
        data = taken.slice(0, ends[-1]).to_pybytes() if len(ends) else b""
        return Lines(data, ends, self.position[rows])

    def raw(self, rows: Int64s) -> pa.BinaryArray:
        """The bytes of some lines without their newlines, cut at the cap."""
        whole = self._array().take(pa.array(rows))
        return pc.binary_slice(pc.binary_slice(whole, 0, -1), 0, MOST_LINE_BYTES)

    def _array(self) -> pa.BinaryArray:
        """The lines as an Arrow column that shares this buffer, newlines included."""
        offsets = np.concatenate(([0], self.ends)).astype(np.int32)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(self.data)]
        return pa.Array.from_buffers(pa.binary(), len(self), buffers)


@dataclass(frozen=True)
class Block:
    """Some whole lines of an object: `data` starts at `position` and ends in a newline."""

    position: int
    data: bytes

    def lines(self) -> Lines:
        """The block's lines: `\\r\\n` taken for `\\n`, a byte order mark at the object's start left out."""
        ends = _positions(self.data, b"\n") + 1
        position = np.concatenate(([0], ends[:-1])) + self.position
        data = self.data.replace(b"\r\n", b"\n") if b"\r" in self.data else self.data
        if self.position == 0:
            data = data.removeprefix(codecs.BOM_UTF8)
        if len(data) != len(self.data):
            ends = _positions(data, b"\n") + 1
        return Lines(data, ends, position)


def _positions(data: bytes, byte: bytes) -> Int64s:
    return np.flatnonzero(np.frombuffer(data, np.uint8) == ord(byte))


def read_blocks(
    stream: BinaryIO, start: int, end: int, size: int, block_bytes: int = BLOCK_BYTES
) -> Iterator[Block | Damage]:
    """Gives the lines that start in `[start, end)` of an object of `size` stored bytes.

    Of a compressed object all lines are given that its first `start` bytes alone do not give: it
    may have grown by members, or have been read before it was there whole. Damage is given in its
    place; the line that it cuts through is dropped with it.
    """
    codec = codec_of(_read_at(stream, 0, 4))
    if codec is None:
        first, chunks = _plain_range(stream, start, end, size)
        return _cut(chunks, first, block_bytes)
    if start == 0:
        return _cut(inflate(stream, codec, 0, size), 0, block_bytes)
    if codec_of(_read_at(stream, start, 4)):
        front = (each for each in inflate(stream, codec, 0, start) if isinstance(each, bytes))
        position = sum(map(len, front))
        return _cut(inflate(stream, codec, start, size), position, block_bytes)
    before = _cut(inflate(stream, codec, 0, start), 0, block_bytes)
    ends = [each.position + len(each.data) for each in before if isinstance(each, Block)]
    return _past(max(ends, default=0), _cut(inflate(stream, codec, 0, size), 0, block_bytes))


def _past(position: int, found: Iterator[Block | Damage]) -> Iterator[Block | Damage]:
    """The blocks less the lines that start before a position."""
    for each in found:
        known_bytes = position - each.position
        if isinstance(each, Damage) or known_bytes <= 0:
            yield each
        elif rest := each.data[each.data.find(b"\n", known_bytes - 1) + 1 :]:
            yield Block(each.position + len(each.data) - len(rest), rest)


def is_splittable(stream: BinaryIO) -> bool:
    """Whether byte ranges of the object can be read on their own: it is not compressed."""
    return codec_of(_read_at(stream, 0, 4)) is None


def _read_at(stream: BinaryIO, position: int, size: int) -> bytes:
    stream.seek(position)
    return stream.read(size)


def _plain_range(
    stream: BinaryIO, start: int, end: int, size: int
) -> tuple[int, Iterator[bytes | Damage]]:
    """The first line start at or after `start`, and the bytes from there to the last line's end."""
    first = 0 if start == 0 else _after_newline(stream, start - 1, min(end, size))
    last = _after_newline(stream, end - 1, size) if first < end < size else min(end, size)
    return first, _chunks(stream, first, last)


def _after_newline(stream: BinaryIO, position: int, size: int) -> int:
    """Where the first newline at or after `position` ends; `size` where none is before it."""
    for chunk in _chunks(stream, position, size):
        at = chunk.find(b"\n") if isinstance(chunk, bytes) else -1
        if at >= 0:
            return position + at + 1
        position += READ_BYTES
    return size


def _chunks(stream: BinaryIO, start: int, end: int) -> Iterator[bytes | Damage]:
    stream.seek(start)
    while start < end:
        chunk = stream.read(min(READ_BYTES, end - start))
        if not chunk:
            yield Damage(start, "ends before the size it had when it was listed")
            return
        start += len(chunk)
        yield chunk


class _Cutter:
    """Gathers chunks and gives them back as blocks of whole lines."""

    def __init__(self, position: int, block_bytes: int) -> None:
        self._position = position
        self._block_bytes = block_bytes
        self._most_bytes = MOST_LINE_BYTES + len(codecs.BOM_UTF8) + len(b"\r")
        self._whole: list[bytes] = []
        self._whole_bytes = self._whole_lines = 0
        self._rest = b""
        self._rest_bytes = 0

    def take(self, chunk: bytes) -> Iterator[Block]:
        """Adds a chunk; gives the blocks that are full."""
        cut = chunk.rfind(b"\n") + 1
        if cut == 0:
            self._keep(chunk)
            return
        head = chunk[:cut]
        if self._rest_bytes > self._most_bytes:
            first = chunk.index(b"\n") + 1
            yield from self.flush()
            yield self._long_line(first)
            head = chunk[first:cut]
        elif self._rest:
            self._whole.append(self._rest)
            self._whole_bytes += len(self._rest)
        self._rest, self._rest_bytes = b"", 0
        self._whole.append(head)
        self._whole_bytes += len(head)
        self._whole_lines += len(_positions(head, b"\n"))
        self._keep(chunk[cut:])
        if self._whole_bytes >= self._block_bytes or self._whole_lines >= BLOCK_LINES:
            yield from self.flush()

    def _keep(self, tail: bytes) -> None:
        room = self._most_bytes + 1 - len(self._rest)
        is_long = self._rest_bytes + len(tail) > self._most_bytes
        self._rest += tail[:room] if is_long else tail
        self._rest_bytes += len(tail)

    def _long_line(self, last_bytes: int) -> Block:
        block = Block(self._position, self._rest + b"\n")
        self._position += self._rest_bytes + last_bytes
        return block

    def flush(self) -> Iterator[Block]:
        """Gives the whole lines gathered so far."""
        if data := b"".join(self._whole):
            yield Block(self._position, data)
        self._position += len(data)
        self._whole, self._whole_bytes, self._whole_lines = [], 0, 0

    def finish(self) -> Iterator[Block]:
        """Gives all that is left; the last line need not end in a newline."""
        yield from self.flush()
        if self._rest:
            yield self._long_line(0)
        self._rest, self._rest_bytes = b"", 0

    def drop_rest(self) -> Iterator[Block]:
        """Gives the whole lines; forgets the line that damage cut through."""
        yield from self.flush()
        self._position += self._rest_bytes
        self._rest, self._rest_bytes = b"", 0


def _cut(
    chunks: Iterator[bytes | Damage], position: int, block_bytes: int
) -> Iterator[Block | Damage]:
    cutter = _Cutter(position, block_bytes)
    for chunk in chunks:
        if isinstance(chunk, Damage):
            yield from cutter.drop_rest()
            yield chunk
        else:
            yield from cutter.take(chunk)
    yield from cutter.finish()
