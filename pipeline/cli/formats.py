"""`pixelship formats`: the log formats and their quirks; tries a map on a log."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from pipeline.cli.group import EXIT_INCOMPLETE
from pipeline.cli.rules import chosen_format
from pipeline.cli.text import printable_line

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.formats import Format
    from pipeline.tryout import Tryout

_STANDARD_INPUT = "-"
_MOST_BYTES = 1 << 26
"""Read of standard input."""
_MOST_CHARS = 200
"""Of a value or a line that is shown; the JSON has all of it."""


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, and nothing else.")
@click.pass_context
def formats(context: click.Context, as_json: bool) -> None:
    """List the log formats: how late their lines come, in what order, how often, what they lack.

    A format is told from a log's content; --format names one, or the file of a map (FILE.toml), for
    logs that are in none of these.
    """
    if context.invoked_subcommand:
        return
    from pipeline.formats import FORMATS

    if as_json:
        click.echo(json.dumps([_to_json(each) for each in FORMATS], indent=2, ensure_ascii=False))
    else:
        _print_formats(FORMATS)


@formats.command("test")
@click.argument("map_", metavar="MAP")
@click.argument("log")
@click.option("--lines", default=1000, show_default=True, type=click.IntRange(1, 100_000), metavar="N", help="Read the first so many lines.")  # fmt: skip
@click.option("--path", "paths", multiple=True, metavar="PATH", help="A path that is a pixel's; repeatable. By default /pixel.gif, /i.gif and /r.gif.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object, and nothing else.")
def test(map_: str, log: str, lines: int, paths: tuple[str, ...], as_json: bool) -> None:
    """Show what a map reads from a log's first lines; nothing is written, and no key is needed.

    MAP is the map's file (FILE.toml), or a format's name. LOG is a file, here or in Cloud Storage
    (gs://BUCKET/…), or `-` for standard input; plain, gzip or zstd, whatever its name.

    \b
    Exit status: 0, 1 where a line or a time cannot be read, 2 where the map is broken.
    """
    from pipeline.options import PIXEL_PATHS
    from pipeline.tryout import try_out

    chosen = chosen_format(map_)
    with closing(_open(log)) as stream:
        found = try_out(stream, stream.seek(0, 2), chosen, paths or PIXEL_PATHS, lines)
    if as_json:
        click.echo(json.dumps(found.to_json()))
    else:
        _print_tryout(found, chosen, paths or PIXEL_PATHS)
    if not found.is_clean:
        raise SystemExit(EXIT_INCOMPLETE)


def _open(log: str) -> BinaryIO:
    """The stored bytes of the first log under a name. Raises SetupError."""
    from pipeline.errors import SetupError
    from pipeline.sources import Anywhere, LocalFiles, Search

    if log == _STANDARD_INPUT:
        return io.BytesIO(sys.stdin.buffer.read(_MOST_BYTES))
    if log.startswith("gs://"):
        source = Anywhere()
        found = source.list_objects(Search([log])).objects
        if not found:
            raise SetupError(f"No log object is there under {log!r}: check the name.")
        return source.open(found[0])
    name = LocalFiles().find([log])[0]
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise SetupError(f"{name} cannot be read: {error.strerror or error}.") from None


def _to_json(each: Format) -> dict[str, object]:
    quirks = each.quirks
    return {
        "name": each.name,
        "title": quirks.title,
        "lateness": quirks.lateness,
        "order": quirks.order,
        "delivery": quirks.delivery,
        "lacks": list(quirks.lacks),
        "needs_header": each.needs_header,
    }


def _print_formats(known: tuple[Format, ...]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("format", "what to know of its logs", show_lines=True)
    table.columns[0].no_wrap = True
    for each in known:
        quirks = each.quirks
        words = {"late": quirks.lateness, "order": quirks.order, "delivery": quirks.delivery}
        text = Text(quirks.title, style="bold")
        for word, told in words.items():
            text.append(f"\n{word}: {told}", style="not bold")
        if quirks.lacks:
            text.append(f"\ncannot tell: {'; '.join(quirks.lacks)}", style="not bold")
        table.add_row(Text(each.name), text)
    console = Console(highlight=False)
    console.print(table)
    console.print(
        "For other logs, write a map: pixelship formats test FILE.toml LOG shows what it reads."
    )


def _print_tryout(found: Tryout, chosen: Format, paths: tuple[str, ...]) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    _say(console, f"{found.format}: {_counts(found)}.")
    if found.lacks_header:
        _say(console, "The log has no header line with the names that are used.")
    for line in found.broken:
        _say(console, f"Line {line.line:,} {line.why}: {_cut(line.text)}")
    for damage in found.damage:
        _say(console, f"Damaged {damage}.")
    if found.requests:
        _print_columns(found, chosen)
        _say(console, f"Times that could be read: {found.times:,} of {found.requests:,}.")
        for time, why in found.unread:
            _say(console, f"The time {_cut(repr(time))} {why}.")
        _print_pixels(console, found, paths)
        for sentence in _missing(found):
            _say(console, sentence)


def _print_pixels(console: Console, found: Tryout, paths: tuple[str, ...]) -> None:
    """How many requests are the pixel's; where none is, what they are."""
    which = ", ".join(paths)
    _say(console, f"Requests for the pixel ({which}): {found.pixels:,} of {found.requests:,}.")
    if not found.pixels:
        for other, count in found.others:
            _say(console, f"  {count:,} of them: {_cut(other)}")
        _say(console, "A run takes GET and HEAD of these paths, answered with 200, 204 or 304.")


def _missing(found: Tryout) -> Iterator[str]:
    if found.empty:
        yield f"Empty in all of them: {', '.join(found.empty)}."
    for name, reason in (("user_agent", "no-agent"), ("ip", "no-ip")):
        if not found.filled.get(name):
            yield f"No request has {name}: each view would be refused as {reason}."


def _counts(found: Tryout) -> str:
    counts = {"requests": found.requests, "malformed": found.malformed, "blank or header": found.header, "other records": found.other}  # fmt: skip
    told = [f"{count:,} {what}" for what, count in counts.items() if count or what == "requests"]
    lines = "1 line" if found.lines == 1 else f"{found.lines:,} lines"
    return f"{lines} read, {', '.join(told)}"


def _print_columns(found: Tryout, chosen: Format) -> None:
    """Each column of ours: where it comes from, how many requests have it, what some of them say."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pipeline.formats.maps import Mapped

    sources = chosen.sources if isinstance(chosen, Mapped) else {}
    table = Table("column", *(["from"] if sources else []), "has it")
    for at in range(len(found.examples)):
        table.add_column(f"request {at + 1}", overflow="fold")
    for name, count in found.filled.items():
        values = [_cut(each.get(name)) for each in found.examples]
        origin = [Text(printable_line(sources.get(name, "")))] if sources else []
        table.add_row(name, *origin, f"{count:,}", *map(Text, values))
    Console(highlight=False).print(table)


def _cut(value: str | None) -> str:
    text = printable_line(value)
    return text if len(text) <= _MOST_CHARS else f"{text[:_MOST_CHARS]}…"


def _say(console: Console, sentence: str) -> None:
    from rich.text import Text

    console.print(Text(printable_line(sentence)))
