"""What Dataflow's flex-template launcher runs: `pixelship load`, with a template's parameters.

The launcher gives each parameter of `metadata.json` as --NAME=VALUE, and Beam's options beside them.
Two parameters are lists, separated by commas; all else goes on as it is.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from pipeline.cli import run


def load_words(given: Sequence[str]) -> list[str]:
    """The words of the command line of `pixelship`, for those of the launcher."""
    lists = ArgumentParser(add_help=False, allow_abbrev=False)
    lists.add_argument("--logs", default="")
    lists.add_argument("--allow", default="")
    found, others = lists.parse_known_args(given)
    logs = [pattern for pattern in found.logs.split(",") if pattern]
    allowed = [f"--allow={glob}" for glob in found.allow.split(",") if glob]
    return ["load", "--log=json", *logs, *allowed, *others]


if __name__ == "__main__":
    run(load_words(sys.argv[1:]))
