"""A map's TOML, checked whole: one sentence a mistake, which names the file, the key and what to write."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipeline.formats.json_lines import Path
from pipeline.formats.maps.columns import UNESCAPES, Field
from pipeline.formats.maps.layouts import TARGETS, Layout, check_pattern, layout_of
from pipeline.formats.maps.mapped import Mapped
from pipeline.formats.maps.readers import Delimited, Json
from pipeline.formats.maps.times import AUTO, EPOCHS, NAMED, Times, compiled, expression, is_zone
from pipeline.toml_table import Table, nearest, parse_toml

CONSTANTS = ("method", "status", "host", "path")
_KEYS_OF = {
    "nginx": ("log_format", "escape"),
    "json": ("escape", "any_case"),
    "tsv": ("columns", "header", "delimiter", "comment"),
    "csv": ("columns", "header", "delimiter", "comment"),
    "regex": ("pattern",),
}
KINDS = tuple(_KEYS_OF)
_COMMON = ("name", "kind", "absent", "unescape", "fields", "time", "constants")
_ALL_KEYS = tuple(dict.fromkeys([*_COMMON, *(key for keys in _KEYS_OF.values() for key in keys)]))
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_ABSENT = ("-", "")
_WORDS = ("from", "unescape", "absent")


def keys_of() -> dict[str, tuple[str, ...]]:
    """Every key of a map, and the kinds that have it."""
    return {
        key: tuple(kind for kind in KINDS if key in (*_COMMON, *_KEYS_OF[kind]))
        for key in _ALL_KEYS
    }


def map_of(data: bytes, file: str) -> Mapped:
    """The format that a map's TOML describes; `file` names it in messages. Raises SetupError."""
    return _Document(parse_toml(data, file)).read()


