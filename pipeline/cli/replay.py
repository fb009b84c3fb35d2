"""`pixelship replay`: judges rejects again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.filters import batches_of, names_of, reasons_of, time_of
from pipeline.cli.group import EXIT_INCOMPLETE
from pipeline.cli.ring import KeySource
from pipeline.cli.rules import format_of, rule_options, rules_of, take_rules
from pipeline.cli.warehouse import loaded_warehouse_of, loading_options, warehouse_options
from pipeline.errors import SetupError

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.replay import Replayed


@click.command()
@warehouse_options
@loading_options
@click.option("--since", metavar="TIME", help="Rejects logged at this time or later: ISO 8601, UTC where no zone is named.")  # fmt: skip
@click.option("--until", metavar="TIME", help="Rejects logged before this time.")
@click.option("--reason", "reasons", multiple=True, metavar="REASON", help="Rejects for this reason; repeatable.")  # fmt: skip
@click.option("--batch", "batches", multiple=True, metavar="ID", help="Rejects of this batch; repeatable.")  # fmt: skip
@click.option("--object", "objects", multiple=True, metavar="NAME", help="Rejects of this log object, a path or a name as in pixelship.objects; repeatable.")  # fmt: skip
@rule_options
@click.option("--plan", "is_plan", is_flag=True, help="Say what would become of them, and write nothing.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")
def replay(
    warehouse: str,
    log_format: str,
    key_file: KeySource,
    since: str | None,
    until: str | None,
    reasons: tuple[str, ...],
    batches: tuple[str, ...],
    objects: tuple[str, ...],
    is_plan: bool,
    as_json: bool,
    **others: Any,
) -> None:
    """Judge rejects again, by the present keys and rules: what counts now is loaded, once.

    All rejects by default. Those that are refused again stay as they are; the others leave
    pixelship.rejects. A second replay changes nothing.

    \b
    Exit status: 0, or 1 where rows are parked.
    """
    from pipeline.replay import Retrial
    from pipeline.replay import replay as run_replay
    from pipeline.warehouses.maintenance import Choice

    choice = Choice(
        time_of("--since", since), time_of("--until", until),
        reasons_of(reasons), batches_of(batches), names_of(objects),
    )  # fmt: skip
    if choice.since and choice.until and choice.since >= choice.until:
        raise SetupError("--since is not before --until: no reject can be chosen.")
    retrial = Retrial(rules_of(key_file, take_rules(others)), format_of(log_format))
    with loaded_warehouse_of(warehouse, **others) as opened:
        result = run_replay(opened, choice, retrial, is_plan=is_plan)
    if as_json:
        click.echo(json.dumps(result.to_json(), ensure_ascii=False))
    else:
        _print(result, is_plan=is_plan)
    if result.parked:
        raise SystemExit(EXIT_INCOMPLETE)


def _print(result: Replayed, *, is_plan: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    from pipeline.cli.text import printable

    console = Console(highlight=False)
    if not result.chosen:
        console.print("There are no such rejects: nothing to do.")
        return
    for batch in result.batches:
        console.print(f"Batch {batch}.")
    console.print(_sheet(result, "would become of them" if is_plan else "became of them"))
    for destination, rows in sorted(result.parked.items()):
        why = printable(result.parked_why[destination])
        console.print(Text(f"Parked: {rows:,} rows for {destination}: {why}."))
    for name, rejects in sorted(result.maps.items()):
        map_ = printable(name.partition(":")[2])
        console.print(Text(f"Left alone: {rejects:,} that only the map {map_} can read. Name it: --format FILE.toml."))  # fmt: skip
    if is_plan:
        console.print("Nothing was written.")


def _sheet(result: Replayed, became: str) -> Table:
    """What became of the rejects; it adds up."""
    from rich.table import Table
    from rich.text import Text

    changes = result.changes
    table = Table(f"what {became}", "rejects", "")
    table.columns[1].justify = "right"
    fate = "views, loaded or parked" if result.parked else "views, loaded"
    table.add_row("accepted", f"{changes.accepted:,}", fate)
    for destination, rows in sorted(result.destinations.items()):
        table.add_row(Text(f"  {destination}"), f"{rows:,}", "", style="dim")
    table.add_row("bot", f"{changes.bot:,}", "verified views by machines: counted, not loaded")
    table.add_row("duplicate", f"{changes.duplicate:,}", "views that were there already")
    table.add_row(
        "not_pixel", f"{changes.not_pixel + changes.header:,}", "other paths, methods or statuses"
    )
    table.add_row("rejected", f"{result.kept.total():,}", "again: they stay as they are")
    for reason, count in result.kept.most_common():
        table.add_row(f"  {reason}", f"{count:,}", "", style="dim")
    table.add_section()
    table.add_row("rejects", f"{result.chosen:,}", "judged again", style="bold")
    return table
