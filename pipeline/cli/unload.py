"""`pixelship unload`: takes log objects out again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from pipeline.cli.filters import batches_of, days_of, names_of
from pipeline.cli.warehouse import loaded_warehouse_of, warehouse_options
from pipeline.errors import SetupError

if TYPE_CHECKING:
    from pipeline.unload import Unloaded

_MOST_NAMES = 20


@click.command()
@warehouse_options
@click.option("--object", "objects", multiple=True, metavar="NAME", help="A log object: a path, or a name as in pixelship.objects; repeatable.")  # fmt: skip
@click.option("--day", "days", multiple=True, metavar="DATE", help="All logs with rows of a day (UTC), such as 2026-11-21; repeatable.")  # fmt: skip
@click.option("--batch", "batches", multiple=True, metavar="ID", help="All logs of a batch; repeatable.")  # fmt: skip
@click.option("--force", is_flag=True, help="Also logs that are no longer there: their rows cannot come back.")  # fmt: skip
@click.option("--plan", "is_plan", is_flag=True, help="Say what would be taken out, and write nothing.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")
def unload(
    warehouse: str,
    state: str | None,
    location: str,
    objects: tuple[str, ...],
    days: tuple[str, ...],
    batches: tuple[str, ...],
    force: bool,
    is_plan: bool,
    as_json: bool,
) -> None:
    """Take the rows of logs out of all tables, so that the logs can be loaded again.

    Logs come out whole: all parts of one that grew, and rows of other days and batches too. Say at
    least one of --object, --day and --batch.
    """
    from pipeline.unload import unload as run_unload
    from pipeline.warehouses.maintenance import Selection

    if not (objects or days or batches):
        raise SetupError("Say what to unload: --object NAME, --day DATE or --batch ID.")
    selection = Selection(names_of(objects), batches_of(batches), days_of(days))
    with loaded_warehouse_of(warehouse, state, location) as opened:
        result = run_unload(opened, selection, is_plan=is_plan, force=force)
    if as_json:
        click.echo(json.dumps(result.to_json(), ensure_ascii=False))
    else:
        _print(result, is_plan=is_plan)


def _print(result: Unloaded, *, is_plan: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pipeline.cli.text import printable

    console = Console(highlight=False)
    if not result.objects:
        console.print("No log has such rows: nothing to do.")
        return
    for batch in result.batches:
        console.print(f"Batch {batch}.")
    count = "1 log object" if len(result.objects) == 1 else f"{len(result.objects):,} log objects"
    console.print(f"{count} {'would come out' if is_plan else 'came out'}:")
    for name in result.objects[:_MOST_NAMES]:
        is_gone = " (no longer there)" if name in result.gone else ""
        console.print(Text(f"  {printable(name)}{is_gone}"))
    if len(result.objects) > _MOST_NAMES:
        console.print(f"  and {len(result.objects) - _MOST_NAMES:,} more; --json tells all")
    table = Table("table", "rows")
    table.columns[1].justify = "right"
    for name, rows in sorted(result.rows.items()):
        table.add_row(Text(name), f"{rows:,}")
    console.print(table)
    console.print("Nothing was written." if is_plan else "The next load takes them in again.")
