"""Compresses a log with zstd, and reads back what came of it before anybody relies on it."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from backports import zstd

from pipeline.inflate import Damage, codec_of, inflate
from pipeline.ship.names import HEAD_BYTES, object_name

LEVEL = 3
"""Higher ones take several times as long, and make logs with request ids no smaller (measured)."""
_READ_BYTES = 1 << 20
_MAGIC_BYTES = 4
_FOREIGN = (b"BZh", b"\xfd7zX", b"\x04\x22\x4d\x18", b"PK\x03\x04")
"""How bzip2, xz, lz4 and zip begin: nothing downstream would inflate them."""


class DamagedError(Exception):
    """A file that does not hold what it should; the words follow its name."""


@dataclass(frozen=True)
class Packed:
    """A log as it is to be stored: the object's `name`, its bytes before and after."""

    name: str
    log_bytes: int
    stored_bytes: int


def pack(log: Path, sink: BinaryIO, host: str) -> Packed:
    """Writes a log into `sink` as one zstd frame with its size and a checksum, and reads that back.

    A log that is compressed already is inflated on the way: it is the same log. Raises DamagedError,
    OSError.
    """
    digest = hashlib.sha256()
    head = b""
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: LEVEL,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    compressor = zstd.ZstdCompressor(options=options)
    log_bytes = _content_bytes(log)
    compressor.set_pledged_input_size(log_bytes)
    with log.open("rb") as stream, closing(_content(stream)) as pieces:
        try:
            for piece in pieces:
                digest.update(piece)
                head += piece[: HEAD_BYTES - len(head)]
                sink.write(compressor.compress(piece))
            sink.write(compressor.flush())
        except zstd.ZstdError:
            raise DamagedError("was written to while it was read") from None
    stored_bytes = sink.tell()
    sink.flush()
    if content_hash(sink) != digest.hexdigest():
        raise DamagedError("was not read back from the disk as it was written")
    return Packed(object_name(host, head, digest.hexdigest()), log_bytes, stored_bytes)


def _content_bytes(log: Path) -> int:
    with log.open("rb") as stream:
        head = stream.read(_MAGIC_BYTES)
        if head.startswith(_FOREIGN):
            raise DamagedError(
                "is compressed, but not by gzip or zstd: inflate it, or move it away"
            )
        if codec_of(head) is None:
            return log.stat().st_size
        with closing(_content(stream)) as pieces:
            return sum(map(len, pieces))


def _content(stream: BinaryIO) -> Generator[bytes, None, None]:
    """A log's bytes, inflated; raises DamagedError."""
    stream.seek(0)
    codec = codec_of(stream.read(_MAGIC_BYTES))
    stream.seek(0)
    if codec is None:
        while piece := stream.read(_READ_BYTES):
            yield piece
        return
    size = Path(stream.name).stat().st_size
    for found in inflate(stream, codec, 0, size):
        if isinstance(found, Damage):
            raise DamagedError(f"is damaged ({found.fault}): mend it, or move it away")
        yield found


def content_hash(stream: BinaryIO) -> str | None:
    """SHA-256 of what a zstd frame holds; None where the bytes are no whole frame.

    The stream is read from its start.
    """
    digest = hashlib.sha256()
    inner = zstd.ZstdDecompressor()
    stream.seek(0)
    try:
        while not inner.eof:
            data = stream.read(_READ_BYTES) if inner.needs_input else b""
            if not data and inner.needs_input:
                return None
            digest.update(inner.decompress(data, _READ_BYTES))
    except zstd.ZstdError:
        return None
    return None if inner.unused_data or stream.read(1) else digest.hexdigest()


def log_bytes_of(stream: BinaryIO) -> int:
    """The size of the log in a frame that `pack` made; 0 where the frame does not tell it."""
    stream.seek(0)
    try:
        return zstd.get_frame_info(stream.read(_READ_BYTES)).decompressed_size or 0
    except zstd.ZstdError:
        return 0
