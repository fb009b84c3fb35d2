"""What an object is called: it follows from the host and the log's content, and from nothing else.

So every attempt to ship the same bytes finds the object of the one before, whatever the file is called
by then, whoever touched it, and compressed or not.
"""

from __future__ import annotations

import io
import re
from datetime import datetime, timezone

import numpy as np
import pyarrow.compute as pc

from pipeline.blocks import MOST_LINE_BYTES, Block, read_blocks
from pipeline.errors import SetupError
from pipeline.formats import detect

HEAD_BYTES = 1 << 20
"""Of a log, so many bytes are looked at for its first time."""
_HEAD_LINES = 1000
_HASH_DIGITS = 16
_MOST_HOST_CHARS = 100
_UNDATED = "undated"
_SLASH = "@"
"""Stands for `/` in the names of files; no object's name holds it."""


def host_of(given: str) -> str:
    """A host's name as objects' names have it. Raises SetupError where nothing is left of it."""
    host = re.sub(r"[^A-Za-z0-9._-]", "-", given).strip(".")
    if not host or len(host) > _MOST_HOST_CHARS:
        raise SetupError(
            f"{given!r} is no name for a host: give --host up to {_MOST_HOST_CHARS} letters, "
            "digits, dots, hyphens."
        )
    return host


def object_name(host: str, head: bytes, sha256: str) -> str:
    """`HOST/YYYY/MM/DD/TIME-HASH.log.zst`, from a log's first bytes and the hash of all of them.

    TIME (UTC) is that of the first line that has one, HASH the first 16 hexadecimal digits. A log
    in no known format goes under `HOST/undated/`.
    """
    at = first_time(head)
    content = sha256[:_HASH_DIGITS]
    if at is None:
        return f"{host}/{_UNDATED}/{content}.log.zst"
    return f"{host}/{at:%Y/%m/%d}/{at:%Y%m%dT%H%M%SZ}-{content}.log.zst"


def is_content_of(name: str, sha256: str) -> bool:
    """Whether an object's name tells of the content with this hash."""
    return name.endswith(f"{sha256[:_HASH_DIGITS]}.log.zst")


def file_name(name: str) -> str:
    """An object's name as that of one file."""
    return name.replace("/", _SLASH)


def name_of_file(file: str) -> str:
    """The object's name that `file_name` made into a file's."""
    return file.replace(_SLASH, "/")


def first_time(head: bytes) -> datetime | None:
    """The time of the first line that tells one, to the second; None where none does."""
    block = next(read_blocks(io.BytesIO(head), 0, len(head), len(head)), None)
    if not isinstance(block, Block):
        return None
    lines = block.lines()
    fit = np.flatnonzero((lines.lengths > 0) & (lines.lengths <= MOST_LINE_BYTES))
    lines = lines.take(fit[:_HEAD_LINES])
    found = detect(lines.raw(np.arange(len(lines))).to_pylist())
    if found is None or not len(lines):
        return None
    requests = found.parse(lines).requests
    times = requests.filter(pc.is_valid(requests.column("timestamp"))).sort_by("line")
    if not len(times):
        return None
    first_us: int = times.column("timestamp").cast("int64")[0].as_py()
    try:
        return datetime.fromtimestamp(first_us // 1_000_000, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return None
