"""The job's graph: parts of log objects in, what was staged of each batch out.

    Create(parts) → Reshuffle → Stage → what was staged, by batch → manifest, or commit

Rows never pass from worker to worker: each writes its own shards and emits metadata alone. Where the
launcher waits for the job, the last step writes a manifest for it; else it ends the batches itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from pipeline.beam.launch import Launch
from pipeline.beam.memory import keep_freed_memory
from pipeline.beam.progress import ProgressFile
from pipeline.engine import Engine
from pipeline.keyfile import read_key_reference
from pipeline.model import COUNTS, Tally
from pipeline.options import Rules
from pipeline.sources import Anywhere
from pipeline.staging import Job, Staged, Stager, Work
from pipeline.storage import create_file, open_file

MANIFEST = "staged.json"
METRICS = "pixelship"
"""The namespace of the counters, which are named as in the balance sheet."""

PartOfBatch = tuple[str, Work]
StagedOfBatch = tuple[str, Staged]


@dataclass(frozen=True)
class BatchWork:
    """A batch to stage: the job, its parts, and what is known of it before they are read."""

    job: Job
    parts: Sequence[Work]
    known: Staged = field(default_factory=Staged)


class Ending(Protocol):
    """What a job that nobody waits for does in the end."""

    def commit(self, batch: str, staged: Staged) -> None:
        """Commits a batch."""

    def finish(self) -> None:
        """Ends the run; to be called when all batches are committed."""


class Stage(beam.DoFn):  # type: ignore[misc]
    """Stages parts of batches; emits what each bundle staged, by batch. All jobs have the same rules."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = {job.batch: job for job in jobs}

    def setup(self) -> None:
        """Makes what lives as long as the worker."""
        keep_freed_memory()
        self._source = Anywhere()
        self._engine: Engine | None = None
        self._progress = {batch: ProgressFile(job.progress) for batch, job in self._jobs.items()}

    def start_bundle(self) -> None:
        """Begins an attempt of its own."""
        self._stagers: dict[str, Stager] = {}

    def process(self, element: PartOfBatch) -> None:
        """Stages one part."""
        batch, work = element
        if batch not in self._stagers:
            self._stagers[batch] = self._stager(self._jobs[batch])
        self._stagers[batch].stage(work)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Emits the bundle's shards and tallies."""
        window = GlobalWindow()
        for batch, stager in self._stagers.items():
            yield WindowedValue((batch, stager.finish()), window.max_timestamp(), [window])

    def _stager(self, job: Job) -> Stager:
        self._engine = self._engine or Engine(_rules_of(job))
        advance = self._progress[job.batch].advance
        return Stager(job, self._engine, self._source.open, create_file, advance)


class WriteManifest(beam.DoFn):  # type: ignore[misc]
    """Writes all that was staged of a batch as one JSON file, and counts it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def process(self, element: tuple[str, Iterable[Staged]]) -> None:
        """Joins the bundles' metadata."""
        whole = _joined(element[1])
        sink = create_file(self._path)
        sink.write(json.dumps(whole.to_json()).encode())
        sink.close()


class Commit(beam.DoFn):  # type: ignore[misc]
    """Commits what was staged of a batch, and counts it; emits the batch's id."""

    def __init__(self, works: Sequence[BatchWork], ending: Ending) -> None:
        self._known = {work.job.batch: work.known for work in works}
        self._ending = ending

    def process(self, element: tuple[str, Iterable[Staged]]) -> Iterator[str]:
        """Joins the bundles' metadata with what was known beforehand."""
        batch, staged = element
        self._ending.commit(batch, _joined([self._known[batch], *staged]))
        yield batch


class Finish(beam.DoFn):  # type: ignore[misc]
    """Ends the run, once all batches are committed."""

    def __init__(self, ending: Ending) -> None:
        self._ending = ending

    def process(self, element: Iterable[str]) -> None:  # noqa: ARG002
        """Is called once, with the batches."""
        self._ending.finish()


def run(job: Job, parts: Sequence[Work], launch: Launch) -> Staged:
    """Runs the job to its end; gives what was staged. Raises SetupError, ServiceError."""
    path = f"{job.staging}/{MANIFEST}"
    with launch.plain_errors(), launch.pipeline() as pipeline:
        staged = _stage(pipeline, [BatchWork(job, parts)])
        _ = staged | "WriteManifest" >> beam.ParDo(WriteManifest(path))
    with open_file(path) as stream:
        return Staged.from_json(json.loads(stream.read()))


def run_alone(works: Sequence[BatchWork], ending: Ending, launch: Launch) -> None:
    """Launches a job that stages batches and ends them by itself; does not wait for it.

    Raises SetupError, ServiceError.
    """
    with launch.plain_errors():
        pipeline = launch.pipeline()
        _ = (
            _stage(pipeline, works)
            | "Commit" >> beam.ParDo(Commit(works, ending)).with_output_types(str)
            | "Committed" >> beam.combiners.ToList()
            | "Finish" >> beam.ParDo(Finish(ending))
        )
        pipeline.run()


def _stage(pipeline: beam.Pipeline, works: Sequence[BatchWork]) -> beam.PCollection:
    """What was staged of each batch: pairs of its id and all that the bundles emitted."""
    parts = [(work.job.batch, part) for work in works for part in work.parts]
    jobs = [work.job for work in works]
    return (
        pipeline
        | "Parts" >> beam.Create(parts, reshuffle=False)
        | "Spread" >> beam.Reshuffle()
        | "Stage" >> beam.ParDo(Stage(jobs)).with_output_types(StagedOfBatch)
        | "Group" >> beam.GroupByKey()
    )


def _joined(parts: Iterable[Staged]) -> Staged:
    """All that was staged, counted as Beam's metrics."""
    whole = Staged()
    for part in parts:
        whole.add(part)
    total = Tally()
    for tally in whole.tallies.values():
        total.add(tally)
    for name in COUNTS:
        Metrics.counter(METRICS, name).inc(getattr(total, name))
    for reason, count in total.rejected.items():
        Metrics.counter(METRICS, f"rejected/{reason}").inc(count)
    return whole


def _rules_of(job: Job) -> Rules:
    """The job's rules, with the keys that it refers to. Raises SetupError, ServiceError."""
    if job.keys_from is None:
        return job.rules
    return replace(job.rules, keys=read_key_reference(job.keys_from, {}))
