"""Damage of every kind costs the damaged part alone, is named, and takes neither time nor memory."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from pipeline.blocks import MOST_LINE_BYTES
from pipeline.formats import FORMATS, Format
from pipeline.model import LogObject
from pipeline.staging import SPLIT_BYTES
from tests.hostile.cases import CASES, Case, frame, view
from tests.hostile.stage import PEAK_MIB, SECONDS, staged
from tests.logs import Hit, combined, json_line, lines_of, log, signed, tsv

ROOT = Path(__file__).parent.parent
GIB = 1 << 30
CRC_OF_10_GIB_OF_ZEROS = 0xF41D912F


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_damage_costs_the_damaged_part_alone(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(case.data)
    found = staged(LogObject(str(path), len(case.data), "sha"), tmp_path, SPLIT_BYTES)
    faults = [fault.fault for fault in found.staged.faults]
    assert len(faults) == len(case.faults), faults
    assert all(text in fault for text, fault in zip(case.faults, faults, strict=True)), faults
    assert found.keys == sorted(_keys(case))
    if case.details:
        assert {row["detail"] for row in found.rejects} == set(case.details)
        return
    assert [(row["stage"], row["reason"], row["detail"]) for row in found.rejects] == [
        (reason.stage.value, reason.label, reason.meaning) for _, reason in case.rejects
    ]
    assert found.lines_of_rejects(case.data) == [line for line, _ in case.rejects]
    (tally,) = found.staged.tallies.values()
    assert (tally.header, tally.not_pixel, tally.bot) == (case.blank, case.others, 0)
    assert tally.adds_up


def _keys(case: Case) -> list[str]:
    """The views' keys: letters, or for a query string what stands between `a` and `c`."""
    if len(case.views) > 3 or any(char not in "abc" for char in case.views):
        return ["a", case.views[1:-1], "c"]
    return list(case.views)


# Bombs: in a process of their own, whose memory and time are measured


def bounded(path: Path, split_bytes: int = SPLIT_BYTES) -> dict[str, Any]:
    """What a worker makes of a log object: its tally, keys, faults; peak memory and time held to."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.stage", path, path.parent, str(split_bytes)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["peak_mib"] < PEAK_MIB
    assert found["seconds"] < SECONDS
    return found


def gzip_of_10_gib_of_zeros() -> bytes:
    """One sound member: a mebibyte's deflate blocks, which refer to nothing before, again and again."""
    deflate = zlib.compressobj(9, wbits=-15)
    mebibyte = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    header, end = b"\x1f\x8b\x08" + bytes(6) + b"\x03", b"\x03\x00"
    length = 10 * GIB % (1 << 32)
    trailer = CRC_OF_10_GIB_OF_ZEROS.to_bytes(4, "little") + length.to_bytes(4, "little")
    return header + mebibyte * (10 << 10) + end + trailer


def zstd_of(byte: bytes, count: int) -> bytes:
    """One sound frame of a byte repeated: blocks of 128 KiB, each a header and that byte."""
    blocks, block_bytes = count >> 17, 1 << 17
    block = (block_bytes << 3 | 1 << 1).to_bytes(3, "little") + byte
    last = (block_bytes << 3 | 1 << 1 | 1).to_bytes(3, "little") + byte
    return b"\x28\xb5\x2f\xfd\x00\x38" + block * (blocks - 1) + last


def test_the_bombs_are_sound() -> None:
    deflate = zlib.decompressobj(wbits=31)
    assert deflate.decompress(gzip_of_10_gib_of_zeros(), 3 << 20) == bytes(3 << 20)
    assert zstd.decompress(zstd_of(b"\n", 3 << 17)) == b"\n" * (3 << 17)


