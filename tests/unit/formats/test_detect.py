from __future__ import annotations

import pytest

from pipeline.formats import FORMATS, detect, named
from tests.logs import LINE_OF, Hit, log_in


@pytest.mark.parametrize("format_", FORMATS, ids=lambda format_: format_.name)
def test_each_format_is_known_by_its_lines(format_: object) -> None:
    name = format_.name  # type: ignore[attr-defined]
    assert named(name) is format_
    for write in LINE_OF[name]:
        found = detect([b"", b"rubbish", *log_in(name, write(Hit())).splitlines()])
        assert found is not None
        assert found.name == name


def test_an_unknown_name_is_no_format() -> None:
    assert named("nginx") is None
    assert named("") is None


def test_most_lines_win() -> None:
    lines = {name: writes[0](Hit()) for name, writes in LINE_OF.items()}
    found = detect(
        [lines["combined"], lines["nginx-json"], lines["nginx-json"], lines["nginx-tsv"]]
    )
    assert found is named("nginx-json")


def test_on_a_tie_the_earlier_format_wins() -> None:
    lines = [writes[0](Hit()) for writes in LINE_OF.values()]
    assert detect(lines[::-1]) is FORMATS[0]


def test_lines_are_looked_at_until_one_is_known() -> None:
    assert detect([b"rubbish"] * 1000 + [LINE_OF["combined"][0](Hit())]) is named("combined")
    assert detect([b"rubbish"] * 1000) is None
    assert detect([]) is None


@pytest.mark.parametrize(
    "line",
    [b"", b"px1", b"px1" + b"\t" * 11 + b".", b"px2" + b"\t" * 12 + b".", b"{}", b"[]", b"{", b'{"a":1}',
     b'{"msec":1,"status":200}', b"GET / HTTP/1.1", b"\0" * 100, b'"', b'1.2.3.4 - - [x] "GET / HTTP/1.0"'],
)  # fmt: skip
def test_other_lines_are_in_no_format(line: bytes) -> None:
    assert detect([line]) is None
