"""What a worker takes to stage a log for so many destinations: `python -m benchmarks.scale_staging LINES COUNT`."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.generate import DEFAULT_SECRET
from benchmarks.scale_logs import make_log
from pipeline.beam.memory import keep_freed_memory
from pipeline.engine import Engine
from pipeline.options import Rules
from pipeline.signing import key_ring
from pipeline.sources import Anywhere, Search
from pipeline.staging import Job, Stager, split
from pipeline.storage import create_file


def main() -> None:
    """Prints what it took, as JSON."""
    lines, destinations = map(int, sys.argv[1:3])
    log = make_log(lines, destinations)
    keep_freed_memory()
    source, rules = Anywhere(), Rules(key_ring([DEFAULT_SECRET]))
    objects = source.list_objects(Search([str(log)])).objects
    with tempfile.TemporaryDirectory(prefix="pixelship-") as folder:
        job = Job("00000001", rules, folder)
        began_s = time.process_time()
        stager = Stager(job, Engine(rules), source.open, create_file)
        for part in split(objects, source.open, job.split_bytes):
            stager.stage(part)
        staged = stager.finish()
        found = {
            "lines": lines,
            "destinations": destinations,
            "cpu_s": round(time.process_time() - began_s, 2),
            "shards": len(staged.shards),
            "staged_bytes": sum(path.stat().st_size for path in Path(folder).iterdir()),
            "peak_mb": peak_mb(),
        }
    print(json.dumps(found))


def peak_mb() -> int:
    """The most resident memory of this program so far."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1000


if __name__ == "__main__":
    main()
