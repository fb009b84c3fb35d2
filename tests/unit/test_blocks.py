from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import pytest

from pipeline import blocks
from pipeline.blocks import MOST_LINE_BYTES, Block, Lines, is_splittable, read_blocks
from pipeline.inflate import Damage
from tests.hostile.cases import frame
from tests.logs import lines_of, small_steps


def found(
    data: bytes, start: int = 0, end: int | None = None, block_bytes: int = blocks.BLOCK_BYTES
) -> list[Block | Damage]:
    size = len(data)
    return list(
        read_blocks(io.BytesIO(data), start, size if end is None else end, size, block_bytes)
    )


def texts(lines: Lines) -> list[tuple[int, bytes]]:
    """Each line's position and content."""
    raw = lines.raw(np.arange(len(lines))).to_pylist()
    return list(zip(lines.position.tolist(), raw, strict=True))


def test_a_line_ends_at_lf_alone() -> None:
    data = b"one\ntw\ro\n\x0bthree\x0c\x85\xe2\x80\xa8\n\nlast"
    cut = [texts(block.lines()) for block in found(data) if isinstance(block, Block)]
    assert [line for lines in cut for line in lines] == [
        (0, b"one"),
        (4, b"tw\ro"),
        (9, b"\x0bthree\x0c\x85\xe2\x80\xa8"),
        (21, b""),
        (22, b"last"),
    ]


def test_crlf_is_a_line_end_and_positions_stay_those_of_the_object() -> None:
    assert texts(Block(0, b"a\r\nbc\r\r\n\r\nd\n").lines()) == [
        (0, b"a"),
        (3, b"bc\r"),
        (8, b""),
        (10, b"d"),
    ]


def test_a_byte_order_mark_is_left_out_at_the_start_alone() -> None:
    data = b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n"
    assert texts(Block(0, data).lines()) == [(0, b"a"), (5, b"\xef\xbb\xbfb")]
    assert texts(Block(7, data).lines()) == [(7, b"\xef\xbb\xbfa"), (12, b"\xef\xbb\xbfb")]


@pytest.mark.parametrize("data", [b"", gzip.compress(b"", mtime=0)])
def test_an_empty_object_has_no_blocks(data: bytes) -> None:
    assert found(data) == []


def test_lengths_and_bytes_held() -> None:
    lines = lines_of(b"a\tb\t\n\n\tc\n\\d\n")
    assert lines.lengths.tolist() == [4, 0, 2, 2]
    assert lines.count(b"\t").tolist() == [2, 0, 1, 0]
    assert lines.holding(b"\t").tolist() == [True, False, True, False]
    assert lines.holding(b"\\").tolist() == [False, False, False, True]
    assert lines.holding(b"\0").tolist() == [False] * 4


def test_some_lines_are_taken_in_the_order_given() -> None:
    lines = lines_of(b"a\nbb\n\nccc\n", position=10)
    taken = lines.take(np.array([3, 0, 2]))
    assert taken.data == b"ccc\na\n\n"
    assert texts(taken) == [(16, b"ccc"), (10, b"a"), (15, b"")]
    assert taken.lengths.tolist() == [3, 1, 0]
    none = lines.take(np.array([], np.int64))
    assert (none.data, len(none), texts(none)) == (b"", 0, [])


def test_raw_lines_are_cut_at_the_cap() -> None:
    lines = lines_of(b"x" * (MOST_LINE_BYTES + 5) + b"\nshort\n")
    assert lines.raw(np.array([1, 0])).to_pylist() == [b"short", b"x" * MOST_LINE_BYTES]


def test_blocks_are_cut_at_line_ends_once_they_are_full() -> None:
    data = b"".join(b"%06d\n" % number for number in range(100))
    with small_steps(read_bytes=50):
        cut = found(data, block_bytes=100)
    assert b"".join(block.data for block in cut if isinstance(block, Block)) == data
    for block in cut:
        assert isinstance(block, Block)
        assert data[block.position :].startswith(block.data)
        assert block.data.endswith(b"\n")
        assert len(block.data) < 100 + 50 + 7
    assert len(cut) >= 100 * 7 // 157


def test_blocks_are_full_with_many_short_lines_too() -> None:
    with small_steps(read_bytes=50), patch.object(blocks, "BLOCK_LINES", 60):
        cut = found(b"\n" * 1000)
    sizes = [len(block.data) for block in cut if isinstance(block, Block)]
    assert sum(sizes) == 1000
    assert max(sizes) == 100


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(("length", "is_long"), [(9, False), (10, False), (11, True), (400, True)])
@pytest.mark.parametrize("read_bytes", [1, 7, 1 << 20])
def test_the_cap_counts_a_lines_own_bytes(
    end: bytes, start: bytes, length: int, is_long: bool, read_bytes: int
) -> None:
    data = start + b"x" * length + end
    with small_steps(read_bytes, line_bytes=10):
        (block,) = found(data)
        assert isinstance(block, Block)
        lines = block.lines()
        assert bool(lines.lengths[0] > 10) == is_long
        assert texts(lines) == [(0, b"x" * min(length, 10))]


def test_a_carriage_return_at_the_cap_ends_no_line() -> None:
    data = b"x" * 10 + b"\r" + b"y" * 100 + b"\n"
    for read_bytes in (1, 5, 1 << 20):
        with small_steps(read_bytes, line_bytes=10):
            (block,) = found(data)
            assert isinstance(block, Block)
            assert block.lines().lengths[0] > 10


