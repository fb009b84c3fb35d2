"""Signatures of version 2: whatever is signed verifies, whatever is changed does not, the rest is free."""

from __future__ import annotations

import re
from urllib.parse import quote

import pyarrow as pa
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.model import Reason
from pipeline.query import parse_leniently
from pipeline.signing import NO_KEY, Key, KeyRing, key_ring, read_signed, sign_query_v2, verify

SECRETS = ("first", "second")
RING = key_ring(SECRETS)
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=6)
NAMES = st.from_regex(r"\A[A-Za-z0-9_-]{1,6}\Z").filter(lambda name: name != "s")
PARAMETERS = st.dictionaries(NAMES, TEXTS, min_size=1, max_size=6)
ANYTHING = st.one_of(
    st.binary(max_size=12).map(lambda raw: re.sub(rb"&?s=|&|=", b"", raw)),
    st.sampled_from((b"x=%00", b"x=%FF", b"utm_source=1", b"%", b"{{id}}", b"amp;k=1", b"x&x&x")),
)
FREE = re.compile(rb"[A-Za-z0-9_%.-]*=?")


def judged(*queries: bytes, ring: KeyRing = RING) -> list[tuple[int, int]]:
    """For each query string its key's number and its reason."""
    number, reason = verify(read_signed(pa.array(queries, pa.binary())), ring)
    return list(zip(number.tolist(), reason.tolist(), strict=True))


def names_in(query: bytes) -> set[bytes]:
    """The decoded names of a query string, as the parser has them."""
    parameters = parse_leniently(pa.array([query], pa.binary()))
    return {name.encode() for name in parameters.name.to_pylist()}


@given(parameters=PARAMETERS, number=st.integers(0, 1))
def test_what_is_signed_verifies_by_its_key_alone(parameters: dict[str, str], number: int) -> None:
    query = sign_query_v2(parameters, RING.keys[number]).encode()
    assert judged(query) == [(number, 0)]
    assert judged(query, ring=KeyRing((RING.keys[1 - number],))) == [(NO_KEY, Reason.UNKNOWN_KEY)]
    read = read_signed(pa.array([query]))
    signed = zip(read.signed.name.to_pylist(), read.signed.value.to_pylist(), strict=True)
    assert dict(signed) == parameters
    assert len(read.unsigned.row) == 0


@given(parameters=PARAMETERS, added=st.lists(ANYTHING, max_size=4), at=st.integers(0, 8))
def test_what_is_added_does_not_matter(
    parameters: dict[str, str], added: list[bytes], at: int
) -> None:
    query = sign_query_v2(parameters, RING.keys[0]).encode()
    for piece in added:
        assume(not names_in(piece) & {b"s", *(name.encode() for name in parameters)})
        pieces = query.split(b"&")
        query = b"&".join([*pieces[:at], piece, *pieces[at:]])
    assert judged(query) == [(0, 0)]
    signed = read_signed(pa.array([query])).signed
    assert dict(zip(signed.name.to_pylist(), signed.value.to_pylist(), strict=True)) == parameters


@given(parameters=PARAMETERS, values=st.data())
def test_a_changed_value_refuses(parameters: dict[str, str], values: st.DataObject) -> None:
    name = values.draw(st.sampled_from(sorted(parameters)))
    value = values.draw(TEXTS.filter(lambda text: text != parameters[name]))
    s = sign_query_v2(parameters, RING.keys[0]).partition("&")[0]
    changed = {**parameters, name: value}
    rest = "&".join(f"{name}={quote(value, safe='')}" for name, value in changed.items())
    assert judged(f"{s}&{rest}".encode()) == [(NO_KEY, Reason.TAMPERED)]


@given(parameters=PARAMETERS, name=st.data())
def test_a_missing_or_doubled_parameter_refuses(
    parameters: dict[str, str], name: st.DataObject
) -> None:
    drawn = name.draw(st.sampled_from(sorted(parameters)))
    query = sign_query_v2(parameters, RING.keys[0])
    pieces = query.split("&")
    less = "&".join(piece for piece in pieces if piece.partition("=")[0] != drawn)
    assert judged(less.encode(), f"{query}&{drawn}".encode(), f"{drawn}&{query}".encode()) == [
        (NO_KEY, Reason.TAMPERED),
        (NO_KEY, Reason.DUPLICATE_PARAMETER),
        (NO_KEY, Reason.DUPLICATE_PARAMETER),
    ]


@given(
    parameters=PARAMETERS,
    at=st.integers(0, 200),
    piece=st.one_of(st.binary(min_size=1, max_size=2), st.sampled_from((b"~", b".", b"A", b"2"))),
)
def test_a_changed_signature_refuses(parameters: dict[str, str], at: int, piece: bytes) -> None:
    s, _, rest = sign_query_v2(parameters, RING.keys[0]).encode().partition(b"&")
    place = len(b"s=") + at % (len(s) - len(b"s="))
    changed = s[:place] + piece + s[place + len(piece) :]
    assume(b"&" not in piece and b"%" not in piece and changed != s)
    ((number, reason),) = judged(changed + b"&" + rest)
    assert number == NO_KEY
    assert reason != 0


SCRAPS = st.lists(
    st.sampled_from((b"2.", b"39f93a2d", b".", b"~", b"c", b"c~d", b"\xc3\xa9", b"%C3%A9", b"\xf0\x9f\x8e\xa7",
                     b"%FF", b"%00", b"A" * 43, b"A" * 42, b"&k=1", b"&c", b"&s=2.")), max_size=8,
).map(lambda pieces: b"s=2." + b"".join(pieces))  # fmt: skip


@given(queries=st.lists(st.one_of(st.binary(max_size=30), SCRAPS, st.from_regex(
    rb"\As=2\.[0-9a-f]{7,9}\.([a-cs]{0,2}~?){0,4}\.[A-Za-z0-9_-]{42,44}(&[a-cs]=?.?){0,4}\Z")), max_size=8))  # fmt: skip
def test_no_bytes_raise_and_none_verify(queries: list[bytes]) -> None:
    alone = [judged(query)[0] for query in queries]
    assert judged(*queries) == alone
    assert all(number == NO_KEY and reason for number, reason in alone)


@given(secret=st.binary(min_size=1, max_size=80), parameters=PARAMETERS)
def test_any_secret_signs(secret: bytes, parameters: dict[str, str]) -> None:
    key = Key(secret)
    assert judged(sign_query_v2(parameters, key).encode(), ring=KeyRing((key,))) == [(0, 0)]
