"""Reads the corpus of ugly lines: see README.md beside it for what stands in a file."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.model import EDGE_NUMBERS, EDGE_TEXTS

FOLDER = Path(__file__).parent / "corpus"
FILES = sorted(FOLDER.glob("*.json"))
EDGE = (*EDGE_TEXTS, *EDGE_NUMBERS)


@dataclass(frozen=True)
class Case:
    """A line and what must come of it: a request, a reason against it, or neither (`aside`).

    `before` are the lines that a log with this line begins with. Of a request only the fields are
    given that it has, as bytes but for the time; `reason` beside it says that its time cannot be
    read.
    """

    name: str
    line: bytes
    before: tuple[bytes, ...]
    request: dict[str, bytes | str] | None
    stage: str | None
    reason: str | None
    aside: str | None


@dataclass(frozen=True)
class Corpus:
    """The cases of one file, the sound ones first; `map` is the text of a map of columns, if any."""

    name: str
    format: str
    map: str | None
    cases: tuple[Case, ...]

    @property
    def sound(self) -> Case:
        """A line as every log has it."""
        return self.cases[0]


def text_of(text: Any) -> bytes:
    """The bytes that a text of the corpus stands for."""
    if isinstance(text, str):
        return text.encode()
    if isinstance(text, list):
        return b"".join(map(text_of, text))
    if "base64" in text:
        return base64.b64decode(text["base64"], validate=True)
    return text_of(text["repeat"]) * int(text["times"])


def read(path: Path) -> Corpus:
    """A file of the corpus."""
    book = json.loads(path.read_text(encoding="utf-8"))
    sound = book["cases"][0]["request"]
    cases = tuple(_case(each, sound, book.get("before", [])) for each in book["cases"])
    return Corpus(path.stem, book["format"], book.get("map"), cases)


def _case(case: dict[str, Any], sound: dict[str, Any], before: Sequence[Any]) -> Case:
    request = {**sound, **case["differs"]} if "differs" in case else case.get("request")
    return Case(
        case["name"],
        text_of(case["line"]),
        tuple(map(text_of, case.get("before", before))),
        None if request is None else _fields(request),
        case.get("stage"),
        case.get("reason"),
        case.get("aside"),
    )


def _fields(request: dict[str, Any]) -> dict[str, bytes | str]:
    return {
        name: text if name == "timestamp" else text_of(text)
        for name, text in request.items()
        if text is not None
    }