def test_of_a_long_line_only_the_head_is_kept() -> None:
    data = b"first\n" + b"x" * 5000 + b"\nlast\n"
    with small_steps(read_bytes=64, line_bytes=100):
        cut = found(data)
        assert [texts(block.lines()) for block in cut if isinstance(block, Block)] == [
            [(0, b"first")],
            [(6, b"x" * 100)],
            [(5007, b"last")],
        ]
    assert sum(len(block.data) for block in cut if isinstance(block, Block)) < 200


@pytest.mark.parametrize("cut", range(13))
def test_a_byte_range_gives_the_lines_that_start_in_it(cut: int) -> None:
    data = b"one\ntwo\n\nthr"
    for read_bytes in (1, 2, 100):
        with small_steps(read_bytes):
            before = [block for block in found(data, 0, cut) if isinstance(block, Block)]
            after = [block for block in found(data, cut) if isinstance(block, Block)]
        starts = [position for block in before for position in block.lines().position.tolist()]
        assert starts == [position for position in (0, 4, 8, 9) if position < cut]
        whole = b"".join(block.data for block in (*before, *after))
        assert whole == data + b"\n"


def test_a_byte_range_inside_one_line_reads_no_further_than_its_end() -> None:
    class Counting(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.taken += len(data)
            return data

    with small_steps(read_bytes=10):
        stream = Counting(b"x" * 1000)
        assert list(read_blocks(stream, 100, 200, 1000)) == []
    assert stream.taken <= 120


def test_an_object_that_shrank_is_damaged() -> None:
    stream = io.BytesIO(b"one\ntwo\nthr")
    assert list(read_blocks(stream, 0, 30, 30)) == [
        Block(0, b"one\ntwo\n"),
        Damage(11, "ends before the size it had when it was listed"),
    ]
    assert list(read_blocks(stream, 20, 30, 30)) == []


def test_what_was_added_since_the_object_was_listed_is_not_read() -> None:
    stream = io.BytesIO(b"one\ntwo\nthree\n")
    assert list(read_blocks(stream, 0, 8, 8)) == [Block(0, b"one\ntwo\n")]
    assert list(
        read_blocks(io.BytesIO(gzip.compress(b"a\n") + gzip.compress(b"b\n")), 0, 22, 22)
    ) == [Block(0, b"a\n")]


def test_reading_goes_on_from_where_a_grown_object_ended() -> None:
    (block,) = found(b"one\ntwo\nthree\n", start=8)
    assert block == Block(8, b"three\n")


@pytest.mark.parametrize("compress", [gzip.compress, frame], ids=["gzip", "zstd"])
def test_a_compressed_object_once_read_in_part_gives_the_rest(
    compress: Callable[[bytes], bytes],
) -> None:
    text = b"".join(b"line %d\n" % number for number in range(5000))
    data = compress(text[:20_000]) + compress(text[20_000:])
    for start in (1, 3, 10, len(data) // 3, len(compress(text[:20_000])), len(data) - 3):
        before = [block for block in found(data[:start]) if isinstance(block, Block)]
        after = found(data, start)
        given = b"".join(block.data for block in before if start > 3)
        assert (
            b"".join(block.data for block in after if isinstance(block, Block))
            == text[len(given) :]
        )
        assert not any(isinstance(block, Damage) for block in after)


def test_what_was_read_of_a_line_is_not_read_again() -> None:
    first, second = gzip.compress(b"one\ntw"), gzip.compress(b"o\nthree\n")
    assert found(first) == [Block(0, b"one\n"), Block(4, b"tw\n")]
    cut = len(first) + 12
    assert found((first + second)[:cut])[:1] == [Block(0, b"one\n")]
    assert found(first + second, cut) == [Block(4, b"two\nthree\n")]
    padded = first + b"\0" * 4
    assert found(padded + second, len(padded) - 2) == [Block(8, b"three\n")]


def test_a_byte_range_that_begins_like_gzip_is_plain_in_a_plain_object() -> None:
    data = b"one\n\x1f\x8b\x08two\nthree\n"
    assert found(data, 4) == [Block(4, b"\x1f\x8b\x08two\nthree\n")]
    assert found(data, 0, 4) == [Block(0, b"one\n")]


def test_damage_costs_the_line_it_cuts_through() -> None:
    first, last = gzip.compress(b"one\ntwo\nthr"), gzip.compress(b"four\n")
    data = first[:-8] + b"\xff" * 8 + last
    assert found(data) == [
        Block(0, b"one\ntwo\n"),
        Damage(0, "gzip data is corrupt"),
        Block(10, b"four\n"),
    ]


def test_positions_in_a_compressed_object_count_inflated_bytes() -> None:
    data = gzip.compress(b"one\ntw") + gzip.compress(b"o\nthree\n")
    (block,) = found(data)
    assert isinstance(block, Block)
    assert texts(block.lines()) == [(0, b"one"), (4, b"two"), (8, b"three")]


def test_only_plain_objects_can_be_split() -> None:
    assert is_splittable(io.BytesIO(b"px1\t1"))
    assert is_splittable(io.BytesIO(b""))
    assert not is_splittable(io.BytesIO(gzip.compress(b"a")))
