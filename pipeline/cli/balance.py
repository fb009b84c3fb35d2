"""What `pixelship load` shows: progress while it runs, the balance sheet at its end."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from pipeline.cli.text import printable_line
from pipeline.warehouses.contract import Report

_MOST_FAULTS = 20


class LoadProgress:
    """A progress bar on standard error, where that is a terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("Reading"),
            BarColumn(),
            TaskProgressColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[lines_per_second]:,.0f} lines/s"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("load", total=None, lines_per_second=0.0)

    def __enter__(self) -> LoadProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def advance(self, stored_bytes: int, lines: int, total_bytes: int) -> None:
        """Shows how far the workers are."""
        elapsed = self._bar.tasks[0].elapsed or 0.0
        speed = lines / elapsed if elapsed else 0.0
        self._bar.update(
            self._task, completed=stored_bytes, total=total_bytes, lines_per_second=speed
        )


def print_balance(report: Report) -> None:
    """Prints the balance sheet; names from logs and clouds cannot move the terminal's cursor."""
    console = Console(highlight=False)
    if report.held_until:
        until = f"{report.held_until:%Y-%m-%d %H:%M:%S} UTC"
        console.print(f"Another run is at work, and holds the lease until {until} at most.")
        return
    _print_batches(console, report)
    _print_what_waits(console, report)


def _print_batches(console: Console, report: Report) -> None:
    if report.launched:
        console.print(f"Launched: {_batches(report.launched)}; the job that was launched loads it.")
    elif not report.batches:
        console.print(f"Nothing new: {_files(report.unchanged)} loaded before.")
    if report.batches:
        known = f", {report.unchanged} loaded before" if report.unchanged else ""
        console.print(
            f"{_batches(report.batches)}: {_files(report.objects)}{known}, {report.bytes:,} bytes, "
            f"{report.total.lines:,} lines in {report.seconds:.1f} s"
        )
        console.print(_sheet(report))
    if report.unparked:
        _print_rows(console, "Loaded from parking", report.unparked)


def _print_what_waits(console: Console, report: Report) -> None:
    for destination, rows in sorted(report.parked.items()):
        why = report.parked_why[destination]
        _print_line(console, f"Parked: {rows:,} rows for {destination}: {why}.")
    if report.waiting:
        console.print(f"Left for later: {_files(report.waiting)} written just now.")
    if report.left:
        console.print(f"Left for the next run: {_files(report.left)}.")
    for each in report.quarantined[:_MOST_FAULTS]:
        _print_line(console, f"Quarantined: {each.name} {each.why}.")
    if len(report.quarantined) > _MOST_FAULTS:
        console.print(
            f"Quarantined: {len(report.quarantined) - _MOST_FAULTS} more; --json tells all."
        )
    for fault in report.faults[:_MOST_FAULTS]:
        _print_line(console, f"Damaged: {fault.object} at byte {fault.position:,}: {fault.fault}.")
    if len(report.faults) > _MOST_FAULTS:
        console.print(
            f"Damaged: {len(report.faults) - _MOST_FAULTS} places more; --json tells all."
        )


def _batches(ids: list[str]) -> str:
    return f"Batch {ids[0]}" if len(ids) == 1 else f"Batches {', '.join(ids)}"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _sheet(report: Report) -> Table:
    """The lines and their fates; they add up."""
    total = report.total
    table = Table("fate of the lines", "lines", "")
    table.columns[1].justify = "right"
    fate = "views, loaded or parked" if report.parked else "views, loaded"
    table.add_row("accepted", f"{total.accepted:,}", fate)
    for destination, rows in sorted(report.destinations.items()):
        table.add_row(Text(f"  {printable_line(destination)}"), f"{rows:,}", "", style="dim")
    table.add_row("bot", f"{total.bot:,}", "verified views by machines: counted, not loaded")
    table.add_row("duplicate", f"{total.duplicate:,}", "views that were there already")
    table.add_row("not_pixel", f"{total.not_pixel:,}", "other paths, methods or statuses")
    table.add_row("header", f"{total.header:,}", "blank lines and headers")
    table.add_row("rejected", f"{total.rejected.total():,}", "kept in pixelship.rejects")
    for reason, lines in total.rejected.most_common():
        table.add_row(f"  {reason}", f"{lines:,}", "", style="dim")
    table.add_section()
    if total.extra_events:
        table.add_row(
            "extra_events", f"{-total.extra_events:,}", "events beyond the first of a line"
        )
    table.add_row("lines", f"{total.lines:,}", "the sum", style="bold")
    return table


def _print_rows(console: Console, title: str, rows: dict[str, int]) -> None:
    for destination, count in sorted(rows.items()):
        _print_line(console, f"{title}: {count:,} rows into {destination}.")


def _print_line(console: Console, sentence: str) -> None:
    console.print(Text(printable_line(sentence)))
