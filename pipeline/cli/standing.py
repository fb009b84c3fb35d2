"""What `pixelship status` shows."""

from __future__ import annotations

from datetime import datetime, timezone

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cli.text import printable
from pipeline.model import Tally
from pipeline.warehouses.maintenance import Status

_MOST_LINES = 20
_FATES = ("accepted", "bot", "duplicate", "not_pixel", "header")


def print_status(found: Status) -> None:
    """Prints how things stand; what comes from logs or tables cannot move the terminal's cursor."""
    console = Console(highlight=False)
    _print_batches(console, found)
    console.print(_sheet(found.total))
    _print_rows(console, found)
    _print_waiting(console, found)
    if found.objects:
        console.print(_by_object(found.objects))
    _print_some(console, "Does not add up", found.unbalanced)
    if not found.adds_up:
        console.print("The ledger does not add up: please report this.")


def _print_batches(console: Console, found: Status) -> None:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(found.batches.items()))
    console.print(Text(f"Batches: {kinds or 'none'}."))
    if found.last:
        console.print(Text(f"Last: {found.last.id} ({found.last.kind}), {_ago(found.last.at)}."))
    for what, time in (("load", found.last_load_at), ("view", found.newest_view_at)):
        if time:
            console.print(f"Newest {what}: {time:%Y-%m-%d %H:%M:%S} UTC, {_ago(time)}.")
    if found.advice:
        console.print(f"{found.advice}.")
    for batch in found.open_batches:
        console.print(f"Open: batch {batch}; the next load finishes it.")


def _sheet(total: Tally) -> Table:
    """All lines and their fates."""
    table = Table("fate of the lines", "lines")
    table.columns[1].justify = "right"
    for name in _FATES:
        table.add_row(name, f"{getattr(total, name):,}")
    table.add_row("rejected", f"{total.rejected.total():,}")
    for reason, lines in total.rejected.most_common():
        if lines:
            table.add_row(Text(f"  {printable(reason)}"), f"{lines:,}", style="dim")
    table.add_section()
    if total.extra_events:
        table.add_row("extra_events", f"{-total.extra_events:,}")
    table.add_row("lines", f"{total.lines:,}", style="bold")
    return table


def _by_object(tallies: dict[str, Tally]) -> Table:
    """A row for each log object: its lines, their fates, and whether these are all of them."""
    table = Table("log object", "lines", "fates", "adds up")
    table.columns[0].overflow = "fold"
    table.columns[1].justify = "right"
    for name, tally in tallies.items():
        counts = {fate: getattr(tally, fate) for fate in _FATES} | dict(tally.rejected)
        fates = ", ".join(f"{count:,} {fate}" for fate, count in counts.items() if count)
        adds_up = "yes" if tally.adds_up else "no"
        texts = (Text(printable(text)) for text in (name, f"{tally.lines:,}", fates))
        table.add_row(*texts, adds_up)
    return table


def _print_rows(console: Console, found: Status) -> None:
    table = Table("table", "rows")
    table.columns[1].justify = "right"
    for name, rows in sorted(found.rows.items()):
        table.add_row(Text(name), f"{rows:,}")
    console.print(table)


def _print_waiting(console: Console, found: Status) -> None:
    """What waits for a person, and why."""
    for destination, rows in sorted(found.parked.items()):
        why = printable(found.parked_why[destination])
        console.print(Text(f"Parked: {rows:,} rows for {destination}: {why}."))
    _print_some(console, "Quarantined", [f"{each.name} {each.why}" for each in found.quarantined])


def _print_some(console: Console, title: str, lines: list[str]) -> None:
    """The first of some lines, and how many more there are."""
    for line in lines[:_MOST_LINES]:
        console.print(Text(f"{title}: {printable(line)}."))
    if len(lines) > _MOST_LINES:
        console.print(f"{title}: {len(lines) - _MOST_LINES:,} more; --json tells all.")


def age_s(time: datetime | None) -> int | None:
    """How many seconds ago a time was."""
    return None if time is None else int((datetime.now(timezone.utc) - time).total_seconds())


def _ago(time: datetime) -> str:
    """How long ago a time was, in the unit that a person would use."""
    seconds = age_s(time) or 0
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count:,} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
