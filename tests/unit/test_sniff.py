from __future__ import annotations

import gzip
import io
from typing import Any
from unittest.mock import patch

import pytest

from pipeline import engine, formats
from pipeline.blocks import MOST_LINE_BYTES
from pipeline.engine import sniff
from tests.logs import LINE_OF, Hit, combined, log, log_in, small_steps, tsv

WRITERS = [(name, write) for name, writers in LINE_OF.items() for write in writers]


@pytest.mark.parametrize(("name", "write"), WRITERS)
def test_an_objects_format_is_told_from_its_lines(name: str, write: Any) -> None:
    for data in (
        log(b"", b"#header") + log_in(name, write(Hit())),
        gzip.compress(log_in(name, *[write(Hit())] * 3)),
        log_in(name, write(Hit()))[:-1],
    ):
        found = sniff(io.BytesIO(data), len(data))
        assert found is not None
        assert found.name == name


def test_an_objects_format_is_told_past_long_lines_and_damage() -> None:
    line = log(combined(Hit()))
    long = b"x" * (MOST_LINE_BYTES + 1) + b"\n"
    for data in (
        b"\0" * 300_000 + b"\n" + line,
        long * 3 + line,
        gzip.compress(line)[:-4] + gzip.compress(line),
    ):
        found = sniff(io.BytesIO(data), len(data))
        assert found is not None
        assert found.name == "combined"


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", b"hello\n", b"\0" * 1000, gzip.compress(b"", mtime=0)]
)
def test_an_object_may_be_in_no_format(data: bytes) -> None:
    assert sniff(io.BytesIO(data), len(data)) is None


def test_only_the_start_of_an_object_is_looked_at_for_its_format() -> None:
    class Counting(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.taken += len(data)
            return data

    line = log(tsv(Hit()))
    with small_steps(read_bytes=1 << 16):
        stream = Counting(b"a\n" * (1 << 20) + line)
        assert sniff(stream, 1 << 21) is None
        assert stream.taken < 1 << 19
        with patch.object(engine, "_SNIFF_MOST_STORED_BYTES", 1 << 20):
            stream = Counting(b"\0" * (1 << 24) + b"\n" + line)
            assert sniff(stream, 1 << 24) is None
            assert stream.taken < (1 << 20) + (1 << 17)


def test_a_hole_at_the_start_hides_no_format() -> None:
    data = b"\0" * 80_000_000 + b"\n" + log(tsv(Hit()))
    assert sniff(io.BytesIO(data), len(data)) is formats.named("nginx-tsv")
