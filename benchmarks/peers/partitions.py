"""Counts from a partitioned Parquet write, for engines that write and count in one pass.

Such an engine partitions its rows by verdict: the destination of a view, or a name that starts with
`UNCOUNTED` for rows that are no views and that it has emptied.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from benchmarks.task import Counts

UNCOUNTED: Final = "-"


def take_counts(partitions: Iterable[tuple[str, Path]]) -> Counts:
    """Rows by verdict from (partition, file) pairs; removes the files that hold no views."""
    verdicts = {"accepted": 0}
    for name, path in partitions:
        verdict = name.removeprefix(UNCOUNTED) if name.startswith(UNCOUNTED) else "accepted"
        rows = pq.read_metadata(path).num_rows
        verdicts[verdict] = verdicts.get(verdict, 0) + rows
        if verdict != "accepted":
            path.unlink()
    return Counts.of_verdicts(verdicts)


def padded_keys(secret: str) -> tuple[str, str]:
    """The keys of HMAC-SHA256's inner and outer hash in hexadecimal (RFC 2104)."""
    block = secret.encode().ljust(64, b"\0")
    if len(block) > 64:
        raise ValueError("a benchmark's secret has at most 64 bytes")
    return bytes(b ^ 0x36 for b in block).hex(), bytes(b ^ 0x5C for b in block).hex()
