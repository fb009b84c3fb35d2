"""The corpus of ugly lines (see README.md beside this): each is read as it must be, alone and among others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import formats
from pipeline.formats import FORMATS, Format
from pipeline.formats.maps import map_of
from pipeline.hits import KEYS
from pipeline.model import Reason, Stage
from pipeline.options import PIXEL_PATHS
from tests.cli.conftest import Pixelship, bare
from tests.hostile import corpus
from tests.hostile.corpus import Case, Corpus
from tests.logs import lines_of, log, read, told

__all__ = ["bare"]
BOOKS = [corpus.read(path) for path in corpus.FILES]
EACH = pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.name)
CASES = pytest.mark.parametrize(
    ("book", "case"),
    [(book, case) for book in BOOKS for case in book.cases],
    ids=[f"{book.name}: {case.name}" for book in BOOKS for case in book.cases],
)
READING = (Stage.BLOCKS.value, Stage.FORMAT.value)
FAR = 1 << 20
"""A place where no byte order mark is taken for one."""


def format_of(book: Corpus, before: tuple[bytes, ...] = ()) -> Format:
    if book.map is not None:
        return map_of(book.map.encode(), f"{book.name}.toml").bound(before)
    found = formats.named(book.format)
    assert found is not None
    return found.bound(before)


def expected(case: Case) -> dict[str, Any] | str | None:
    """What `found` gives for a case."""
    if case.request is not None:
        return {"timestamp": None, **case.request}
    return case.reason or case.aside


def found(format_: Format, data: bytes) -> list[dict[str, Any] | str | None]:
    """What a format makes of each line: a request less what is null, or the word for another fate."""
    parsed = format_.parse(lines_of(data, FAR))
    fates: dict[int, Any] = {}
    for word, rows in (
        ("malformed", parsed.malformed),
        ("header", parsed.header),
        ("other", parsed.other),
    ):
        fates |= dict.fromkeys(rows.tolist(), word)
    for row in map(told, parsed.requests.to_pylist()):
        line, time = row.pop("line"), row.pop("timestamp")
        fields = {name: value for name, value in row.items() if value is not None}
        assert line not in fates
        fates[line] = {"timestamp": time and f"{time:%Y-%m-%dT%H:%M:%S.%fZ}", **fields}
    assert sorted(fates) == list(range(data.count(b"\n")))
    return [fates[line] for line in sorted(fates)]


def fit(book: Corpus) -> list[Case]:
    """The cases that reach a format: none too long."""
    return [case for case in book.cases if case.stage != Stage.BLOCKS.value]


@CASES
def test_alone(book: Corpus, case: Case) -> None:
    if case.stage == Stage.BLOCKS.value:
        assert read(log(*case.before, case.line), format_=format_of(book, case.before)).reasons == [case.reason]  # fmt: skip
        return
    format_ = format_of(book, case.before)
    assert found(format_, log(*case.before, case.line))[len(case.before) :] == [expected(case)]
    if format_.recognises(case.line):
        assert expected(case) != "malformed"


@EACH
def test_among_sound_lines(book: Corpus) -> None:
    lines, wanted = [], []
    for case in fit(book):
        if book.sound.before and not case.before:
            continue  # a log without a header has none among its lines
        between = (*case.before, book.sound.line if case.before == book.sound.before else b"")
        for line in filter(None, (*between, case.line)):
            lines.append(line)
            is_header = line in case.before
            wanted.append("header" if is_header else expected(case if line == case.line else book.sound))  # fmt: skip
    assert found(format_of(book, book.sound.before), log(*lines)) == wanted


@EACH
def test_through_the_engine(book: Corpus) -> None:
    for before in dict.fromkeys(case.before for case in book.cases):
        cases = [case for case in book.cases if case.before == before]
        data = log(b"", *before, *(case.line for case in cases))
        starts = [0, *(at + 1 for at, byte in enumerate(data) if byte == ord("\n"))]
        reading = read(data, format_=format_of(book, before))
        reasons = {
            starts.index(row["source_position"]): (row["stage"], row["reason"])
            for row in reading.rejects
            if row["stage"] in READING
        }
        wanted = {
            place: verdict
            for place, case in enumerate(cases, 1 + len(before))
            if (verdict := refusal(case))
        }
        assert reasons == wanted
        headers = sum(case.aside == "header" for case in cases)
        assert reading.tally.header == 1 + len(before) + headers


def refusal(case: Case) -> tuple[str | None, str] | None:
    """The reason for which the job refuses a line before it looks at its URL."""
    fields = case.request
    if fields is not None and case.reason:
        is_view = (
            fields.get("path") in [path.encode() for path in PIXEL_PATHS]
            and fields.get("method") in (b"GET", b"HEAD")
            and fields.get("status") in (b"200", b"204", b"304")
        )
        return (case.stage, case.reason) if is_view else None
    return (case.stage, case.reason) if case.reason else None


@EACH
def test_through_the_command(book: Corpus, bare: Pixelship) -> None:
    for before in dict.fromkeys(case.before for case in book.cases):
        cases = [case for case in book.cases if case.before == before]
        Path("a.log").write_bytes(log(b"", *before, *(case.line for case in cases)))
        Path("map.toml").write_text(book.map or "", encoding="utf-8")
        name = "map.toml" if book.map else book.format
        done = bare("parse", "a.log", "--format", name, "--json")
        assert [json.loads(line) for line in done.stdout.splitlines()] == [
            as_printed(book, case.request) for case in cases if case.request is not None
        ]
        assert done.stdout.replace("\n", "").isprintable()
        refused = sum(case.request is None and case.reason is not None for case in cases)
        assert done.status == (1 if refused else 0)


def as_printed(book: Corpus, request: dict[str, Any]) -> dict[str, Any]:
    texts = {
        name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        for name, value in request.items()
    }
    return {**dict.fromkeys(KEYS), "format": book.format, **texts}


@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
def test_every_format_has_a_book(format_: Format) -> None:
    assert format_.name in {book.format for book in BOOKS}


@EACH
def test_a_book_is_as_the_readme_says(book: Corpus) -> None:
    names = [case.name for case in book.cases]
    assert len(set(names)) == len(names)
    assert book.sound.request is not None
    assert book.sound.reason is None
    for case in book.cases:
        assert b"\n" not in case.line
        assert (case.request is None) <= ((case.reason is None) != (case.aside is None))
        assert case.aside in {None, "header", "other"}
        if case.reason:
            assert (case.stage, case.reason) in {(each.stage.value, each.label) for each in Reason}
        if case.request is not None:
            assert (case.reason == "bad-time") == ("timestamp" not in case.request)
            assert case.request.keys() <= {*KEYS, *corpus.EDGE} - {"format"}
