"""`pixelship parse`: shows what a log's lines are read as."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from pipeline.cli.group import EXIT_INCOMPLETE
from pipeline.cli.ring import DEFAULT_KEY_FILE
from pipeline.cli.rules import AUTO, format_of, map_files
from pipeline.cli.text import printable_line

if TYPE_CHECKING:
    from pipeline.hits import Hits, Row

_STANDARD_INPUT = "-"
_ROWS = 1 << 10
"""Rows written at a time."""
_COPY_BYTES = 1 << 20
_NAME_WIDTH = len("edge_location")


@click.command()
@click.argument("logs", metavar="LOG...", nargs=-1, required=True)
@click.option("--format", "log_format", default=AUTO, show_default=True, metavar="NAME|MAP", help="The log format (see `pixelship formats`), or a map, as in FILE.toml; told from the content by default.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Stop after so many hits. All by default.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, and nothing else.")
def parse(logs: tuple[str, ...], log_format: str, limit: int | None, as_json: bool) -> None:
    """Show the hits that a log holds, as they are read from its lines, before any verdict.

    LOG is a file, a glob or a folder, here or in Cloud Storage (gs://BUCKET/…), or `-` for standard
    input; plain, gzip or zstd, whatever its name. Every request is shown, for the pixel or not.
    Nothing is written, and no key is needed. What is no hit is counted on standard error.

    \b
    Exit status: 0, or 1 where a line is malformed or too long, or a log damaged.
    """
    from pipeline.hits import Hits

    chosen = format_of(log_format)
    show = _show_json if as_json else _show_records
    is_whole, left = True, limit
    ours = (Path(DEFAULT_KEY_FILE), *map_files(log_format))
    for log in _find(logs, ours):
        try:
            with closing(log.open()) as stream:
                size = stream.seek(0, io.SEEK_END)
                hits = Hits(stream, size, chosen)
                show(hits.rows(left))
        except BrokenPipeError:
            raise
        except OSError as error:
            _say(f"{log.name}: cannot be read: {error.strerror or error}.")
            is_whole = False
            continue
        _tell(log.name, hits)
        is_whole &= hits.seen.is_whole
        if left is not None and (left := left - hits.seen.hits) <= 0:
            break
    if not is_whole:
        raise SystemExit(EXIT_INCOMPLETE)


@dataclass(frozen=True)
class _Log:
    """A log by the name that people know it by; `open` gives its stored bytes."""

    name: str
    open: Callable[[], BinaryIO]


def _find(names: Iterable[str], leave_out: Iterable[Path]) -> list[_Log]:
    """The logs that were named, in that order, each once; `leave_out` are no logs. Raises SetupError for what is not there."""
    from pipeline.sources import Anywhere, LocalFiles, Search

    logs = []
    for name in dict.fromkeys(names):
        if name == _STANDARD_INPUT:
            logs.append(_Log("standard input", _open_standard_input))
        elif name.startswith("gs://"):
            source = Anywhere()
            found = source.list_objects(Search([name])).objects
            logs += [_Log(each.name, partial(source.open, each)) for each in found]
        elif name and _is_stream(Path(name)):
            logs.append(_Log(name, partial(_open_stream, name)))
        else:
            files = LocalFiles().find([name], leave_out)
            logs += [_Log(file, partial(_open_file, file)) for file in files]
    return logs


def _is_stream(path: Path) -> bool:
    """Whether it can be read once and forwards only, such as a shell's `<(…)`."""
    return path.is_fifo() or path.is_char_device()


def _open_file(name: str) -> BinaryIO:
    return Path(name).open("rb")


def _open_stream(name: str) -> BinaryIO:
    with Path(name).open("rb") as stream:
        return _copy(stream)


def _open_standard_input() -> BinaryIO:
    stream = sys.stdin.buffer
    return stream if stream.seekable() and stream.tell() == 0 else _copy(stream)


def _copy(stream: BinaryIO) -> BinaryIO:
    """A copy on disk of all that a stream gives, since logs are read from anywhere."""
    copy = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - who asked for it closes it
    shutil.copyfileobj(stream, copy, _COPY_BYTES)
    return copy


def _show_json(rows: Iterator[Row]) -> None:
    while some := list(islice(rows, _ROWS)):
        click.echo("".join(map(_json_line, some)).encode(), nl=False)


def _json_line(row: Row) -> str:
    """A row as a line of JSON; what a terminal may obey is escaped."""
    text = json.dumps(row, ensure_ascii=False)
    if not text.isprintable():
        text = "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
    return f"{text}\n"


def _show_records(rows: Iterator[Row]) -> None:
    """Each hit as lines of a name and a value, a blank line behind it; what is null is left out."""
    for row in rows:
        for name, value in row.items():
            if value is not None:
                label = click.style(f"{name:<{_NAME_WIDTH}}", dim=True)
                click.echo(f"{label}  {printable_line(value)}")
        click.echo()


def _tell(name: str, hits: Hits) -> None:
    """Says on standard error what of a log is no hit."""
    seen = hits.seen
    if seen.hits == seen.lines and seen.is_whole:
        return
    counts = {
        "blank or header": seen.header,
        "other records": seen.other,
        **{reason.label: count for reason, count in sorted(seen.rejected.items())},
    }
    others = "".join(f", {count:,} {what}" for what, count in counts.items() if count)
    known = f" ({hits.format.name})" if hits.format else ""
    lines, requests = (_count(*each) for each in ((seen.lines, "line"), (seen.hits, "hit")))
    _say(f"{name}{known}: {lines}, {requests}{others}.")
    if seen.rejected and hits.format is None:
        _say(f"{name}: its lines are in no known log format; --format names one.")
    elif seen.rejected and hits.lacks_header:
        _say(f"{name}: it lacks the header line that names its columns.")
    for each in seen.refused:
        _say(f"{name}: line {each.line:,}, at byte {each.position:,}: {each.reason.meaning}.")
    if seen.rejected.total() > len(seen.refused):
        _say(f"{name}: {seen.rejected.total() - len(seen.refused):,} more such lines.")
    for damage in seen.damage:
        _say(f"{name}: damaged at stored byte {damage.position:,}: {damage.fault}.")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _say(sentence: str) -> None:
    click.echo(printable_line(sentence), err=True)
