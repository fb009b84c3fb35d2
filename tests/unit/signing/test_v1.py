from __future__ import annotations

import hmac
import json
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.query import parse_queries
from pipeline.signing import NO_KEY, Key, KeyRing, key_ring, messages, sign_query

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors/prx-signatures.json").read_text(encoding="utf-8")
)
SIGNATURE = "Fy4xvkr6v3x-v9lajC_Ndp-RvaP9HDWFsoGjdvqpa2g"
STORY = {"k": "story-1", "c": "https://www.example.org/a", "d": "news.pageviews"}
SECRET = "some-secret"


def verified(ring: KeyRing, *queries: str) -> list[int]:
    parameters = parse_queries(pa.array([query.encode() for query in queries], pa.binary()))
    return ring.verify(messages(parameters), parameters.get("s")).tolist()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["params"]["k"] or "blank")
def test_vectors_are_signed_and_verify(vector: dict[str, Any]) -> None:
    ring = key_ring([vector["secret"]])
    signer = ring.signer
    assert signer is not None
    query = sign_query(vector["params"], signer)
    assert query.startswith(f"s={vector['signature']}&")
    assert verified(ring, query, vector["query"]) == [0, 0]
    assert verified(key_ring(["another"]), query, vector["query"]) == [NO_KEY, NO_KEY]


def test_the_order_of_parameters_does_not_matter() -> None:
    key = Key(b"secret")
    swapped = dict(reversed(STORY.items()))
    assert sign_query(swapped, key).split("&")[0] == sign_query(STORY, key).split("&")[0]


def test_any_change_breaks_a_signature() -> None:
    query = sign_query(STORY, Key(SECRET.encode()))
    assert query == f"s={SIGNATURE}&k=story-1&c=https%3A%2F%2Fwww.example.org%2Fa&d=news.pageviews"
    changed = [
        query.replace("story-1", "story-2"),
        query.replace("k=", "K="),
        query + "&utm_source=mail",
        query.replace("&d=news.pageviews", ""),
        query.replace("news.pageviews", "news.pageviews+"),
        query.replace("%3A", "%253A"),
        query.replace("s=F", "s=G"),
    ]
    same = [query.replace("%3A", ":"), query.replace("story", "%73tory"), query + "&&"]
    ring = key_ring([SECRET])
    assert verified(ring, *changed) == [NO_KEY] * len(changed)
    assert verified(ring, *same) == [0] * len(same)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        SIGNATURE[:-1],
        SIGNATURE + "A",
        SIGNATURE + "=",
        SIGNATURE[:-1] + "h",  # the same 32 bytes, in a spelling that no encoder writes
        SIGNATURE.replace("-", "%2B").replace("_", "/"),
        SIGNATURE[:-1] + "%C3%A9",
        SIGNATURE[:-2] + "%C3%A9",
        SIGNATURE.lower(),
        "*" * 43,
    ],
)
def test_only_the_one_spelling_of_a_signature_verifies(signature: str) -> None:
    rest = "k=story-1&c=https%3A%2F%2Fwww.example.org%2Fa&d=news.pageviews"
    assert verified(key_ring([SECRET]), f"{rest}&s={SIGNATURE}") == [0]
    assert verified(key_ring([SECRET]), f"{rest}&s={signature}") == [NO_KEY]


def test_every_key_of_a_ring_verifies_and_the_first_signs() -> None:
    ring = key_ring(["new", "old", "older"])
    queries = [sign_query(STORY, key) for key in reversed(ring.keys)]
    assert verified(ring, *queries, "k=1", *queries) == [2, 1, 0, NO_KEY, 2, 1, 0]
    assert ring.signer == ring.keys[0]


def test_a_retired_key_signs_no_more() -> None:
    old, new = Key(b"old", retired_at_us=1), Key(b"new")
    assert KeyRing((old, new)).signer == new
    assert KeyRing((old,)).signer is None
    assert KeyRing().signer is None


def test_an_empty_ring_verifies_nothing() -> None:
    assert verified(KeyRing(), f"s={SIGNATURE}", "") == [NO_KEY, NO_KEY]


def test_nothing_is_verified_of_no_messages() -> None:
    assert verified(key_ring(["secret"])) == []


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 200])
def test_secrets_of_any_length_give_hmac_sha256(length: int) -> None:
    secret = bytes(range(length))
    assert Key(secret).digest(b"message") == hmac.digest(secret, b"message", "sha256")


def test_a_keys_id_is_short_and_tells_nothing_of_its_secret() -> None:
    assert Key(b"a").id == Key(b"a", created_at="2026-01-01").id
    assert Key(b"a").id != Key(b"b").id
    assert len(Key(b"a").id) == 8
    assert "hidden" not in repr(KeyRing((Key(b"hidden"),)))


def test_a_key_names_what_its_scopes_hold() -> None:
    key = Key(b"a", scopes=("news.*", "mail.opens"))
    assert [key.may_name(name) for name in ("news.a", "mail.opens", "mail.clicks", "News.a", "news")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert Key(b"a").may_name("any.thing")
    assert not Key(b"a", scopes=()).may_name("any.thing")


def test_keys_go_to_workers_whole() -> None:
    key = Key(b"a", "2026-01-01T00:00:00Z", ("news.*",), 7)
    assert key.digest(b"message")
    sent = pickle.loads(pickle.dumps(key))  # noqa: S301 - as Beam sends it
    assert sent == key
    assert sent.digest(b"message") == key.digest(b"message")
