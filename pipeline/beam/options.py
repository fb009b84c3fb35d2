"""Tells Beam's own options from the rest of a command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.errors import SetupError


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
