"""How the job's graph is run: on this machine, or wherever Beam's options say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from pipeline.beam import worker
from pipeline.beam.options import require_runner
from pipeline.errors import ServiceError, SetupError

_OF_PACKAGES = ("sdk_container_image", "setup_file", "extra_packages", "requirements_file")
"""Options of Beam that bring Pixelship to remote workers."""


@dataclass(frozen=True)
class Launch:
    """How the graph is run: worker processes on this machine, and options passed on to Beam."""

    workers: int = 1
    beam_options: Sequence[str] = ()

    @property
    def is_local(self) -> bool:
        """Whether the graph runs in this process and those that it starts."""
        return not self._runner

    @property
    def is_on_dataflow(self) -> bool:
        """Whether Google's Dataflow runs it."""
        return "dataflow" in self._runner

    @property
    def is_template(self) -> bool:
        """Whether the graph is only written down, for a launcher of Google's that wants one."""
        return "template_location" in self._given

    @property
    def is_detached(self) -> bool:
        """Whether nobody waits for the job, so that it has to end its batches by itself."""
        return self.is_template or "no_wait_until_finish" in self._given

    @property
    def brings_packages(self) -> bool:
        """Whether an option tells where remote workers get Pixelship from."""
        return any(self._given.get(name) for name in _OF_PACKAGES)

    def pipeline(self) -> beam.Pipeline:
        """A pipeline on the runner that the options name, else on this machine.

        The local runner is made outright: Beam's `DirectRunner` would first try to download another.
        Raises SetupError for a runner or an option that Beam refuses.
        """
        options = list(self.beam_options)
        runner = None
        if self.is_local:
            processes = None
            if self.workers > 1:
                options.append(f"--direct_num_workers={self.workers}")
                processes = SubprocessSDKEnvironment.from_command_string(worker.command())
            runner = FnApiRunner(default_environment=processes)
        try:
            parsed = PipelineOptions(options)
            require_runner(parsed)
            parsed.view_as(SetupOptions).save_main_session = False  # nothing of it is needed
            return beam.Pipeline(runner, options=parsed)
        except (ImportError, ValueError) as error:
            raise _refused(error) from None

    @contextmanager
    def plain_errors(self) -> Iterator[None]:
        """Gives errors of ours their type and words back: Beam adds to them, or passes on text.

        What a runner elsewhere says before it has a job, and of a job that somebody ended, is put
        into one sentence: raises SetupError, ServiceError. All else passes.
        """
        try:
            yield
        except Exception as error:
            if found := _OWN_ERROR.search(f"{type(error).__name__}: {error}"):
                raise _OWN_ERRORS[found[1]](found[2]) from None
            if self.is_local:
                raise
            if isinstance(error, (ImportError, ValueError)):
                raise _refused(error) from None
            state = _ENDED.search(str(error))
            if state and state[1] != "FAILED":
                raise ServiceError(
                    f"Beam's job ended in the state {state[1]}; running again does no harm."
                ) from None
            raise

    @property
    def _runner(self) -> str:
        """What the options say of the runner, in lower case: Beam takes short and whole names."""
        return str(self._given.get("runner", "")).lower()

    @cached_property
    def _given(self) -> dict[str, Any]:
        return PipelineOptions(list(self.beam_options)).get_all_options(drop_default=True)


def _refused(error: Exception) -> SetupError:
    return SetupError(f"Beam refuses its options: {' '.join(str(error).split())}")


_OWN_ERRORS = {error.__name__: error for error in (SetupError, ServiceError)}
_OWN_ERROR = re.compile(rf"\b({'|'.join(_OWN_ERRORS)}): (.*?)(?: \[while running .*)?$", re.M)
_ENDED = re.compile(r"(?:failed in state|State:) ([A-Z]+)")
"""How Beam's runners tell of a job that did not end well; of one that failed they tell more."""
