"""What a format makes of single lines, alone and among others."""

from __future__ import annotations

import json
from typing import Any

from pipeline.formats import Format
from tests.logs import lines_of, log

ODD = (b'{"escaped":"\\u0041"}', b"{}", b"no JSON")
"""Lines that stand beside the one that is looked at."""


def line_of(record: dict[str, Any]) -> bytes:
    """A record as a line of JSON."""
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogateescape")


def fate(format_: Format, line: bytes) -> dict[str, Any] | str:
    """What becomes of a line: the request's columns, or "malformed", "header" or "other".

    Whatever stands beside it.
    """
    alone = _fates(format_, line)[0]
    for beside in ([line, line], [*ODD, line], [line, *ODD], [line, line, *ODD, line]):
        fates = _fates(format_, *beside)
        assert fates[beside.index(line)] == alone
    return alone


def request(format_: Format, line: bytes) -> dict[str, Any]:
    """The columns of a line that is a request."""
    found = fate(format_, line)
    assert isinstance(found, dict), found
    return found


def _fates(format_: Format, *lines: bytes) -> list[dict[str, Any] | str]:
    parsed = format_.parse(lines_of(log(*lines)))
    found: dict[int, dict[str, Any] | str] = {}
    for row in parsed.requests.to_pylist():
        found[row.pop("line")] = row
    for name in ("malformed", "header", "other"):
        found |= dict.fromkeys(getattr(parsed, name).tolist(), name)
    assert sorted(found) == list(range(len(lines)))
    return [found[number] for number in range(len(lines))]
