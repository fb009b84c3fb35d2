"""Opens gzip and zstd logs in pieces of bounded size, and survives damage.

Every function here yields the bytes it could read and, where some are damaged, one `Damage` in
their place. Nothing raises on content. The codec is told from the first bytes, never from the
file's name.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from backports import zstd
from isal import igzip_lib

READ_BYTES = 1 << 18
"""Stored bytes asked for at a time."""
PIECE_BYTES = 1 << 21
"""Inflated bytes given at a time."""
SALVAGE_BYTES = (1 << 12, 1)
"""The steps in which a damaged member is read again, to lose no good line before the damage."""
FREE_EXPANSION_BYTES = 1 << 30
"""Inflated bytes below which no ratio is too high."""
MOST_EXPANSION = 400
"""Above `FREE_EXPANSION_BYTES`, more inflated bytes than this for one stored byte is a bomb."""
MAGIC_BYTES = 4
"""The longest of the bytes that tell a codec."""
SOUND_BYTES = 1 << 10
"""A place that inflates to so many bytes is a member: no accident does."""
MOST_RESYNC_TRIALS = 1 << 10
"""Places tried as a new member after damage, for each object."""
LOOK_BACK_BYTES = 1 << 20
"""Stored bytes before the place where damage shows that may hold the next member's start already:
what is damaged may be read far past its end."""
_FED_BYTES = 1 << 12


@dataclass(frozen=True)
class Damage:
    """Bytes that could not be read; `position` counts stored bytes."""

    position: int
    fault: str


class Decompressor(Protocol):
    """What `isal` and `zstd` share with the standard library's `bz2.BZ2Decompressor`."""

    @property
    def eof(self) -> bool:
        """Whether the member's end marker was reached."""

    @property
    def needs_input(self) -> bool:
        """Whether more stored bytes are wanted."""

    @property
    def unused_data(self) -> bytes:
        """Stored bytes past the member's end."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """At most `max_length` inflated bytes."""


class _ZlibDecompressor:
    """The standard library's gzip, in the shape of `Decompressor`.

    Slower than isal, but it does not decode ahead: before damage it gives every good byte.
    """

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self._waiting = memoryview(b"")
        self._is_full = False

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._waiting and not self._is_full

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data + self._waiting if self.eof else b""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        waiting = memoryview(data) if data else self._waiting
        fed = waiting[:_FED_BYTES]
        piece = self._inner.decompress(fed, max(max_length, 0))
        self._waiting = waiting[len(fed) - len(self._inner.unconsumed_tail) :]
        self._is_full = len(piece) == max_length
        return piece


@dataclass(frozen=True)
class Codec:
    """A compressed form: its name, how its members start, how to open one, its errors.

    `head` is what any member may start with, `magic` what is searched for after damage.
    """

    name: str
    head: re.Pattern[bytes]
    magic: re.Pattern[bytes]
    open: Callable[[], Decompressor]
    open_exact: Callable[[], Decompressor]
    errors: tuple[Any, ...]


CODECS = (
    Codec(
        name="gzip",
        head=re.compile(rb"\x1f\x8b\x08"),
        magic=re.compile(rb"\x1f\x8b\x08"),
        open=lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
        open_exact=_ZlibDecompressor,
        errors=(igzip_lib.IsalError, zlib.error, EOFError),
    ),
    Codec(
        name="zstd",
        # a frame or, as pzstd writes before each, a skippable frame (RFC 8878, 3.1.2)
        head=re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
        magic=re.compile(rb"\x28\xb5\x2f\xfd"),
        open=zstd.ZstdDecompressor,
        open_exact=zstd.ZstdDecompressor,
        errors=(zstd.ZstdError, EOFError),
    ),
)


def codec_of(head: bytes) -> Codec | None:
    """The codec that the object's first bytes tell of, or None for plain bytes."""
    return next((codec for codec in CODECS if codec.head.match(head)), None)


def inflate(stream: BinaryIO, codec: Codec, start: int, size: int) -> Iterator[bytes | Damage]:
    """Gives the inflated bytes of `stream[start:size]`, all members, damage named in its place."""
    return _Inflater(stream, codec, size).run(start)


