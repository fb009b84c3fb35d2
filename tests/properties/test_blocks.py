"""However a log is cut, into pieces, blocks or byte ranges, the same lines and rows come out."""

from __future__ import annotations

import gzip
import io
import itertools

from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from pipeline.blocks import Block, read_blocks
from tests.logs import BOUND, Reading, read, small_steps
from tests.properties import strategies

LINE_BYTES = 1000
"""The cap on lines here: real lines are under it, the long ones of the logs over it."""
LINES = st.sampled_from(
    (b"", b"\r", b"a", b"ab\r", b"x" * 6, b"x" * 7, b"x" * 8, b"x" * 7 + b"\r", b"\xef\xbb\xbf", b"y" * 30)
)  # fmt: skip
FEW_LINES = st.builds(
    lambda lines, tail: b"".join(line + b"\n" for line in lines) + tail,
    st.lists(LINES, max_size=8),
    LINES,
)


def cut(data: bytes, cuts: list[int], block_bytes: int) -> list[tuple[int, int, bytes]]:
    """The lines of an object: position, length, and content up to the cap."""
    edges = [0, *sorted(cuts), len(data)]
    found = []
    for start, end in itertools.pairwise(edges):
        for block in read_blocks(io.BytesIO(data), start, end, len(data), block_bytes):
            assert isinstance(block, Block)
            lines = block.lines()
            assert lines.data.count(b"\n") == len(lines)
            for row in range(len(lines)):
                length = min(int(lines.lengths[row]), 8)
                raw = lines.data[lines.ends[row] - lines.lengths[row] - 1 :][:length]
                found.append((int(lines.position[row]), length, raw[:7]))
    return found


def lines_slowly(data: bytes) -> list[tuple[int, int, bytes]]:
    """What `cut` should give, cap 7: lines end at LF, a CR at their end and a BOM in front go."""
    found, position = [], 0
    for line in data.split(b"\n") if data else []:
        text = line.removesuffix(b"\r")
        text = text.removeprefix(b"\xef\xbb\xbf") if position == 0 else text
        if position + len(line) < len(data) or line:
            found.append((position, min(len(text), 8), text[:7]))
        position += len(line) + 1
    return found


def judged(reading: Reading) -> tuple[object, ...]:
    return (
        reading.events,
        reading.rejects,
        reading.bot_hits,
        reading.tally.to_json(),
        reading.faults,
    )


@given(data=FEW_LINES, steps=st.data())
def test_any_cut_gives_the_same_lines(data: bytes, steps: st.DataObject) -> None:
    cuts = steps.draw(st.lists(st.integers(0, len(data)), max_size=5))
    with small_steps(steps.draw(st.integers(1, 40)), line_bytes=7):
        found = cut(data, cuts, steps.draw(st.integers(1, 40)))
    # An empty byte range gives nothing; the others give each line once, in its order.
    assert found == lines_slowly(data)


@given(data=st.data())
def test_any_cut_gives_the_same_rows(data: st.DataObject) -> None:
    format_ = data.draw(st.sampled_from(BOUND))
    log = data.draw(strategies.logs(format_))
    cuts = data.draw(st.lists(st.integers(0, len(log)), max_size=4))
    with small_steps(1 << 20, line_bytes=LINE_BYTES):
        whole = read(log, format_=format_)
    with small_steps(data.draw(st.integers(1, 3000)), line_bytes=LINE_BYTES):
        block_bytes = data.draw(st.integers(1, 3000))
        assert judged(read(log, format_=format_, cuts=cuts, block_bytes=block_bytes)) == judged(
            whole
        )


@given(data=st.data())
def test_a_compressed_log_gives_the_same_rows(data: st.DataObject) -> None:
    format_ = data.draw(st.sampled_from(BOUND))
    log = data.draw(strategies.logs(format_))
    compress = data.draw(st.sampled_from((gzip.compress, zstd.compress)))
    edges = [0, *sorted(data.draw(st.lists(st.integers(0, len(log)), max_size=3))), len(log)]
    parts = [compress(log[start:end]) for start, end in itertools.pairwise(edges)]
    with small_steps(1 << 20, line_bytes=LINE_BYTES):
        whole = read(log, format_=format_)
    with small_steps(data.draw(st.integers(1, 3000)), line_bytes=LINE_BYTES):
        assert judged(read(b"".join(parts), format_=format_)) == judged(whole)
