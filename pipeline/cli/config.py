"""`pixelship config`: what the configuration file says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.rules import DEFAULT_CONFIG_FILE, ConfigSource, config_of, config_source
from pipeline.cli.text import printable

if TYPE_CHECKING:
    from pipeline.config import Config

_SIGNED = "where the signed URL says"


@click.group()
def config() -> None:
    """See what the configuration file says, and what it comes to."""


@config.command("check")
@click.argument("file", metavar="[FILE]", required=False, callback=config_source)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else.")
def check(file: ConfigSource, as_json: bool) -> None:
    """Check a configuration file, and explain what it comes to.

    FILE is here or in Cloud Storage (gs://BUCKET/…), pixelship.toml of the present folder by
    default; where there is none, the defaults are explained. Tokens and write keys are not shown. Ends with 2 where the file has a mistake.
    """
    found = config_of(file)
    if as_json:
        click.echo(json.dumps(_to_json(found), ensure_ascii=False))
    else:
        _print(found)


def _to_json(found: Config) -> dict[str, Any]:
    rules = found.rules
    dialects = [{"dialect": "prx", "paths": rules.paths, "signed": True, "destinations": None}]
    dialects += [
        {
            "dialect": each.name,
            "paths": each.paths,
            "signed": False,
            "destinations": sorted(set(each.destinations.values())),
        }
        for each in rules.unsigned
    ]
    return {
        "file": found.file,
        "addresses": rules.addresses,
        "trusted_proxies": rules.trusted_proxies,
        "allow": rules.allow,
        "signed_only": rules.signed_only,
        "default_dataset": rules.default_dataset,
        "dialects": dialects,
    }


def _print(found: Config) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    told = _to_json(found)
    where = f"{found.file} is sound." if found.file else f"No {DEFAULT_CONFIG_FILE} is here: these are the defaults."  # fmt: skip
    console.print(Text(printable(where)))
    table = Table("paths", "dialect", "views go to", "signed")
    for each in told["dialects"]:
        destinations = ", ".join(each["destinations"] or [_SIGNED])
        cells = (", ".join(each["paths"]), each["dialect"], destinations)
        table.add_row(*(Text(printable(cell)) for cell in cells), "yes" if each["signed"] else "no")
    console.print(table)
    for sentence in _sentences(told):
        console.print(Text(printable(sentence)), soft_wrap=True)


def _sentences(told: dict[str, Any]) -> list[str]:
    """What else the rules come to."""
    stored = {"mask": "shortened to /24 and /48", "keep": "stored whole", "drop": "not stored"}
    sentences = [f"Visitors' addresses are {stored[told['addresses']]}."]
    if told["trusted_proxies"]:
        sentences.append(f"X-Forwarded-For is believed of {', '.join(told['trusted_proxies'])}.")
    if told["default_dataset"]:
        sentences.append(f"A destination without a dataset is one of {told['default_dataset']}.")
    if told["allow"] != ("*",):
        sentences.append(f"Views may go to {', '.join(told['allow'])} alone.")
    if told["signed_only"]:
        sentences.append(f"Without a signature nothing goes to {', '.join(told['signed_only'])}.")
    if any(not each["signed"] for each in told["dialects"]):
        sentences.append("Anyone can forge a view without a signature: such rows have no key_id.")
    return sentences
