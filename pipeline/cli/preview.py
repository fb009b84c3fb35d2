"""What `pixelship load --plan` shows."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.text import printable_line
from pipeline.costs import PRICES_OF, Cost
from pipeline.load import Preview

_MOST_LINES = 20
_QUERIED = ", {:,} bytes queried; and the ids of all views that are in the table for the same days."


def show_preview(preview: Preview, cost: Cost | None, *, as_json: bool) -> None:
    """Prints what would be done; `cost` is None where the cloud has no part in it."""
    if as_json:
        click.echo(json.dumps(_to_json(preview, cost), ensure_ascii=False))
        return
    console = Console(highlight=False)
    plan = preview.plan
    for batch in preview.open_batches:
        console.print(
            f"Batch {batch.id} is open and would be finished first: {len(batch.objects):,} logs."
        )
    table = Table("logs", "number", "bytes to read")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, objects in (
        ("new", [item for item in plan.objects if not item.start]),
        ("grown: the tail", [item for item in plan.objects if item.start]),
    ):
        stored_bytes = sum(item.size - item.start for item in objects)
        table.add_row(name, f"{len(objects):,}", f"{stored_bytes:,}")
    for name, count in (
        ("loaded before", plan.unchanged),
        ("too young", plan.waiting),
        ("quarantined", len(plan.quarantined)),
        ("not readable", len(plan.faults)),
    ):
        table.add_row(name, f"{count:,}", "")
    console.print(table)
    _print_some(console, "Quarantined", [f"{each.name} {each.why}." for each in plan.quarantined])
    _print_some(console, "Not readable", [f"{each.object}: {each.fault}." for each in plan.faults])
    if cost:
        console.print(
            f"About ${cost.usd:.4f} by Google's list prices of {PRICES_OF}, less what the CPU costs: "
            f"{cost.reads:,} reads, {cost.writes:,} writes and listings of objects"
            + (_QUERIED.format(cost.queried_bytes) if cost.queried_bytes else ".")
        )
    console.print("Nothing was written.")


def _print_some(console: Console, title: str, sentences: list[str]) -> None:
    for sentence in sentences[:_MOST_LINES]:
        console.print(Text(printable_line(f"{title}: {sentence}")))
    if len(sentences) > _MOST_LINES:
        console.print(f"{title}: {len(sentences) - _MOST_LINES:,} more; --json tells all.")


def _to_json(preview: Preview, cost: Cost | None) -> dict[str, Any]:
    plan = preview.plan
    return {
        "open_batches": [batch.id for batch in preview.open_batches],
        "batches": len(plan.batches()),
        "objects": len(plan.objects),
        "bytes": sum(item.size - item.start for item in plan.objects),
        "unchanged": plan.unchanged,
        "waiting": plan.waiting,
        "quarantined": [{"name": each.name, "why": each.why} for each in plan.quarantined],
        "faults": [fault.to_json() for fault in plan.faults],
        "usd": round(cost.usd, 6) if cost else 0,
    }
