"""How a map's lines are taken apart, by its kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.formats.json_lines import Dialect
from pipeline.formats.maps import nginx
from pipeline.formats.maps.readers import Delimited, Json, Pattern, Reader
from pipeline.toml_table import Table

TARGETS = (
    "timestamp", "date", "time", "method", "uri", "url", "request", "path", "query", "host",
    "status", "ip", "forwarded_for", "user_agent", "referrer", "cookie", "cookie_pxid", "request_id",
    "country", "asn", "cache_status", "bot_score", "tls_version", "edge_location",
)  # fmt: skip
"""What a column of a log may be taken for."""

_GROUP = re.compile(r"\(\?P?<(\w+)>")
_MOST_COLUMNS = 500


@dataclass(frozen=True)
class Layout:
    """How lines are taken apart, and the columns that are there: None where any may be.

    `own` are columns that are taken for ours without being told to.
    """

    reader: Reader
    columns: tuple[str, ...] | None
    own: Mapping[str, tuple[str, ...]]
    unescape: str = "none"


def layout_of(table: Table, kind: str) -> Layout:
    """What a map of a kind says of its lines. Raises SetupError."""
    return _LAYOUTS[kind](table)


def check_pattern(table: Table, key: str, pattern: str) -> None:
    """Raises SetupError for what is no expression of RE2 with named groups."""
    try:
        made = pc.extract_regex(pa.array([], pa.binary()), pattern)
    except pa.ArrowInvalid as error:
        why = str(error).removeprefix("Invalid regular expression: ")
        if "unnamed" in why:
            why = "it has a group without a name: write (?:…) or (?P<name>…)"
        elif "perl operator" in why:
            why = f"{why} (of RE2's syntax: no look-around, no back-references)"
        table.fail(f"{key} is no regular expression: {why}")
    if not made.type.num_fields:
        table.fail(f"{key} names no group: write (?P<uri>…) around what is wanted")


def _nginx(table: Table) -> Layout:
    given = table.entries.get("log_format")
    if isinstance(given, list) and all(isinstance(piece, str) for piece in given):
        given = "".join(given)
    if not isinstance(given, str) or not given.strip():
        table.fail(
            "log_format is missing: paste the log_format directive of nginx.conf, in '''…'''"
        )
    escape = table.text("escape") if "escape" in table.entries else None
    try:
        layout = nginx.layout_of(given, escape)
    except ValueError as error:
        table.fail(f"log_format cannot be read: {error}")
    if isinstance(layout.reader, Pattern):
        check_pattern(table, "log_format", layout.reader.expression)
    own = {
        target: known
        for target, variables in nginx.VARIABLES.items()
        if (known := tuple(each for each in variables if each in layout.variables))
    }
    return Layout(layout.reader, layout.variables, own, nginx.ESCAPES[layout.escape])


def _json(table: Table) -> Layout:
    escape = table.one_of("escape", ("json", "default"), "json")
    any_case = table.flag("any_case")
    return Layout(Json(Dialect(any_case=any_case, nginx=escape == "default")), None, {})


def _tsv(table: Table) -> Layout:
    return _delimited(table, "\t", is_quoted=False)


def _csv(table: Table) -> Layout:
    return _delimited(table, ",", is_quoted=True)


def _delimited(table: Table, usual: str, *, is_quoted: bool) -> Layout:
    delimiter = table.text("delimiter") if "delimiter" in table.entries else usual
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\n\r\0':
        table.fail(f'delimiter {delimiter!r} is none: write one ASCII character, such as "|"')
    comment = (table.text("comment") if "comment" in table.entries else "").encode()
    header = table.entries.get("header", False)
    if not isinstance(header, (bool, str)):
        table.fail('header is true, or what the header line starts with, as in header = "#Fields:"')
    if (header is not False) == ("columns" in table.entries):
        table.fail("give either columns (a list of names, or how many there are) or header = true")
    if header is not False:
        mark = header.encode() if isinstance(header, str) else b""
        reader = Delimited((), delimiter.encode(), is_quoted, mark, comment)
        return Layout(reader, None, {})
    columns = _columns(table)
    own = {name: (name,) for name in columns if name in TARGETS}
    return Layout(Delimited(columns, delimiter.encode(), is_quoted, None, comment), columns, own)


def _columns(table: Table) -> tuple[str, ...]:
    given = table.entries["columns"]
    if isinstance(given, int) and not isinstance(given, bool):
        given = [str(place) for place in range(1, given + 1)] if given <= _MOST_COLUMNS else []
    if (
        not isinstance(given, list)
        or not all(isinstance(name, str) for name in given)
        or not 1 <= len(given) <= _MOST_COLUMNS
    ):
        table.fail("columns is a list of 1 to 500 names in the log's order, or how many there are")
    table.check_distinct("columns", [name for name in given if name not in ("", "-", "_")])
    return tuple(given)


def _regex(table: Table) -> Layout:
    pattern = table.text("pattern", "write a regular expression with named groups, in '''…'''")
    check_pattern(table, "pattern", pattern)
    groups = tuple(_GROUP.findall(pattern))
    table.check_distinct("pattern", groups)
    own = {name: (name,) for name in groups if name in TARGETS}
    return Layout(Pattern((pattern,)), groups, own)


_LAYOUTS: Mapping[str, Callable[[Table], Layout]] = {
    "nginx": _nginx,
    "json": _json,
    "tsv": _tsv,
    "csv": _csv,
    "regex": _regex,
}
