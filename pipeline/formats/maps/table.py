"""A map's TOML as read, with what every check of it says: the file, the key, what to write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import SetupError


@dataclass(frozen=True)
class Table:
    """The entries of a map's file. All methods raise SetupError."""

    file: str
    entries: Mapping[str, Any]

    def text(self, key: str, missing: str = "write it as a text in quotes") -> str:
        """A text that must be there."""
        value = self.entries.get(key)
        if not isinstance(value, str) or not value:
            self.fail(f"{key} is {'missing' if value is None else 'no text'}: {missing}")
        return value

    def one_of(self, key: str, choices: Sequence[str], usual: str | None = None) -> str:
        """One of some words."""
        value = self.entries.get(key, usual)
        if value not in choices:
            told = "is missing" if value is None else f"{value!r} is not known"
            self.fail(f"{key} {told}: write one of {', '.join(choices)}")
        return str(value)

    def flag(self, key: str) -> bool:
        """True or false, false by default."""
        value = self.entries.get(key, False)
        if not isinstance(value, bool):
            self.fail(f"{key} is true or false")
        return value

    def subtable(self, key: str) -> Mapping[str, Any]:
        """A table within, empty by default."""
        value = self.entries.get(key, {})
        if not isinstance(value, dict):
            self.fail(f"{key} is a table: write [{key}] on a line of its own, its keys below")
        return value

    def check_distinct(self, key: str, names: Sequence[str]) -> None:
        """Raises SetupError for a name that comes twice."""
        for name in names:
            if names.count(name) > 1:
                self.fail(f"{key} has {name!r} twice: give each its own name")

    def fail(self, why: str) -> NoReturn:
        """Raises SetupError: the file, and why."""
        raise SetupError(f"{self.file}: {why}.")

    def check_pattern(self, key: str, pattern: str) -> None:
        """Raises SetupError for what is no expression of RE2 with named groups."""
        try:
            made = pc.extract_regex(pa.array([], pa.binary()), pattern)
        except pa.ArrowInvalid as error:
            why = str(error).removeprefix("Invalid regular expression: ")
            if "unnamed" in why:
                why = "it has a group without a name: write (?:…) or (?P<name>…)"
            elif "perl operator" in why:
                why = f"{why} (of RE2's syntax: no look-around, no back-references)"
            self.fail(f"{key} is no regular expression: {why}")
        if not made.type.num_fields:
            self.fail(f"{key} names no group: write (?P<uri>…) around what is wanted")


def nearest(word: str, known: Iterable[str]) -> str:
    """What was meant, or what there is."""
    near = get_close_matches(word, known := tuple(known), 1)
    return f": perhaps {near[0]} is meant" if near else f": choose of {', '.join(known)}"
