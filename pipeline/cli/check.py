"""`pixelship check`: says whether a view of a URL would count."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from pipeline.cli.group import EXIT_INCOMPLETE
from pipeline.cli.ring import KeySource, keys_option
from pipeline.cli.rules import ConfigSource, config_option, configured_rules
from pipeline.cli.text import printable_line

if TYPE_CHECKING:
    from pipeline.check import Facts

_V2 = 2


@click.command()
@click.argument("urls", metavar="URL|-", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@keys_option
@config_option
def check(
    urls: tuple[str, ...], as_json: bool, key_file: KeySource, config_file: ConfigSource
) -> None:
    """Say whether a view of a URL would count, into which table, and if not, why not.

    With `-`, URLs are read from standard input, one a line. The exit status is 0 only if all would
    count.
    """
    import time

    from pipeline.check import check_urls
    from pipeline.repair.steps import undone

    rules = configured_rules(config_file, key_file)
    verdicts = check_urls(_read(urls), rules, int(time.time() * 1_000_000))
    if as_json:
        click.echo(
            json.dumps([verdict.to_json() for verdict in verdicts], indent=2, ensure_ascii=False)
        )
    for verdict in () if as_json else verdicts:
        facts = _facts_of(verdict.facts)
        if verdict.counts:
            after = f" after a repair ({verdict.repair})" if verdict.repair else ""
            click.echo(f"counts{after}, into {verdict.destination}: {verdict.url}")
            if verdict.repair:
                click.echo(f"    Broken by {undone(verdict.repair)}. Mend it where it is used.")
        else:
            click.echo(f"does not count ({verdict.reason}): {verdict.url}")
            click.echo(f"    {verdict.meaning[0].upper()}{verdict.meaning[1:]}. {verdict.remedy}")
        if facts:
            click.echo(f"    {facts}")
    if not all(verdict.counts for verdict in verdicts):
        raise SystemExit(EXIT_INCOMPLETE)


def _facts_of(facts: Facts) -> str:
    """What a signature of version 2 says, in sentences; nothing for others."""
    if facts.version != _V2 or facts.key_id is None:
        return ""
    signed = [f"{name}={value}" for name, value in facts.params.items()]
    told = [f"Version 2, key {facts.key_id}", f"Signed: {', '.join(signed) or 'nothing'}"]
    if facts.not_before:
        told.append(f"Counts from {facts.not_before} on")
    if facts.expires:
        told.append(f"Expires at {facts.expires}")
    if facts.extras:
        told.append(f"Not signed: {', '.join(facts.extras)}")
    return printable_line(". ".join(told)) + "."


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
