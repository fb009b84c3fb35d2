from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable
from unittest.mock import patch

import pytest
from backports import zstd

from pipeline import inflate
from pipeline.inflate import Damage, codec_of

Compress = Callable[[bytes], bytes]
TEXT = b"".join(b"line %d of the log\n" % number for number in range(20_000))
SKIPPABLE = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"index"


def frame(data: bytes) -> bytes:
    """zstd as its command line writes it: with a checksum."""
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


EITHER = pytest.mark.parametrize("compress", [gzip.compress, frame], ids=["gzip", "zstd"])


def inflated(data: bytes, start: int = 0) -> tuple[bytes, list[Damage]]:
    """What could be read of an object, and its damage."""
    codec = codec_of(data[start : start + 4])
    assert codec is not None
    pieces = list(inflate.inflate(io.BytesIO(data), codec, start, len(data)))
    text = b"".join(piece for piece in pieces if isinstance(piece, bytes))
    return text, [piece for piece in pieces if isinstance(piece, Damage)]


def with_byte_changed(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 0xFF
    return bytes(changed)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (gzip.compress(b"", mtime=0), "gzip"),
        (zstd.compress(b""), "zstd"),
        (SKIPPABLE, "zstd"),
        (b"px1\t17", None),
        (b'{"msec"', None),
        (b"\x1f\x8b\x07\x00", None),
        (b"\x1f\x8b", None),
        (b"", None),
    ],
)
def test_the_codec_is_told_from_the_first_bytes(head: bytes, name: str | None) -> None:
    found = codec_of(head)
    assert (found and found.name) == name


@EITHER
def test_members_one_after_another_are_one_log(compress: Compress) -> None:
    parts = [compress(TEXT[:100]), compress(b""), compress(TEXT[100:5000]), compress(TEXT[5000:])]
    assert inflated(b"".join(parts)) == (TEXT, [])


@EITHER
def test_reading_can_begin_at_any_member(compress: Compress) -> None:
    first = compress(TEXT[:100])
    assert inflated(first + compress(b"second\n"), len(first)) == (b"second\n", [])


@EITHER
def test_zeros_after_a_member_are_padding(compress: Compress) -> None:
    data = compress(b"first\n") + b"\0" * 300_000 + compress(b"second\n") + b"\0"
    assert inflated(data) == (b"first\nsecond\n", [])


def test_skippable_frames_are_skipped() -> None:
    data = SKIPPABLE + frame(b"first\n") + SKIPPABLE + frame(b"second\n") + SKIPPABLE
    assert inflated(data) == (b"first\nsecond\n", [])


@EITHER
def test_bytes_after_the_end_are_damage(compress: Compress) -> None:
    whole = compress(TEXT)
    name = "gzip" if compress is gzip.compress else "zstd"
    assert inflated(whole + b"rubbish") == (
        TEXT,
        [Damage(len(whole), f"bytes after the end of the {name} data")],
    )


@EITHER
def test_a_member_after_rubbish_is_found(compress: Compress) -> None:
    text, damage = inflated(compress(b"first\n") + b"rubbish" + compress(b"second\n"))
    assert text == b"first\nsecond\n"
    assert len(damage) == 1


@EITHER
@pytest.mark.parametrize("kept", [0.01, 0.5, 0.999])
def test_a_cut_member_gives_what_was_before_the_cut(compress: Compress, kept: float) -> None:
    whole = compress(TEXT)
    end = max(int(len(whole) * kept), 20)
    text, damage = inflated(whole[:end])
    name = "gzip" if compress is gzip.compress else "zstd"
    assert damage == [Damage(end, f"{name} data ends early")]
    assert TEXT.startswith(text)


def test_a_cut_gzip_member_gives_every_byte_before_the_cut() -> None:
    whole = gzip.compress(TEXT)
    end = len(whole) // 2
    expected = zlib.decompressobj(wbits=31).decompress(whole[:end])
    assert len(expected) > len(TEXT) // 3
    assert inflated(whole[:end])[0] == expected


