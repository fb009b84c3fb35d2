from __future__ import annotations

import json

import pyarrow as pa
import pytest

from pipeline.dialects.contract import Claims
from pipeline.dialects.prx import read_claims
from pipeline.model import Reason
from pipeline.options import Rules
from pipeline.signing import NO_KEY, Key, KeyRing, key_ring
from tests.logs import RULES, SECRET, signed


def claims(*queries: bytes, rules: Rules = RULES) -> Claims:
    return read_claims(pa.array(queries, pa.binary()), rules)


def reason_of(query: bytes, rules: Rules = RULES) -> int:
    """The reason against one claim, the same alone and among others."""
    alone = int(claims(query, rules=rules).reason[0])
    assert claims(signed(), query, b"", rules=rules).reason[1] == alone
    return alone


def test_a_signed_view_claims_its_parameters() -> None:
    found = claims(signed(k="é & =", c="https://e.org/?a=b", d="mail.opens"))
    assert found.reason.tolist() == [0]
    assert found.key_number.tolist() == [0]
    assert found.key.to_pylist() == ["é & ="]
    assert found.canonical.to_pylist() == ["https://e.org/?a=b"]
    assert found.destination.to_pylist() == ["mail.opens"]
    assert found.params.to_pylist() == [None]


def test_other_signed_parameters_are_kept_as_json() -> None:
    found = claims(signed(zz='"1"', a="é", blank=""), signed())
    assert found.params.to_pylist() == ['{"a":"é","blank":"","zz":"\\"1\\""}', None]
    assert json.loads(found.params[0].as_py()) == {"a": "é", "blank": "", "zz": '"1"'}


def test_no_claims_at_all() -> None:
    found = claims()
    assert found.reason.tolist() == []
    assert found.key_number.tolist() == []
    assert found.params.to_pylist() == []


SIGNATURE = signed()[2:45]
REST = signed()[46:]
"""The query string less its signature."""


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (b"s=" + SIGNATURE + b"&" + REST, 0),
        (REST + b"&s=" + SIGNATURE, 0),
        (b"", Reason.UNSIGNED),
        (REST, Reason.UNSIGNED),
        (REST + b"&s=", Reason.UNSIGNED),
        (REST + b"&s", Reason.UNSIGNED),
        (REST + b"&S=" + SIGNATURE, Reason.UNSIGNED),
        (REST[:-1] + b"%", Reason.UNSIGNED),
        (REST + b"&s=" + SIGNATURE[:42], Reason.TRUNCATED),
        (REST + b"&s=x", Reason.TRUNCATED),
        (b"s=" + SIGNATURE[:10], Reason.TRUNCATED),
        (b"s=" + SIGNATURE + b"&" + REST[:-20] + b"%2", Reason.TRUNCATED),
        (b"s=" + SIGNATURE + b"&" + REST[:-20] + b"%", Reason.TRUNCATED),
        (b"s=" + SIGNATURE[:42] + b"&" + REST, Reason.TAMPERED),
        (b"s=" + SIGNATURE + b"x&" + REST, Reason.TAMPERED),
        (b"s=" + SIGNATURE + b"&" + REST.replace(b"story-1", b"story-2"), Reason.TAMPERED),
        (b"s=" + SIGNATURE + b"&" + REST + b"&color=red", Reason.TAMPERED),
        (b"s=" + SIGNATURE + b"&" + REST[:-3], Reason.TAMPERED),
        (signed(secret="another"), Reason.TAMPERED),
        (signed(k=""), Reason.NO_DATA),
        (signed(c=""), Reason.NO_DATA),
        (signed(d=""), Reason.NO_DATA),
        (signed(d="pageviews"), Reason.BAD_DESTINATION),
        (signed(d="pixelship.batches"), Reason.BAD_DESTINATION),
        (signed() + b"&s=" + SIGNATURE, Reason.DUPLICATE_PARAMETER),
        (signed() + b"&k=story-1", Reason.DUPLICATE_PARAMETER),
        (signed() + b"&a=%00", Reason.NUL_BYTE),
        (signed() + b"&a=%C0%80", Reason.NOT_UTF8),
        (signed() + b"&a" * 197, Reason.TOO_MANY_PARAMETERS),
    ],
)
def test_the_first_fault_is_the_reason(query: bytes, reason: int) -> None:
    assert reason_of(query) == reason


def test_keys_without_data_are_no_data_only_when_signed() -> None:
    assert reason_of(b"k=a&c=b") == Reason.UNSIGNED
    assert reason_of(b"k=a&c=b&s=" + SIGNATURE) == Reason.TAMPERED


def test_the_verifying_key_is_named() -> None:
    rules = Rules(key_ring(["new", "old"]))
    found = claims(signed(secret="old"), signed(secret="new"), signed(), rules=rules)
    assert found.key_number.tolist() == [1, 0, NO_KEY]


def test_a_key_names_only_what_is_in_its_scope() -> None:
    rules = Rules(KeyRing((Key(b"news", scopes=("news.*",)), Key(b"all"))))
    assert reason_of(signed(secret="news", d="news.a"), rules) == 0
    assert reason_of(signed(secret="news", d="mail.a"), rules) == Reason.BAD_DESTINATION
    assert reason_of(signed(secret="all", d="mail.a"), rules) == 0


def test_the_operator_allows_destinations() -> None:
    rules = Rules(key_ring([SECRET]), allow=("news.*",))
    assert reason_of(signed(d="news.a"), rules) == 0
    assert reason_of(signed(d="mail.a"), rules) == Reason.BAD_DESTINATION


def test_without_keys_everything_signed_is_tampered_with() -> None:
    assert reason_of(signed(), Rules()) == Reason.TAMPERED
    assert reason_of(b"k=a", Rules()) == Reason.UNSIGNED
