"""Staging in this thread, as one bundle."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.beam.launch import Launch
from pipeline.engine import Engine
from pipeline.sources import Anywhere
from pipeline.staging import Job, Staged, Stager, Work
from pipeline.storage import create_file


def stage_here(job: Job, parts: Sequence[Work], launch: Launch) -> Staged:
    """What Beam's graph gives for the parts of a batch."""
    stager = Stager(job, Engine(job.rules), Anywhere().open, create_file)
    for part in parts:
        stager.stage(part)
    return stager.finish()
