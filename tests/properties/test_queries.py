"""Query strings and signatures against slow, obvious readings of the rules."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model import Reason
from pipeline.query import MOST_PARAMETERS, Parameters, parse_queries
from pipeline.signing import NO_KEY, Key, KeyRing, messages, sign_query

HEX = b"0123456789abcdefABCDEF"
PIECES = st.sampled_from(
    (b"&", b"&", b"=", b"=", b"a", b"b", b"k", b"+", b"%", b"%%", b"%2", b"%41", b"%4a", b"%26", b"%3D",
     b"%C3%A9", b"%c3", b"\xc3\xa9", b"\xff", b"%C0%80", b"%ED%A0%80", b"%F4%90%80%80", b"%00", b"\0",
     b";", b" ", b'"', b"%22", b"%5C", b"%0a", b"\xf0\x9f\x8e\xa7", b"\xef\xbd\x9e")
)  # fmt: skip
QUERIES = st.one_of(
    st.lists(PIECES, max_size=14).map(b"".join),
    st.binary(max_size=12),
    st.integers(MOST_PARAMETERS - 1, MOST_PARAMETERS + 2).map(
        lambda count: b"&".join(b"%d" % number for number in range(count))
    ),
)
NAMES = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=4)
VALUES = st.one_of(
    NAMES, st.sampled_from(("\U0001f3a7", "\uff5e", "\x7f\u2028", '"\\/\b\f\n\r\t\x01'))
)


def decode_slowly(text: bytes) -> bytes:
    decoded, at = b"", 0
    while at < len(text):
        escape = text[at + 1 : at + 3]
        if text[at : at + 1] == b"%" and len(escape) == 2 and all(char in HEX for char in escape):
            decoded += bytes([int(escape, 16)])
            at += 3
        else:
            decoded += b" " if text[at : at + 1] == b"+" else text[at : at + 1]
            at += 1
    return decoded


def parse_slowly(query: bytes) -> tuple[int, list[tuple[str, str]]]:
    """The fault, and the pairs as they stand in the query string."""
    pieces = [piece for piece in query.split(b"&") if piece]
    if len(pieces) > MOST_PARAMETERS:
        return Reason.TOO_MANY_PARAMETERS, []
    pairs = []
    for piece in pieces:
        name, _, value = piece.partition(b"=")
        pairs.append((decode_slowly(name), decode_slowly(value)))
    if any(b"\0" in name + value for name, value in pairs):
        return Reason.NUL_BYTE, []
    try:
        texts = [(name.decode(), value.decode()) for name, value in pairs]
    except UnicodeDecodeError:
        return Reason.NOT_UTF8, []
    if len({name for name, _ in texts}) < len(texts):
        return Reason.DUPLICATE_PARAMETER, []
    return 0, texts


def in_order(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Sorted as JavaScript sorts strings: by UTF-16 code units."""
    return sorted(pairs, key=lambda pair: pair[0].encode("utf-16-be"))


def pairs_of(parameters: Parameters, row: int) -> list[tuple[str, str]]:
    pairs = zip(
        parameters.row, parameters.name.to_pylist(), parameters.value.to_pylist(), strict=True
    )
    return [(name, value) for owner, name, value in pairs if owner == row]


@given(queries=st.lists(QUERIES, max_size=6))
def test_queries_are_parsed_as_the_rules_say(queries: list[bytes]) -> None:
    parameters = parse_queries(pa.array(queries, pa.binary()))
    assert parameters.count == len(queries)
    assert parameters.fault.tolist() == [parse_slowly(query)[0] for query in queries]
    for row, query in enumerate(queries):
        fault, pairs = parse_slowly(query)
        assert pairs_of(parameters, row) == in_order(pairs)
        for name in ("a", "k", ""):
            assert parameters.get(name)[row].as_py() == dict(pairs).get(name)
            assert parameters.is_last(name)[row] == (
                fault == 0 and pairs[-1:] != [] and pairs[-1][0] == name
            )


@given(queries=st.lists(QUERIES, min_size=1, max_size=6), offset=st.integers(0, 5))
def test_a_slice_of_queries_is_parsed_alike(queries: list[bytes], offset: int) -> None:
    array = pa.array(queries, pa.binary())
    sliced, fresh = (
        parse_queries(array.slice(offset)),
        parse_queries(pa.array(queries[offset:], pa.binary())),
    )
    assert sliced.fault.tolist() == fresh.fault.tolist()
    assert sliced.name.equals(fresh.name)
    assert sliced.value.equals(fresh.value)


@given(queries=st.lists(QUERIES, max_size=6))
def test_what_is_signed_is_canonical_json(queries: list[bytes]) -> None:
    found = messages(parse_queries(pa.array(queries, pa.binary()))).to_pylist()
    for message, query in zip(found, queries, strict=True):
        pairs = in_order([pair for pair in parse_slowly(query)[1] if pair[0] != "s"])
        assert message == json.dumps(pairs, ensure_ascii=False, separators=(",", ":"))


@given(secret=st.binary(max_size=200), message=st.binary(max_size=300))
def test_digests_are_hmac_sha256(secret: bytes, message: bytes) -> None:
    key = Key(secret)
    assert key.digest(message) == hmac.digest(secret, message, hashlib.sha256)
    assert key.digest(message) == key.digest(message)


@given(
    parameters=st.dictionaries(NAMES.filter(lambda name: name != "s"), VALUES, max_size=6),
    secrets=st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=3, unique=True),
    chosen=st.integers(0, 2),
)
def test_what_is_signed_verifies(
    parameters: dict[str, str], secrets: list[bytes], chosen: int
) -> None:
    ring = KeyRing(tuple(map(Key, secrets)))
    number = chosen % len(secrets)
    query = sign_query(parameters, ring.keys[number])
    parsed = parse_queries(pa.array([query.encode()]))
    assert parsed.fault.tolist() == [0]
    assert ring.verify(messages(parsed), parsed.get("s")).tolist() == [number]
    without = KeyRing(ring.keys[:number] + ring.keys[number + 1 :])
    assert without.verify(messages(parsed), parsed.get("s")).tolist() == [NO_KEY]
    pairs = in_order(list(parameters.items()))
    message = json.dumps(pairs, ensure_ascii=False, separators=(",", ":")).encode()
    digest = hmac.digest(secrets[number], message, hashlib.sha256)
    assert dict(pairs_of(parsed, 0))["s"] == urlsafe_b64encode(digest).decode().rstrip("=")


@given(
    st.lists(
        st.one_of(st.none(), st.text(max_size=50), st.text("AQgw-_", min_size=43, max_size=43))
    )
)
def test_no_other_text_is_a_signature(signatures: list[str | None]) -> None:
    texts = pa.array(["[]"] * len(signatures), pa.string())
    verified = KeyRing((Key(b"secret"),)).verify(texts, pa.array(signatures, pa.string()))
    assert verified.tolist() == [NO_KEY] * len(signatures)
