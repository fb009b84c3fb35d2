"""Pixelship's own contenders: the bare core without Beam, and the Beam job, both to Parquet.

Run as `python -m benchmarks.ours core|beam [--workers N] --secret S --out DIR FILE...`; prints one
JSON line of counts. Nothing is loaded into a warehouse: peers write Parquet too.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from pipeline.engine import Engine
from pipeline.model import Tally
from pipeline.options import Rules
from pipeline.signing import key_ring
from pipeline.sources import LocalFiles
from pipeline.staging import Job, Staged, Stager, Work, split


def main() -> None:
    """Stages the files' rows and prints the tally."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=("core", "beam"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("files", nargs="+", metavar="FILE")
    options = parser.parse_args()
    Path(options.out).mkdir(parents=True, exist_ok=True)
    job = Job("00000001", Rules(keys=key_ring([options.secret])), options.out)
    source = LocalFiles()
    objects = [source.pin(name) for name in source.find(options.files)]
    parts = list(split(objects, source.open, job.split_bytes))
    staged = _core(job, parts) if options.way == "core" else _beam(job, parts, options.workers)
    total = Tally()
    for tally in staged.tallies.values():
        total.add(tally)
    print(json.dumps(total.to_json()))


def _core(job: Job, parts: Sequence[Work]) -> Staged:
    """One worker's loop, without Beam."""
    stager = Stager(job, Engine(job.rules), LocalFiles().open, _create)
    for part in parts:
        stager.stage(part)
    return stager.finish()


def _create(path: str) -> BinaryIO:
    return Path(path).open("wb")


def _beam(job: Job, parts: Sequence[Work], workers: int) -> Staged:
    """The job as `pixelship load` runs it."""
    logging.basicConfig(level=logging.ERROR)
    from pipeline.beam.graph import run
    from pipeline.beam.launch import Launch

    return run(job, parts, Launch(workers))


if __name__ == "__main__":
    main()
