"""docs/formats.md: its table says what the code says, and its examples do what they show."""

from __future__ import annotations

import importlib
import inspect
import json
import re

import pytest

from pipeline.formats import FORMATS, Format
from pipeline.formats.maps import map_of
from pipeline.formats.maps.columns import UNESCAPES
from pipeline.formats.maps.document import KINDS, keys_of
from pipeline.formats.maps.layouts import TARGETS
from pipeline.formats.maps.times import AUTO, EPOCHS, NAMED, directives
from pipeline.hits import rows_of
from tests.logs import lines_of
from tests.test_docs import FORMATS as PAGE
from tests.test_docs import section, tables

EXAMPLES = re.findall(r"```toml\n(.*?)```\n+```log\n(.*?)```\n+```json\n(.*?)\n```", PAGE, re.S)


@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
def test_the_table_says_what_a_format_says_of_itself(format_: Format) -> None:
    module = importlib.import_module(type(format_).__module__)
    (row,) = (row for row in tables(PAGE) if row[0] == f"`{format_.name}`")
    quirks = format_.quirks
    linked = re.fullmatch(r"\[(.*)\]\((https://[^)]*)\)", row[1])
    assert linked is not None
    assert (linked[1], *row[2:]) == (quirks.title, quirks.lateness, quirks.order, quirks.delivery, "; ".join(quirks.lacks) or "–")  # fmt: skip
    assert linked[2] in (inspect.getdoc(module) or "")


def test_the_formats_stand_in_their_order() -> None:
    rows = [row[0].strip("`") for row in tables(PAGE.partition("\n## ")[0])]
    assert rows == [format_.name for format_ in FORMATS]


def test_every_example_is_complete() -> None:
    assert PAGE.count("```toml") == len(EXAMPLES) == PAGE.count("```log")
    assert {map_of(text.encode(), "x").kind for text, _, _ in EXAMPLES} == set(KINDS)


@pytest.mark.parametrize(("text", "log", "told"), EXAMPLES, ids=lambda part: part[:20])
def test_an_example_reads_its_line(text: str, log: str, told: str) -> None:
    lines = lines_of(log.encode())
    map_ = map_of(text.encode(), "example.toml").bound(log.encode().splitlines())
    parsed = map_.parse(lines)
    (row,) = rows_of(parsed.requests, map_)
    del row["format"]
    assert {name: value for name, value in row.items() if value is not None} == json.loads(told)
    assert not len(parsed.malformed)


def test_every_key_and_word_of_a_map_is_documented() -> None:
    page = section(PAGE, "All keys")
    documented = {row[0].strip("`").strip("[]"): row[1] for row in tables(page)}
    for key, kinds in keys_of().items():
        assert documented[key] == ("all" if set(kinds) == set(KINDS) else ", ".join(kinds))
    for word in (*TARGETS, *KINDS, *UNESCAPES, AUTO, *EPOCHS, *NAMED):
        assert f"`{word}`" in page, word
    (patterns,) = re.findall(r"a pattern of `(.*?)`", page)
    assert sorted(patterns.split()) == sorted(f"%{letter}" for letter in directives())
