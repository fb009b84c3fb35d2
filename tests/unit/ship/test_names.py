"""What objects are called: it follows from host and content alone."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import SetupError
from pipeline.ship.names import (
    file_name,
    first_time,
    host_of,
    is_content_of,
    name_of_file,
    object_name,
)
from tests.logs import Hit, combined, json_line, log, tsv
from tests.shipping import lines

HASH = sha256(b"x").hexdigest()


@pytest.mark.parametrize("write", [tsv, json_line, combined], ids=lambda each: each.__name__)
def test_the_time_is_that_of_the_first_line(write: Callable[[Hit], bytes]) -> None:
    later = Hit(time_us=Hit().time_us + 90_000_000)
    name = object_name("edge", log(write(Hit()), write(later)), HASH)
    assert name == f"edge/2025/11/21/20251121T120000Z-{HASH[:16]}.log.zst"


@pytest.mark.parametrize(
    "before",
    [b"junk\n", b"\n\n", b"\xff\x00\n", b"x" * 70_000 + b"\n"],
    ids=["junk", "blank", "bytes", "long"],
)
def test_lines_without_a_time_are_passed_over(before: bytes) -> None:
    assert first_time(before + lines(0)) == first_time(lines(0))


@pytest.mark.parametrize(
    "head",
    [b"", b"\n", b"some words\n", b"\x1f\x8bx", b"\x28\xb5\x2f\xfdx"],
    ids=["none", "blank", "words", "gzip", "zstd"],
)
def test_a_log_without_any_time_is_undated(head: bytes) -> None:
    assert object_name("edge", head, HASH) == f"edge/undated/{HASH[:16]}.log.zst"


@given(st.binary(max_size=300))
@example(lines(1)[:40])
@example(tsv(Hit(time_us=2**62)))
def test_no_bytes_raise(head: bytes) -> None:
    assert object_name("edge", head, HASH).startswith("edge/")


def test_names_of_files_are_names_of_objects() -> None:
    name = object_name("edge", lines(0), HASH)
    assert "/" not in file_name(name)
    assert name_of_file(file_name(name)) == name
    assert is_content_of(name, HASH)
    assert not is_content_of(name, sha256(b"y").hexdigest())


@pytest.mark.parametrize(
    ("given", "host"),
    [("web-1.example.org", "web-1.example.org"), ("a b/c@d", "a-b-c-d"), ("..é", "-")],
)
def test_hosts_are_made_fit_for_names(given: str, host: str) -> None:
    assert host_of(given) == host


@pytest.mark.parametrize("given", ["", "..", "x" * 101])
def test_a_host_that_leaves_no_name_is_refused(given: str) -> None:
    with pytest.raises(SetupError, match="give --host"):
        host_of(given)
