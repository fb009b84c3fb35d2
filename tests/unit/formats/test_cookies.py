from __future__ import annotations

import re

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.cookies import pxid_in

_PXID = re.compile(rb"(?:^|;)[ \t]*_pxid=([^;]*?)[ \t]*(?:;|\Z)")
_PIECES = [
    b"_pxid=",
    b"_pxid=a1",
    b";",
    b"; ",
    b" ",
    b"\t",
    b"b=2",
    b"x_pxid=3",
    b"_",
    b"\xff",
    b"\n",
]
_COOKIES = st.none() | st.lists(st.sampled_from(_PIECES), max_size=7).map(b"".join)


def one_by_one(cookie: bytes | None) -> bytes | None:
    found = _PXID.search(cookie or b"")
    return found[1] or None if found else None


@given(st.lists(_COOKIES, max_size=6), st.booleans())
def test_the_first_cookie_of_the_name_counts(cookies: list[bytes | None], is_slice: bool) -> None:
    column = pa.array([b"; _pxid=before", *cookies], pa.binary()).slice(1)
    column = column if is_slice else pa.array(cookies, pa.binary())
    assert pxid_in(column).to_pylist() == [one_by_one(cookie) for cookie in cookies]
