"""A log as one zstd frame, read back."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from pipeline.ship.pack import DamagedError, Packed, content_hash, log_bytes_of, pack
from tests.shipping import lines

LOG = lines(0, 500)


def packed(folder: Path, data: bytes) -> tuple[Packed, bytes]:
    path = folder / "log"
    path.write_bytes(data)
    sink = io.BytesIO()
    return pack(path, sink, "edge"), sink.getvalue()


def test_what_is_packed_is_the_log_with_its_size_and_a_checksum(tmp_path: Path) -> None:
    what, frame = packed(tmp_path, LOG)
    assert zstd.decompress(frame) == LOG
    assert (what.log_bytes, what.stored_bytes) == (len(LOG), len(frame))
    assert len(frame) < len(LOG) / 4
    assert log_bytes_of(io.BytesIO(frame)) == len(LOG)
    assert frame[4] & 0b100, "the frame has no checksum"  # RFC 8878, 3.1.1.1.1
    torn = frame[:-1] + bytes([frame[-1] ^ 1])
    assert content_hash(io.BytesIO(torn)) is None


@pytest.mark.parametrize(
    "compress",
    [
        gzip.compress,
        zstd.compress,
        lambda data: gzip.compress(data[:99]) + gzip.compress(data[99:]),
    ],
    ids=["gzip", "zstd", "members"],
)
def test_a_log_that_is_compressed_already_is_the_same_log(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    assert packed(tmp_path, compress(LOG)) == packed(tmp_path, LOG)


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_a_damaged_one_is_not_packed(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    with pytest.raises(DamagedError, match=r"is damaged \(.* data ends early\)"):
        packed(tmp_path, compress(LOG)[:-9])


@pytest.mark.parametrize("magic", [b"BZh9", b"\xfd7zXZ\0", b"PK\3\4"], ids=["bzip2", "xz", "zip"])
def test_what_nothing_would_inflate_is_refused(tmp_path: Path, magic: bytes) -> None:
    with pytest.raises(DamagedError, match="not by gzip or zstd"):
        packed(tmp_path, magic + LOG)


def test_a_log_that_grows_meanwhile_is_not_packed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(LOG)

    class Sink(io.BytesIO):
        def write(self, data: object) -> int:
            with path.open("ab") as live:
                live.write(LOG)
            return super().write(data)  # type: ignore[arg-type]

    path.write_bytes(LOG * 20)
    with pytest.raises(DamagedError, match="was written to"):
        pack(path, Sink(), "edge")


def test_what_the_disk_gives_back_otherwise_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(LOG)

    class Lying(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(size).replace(b"\0", b"\1", 1)

    with pytest.raises(DamagedError, match="was not read back"):
        pack(path, Lying(), "edge")


@pytest.mark.parametrize(
    "data",
    [b"", b"junk", LOG, zstd.compress(LOG)[:-1], zstd.compress(LOG) + b"x"],
    ids=["nothing", "junk", "plain", "cut", "more"],
)
def test_what_is_no_whole_frame_has_no_content(data: bytes) -> None:
    assert content_hash(io.BytesIO(data)) is None
