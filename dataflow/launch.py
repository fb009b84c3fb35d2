"""What Dataflow's flex-template launcher runs: `pixelship load`, with a template's parameters.

The launcher gives each parameter of `metadata.json` as --NAME=VALUE, and Beam's options beside them.
Two parameters are lists, separated by commas; all else goes on as it is. To the launcher any exit status
but 0 is a launch that failed, and it starts no job: so what waits for a person (a quarantined log, say)
is left to the log and to the `pixelship status` of whoever watches, and all else is loaded.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from pipeline.cli import main
from pipeline.cli.group import EXIT_INCOMPLETE


def load_words(given: Sequence[str]) -> list[str]:
    """The words of the command line of `pixelship`, for those of the launcher."""
    lists = ArgumentParser(add_help=False, allow_abbrev=False)
    lists.add_argument("--logs", default="")
    lists.add_argument("--allow", default="")
    found, others = lists.parse_known_args(given)
    logs = [pattern for pattern in found.logs.split(",") if pattern]
    allowed = [f"--allow={glob}" for glob in found.allow.split(",") if glob]
    return ["load", "--log=json", *logs, *allowed, *others]


def launch(given: Sequence[str]) -> None:
    """Runs the command; ends with 0 where it launched the job."""
    try:
        main(load_words(given))
    except SystemExit as ended:
        if ended.code != EXIT_INCOMPLETE:
            raise


if __name__ == "__main__":
    launch(sys.argv[1:])
