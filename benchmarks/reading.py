"""Reads a log as one process of the job does, up to its requests: blocks, then the format.

Run as `python -m benchmarks.reading FORMAT FILE`; prints one JSON line: `cpu_s`, what the reading
took of CPU, imports and the recognition of the format apart, and `rows`, the requests read.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from pipeline.beam.memory import keep_freed_memory
from pipeline.blocks import Block, read_blocks
from pipeline.engine import sniff


class FormatError(Exception):
    """A log was taken for another format's."""


def cpu_s() -> float:
    """User and system seconds of this process so far, all its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def read(name: str, path: Path) -> dict[str, float]:
    """Reads a log of the named format once."""
    keep_freed_memory()  # as the job's workers do
    size = path.stat().st_size
    with path.open("rb") as stream:
        format_ = sniff(stream, size)
        if format_ is None or format_.name != name:
            raise FormatError(f"{path} is taken for {format_ and format_.name}, not {name}")
        began, rows = cpu_s(), 0
        for block in read_blocks(stream, 0, size, size):
            if isinstance(block, Block):
                rows += format_.parse(block.lines()).requests.num_rows
        return {"cpu_s": cpu_s() - began, "rows": rows}


if __name__ == "__main__":
    print(json.dumps(read(sys.argv[1], Path(sys.argv[2]))))
