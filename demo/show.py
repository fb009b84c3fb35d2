"""The tables and commands that the demonstration prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from demo.results import Results


def show_destinations(console: Console, results: Results) -> None:
    """Prints the rows by destination."""
    table = Table(title="Rows by destination", title_justify="left")
    table.add_column("table")
    for heading in ("rows", "visitors", "pages"):
        table.add_column(heading, justify="right")
    table.add_column("from, to (UTC)")
    for name, rows, visitors, pages, first, last in results.destinations():
        span = f"{first:%Y-%m-%d %H:%M:%S}, {last:%H:%M:%S}"
        table.add_row(name, f"{rows:,}", f"{visitors:,}", f"{pages:,}", span)
    console.print(table)


def show_rejects(console: Console, results: Results) -> None:
    """Prints the rejects by reason."""
    table = Table(title="Rejects by reason", title_justify="left")
    for heading in ("stage", "reason"):
        table.add_column(heading)
    table.add_column("lines", justify="right")
    table.add_column("meaning")
    for stage, reason, lines, detail in results.rejects():
        table.add_row(stage, reason, f"{lines:,}", detail or "")
    console.print(table)


def show_commands(console: Console, commands: Sequence[tuple[str, str]]) -> None:
    """Prints commands to try next, each under what it does."""
    console.print("\n[bold]To try next[/bold]")
    for purpose, command in commands:
        console.print(f"  [dim]# {purpose}[/dim]", highlight=False)
        console.print(f"  {command}", highlight=False, soft_wrap=True, markup=False)