@pytest.mark.parametrize("length", [19, 300, len(TEXT)])
def test_corrupt_gzip_gives_all_but_the_last_byte_before_the_damage(length: int) -> None:
    compressor = zlib.compressobj(wbits=31)
    sound = compressor.compress(TEXT[:length]) + compressor.flush(zlib.Z_FULL_FLUSH)
    text, damage = inflated(sound + b"\xff" * 100)
    assert text in (TEXT[:length], TEXT[: length - 1])
    assert damage == [Damage(0, "gzip data is corrupt")]


@EITHER
@pytest.mark.parametrize("at", [0.3, 0.7, 0.99])
def test_the_members_around_a_corrupt_one_survive(compress: Compress, at: float) -> None:
    first, middle, last = compress(b"first\n"), compress(TEXT), compress(b"last\n")
    corrupt = with_byte_changed(middle, int(len(middle) * at))
    text, damage = inflated(first + corrupt + last)
    assert text.startswith(
        b"first\nline 0 of" if at > 0.5 else b"first\n"
    )  # zstd's blocks are large
    assert text.endswith(b"last\n")
    assert len(damage) == 1
    assert damage[0].fault.endswith("data is corrupt")


def test_the_member_after_one_that_swallows_it_survives() -> None:
    middle = bytearray(gzip.compress(b"middle\n"))
    middle[3] = 0x04  # says that an extra field follows: of so many bytes as come along
    middle[10:12] = b"\xff\xff"
    text, damage = inflated(gzip.compress(b"first\n") + middle + gzip.compress(b"last\n"))
    assert text == b"first\nlast\n"
    assert [each.fault for each in damage] == ["gzip data ends early"]


@EITHER
def test_two_damaged_members_are_two_faults(compress: Compress) -> None:
    middle = compress(TEXT)
    corrupt = with_byte_changed(middle, len(middle) // 2)
    text, damage = inflated(compress(b"first\n") + corrupt + corrupt + middle[: len(middle) // 2])
    assert text.count(b"line 0 of the log\n") == 3
    assert [each.fault.split(maxsplit=1)[1] for each in damage] == [
        "data is corrupt",
        "data is corrupt",
        "data ends early",
    ]
    assert damage == sorted(damage, key=lambda each: each.position)


def test_a_checksum_that_is_wrong_is_damage() -> None:
    whole = gzip.compress(TEXT)
    text, damage = inflated(with_byte_changed(whole, len(whole) - 6))
    assert text in (TEXT, TEXT[:-1])
    assert damage == [Damage(0, "gzip data is corrupt")]


def test_a_magic_by_accident_is_not_taken_for_a_member() -> None:
    accident = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + b"\xff" * 50
    text, damage = inflated(gzip.compress(b"first\n") + accident * 3 + gzip.compress(b"last\n"))
    assert text == b"first\nlast\n"
    assert len(damage) >= 1


@EITHER
def test_what_inflates_too_far_is_not_read_on(compress: Compress) -> None:
    bomb = compress(b"\0" * 3_000_000)
    data = compress(b"first\n") + bomb + compress(b"last\n")
    with (
        patch.object(inflate, "FREE_EXPANSION_BYTES", 1_000_000),
        patch.object(inflate, "PIECE_BYTES", 100_000),
    ):
        text, (damage,) = inflated(data)
    assert 1_000_000 < len(text) < 1_500_000
    assert damage.fault == "inflates to over 400 times its size; not read on"


@EITHER
def test_what_compresses_well_is_no_bomb_while_it_is_small(compress: Compress) -> None:
    text = b"the same line again\n" * 200_000
    assert len(text) > 400 * len(compress(text))
    assert inflated(compress(text)) == (text, [])


def test_places_tried_after_damage_are_limited() -> None:
    accident = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + b"\xff" * 50
    data = gzip.compress(b"first\n") + accident * 9 + gzip.compress(b"last\n")
    with patch.object(inflate, "MOST_RESYNC_TRIALS", 5):
        text, damage = inflated(data)
    assert text == b"first\n"
    assert len(damage) == 1
