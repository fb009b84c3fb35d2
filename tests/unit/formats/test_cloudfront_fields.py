from __future__ import annotations

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.cloudfront_fields import unescape_agents
from pipeline.formats.cookies import pxid_in
from pipeline.formats.percent import unescape_values
from tests.text_logs import escape_cloudfront

VALUES = st.lists(
    st.one_of(
        st.none(),
        st.binary(max_size=12),
        st.lists(st.sampled_from((b"%", b"25", b"2", b"f", b"G", b"%2F", b" ")), max_size=8).map(
            b"".join
        ),
    ),
    max_size=6,
)


def column(*texts: bytes | None) -> pa.Array:
    return pa.array(texts, pa.binary())


@pytest.mark.parametrize(
    ("escaped", "value"),
    [
        (b"", b""),
        (b"plain/text?", b"plain/text?"),
        (b"a%20b", b"a b"),
        (b"%2520", b"%20"),
        (b"%252520", b"%2520"),
        (b"%c3%A9", b"\xc3\xa9"),
        (b"%00%ff", b"\0\xff"),
        (b"%", b"%"),
        (b"%4", b"%4"),
        (b"%zz%4g%g4", b"%zz%4g%g4"),
        (b"%%41", b"%A"),
        (b"%4%41", b"%4A"),
        (b"%2541", b"%41"),
        (b"+", b"+"),
    ],
)
def test_escapes_are_undone_once(escaped: bytes, value: bytes) -> None:
    assert unescape_values(column(escaped)).to_pylist() == [value]
    among = column(b"%", escaped, None, b"41", escaped)
    assert unescape_values(among).to_pylist() == [b"%", value, None, b"41", value]
    assert unescape_values(among.slice(1, 3)).to_pylist() == [value, None, b"41"]


def test_text_is_taken_for_its_bytes() -> None:
    assert unescape_values(pa.array(["%FF\u00e9"])).to_pylist() == [b"\xff\xc3\xa9"]


def test_no_values() -> None:
    assert unescape_values(column()).to_pylist() == []
    assert unescape_values(column(None, None)).to_pylist() == [None, None]


@given(VALUES)
def test_values_are_unescaped_each_for_itself(values: list[bytes | None]) -> None:
    one_by_one = [
        value
        if value is None
        else re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), value)
        for value in values
    ]
    assert unescape_values(column(*values)).to_pylist() == one_by_one


@given(st.lists(st.binary(min_size=1, max_size=12), max_size=5))
def test_what_was_escaped_comes_back(values: list[bytes]) -> None:
    escaped = column(*map(escape_cloudfront, values))
    assert unescape_values(escaped).to_pylist() == values


@pytest.mark.parametrize(
    ("escaped", "agent"),
    [
        (b"Mozilla/5.0%20(X11)", b"Mozilla/5.0 (X11)"),
        (b"Mozilla/5.0%2520(X11)", b"Mozilla/5.0 (X11)"),
        (b"My%2520App/1%20Darwin/22", b"My%20App/1 Darwin/22"),
        (b"100%25", b"100%"),
        (b"100%2525", b"100%25"),
        (b"curl/7.46.0", b"curl/7.46.0"),
        (b"a%2520%2522b%2522", b'a "b"'),
    ],
)
def test_user_agents_of_all_years_have_their_spaces(escaped: bytes, agent: bytes) -> None:
    assert unescape_agents(column(escaped)).to_pylist() == [agent]
    among = column(b"a%20b", None, escaped)
    assert unescape_agents(among).to_pylist() == [b"a b", None, agent]


@pytest.mark.parametrize(
    ("cookies", "pxid"),
    [
        (b"_pxid=a1", b"a1"),
        (b"theme=dark; _pxid=a1; b=c", b"a1"),
        (b"theme=dark;_pxid=a1;b=c", b"a1"),
        (b"_pxid=a1; _pxid=b2", b"a1"),
        (b"_pxid=a=1 ", b"a=1"),
        (b"x_pxid=a1; _pxid2=b", None),
        (b"b=_pxid=a1", None),
        (b"_pxid=", None),
        (b"", None),
        (None, None),
        (b"\xff;\t_pxid=\xe9", b"\xe9"),
    ],
)
def test_the_cookie_is_found_among_others(cookies: bytes | None, pxid: bytes | None) -> None:
    assert pxid_in(column(cookies)).to_pylist() == [pxid]
