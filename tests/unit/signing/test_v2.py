from __future__ import annotations

import hmac
import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.check import Verdict, check_urls
from pipeline.errors import SetupError
from pipeline.options import Rules
from pipeline.signing import (
    NO_KEY,
    Key,
    KeyRing,
    key_ring,
    read_signed,
    sign_queries_v2,
    sign_query_v2,
    verify,
)
from pipeline.signing.v2 import MOST_NAMES, messages
from tests.logs import SECRET, signed, signed_v2

FOLDER = Path(__file__).parents[2] / "vectors"
VECTORS: list[dict[str, Any]] = json.loads(
    (FOLDER / "signatures-v2.json").read_text(encoding="utf-8")
)
ACCEPTED = [vector for vector in VECTORS if vector["reason"] is None]
STORY = {"k": "story-1", "d": "news.pageviews", "c": "https://example.org/a"}


def judged(vector: dict[str, Any]) -> Verdict:
    rules = Rules(key_ring(["another", vector["secret"]]))
    (verdict,) = check_urls([f"/i.gif?{vector['query']}"], rules, vector["time"] * 1_000_000)
    return verdict


def name_of(vector: dict[str, Any]) -> str:
    return str(vector["name"]).replace(" ", "-")


@pytest.mark.parametrize("vector", VECTORS, ids=name_of)
def test_vectors_are_accepted_and_refused(vector: dict[str, Any]) -> None:
    verdict = judged(vector)
    assert (verdict.reason, verdict.repair) == (vector["reason"], None)
    if vector["reason"] is None:
        assert verdict.facts.params == vector["params"]
        assert verdict.facts.extras == vector["extras"]
        assert verdict.facts.version == 2
        assert verdict.facts.key_id == vector["s"].split(".")[1]


@pytest.mark.parametrize("vector", ACCEPTED, ids=name_of)
def test_vectors_are_signed_alike(vector: dict[str, Any]) -> None:
    key = Key(vector["secret"].encode())
    query = sign_query_v2(vector["params"], key)
    assert query.startswith(f"s={vector['s']}&")
    read = read_signed(pa.array([vector["query"].encode()]))
    assert messages(read.signed, read.signature).to_pylist() == [vector["message"]]
    digest = hmac.digest(vector["secret"].encode(), vector["message"].encode(), sha256)
    assert digest == key.digest(vector["message"].encode())


def test_the_vectors_are_what_their_script_writes() -> None:
    script = FOLDER / "make_signatures_v2.py"
    done = subprocess.run([sys.executable, script], capture_output=True, check=True, env={"PYTHONIOENCODING": "utf-8"})  # fmt: skip
    assert json.loads(done.stdout) == VECTORS
    assert "pipeline" not in script.read_text(encoding="utf-8")
    assert len({vector["name"] for vector in VECTORS}) == len(VECTORS)


def test_all_vectors_have_the_same_verdict_among_others() -> None:
    vectors = [each for each in VECTORS if each["secret"] == "some-secret" and each["time"] == VECTORS[0]["time"]]  # fmt: skip
    urls = [url for each in vectors for url in (f"/i.gif?{each['query']}", "/i.gif?" + signed("some-secret").decode())]  # fmt: skip
    verdicts = check_urls(urls, Rules(key_ring(["some-secret"])), vectors[0]["time"] * 1_000_000)
    assert [verdict.reason for verdict in verdicts[::2]] == [each["reason"] for each in vectors]
    assert {verdict.reason for verdict in verdicts[1::2]} == {None}
    assert {verdict.facts.version for verdict in verdicts[1::2]} == {1}


def test_everything_in_the_signature_may_stand_in_a_url() -> None:
    unreserved = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
    s = sign_query_v2({**STORY, "A-_9": "1"}, Key(b"x")).partition("&")[0].removeprefix("s=")
    assert set(s) <= unreserved


def numbers(ring: KeyRing, *queries: bytes) -> list[int]:
    return verify(read_signed(pa.array(queries, pa.binary())), ring)[0].tolist()


def test_only_the_key_that_is_named_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Key] = []
    digest = Key.digest
    monkeypatch.setattr(Key, "digest", lambda key, text: (tried.append(key), digest(key, text))[1])
    ring = key_ring(["a", "b", "c"])
    queries = [signed_v2(secret) for secret in ("c", "a", "a", "unknown")]
    ids = [key.id for key in ring.keys]
    assert len(set(ids)) == 3
    tried.clear()
    assert numbers(ring, *queries, queries[0].replace(b"story", b"other")) == [
        2,
        0,
        0,
        NO_KEY,
        NO_KEY,
    ]
    assert sorted(key.secret for key in tried) == [b"a", b"a", b"c", b"c"]


def test_keys_of_the_same_id_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Key, "id", "00000000")
    assert numbers(key_ring(["a", "b"]), signed_v2("b"), signed_v2("a"), signed_v2("c")) == [
        1, 0, NO_KEY,
    ]  # fmt: skip


def test_a_secret_that_stands_in_the_ring_twice_verifies() -> None:
    assert numbers(key_ring(["a", "a"]), signed_v2("a"), signed("a")) == [0, 0]


def test_neither_version_passes_for_the_other() -> None:
    key = Key(SECRET.encode())
    v2 = signed_v2().decode()
    s, _, rest = v2.partition("&")
    bare = f"s={s[-43:]}&{rest}".encode()
    assert numbers(KeyRing((key,)), bare) == [NO_KEY]
    v1 = signed().decode().split("&", 1)
    forged = f"s=2.{key.id}.c~d~k.{v1[0].removeprefix('s=')}&{v1[1]}".encode()
    assert numbers(KeyRing((key,)), forged) == [NO_KEY]


def test_an_empty_ring_knows_no_key() -> None:
    assert numbers(KeyRing(), signed_v2(), b"s=2.", b"") == [NO_KEY] * 3


def test_many_are_signed_as_each_alone() -> None:
    key = Key(b"x")
    views = [{**STORY, "k": f"story {number}", f"p{number % 3}": "é"} for number in range(20)]
    assert sign_queries_v2(views, key) == [sign_query_v2(view, key) for view in views]
    assert sign_queries_v2([], key) == []


@pytest.mark.parametrize("name", ["", "s", "a.b", "a b", "é", "x" * 65, "a~b", "a\n"])
def test_a_name_that_cannot_be_signed_is_refused(name: str) -> None:
    with pytest.raises(
        SetupError, match=r"can be signed: use letters, digits, _ and -, 64 at most"
    ):
        sign_query_v2({**STORY, name: "1"}, Key(b"x"))


def test_too_many_names_are_refused() -> None:
    most = {f"p{number}": "" for number in range(MOST_NAMES)}
    assert sign_query_v2(most, Key(b"x"))
    with pytest.raises(SetupError, match="Over 32 parameters"):
        sign_query_v2({**most, "one": "more"}, Key(b"x"))
