"""The job's graph: parts of log objects in, one manifest of what was staged out.

    Create(parts) → Reshuffle → Stage → one list → manifest

Rows never pass from worker to worker: each writes its own shards and emits metadata alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from pipeline.beam import worker
from pipeline.beam.memory import keep_freed_memory
from pipeline.beam.options import require_runner
from pipeline.beam.progress import ProgressFile
from pipeline.engine import Engine
from pipeline.errors import ServiceError, SetupError
from pipeline.model import COUNTS, Tally
from pipeline.sources import Anywhere
from pipeline.staging import Job, Staged, Stager, Work
from pipeline.storage import create_file, open_file

MANIFEST = "staged.json"


class Stage(beam.DoFn):  # type: ignore[misc]
    """Stages parts; emits what each bundle staged."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def setup(self) -> None:
        """Makes what lives as long as the worker."""
        keep_freed_memory()
        self._engine = Engine(self._job.rules)
        self._source = Anywhere()
        self._progress = ProgressFile(self._job.progress)

    def start_bundle(self) -> None:
        """Begins an attempt of its own."""
        self._stager = Stager(
            self._job, self._engine, self._source.open, create_file, self._progress.advance
        )

    def process(self, work: Work) -> None:
        """Stages one part."""
        self._stager.stage(work)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Emits the bundle's shards and tallies."""
        window = GlobalWindow()
        yield WindowedValue(self._stager.finish(), window.max_timestamp(), [window])


class WriteManifest(beam.DoFn):  # type: ignore[misc]
    """Writes all that was staged as one JSON file, and counts it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def process(self, element: tuple[None, Iterable[Staged]]) -> None:
        """Joins the bundles' metadata."""
        whole = Staged()
        for staged in element[1]:
            whole.add(staged)
        total = Tally()
        for tally in whole.tallies.values():
            total.add(tally)
        for name in COUNTS:
            Metrics.counter("pixelship", name).inc(getattr(total, name))
        for reason, count in total.rejected.items():
            Metrics.counter("pixelship", f"rejected/{reason}").inc(count)
        sink = create_file(self._path)
        sink.write(json.dumps(whole.to_json()).encode())
        sink.close()


@dataclass(frozen=True)
class Launch:
    """How the graph is run: worker processes on this machine, and options passed on to Beam."""

    workers: int = 1
    beam_options: Sequence[str] = ()

    def pipeline(self) -> beam.Pipeline:
        """A pipeline on the runner that the options name, else on this machine.

        The local runner is made outright: Beam's `DirectRunner` would first try to download another.
        Raises SetupError for a runner or an option that Beam refuses.
        """
        options = list(self.beam_options)
        runner = None
        if not any(option.startswith("--runner") for option in options):
            processes = None
            if self.workers > 1:
                options.append(f"--direct_num_workers={self.workers}")
                processes = SubprocessSDKEnvironment.from_command_string(worker.command())
            runner = FnApiRunner(default_environment=processes)
        try:
            parsed = PipelineOptions(options)
            require_runner(parsed)
            return beam.Pipeline(runner, options=parsed)
        except (ImportError, ValueError) as error:
            why = " ".join(str(error).split())
            raise SetupError(f"Beam refuses its options: {why}") from None


_OWN_ERRORS = {error.__name__: error for error in (SetupError, ServiceError)}
_OWN_ERROR = re.compile(rf"\b({'|'.join(_OWN_ERRORS)}): (.*?)(?: \[while running .*)?$", re.M)


@contextmanager
def _own_errors() -> Iterator[None]:
    """Gives errors of ours their type and words back: Beam adds to them, or passes on text."""
    try:
        yield
    except Exception as error:
        found = _OWN_ERROR.search(f"{type(error).__name__}: {error}")
        if found is None:
            raise
        raise _OWN_ERRORS[found[1]](found[2]) from None


def run(job: Job, parts: Sequence[Work], launch: Launch) -> Staged:
    """Runs the job to its end; gives what was staged. Raises SetupError."""
    path = f"{job.staging}/{MANIFEST}"
    with _own_errors(), launch.pipeline() as pipeline:
        _ = (
            pipeline
            | "Parts" >> beam.Create(list(parts), reshuffle=False)
            | "Spread" >> beam.Reshuffle()
            | "Stage" >> beam.ParDo(Stage(job)).with_output_types(Staged)
            | "Gather" >> beam.Map(lambda staged: (None, staged))
            | "Group" >> beam.GroupByKey()
            | "WriteManifest" >> beam.ParDo(WriteManifest(path))
        )
    with open_file(path) as stream:
        return Staged.from_json(json.loads(stream.read()))