@pytest.mark.parametrize("bomb", ["gzip", "zstd"])
def test_a_bomb_of_10_gib_of_zeros(bomb: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    good = log(view("a"), view("b"))
    if bomb == "gzip":
        path.write_bytes(gzip.compress(good) + gzip_of_10_gib_of_zeros())
    else:
        path.write_bytes(frame(good) + zstd_of(b"\0", 10 * GIB))
    found = bounded(path)
    assert found["keys"] == ["a", "b"]
    assert found["rejected"] == {}
    assert [fault["fault"] for fault in found["faults"]] == [
        "inflates to over 400 times its size; not read on"
    ]


@pytest.mark.parametrize("split_bytes", [SPLIT_BYTES, 1 << 20], ids=["whole", "in ranges"])
def test_a_line_of_40_mb(split_bytes: int, tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(log(view("a"), b"x" * 40_000_000, view("b")))
    found = bounded(path, split_bytes)
    assert found["keys"] == ["a", "b"]
    assert found["rejected"] == {"too-long": 1}
    assert found["lines"] == 3
    assert found["faults"] == []


@pytest.mark.parametrize("compress", [gzip.compress, frame], ids=["gzip", "zstd"])
def test_a_compressed_line_of_40_mb(compress: Any, tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(compress(log(view("a"), b"x" * 40_000_000, view("b"))))
    found = bounded(path)
    assert found["keys"] == ["a", "b"]
    assert found["rejected"] == {"too-long": 1}


def test_a_plain_file_of_zeros_costs_what_reading_it_costs(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(log(view("a")))
        file.truncate(GIB // 4)
        file.seek(0, 2)
        file.write(b"\n" + log(view("b")))
    found = bounded(path, split_bytes=1 << 21)
    assert found["keys"] == ["a", "b"]
    assert found["rejected"] == {"too-long": 1}


def test_a_bomb_of_newlines(tmp_path: Path) -> None:
    path = tmp_path / "newlines"
    path.write_bytes(frame(log(view("a"))) + zstd_of(b"\n", 1 << 27) + frame(log(view("b"))))
    found = bounded(path)
    assert found["keys"] == ["a", "b"]
    assert found["header"] == 1 << 27
    assert found["lines"] == (1 << 27) + 2


@pytest.mark.parametrize("write", [tsv, json_line, combined])
def test_a_bomb_of_short_lines(write: Callable[[Hit], bytes], tmp_path: Path) -> None:
    path = tmp_path / "short"
    line = write(Hit(uri=b"/i.gif?" + signed(k="a")))
    path.write_bytes(frame(log(line)) + frame(b'x\n"\n{\n\\\n\0\n' * 100_000))
    found = bounded(path)
    assert found["keys"] == ["a"]
    assert found["rejected"] == {"malformed": 500_000}


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":[' + b'"",' * 20_000 + b'""]}',
        b"{" + b'"":1,' * 12_000 + b'"a":1}',
        b'{"a":[' + b"{}," * 20_000 + b"{}]}",
    ],
    ids=["strings", "keys", "objects"],
)
def test_a_bomb_of_json_lines_with_very_many_parts(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "parts"
    good, count = log(json_line(Hit(uri=b"/i.gif?" + signed(k="a")))), (24 << 20) // len(line)
    path.write_bytes(frame(good) + frame((line + b"\n") * count) + frame(good))
    found = bounded(path)
    assert found["keys"] == ["a", "a"]
    assert (found["rejected"], found["not_pixel"]) == ({}, count)


def test_a_bomb_of_empty_json_objects(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    good = log(json_line(Hit(uri=b"/i.gif?" + signed(k="a"))))
    path.write_bytes(frame(good) + frame(b"{}\n{ }\n{,}\n" * 500_000) + frame(good))
    found = bounded(path)
    assert found["keys"] == ["a", "a"]
    assert (found["rejected"], found["not_pixel"]) == ({"malformed": 500_000}, 1_000_000)


def test_rejects_do_not_pile_up(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(frame(log(view("a"))) + frame(b"x\n" * 4_000_000))
    found = bounded(path)
    assert found["keys"] == ["a"]
    assert found["rejected"] == {"malformed": 4_000_000}


@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
def test_no_line_takes_long_to_refuse(format_: Format) -> None:
    cap = range(8000, MOST_LINE_BYTES + 1)
    longest = {line for case in CASES for line in case.data.split(b"\n") if len(line) in cap}
    assert len(longest) > 10
    began = time.process_time()
    for line in longest:
        format_.recognises(line)
        format_.parse(lines_of(log(line, line, line, line)))
    assert time.process_time() - began < SECONDS / 10


def test_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
