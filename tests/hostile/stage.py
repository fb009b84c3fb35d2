"""One log object through a worker, as the job does it; run as a program, under limits.

    python -m tests.hostile.stage LOG FOLDER SPLIT_BYTES

prints what became of the log as JSON, with the peak of memory and the time it took.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from pipeline.engine import Engine
from pipeline.model import LogObject
from pipeline.sources import LocalFiles
from pipeline.staging import Job, Staged, Stager, split
from tests.logs import RULES

PEAK_MIB = 450
SECONDS = 30.0
"""Far more than it takes: what is not bounded takes minutes."""


@dataclass(frozen=True)
class Found:
    """What was staged, with the rows of the shards."""

    staged: Staged
    keys: list[str]
    rejects: list[dict[str, Any]]

    def lines_of_rejects(self, data: bytes) -> list[int]:
        """The rejected lines' numbers, from 1, in a plain log; as found in order elsewhere."""
        starts = [0, *(at + 1 for at, byte in enumerate(data) if byte == ord("\n"))]
        at = {start: number for number, start in enumerate(starts, 1)}
        return [at.get(row["source_position"], 2) for row in self.rejects]


def staged(item: LogObject, folder: Path, split_bytes: int) -> Found:
    """Stages an object part by part, and reads the shards."""
    source = LocalFiles()
    stager = Stager(
        Job("b1", RULES, str(folder)),
        Engine(RULES),
        source.open,
        _create,
    )
    for part in split([item], source.open, split_bytes):
        stager.stage(part)
    done = stager.finish()
    keys, rejects = [], []
    for shard in done.shards:
        if shard.table == "event":
            keys += pq.read_table(shard.path, columns=["key"]).column("key").to_pylist()
        elif shard.table == "rejects" and shard.rows < 1000:
            rejects += pq.read_table(shard.path).to_pylist()
    rejects.sort(key=lambda row: row["source_position"])
    return Found(done, sorted(keys), rejects)


def _create(path: str) -> BinaryIO:
    return Path(path).open("wb")


def _peak_mib() -> int:
    """This program's own peak: `getrusage` would also count that of the process it came from."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) >> 10


def main(log: str, folder: str, split_bytes: str) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (int(4 * SECONDS), int(4 * SECONDS)))
    began = time.process_time()
    item = LogObject(log, Path(log).stat().st_size, "sha")
    found = staged(item, Path(folder), int(split_bytes))
    (tally,) = found.staged.tallies.values()
    outcome = {
        **tally.to_json(),
        "keys": found.keys,
        "faults": [fault.to_json() for fault in found.staged.faults],
        "seconds": time.process_time() - began,
        "peak_mib": _peak_mib(),
    }
    sys.stdout.write(json.dumps(outcome))


if __name__ == "__main__":
    main(*sys.argv[1:])