class _Inflater:
    """Walks the members of one object."""

    def __init__(self, stream: BinaryIO, codec: Codec, size: int) -> None:
        self._stream = stream
        self._codec = codec
        self._size = size
        self._trials = 0
        self._inflated_bytes = 0

    def run(self, position: int) -> Iterator[bytes | Damage]:
        """Members one after another; after damage, on from the next sound member."""
        while position < self._size:
            end = yield from self._member(position)
            if isinstance(end, Damage):
                yield end
                after = max(end.position - LOOK_BACK_BYTES, position + 1)
                if (found := self._resync(after)) is None:
                    return
                position = found
            elif (position := self._skip_padding(end)) < self._size and not self._at_member(
                position
            ):
                fault = f"bytes after the end of the {self._codec.name} data"
                yield Damage(position, fault)
                if (found := self._resync(position)) is None:
                    return
                position = found

    def _member(self, start: int) -> Generator[bytes, None, int | Damage]:
        """Gives one member's bytes; returns where it ends, or the damage that ended it."""
        given = 0
        end = start
        try:
            for piece, end in self._pieces(self._codec.open(), start):
                given += len(piece)
                self._inflated_bytes += len(piece)
                yield piece
                if self._is_bomb(self._inflated_bytes, end):
                    self._trials = MOST_RESYNC_TRIALS
                    return Damage(
                        end, f"inflates to over {MOST_EXPANSION} times its size; not read on"
                    )
        except self._codec.errors as error:
            position = self._fed_from
            yield from self._salvage(start, given)
            fault = "ends early" if isinstance(error, EOFError) else "is corrupt"
            return Damage(position, f"{self._codec.name} data {fault}")
        return end

    def _pieces(
        self, decompressor: Decompressor, start: int, coarse_bytes: int = 0, fine_bytes: int = 0
    ) -> Iterator[tuple[bytes, int]]:
        """Gives (inflated piece, stored position read so far); raises the codec's errors.

        Past `coarse_bytes` inflated bytes the pieces are of `fine_bytes`, if that is not 0.
        """
        self._stream.seek(start)
        self._fed_from = position = start
        inflated = 0
        while not decompressor.eof:
            data = b""
            if decompressor.needs_input:
                data = self._stream.read(min(READ_BYTES, self._size - position))
                self._fed_from = position
                position += len(data)
                if not data:
                    raise EOFError
            most = min(max(coarse_bytes - inflated, 0) or fine_bytes or PIECE_BYTES, PIECE_BYTES)
            piece = decompressor.decompress(data, most)
            inflated += len(piece)
            yield piece, position - len(decompressor.unused_data)

    def _salvage(self, start: int, given: int) -> Iterator[bytes]:
        """Reads a damaged member again in smaller steps; gives what larger ones had lost."""
        for fine_bytes in SALVAGE_BYTES:
            inflated = 0
            try:
                for piece, _ in self._pieces(self._codec.open_exact(), start, given, fine_bytes):
                    inflated += len(piece)
                    if inflated > given:
                        yield piece[len(piece) - (inflated - given) :]
                        given = inflated
            except self._codec.errors:
                continue

    @staticmethod
    def _is_bomb(inflated_bytes: int, stored_bytes: int) -> bool:
        return inflated_bytes > max(FREE_EXPANSION_BYTES, MOST_EXPANSION * stored_bytes)

    def _skip_padding(self, position: int) -> int:
        """Zero bytes after a member are padding, as gzip's own tool has it."""
        self._stream.seek(position)
        while position < self._size:
            data = self._stream.read(min(READ_BYTES, self._size - position))
            if not data:
                return self._size
            rest = data.lstrip(b"\0")
            position += len(data) - len(rest)
            if rest:
                break
        return position

    def _at_member(self, position: int) -> bool:
        self._stream.seek(position)
        return self._codec.head.match(self._stream.read(MAGIC_BYTES)) is not None

    def _resync(self, position: int) -> int | None:
        """Where the next sound member starts, or None."""
        self._stream.seek(position)
        window = b""
        while data := self._stream.read(min(READ_BYTES, self._size - position - len(window))):
            window += data
            for match in self._codec.magic.finditer(window):
                if self._trials >= MOST_RESYNC_TRIALS:
                    return None
                if self._is_sound(position + match.start()):
                    return position + match.start()
            keep = window[1 - MAGIC_BYTES :]
            position += len(window) - len(keep)
            window = keep
            self._stream.seek(position + len(window))
        return None

    def _is_sound(self, start: int) -> bool:
        """Whether a member is there: it inflates to its end, to the object's end, or far enough."""
        self._trials += 1
        inflated = 0
        try:
            for piece, _ in self._pieces(self._codec.open_exact(), start, 0, SALVAGE_BYTES[0]):
                inflated += len(piece)
                if inflated >= SOUND_BYTES:
                    return True
        except EOFError:
            return inflated > 0
        except self._codec.errors:
            return False
        return True
