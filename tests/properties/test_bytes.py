"""Whatever bytes a log object holds: nothing raises, every line has one fate, work is bounded."""

from __future__ import annotations

import gzip
import io
import itertools

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from pipeline.blocks import Block, read_blocks
from tests.logs import BOUND, Hit, json_line, read, small_steps, tsv
from tests.properties import strategies

LINES = [
    (tsv if number % 2 else json_line)(Hit(request_id=b"%d" % number)) for number in range(400)
]
GOOD = b"".join(line + b"\n" for line in LINES)


def frames(data: bytes) -> bytes:
    """zstd as the command line writes it: with a checksum."""
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


@given(data=st.binary(max_size=2000), format_=st.sampled_from((None, *BOUND)))
def test_random_bytes_are_rejected_lines(data: bytes, format_: object) -> None:
    reading = read(data, format_=format_)  # type: ignore[arg-type]
    if b"\r" not in data and not data.startswith((b"\xef\xbb\xbf", b"\x1f\x8b\x08")):
        assert reading.tally.lines == data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
    assert reading.tally.accepted == 0


@given(data=st.data())
def test_a_mutated_log_costs_no_other_line(data: st.DataObject) -> None:
    format_ = data.draw(st.sampled_from(BOUND))
    log = data.draw(strategies.logs(format_))
    at = data.draw(st.integers(0, len(log)))
    middle = data.draw(st.one_of(st.binary(max_size=5), st.sampled_from(strategies.TOKENS)))
    mutated = log[:at] + middle + log[at + data.draw(st.integers(0, 5)) :]
    with small_steps(1 << 20, line_bytes=1000):
        before = read(log, format_=format_)
        after = read(mutated, format_=format_)
    start, end = log.rfind(b"\n", 0, at) + 1, log.find(b"\n", at + 5)
    untouched = [row for row in before.events if row["source_position"] < start]
    if end >= 0:
        shift = len(mutated) - len(log)
        moved = [row for row in before.events if row["source_position"] > end]
        untouched += [
            {**row, "source_position": row["source_position"] + shift} for row in moved
        ]  # fmt: skip
    kept = {row["source_position"]: row for row in after.events}
    for row in untouched:
        found = kept[row["source_position"]]
        assert {**found, "event_id": ""} == {**row, "event_id": ""}


@pytest.mark.parametrize("compress", [gzip.compress, frames], ids=["gzip", "zstd"])
@given(data=st.data())
def test_damage_to_one_member_costs_no_other(compress: object, data: st.DataObject) -> None:
    edges = (0, 130, 260, 400)
    parts = [b"".join(line + b"\n" for line in LINES[a:b]) for a, b in itertools.pairwise(edges)]
    first, middle, last = map(compress, parts)  # type: ignore[arg-type]
    damaged = bytearray(middle)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(middle) - 1))] = data.draw(st.integers(0, 255))
    with small_steps(data.draw(st.sampled_from((64, 1000, 1 << 18)))):
        found = list(
            read_blocks(io.BytesIO(whole := first + damaged + last), 0, len(whole), len(whole))
        )
    text = b"".join(block.data for block in found if isinstance(block, Block))
    assert text.startswith(parts[0])
    assert text.endswith(parts[2])
    if len(found) == sum(isinstance(block, Block) for block in found):
        assert text == GOOD  # no fault was named: then nothing was lost


@pytest.mark.parametrize("compress", [gzip.compress, frames], ids=["gzip", "zstd"])
@given(data=st.data())
def test_mutated_compressed_logs_raise_nothing(compress: object, data: st.DataObject) -> None:
    whole = bytearray(compress(GOOD[:20_000]) + compress(GOOD[20_000:]))  # type: ignore[operator]
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    del whole[data.draw(st.integers(0, len(whole))) :]
    read(bytes(whole))


@pytest.mark.parametrize("compress", [gzip.compress, frames], ids=["gzip", "zstd"])
@given(data=st.data())
def test_a_log_read_before_it_was_whole_gives_each_line_once(
    compress: object, data: st.DataObject
) -> None:
    end = GOOD.index(b"\n", 30_000) + 1
    parts = [GOOD[:end], GOOD[end:]]
    whole = b"".join(map(compress, parts))  # type: ignore[arg-type]
    cut = data.draw(st.integers(4, len(whole)))
    with small_steps(data.draw(st.sampled_from((64, 1000, 1 << 18)))):
        before = read_blocks(io.BytesIO(whole), 0, cut, cut)
        after = read_blocks(io.BytesIO(whole), cut, len(whole), len(whole))
        found = [*before, *after]
    assert b"".join(block.data for block in found if isinstance(block, Block)) == GOOD
    assert all(fault.position == cut for fault in found if not isinstance(fault, Block))


@pytest.mark.parametrize("compress", [gzip.compress, frames], ids=["gzip", "zstd"])
@given(data=st.data())
def test_a_cut_compressed_log_gives_its_whole_lines(compress: object, data: st.DataObject) -> None:
    whole = compress(GOOD)  # type: ignore[operator]
    end = data.draw(st.integers(5, len(whole) - 1))
    with small_steps(data.draw(st.sampled_from((64, 1000, 1 << 18)))):
        *blocks, fault = read_blocks(io.BytesIO(whole), 0, end, end)
    text = b"".join(block.data for block in blocks if isinstance(block, Block))
    assert GOOD.startswith(text)
    assert text == b"" or text.endswith(b"\n")
    assert not isinstance(fault, Block)
    assert fault.fault.endswith("data ends early")
    assert fault.position == end
