"""The command `pixelship`. Each command's module is light: what is heavy is imported when it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from pipeline import __version__
from pipeline.cli.check import check
from pipeline.cli.config import config
from pipeline.cli.email import email
from pipeline.cli.formats import formats
from pipeline.cli.group import PixelshipGroup
from pipeline.cli.hits import hits
from pipeline.cli.keys import keys
from pipeline.cli.load import load
from pipeline.cli.parse import parse
from pipeline.cli.query import query
from pipeline.cli.replay import replay
from pipeline.cli.ship import ship
from pipeline.cli.sign import sign
from pipeline.cli.status import status
from pipeline.cli.unload import unload


@click.group(cls=PixelshipGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pixelship")
def main() -> None:
    """Pixel tracking without a server.

    A 1x1 GIF on nginx or a CDN, its access log, and this command: it checks each URL's signature,
    tells people from machines, and loads each view once into the table that the URL names.

    \b
    Start here:
      pixelship keys new
      pixelship sign --key story-1 --canonical https://example.org/a --to news.pageviews
      pixelship load access.log
      pixelship query "SELECT key, count(*) AS views FROM news.pageviews GROUP BY key"
    """


for command in (
    ship, load, status, replay, unload, sign, check, parse, formats, config, keys, query, hits, email,
):  # fmt: skip
    main.add_command(command)


def run(words: Sequence[str] | None = None) -> None:
    """The installed command. A run that failed ends as soon as it has said so.

    Threads of Beam or of a client may still be waiting for something when a run is interrupted or
    fails: Python would wait for them in turn, and what they do is safe to cut off at any moment.
    """
    try:
        main(words)
    except SystemExit as ended:
        if not isinstance(ended.code, int) or ended.code == 0:
            raise
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(ended.code)
