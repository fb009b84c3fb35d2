"""A TOML file as read, with what every check of it says: the file, the key, what to write."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn

from pipeline.errors import SetupError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def parse_toml(data: bytes, file: str) -> Table:
    """A file's bytes as a table; `file` names it in messages. Raises SetupError."""
    try:
        entries = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise SetupError(f"{file} is not UTF-8: save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{file} is no TOML: {error}.") from None
    return Table(file, entries)


@dataclass(frozen=True)
class Table:
    """The entries of a file, or of a table within, whose name then stands before its keys.

    All methods raise SetupError.
    """

    file: str
    entries: Mapping[str, Any]
    name: str = ""

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

    def texts(self, key: str, usual: Sequence[str] = ()) -> tuple[str, ...]:
        """A list of texts, or what is usual."""
        value = self.entries.get(key, list(usual))
        if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
            self.fail(f'{key} is a list of texts: write it as ["…", "…"]')
        return tuple(value)

    def table(self, key: str) -> Table:
        """A table within, empty by default."""
        return Table(self.file, self.subtable(key), f"{self.name}{key}.")

    def check_keys(self, known: Sequence[str]) -> None:
        """Raises SetupError for a key that is none of those known."""
        for key in self.entries:
            if key not in known:
                self.fail(f"{key} is not known{nearest(key, known)}")

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
        """Raises SetupError: the file, and why, which begins with the key."""
        raise SetupError(f"{self.file}: {self.name}{why}.")


def nearest(word: str, known: Iterable[str]) -> str:
    """What was meant, or what there is."""
    near = get_close_matches(word, known := tuple(known), 1)
    return f": perhaps {near[0]} is meant" if near else f": choose of {', '.join(known)}"
