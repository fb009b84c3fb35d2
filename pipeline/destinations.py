"""Which table a view may go to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
_RESERVED = {"pixelship", "information_schema"}


def is_permitted(destination: str, allow: Sequence[str] = ("*",)) -> bool:
    """Whether a destination is a well-formed DATASET.TABLE, not ours, and allowed by a glob.

    Names that start with `_` are BigQuery's own, `pixelship` is ours.
    """
    parts = destination.split(".")
    is_named = len(parts) == 2 and all(
        _NAME.fullmatch(part) and part.lower() not in _RESERVED for part in parts
    )
    return is_named and matches(destination, allow)


def matches(destination: str, globs: Sequence[str]) -> bool:
    """Whether one of some globs fits the destination."""
    return any(fnmatchcase(destination, glob) for glob in globs)
