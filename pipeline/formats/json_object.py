"""One line as a JSON object, by Python's parser: what every faster way must agree with.

A line is read as RFC 8259 has it (https://www.rfc-editor.org/rfc/rfc8259, checked 2026-11-21): of a
key that stands in an object twice the last value counts. Besides, control characters may stand raw
in strings, and bytes that are no UTF-8 stay as they are. A NUL, a carriage return, half a surrogate
pair, NaN, and objects and arrays nested more than 100 deep make a line malformed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]
"""The way to a value: keys of objects, and places in arrays from 0."""
MOST_NESTED = 100
SCALAR = r"(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)"
"""A value that stands without quotes."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SURROGATES = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F])|.)", re.DOTALL)
_MISSING_VALUE = re.compile(
    r'\\.|("[^"\\]*(?:\\.[^"\\]*)*")(?:[ \t]*(:)[ \t]*(?:-[ \t]*)?(?=[,}]))?', re.DOTALL
)
"""A string (whole, so that nothing within one is taken for a missing value) and what follows it."""
_NGINX_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|.)", re.DOTALL)


@dataclass(frozen=True)
class Dialect:
    """What a writer of JSON lines does its own way.

    `any_case`: keys are matched without case, as if all were lower case. `nginx`: strings may hold
    `\\xXX` and bare values may be missing (`"a":,` or `"a":-`); of several paths the first that is
    there is taken, even if it holds nothing.
    """

    any_case: bool = False
    nginx: bool = False

    def path(self, path: Path) -> Path:
        """A path as it leads to a value of what `read_object` gives."""
        return tuple(self.key(step) if isinstance(step, str) else step for step in path)

    def key(self, key: str) -> str:
        """A key as it is matched."""
        return key.lower() if self.any_case else key


PLAIN = Dialect()


def read_object(line: bytes, dialect: Dialect = PLAIN) -> dict[str, Any] | None:
    """The object that a line is, numbers as their text; None for anything else.

    Bytes that are no UTF-8 are given as `surrogateescape` has them.
    """
    if b"\0" in line or b"\r" in line or not line.lstrip(b" \t").startswith(b"{"):
        return None
    if b"\\" in line and any(match[1] for match in _SURROGATES.finditer(line)):
        return None
    if _is_too_deep(line):
        return None
    text = line.decode("utf-8", "surrogateescape")
    if not dialect.nginx:
        return _decoded(text, dialect)
    text = _NGINX_ESCAPE.sub(_to_json_escape, text)
    found = _decoded(text, dialect)
    return _decoded(_MISSING_VALUE.sub(_with_null, text), dialect) if found is None else found


def value_at(object_: Mapping[str, Any], path: Path) -> bytes | None:
    """The value that a path leads to in what `read_object` gave.

    True and false by those words; None for what is missing, null, "", "-", an array or an object.
    """
    return _to_bytes(_at(object_, path))


def first_value(
    object_: Mapping[str, Any], paths: Sequence[Path], dialect: Dialect
) -> bytes | None:
    """The value of the first path that holds one."""
    for path in paths:
        found = _at(object_, path)
        value = _to_bytes(found)
        if value is not None or (dialect.nginx and found is not _MISSING):
            return value
    return None


def _at(object_: Any, path: Path) -> Any:
    for step in path:
        if isinstance(step, str):
            object_ = object_.get(step, _MISSING) if isinstance(object_, dict) else _MISSING
        else:
            is_there = isinstance(object_, list) and 0 <= step < len(object_)
            object_ = object_[step] if is_there else _MISSING
    return object_


def _to_bytes(value: object) -> bytes | None:
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if not isinstance(value, str) or value in ("", "-"):
        return None
    return value.encode("utf-8", "surrogateescape")


def _is_too_deep(line: bytes) -> bool:
    if line.count(b"[") + line.count(b"{") <= MOST_NESTED:
        return False
    depth = 0
    for mark in _STRING.sub(b"", line):
        depth += (mark in b"[{") - (mark in b"]}")
        if depth > MOST_NESTED:
            return True
    return False


def _decoded(text: str, dialect: Dialect) -> dict[str, Any] | None:
    try:
        found = (_ANY_CASE if dialect.any_case else _AS_IS).decode(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _to_json_escape(match: re.Match[str]) -> str:
    """Nginx's `\\xXX` as JSON; bytes past ASCII as the surrogate that stands for the raw byte."""
    if match[1] is None:  # an escape of JSON's own, such as two backslashes
        return match[0]
    byte = int(match[1], 16)
    return f"\\u{byte:04x}" if byte < 0x80 else f"\\udc{byte:02x}"


def _with_null(match: re.Match[str]) -> str:
    return f"{match[1]}:null" if match[2] else match[0]


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _with_lower_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key.lower(): value for key, value in pairs}


def _decoder(**options: Any) -> json.JSONDecoder:
    return json.JSONDecoder(
        parse_int=str, parse_float=str, parse_constant=_refuse_constant, strict=False, **options
    )


_MISSING = object()
_AS_IS = _decoder()
_ANY_CASE = _decoder(object_pairs_hook=_with_lower_keys)
