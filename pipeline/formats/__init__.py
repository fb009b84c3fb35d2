"""The log formats: one module each, listed here."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.formats.combined import Combined
from pipeline.formats.contract import Format, Parsed, Quirks
from pipeline.formats.nginx_json import NginxJson
from pipeline.formats.nginx_tsv import NginxTsv

FORMATS: tuple[Format, ...] = (NginxTsv(), NginxJson(), Combined())
"""Every format; on a tie in `detect` the earlier wins."""

_SNIFF_LINES = 200

__all__ = ["FORMATS", "Format", "Parsed", "Quirks", "detect", "named"]


def named(name: str, header: str | None = None) -> Format | None:
    """The format of a name, or None; bound to the header, where one is given."""
    found = next((format_ for format_ in FORMATS if format_.name == name), None)
    return found and found.bound([header.encode()] if header else [])


def detect(lines: Sequence[bytes]) -> Format | None:
    """The format that recognises most of a log's first lines (without newlines), bound to them.

    None if none knows any.
    """
    for some in (lines[:_SNIFF_LINES], lines[_SNIFF_LINES:]):
        known = [sum(map(format_.recognises, some)) for format_ in FORMATS]
        if best := max(known):
            return FORMATS[known.index(best)].bound(lines)
    return None