class _Document:
    """One map while it is checked."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def read(self) -> Mapped:
        """The whole map."""
        kind = self._table.one_of("kind", KINDS)
        self._check_keys(kind)
        name = self._table.text("name", 'give the map a name, as in name = "edge"')
        if not _NAME.fullmatch(name):
            self._table.fail(
                f"name {name!r} is no name: use up to 40 letters, digits, dots, - and _"
            )
        layout = layout_of(self._table, kind)
        fields = self._fields(layout)
        constants = self._constants(fields)
        self._check_enough(fields, constants)
        reader = layout.reader
        if isinstance(reader, Delimited) and reader.needs_header:
            reader = self._with_needed(reader, fields)
        return Mapped(name, kind, reader, fields, constants, self._times())

    def _check_keys(self, kind: str) -> None:
        for key in self._table.entries:
            if key not in _ALL_KEYS:
                self._table.fail(f"{key} is no key of a map{nearest(key, _ALL_KEYS)}")
            if key not in (*_COMMON, *_KEYS_OF[kind]):
                kinds = " and ".join(each for each in KINDS if key in _KEYS_OF[each])
                self._table.fail(
                    f"{key} is for the kinds {kinds}, and this map is of kind {kind}: leave it out"
                )

    # What columns are taken for

    def _fields(self, layout: Layout) -> dict[str, Field]:
        given = self._table.subtable("fields")
        absent = self._absent("absent", self._table.entries.get("absent", list(_ABSENT)))
        unescape = self._unescape("unescape", self._table.entries.get("unescape", layout.unescape))
        fields = {}
        for target in given:
            if target not in TARGETS:
                self._table.fail(f"fields.{target} is no column of ours{nearest(target, TARGETS)}")
            key = f"fields.{target}"
            entry = given[target] if isinstance(given[target], dict) else {"from": given[target]}
            for word in entry:
                if word not in _WORDS:
                    self._table.fail(f"{key}.{word} is not known{nearest(word, _WORDS)}")
            fields[target] = Field(
                self._sources(key, entry.get("from"), layout),
                self._unescape(f"{key}.unescape", entry.get("unescape", unescape)),
                self._absent(f"{key}.absent", entry["absent"]) if "absent" in entry else absent,
            )
        for target, names in self._own(layout, fields).items():
            fields[target] = Field(tuple((name,) for name in names), unescape, absent)
        return fields

    def _own(self, layout: Layout, fields: Mapping[str, Field]) -> dict[str, tuple[str, ...]]:
        """Columns taken for ours by their names, where nothing is said of either."""
        used = {source[0] for each in fields.values() for source in each.sources}
        named = {*fields, *self._table.subtable("constants")}
        own = {
            target: free
            for target, names in layout.own.items()
            if target not in named and (free := tuple(name for name in names if name not in used))
        }
        if "timestamp" in {*fields, *own} or len({*fields, *own} & {"date", "time"}) == 1:
            own = {name: of for name, of in own.items() if name not in ("date", "time")}
        return own

    def _sources(self, key: str, given: object, layout: Layout) -> tuple[Path, ...]:
        several = given if isinstance(given, list) else [given]
        if not several:
            self._table.fail(f"{key} is empty: name a column of the log, or leave it out")
        return tuple(self._source(key, each, layout) for each in several)

    def _source(self, key: str, given: object, layout: Layout) -> Path:
        is_json = isinstance(layout.reader, Json)
        if is_json and isinstance(given, str) and given:
            return tuple(int(step) if step.isdecimal() else step for step in given.split("."))
        if (
            is_json
            and isinstance(given, list)
            and given
            and all(isinstance(step, (str, int)) for step in given)
        ):
            return tuple(given)
        if is_json:
            self._table.fail(
                f'{key}: write a path as "request.headers.Host", or as [["key.with.dots", "inner"]]'
            )
        columns = layout.columns
        if isinstance(given, int) and not isinstance(given, bool):
            if not isinstance(layout.reader, Delimited) or columns is None:
                self._table.fail(
                    f"{key}: name the column; places are for kinds tsv and csv without a header"
                )
            if not 1 <= given <= len(columns):
                self._table.fail(
                    f"{key}: there is no column {given}: they count from 1 to {len(columns)}"
                )
            return (given,)
        if not isinstance(given, str) or not given:
            self._table.fail(f'{key}: name a column of the log, as in {key} = "name"')
        name = given.removeprefix("$") if self._table.entries["kind"] == "nginx" else given
        if columns is not None and name not in columns:
            self._table.fail(f"{key}: the log has no column {name!r}{nearest(name, columns)}")
        return (name,)

    def _constants(self, fields: Mapping[str, Field]) -> dict[str, bytes]:
        given = self._table.subtable("constants")
        for name, value in given.items():
            if name not in CONSTANTS:
                self._table.fail(f"constants.{name} cannot be one{nearest(name, CONSTANTS)}")
            if name in fields:
                self._table.fail(
                    f"constants.{name} is given, and a column of the log too: leave one out"
                )
            if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
                self._table.fail(f'constants.{name} is no text: write it as {name} = "…"')
        return {name: str(value).encode() for name, value in given.items()}

    def _check_enough(self, fields: Mapping[str, Field], constants: Mapping[str, bytes]) -> None:
        """A request without these is none of the pixel's, whatever else is known of it."""
        named = {*fields, *constants}
        has_halves = len(named & {"date", "time"})
        if has_halves == 1 or (has_halves == 2) == ("timestamp" in named):
            self._table.fail(
                'fields must name the time: timestamp = "…", or date = "…" and time = "…"'
            )
        if not named & {"uri", "url", "request", "path"}:
            self._table.fail(
                "fields must name the address asked for: uri, url, request, or path and query"
            )
        for name, usual in (("method", "GET"), ("status", "200")):
            if name not in named and not (name == "method" and "request" in named):
                self._table.fail(
                    f'fields must name the {name}; if the log has none, write [constants] {name} = "{usual}"'
                )

    def _times(self) -> Times:
        given = self._table.subtable("time")
        for key in given:
            if key not in ("format", "zone"):
                self._table.fail(f"time.{key} is not known{nearest(key, ('format', 'zone'))}")
        format_, zone = given.get("format", AUTO), given.get("zone")
        known = (AUTO, *EPOCHS, *NAMED)
        if not isinstance(format_, str) or (format_ not in known and "%" not in format_):
            self._table.fail(
                f"time.format {format_!r} is not known: write {', '.join(known)} or a pattern such as "
                '"%Y-%m-%d %H:%M:%S"'
            )
        if format_ not in known:
            try:
                check_pattern(self._table, "time.format", compiled(expression(format_)))
            except ValueError as error:
                self._table.fail(f"time.format {format_!r} cannot be used: {error}")
        if zone is not None and not (isinstance(zone, str) and is_zone(zone)):
            self._table.fail(
                f'time.zone {zone!r} is no zone: write "UTC", "Europe/Berlin" or "+02:00"'
            )
        return Times(format_, zone)

    def _with_needed(self, reader: Delimited, fields: Mapping[str, Field]) -> Delimited:
        """A header has at least the time and the address under the names given."""
        needed = [
            tuple(str(source[0]) for source in fields[target].sources)
            for target in ("timestamp", "date", "time", "uri", "url", "request", "path")
            if target in fields
        ]
        return Delimited(
            (),
            reader.delimiter,
            reader.is_quoted,
            reader.header_mark,
            reader.comment,
            tuple(needed),
        )

    def _absent(self, key: str, given: object) -> tuple[bytes, ...]:
        if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
            self._table.fail(f'{key} is a list of the log\'s words for nothing, as in ["-", ""]')
        return tuple(word.encode() for word in given)

    def _unescape(self, key: str, given: object) -> str:
        if not isinstance(given, str) or given not in UNESCAPES:
            self._table.fail(f"{key} {given!r} is not known: write one of {', '.join(UNESCAPES)}")
        return given
