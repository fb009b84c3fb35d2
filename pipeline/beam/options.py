"""Tells Beam's own options from the rest of a command line, and refuses runners that can't do the job."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Sequence
from typing import NoReturn

from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions, StandardOptions

from pipeline.errors import SetupError

_CONNECT_S = 10.0
_IN_THE_LAUNCHER = "embed"
"""A job endpoint for which Beam starts its local job service itself."""


class _Word(str):
    """A word of the command line, told from others of the same spelling by its identity."""

    __slots__ = ()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SetupError(f"A Beam option is wrong: {message}.")


def separate_beam_options(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words that are no options, and those that are Beam's with their values.

    Raises SetupError for an option that Beam does not know.
    """
    parser = _Parser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in PipelineOptions.__subclasses__():
        if "_add_argparse_args" in vars(options):
            options._add_argparse_args(parser)
    for action in parser._actions:
        action.default, action.required = argparse.SUPPRESS, False
    marked = [_Word(word) for word in words]
    _, rest = parser.parse_known_args(marked)
    unknown = [word for word in rest if word.startswith("-")]
    if unknown:
        raise SetupError(
            f"There is no option {unknown[0].partition('=')[0]}: see `pixelship load --help`."
        )
    left = {id(word) for word in rest}
    return [str(word) for word in rest], [str(word) for word in marked if id(word) not in left]


def require_runner(options: PipelineOptions) -> None:
    """Raises SetupError for DaskRunner, and for a job service that is not there."""
    runner = (options.view_as(StandardOptions).runner or "").rpartition(".")[2].lower()
    endpoint = options.view_as(PortableOptions).job_endpoint
    if runner in {"dask", "daskrunner"}:
        raise SetupError(
            "DaskRunner is refused, as it gives wrong results without a word: leave --runner out, or"
            " name another runner."
        )
    if runner in {"portable", "portablerunner"} and not endpoint:
        raise SetupError(
            "PortableRunner needs to know the job service: add --job_endpoint=HOST:PORT."
        )
    if endpoint and endpoint != _IN_THE_LAUNCHER and not _is_listening(endpoint):
        raise SetupError(
            f"No job service answers at {endpoint}: start it, or correct --job_endpoint."
        )


def _is_listening(endpoint: str) -> bool:
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except (OSError, ValueError):
        return False
    return True
