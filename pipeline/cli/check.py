"""`pixelship check`: says whether a view of a URL would count."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from pipeline.cli.group import EXIT_INCOMPLETE
from pipeline.cli.ring import key_ring_of, keys_option


@click.command()
@click.argument("urls", metavar="URL|-", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@keys_option
def check(urls: tuple[str, ...], as_json: bool, key_file: Path | None) -> None:
    """Say whether a view of a URL would count, into which table, and if not, why not.

    With `-`, URLs are read from standard input, one a line. The exit status is 0 only if all would
    count.
    """
    import time

    from pipeline.check import check_urls
    from pipeline.options import Rules
    from pipeline.repair.steps import undone

    rules = Rules(keys=key_ring_of(key_file))
    verdicts = check_urls(_read(urls), rules, int(time.time() * 1_000_000))
    if as_json:
        click.echo(
            json.dumps([verdict.to_json() for verdict in verdicts], indent=2, ensure_ascii=False)
        )
    for verdict in () if as_json else verdicts:
        if verdict.counts:
            after = f" after a repair ({verdict.repair})" if verdict.repair else ""
            click.echo(f"counts{after}, into {verdict.destination}: {verdict.url}")
            if verdict.repair:
                click.echo(f"    Broken by {undone(verdict.repair)}. Mend it where it is used.")
        else:
            click.echo(f"does not count ({verdict.reason}): {verdict.url}")
            click.echo(f"    {verdict.meaning[0].upper()}{verdict.meaning[1:]}. {verdict.remedy}")
    if not all(verdict.counts for verdict in verdicts):
        raise SystemExit(EXIT_INCOMPLETE)


def _read(urls: tuple[str, ...]) -> list[str]:
    """The URLs given, those of standard input in the place of `-`."""
    read: list[str] = []
    for url in urls:
        if url == "-":
            lines = sys.stdin.buffer.read().decode("utf-8-sig", "surrogateescape").split("\n")
            read += [line.strip() for line in lines if line.strip()]
        else:
            read.append(url)
    return read
