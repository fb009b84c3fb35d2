"""`pixelship hits`: counts of a table's views, by key and by what else one asks for first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.filters import time_of
from pipeline.cli.rules import ConfigSource, config_of, config_option
from pipeline.cli.warehouse import loaded_warehouse_of, warehouse_options
from pipeline.errors import SetupError

if TYPE_CHECKING:
    from pipeline.warehouses.views import Readable

_GROUPS = ("key", "canonical", "referrer_host", "day", "dialect")


@click.command()
@click.option("--by", type=click.Choice(_GROUPS), default="key", show_default=True, help="What hits are counted by.")  # fmt: skip
@click.option("--table", metavar="DATASET.TABLE", help="The table; by default that of pixel-ping's hits, as the configuration has it.")  # fmt: skip
@click.option("--since", metavar="TIME", help="Hits logged at this time or later: ISO 8601, UTC where no zone is named.")  # fmt: skip
@click.option("--until", metavar="TIME", help="Hits logged before this time.")
@config_option
@click.option("--json", "as_json", is_flag=True, help='Print a map, as in {"key": 3}, and nothing else.')  # fmt: skip
@warehouse_options
def hits(
    by: str,
    table: str | None,
    since: str | None,
    until: str | None,
    config_file: ConfigSource,
    as_json: bool,
    warehouse: str,
    **others: Any,
) -> None:
    """Count hits by key: each once, however often logs hold it.

    With --json, it prints the map that pixel-ping posted. Hits without a key are told under "".
    """
    from pipeline.warehouses.views import hits_question

    name = _table_of(table, config_file)
    times = time_of("--since", since), time_of("--until", until)
    if times[0] and times[1] and times[0] >= times[1]:
        raise SetupError("--since is not before --until: no hit can be counted.")
    found: Readable = loaded_warehouse_of(warehouse, **others)
    with found.reading() as reader:
        if not reader.has(name):
            raise SetupError(f"There is no table {name}: load a log first, or name another with --table.")  # fmt: skip
        rows = reader.ask(hits_question(name, by, *times))
    counts = _sorted({what or "": count for what, count in rows}, by)
    if as_json:
        click.echo(json.dumps(counts, ensure_ascii=False))
    else:
        _print(counts, by)


def _table_of(table: str | None, config_file: ConfigSource) -> str:
    from pipeline.destinations import is_permitted

    if table is None:
        table = config_of(config_file).rules.destination_of("ping")
        if table is None:
            raise SetupError(
                "Say which table with --table DATASET.TABLE, "
                'or write `[ping]` and below it `destination = "counts.hits"` into pixelship.toml.'
            )
    if not is_permitted(table):
        raise SetupError(f"--table {table!r} is no DATASET.TABLE: use letters, digits and _.")
    return table


def _sorted(counts: dict[str, int], by: str) -> dict[str, int]:
    """The most hits first; days one after the other."""
    if by == "day":
        return dict(sorted(counts.items()))
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def _print(counts: dict[str, int], by: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pipeline.cli.text import printable

    table = Table(by.replace("_", " "), "hits")
    table.columns[0].overflow = "fold"
    table.columns[1].justify = "right"
    for what, count in counts.items():
        table.add_row(Text(printable(what)), f"{count:,}")
    Console().print(table)
