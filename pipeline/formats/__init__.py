"""The log formats: one module each, listed here."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.formats.combined import Combined
from pipeline.formats.contract import Format, Parsed
from pipeline.formats.nginx_json import NginxJson
from pipeline.formats.nginx_tsv import NginxTsv

FORMATS: tuple[Format, ...] = (NginxTsv(), NginxJson(), Combined())
"""Every format; on a tie in `detect` the earlier wins."""

_SNIFF_LINES = 200

__all__ = ["FORMATS", "Format", "Parsed", "detect", "named"]


def named(name: str) -> Format | None:
    """The format of a name, or None."""
    return next((format_ for format_ in FORMATS if format_.name == name), None)


def detect(lines: Sequence[bytes]) -> Format | None:
    """The format that recognises most of some lines (without newlines); None if none knows any."""
    for some in (lines[:_SNIFF_LINES], lines[_SNIFF_LINES:]):
        known = [sum(map(format_.recognises, some)) for format_ in FORMATS]
        if best := max(known):
            return FORMATS[known.index(best)]
    return None
