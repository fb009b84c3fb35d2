"""`pixelship status`: how things stand in a warehouse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.group import EXIT_INCOMPLETE, EXIT_INTERNAL
from pipeline.cli.warehouse import warehouse_of, warehouse_options

if TYPE_CHECKING:
    from pipeline.warehouses.maintenance import Status


@click.command()
@warehouse_options
@click.option("--objects", "by_object", is_flag=True, help="Show the balance of each log object.")
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON, and nothing else.")
def status(
    warehouse: str, state: str | None, location: str, *, by_object: bool, as_json: bool
) -> None:
    """Tell how things stand: batches, rows, what waits, how far behind it is.

    Nothing is changed.

    \b
    Exit status:
      0  nothing waits for a person
      1  rows are parked, or objects quarantined
      3  the ledger does not add up
    """
    from pipeline.cli.standing import print_status

    found = warehouse_of(warehouse, state, location).status(by_object=by_object)
    if as_json:
        click.echo(json.dumps(_to_json(found), ensure_ascii=False))
    else:
        print_status(found)
    if not found.adds_up:
        raise SystemExit(EXIT_INTERNAL)
    if not found.is_clean:
        raise SystemExit(EXIT_INCOMPLETE)


def _to_json(found: Status) -> dict[str, Any]:
    """What `--json` prints: the status, how far behind it is, and each object's balance."""
    from pipeline.cli.standing import age_s

    ages = {"newest_view": age_s(found.newest_view_at), "last_load": age_s(found.last_load_at)}
    told = {**found.to_json(), "lag_s": ages}
    if found.objects is not None:
        told["objects"] = {
            name: {**tally.to_json(), "adds_up": tally.adds_up}
            for name, tally in found.objects.items()
        }
    return told
