from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from pipeline import secret_manager
from pipeline.errors import SetupError
from pipeline.keyfile import (
    read_key_file,
    read_key_reference,
    referred_key,
    with_key_retired,
    with_new_key,
    write_key_file,
)
from pipeline.secret_references import follow, is_reference
from pipeline.signing import Key, KeyRing, key_ring

SECRET = "do-not-tell-anyone"
VERSION = "sm://projects/acme/secrets/pixelship/versions/3"


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What Secret Manager holds, by name."""
    held: dict[str, bytes] = {VERSION.removeprefix("sm://"): SECRET.encode()}
    monkeypatch.setattr(secret_manager, "read_secret", held.__getitem__)
    return held


def test_each_kind_of_reference_is_followed(tmp_path: Path, vault: dict[str, bytes]) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\r\n\n")
    references = (f"file:{path}", f"file://{path}", "env:NAME", VERSION)
    for reference in references:
        assert is_reference(reference)
        assert follow(reference, {"NAME": SECRET}) == SECRET
    for other in ("keys.json", "/file:x", "C:/env", "sm:", SECRET):
        assert not is_reference(other)


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("file:/none/such", "The secret file /none/such cannot be read: No such file"),
        ("file:/", "The secret file / cannot be read"),
        ("env:NONE", "The environment variable 'NONE' is to hold a secret and is not set"),
        ("env:EMPTY", "The secret at env:EMPTY is empty"),
        ("env:BYTES", "The secret at env:BYTES is not UTF-8"),
        ("env:", "The environment variable '' is"),
        ("sm://pixelship", "'sm://pixelship' names no secret: write it as sm://projects/P/"),
        ("sm://projects/p/secrets/s", "names no secret"),
        ("sm://projects/p/secrets/s/versions/1:access?x=", "names no secret"),
        ("sm://projects/p/../secrets/s/versions/1", "names no secret"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named(reference: str, told: str) -> None:
    with pytest.raises(SetupError) as raised:
        follow(reference, {"EMPTY": "\n", "BYTES": "\udcff"})
    assert str(raised.value).startswith(told) or told in str(raised.value)


def test_a_secret_that_is_taken_for_a_reference_is_not_shown() -> None:
    with pytest.raises(SetupError, match="starts with file:, env: or sm://") as raised:
        referred_key(SECRET, {})
    assert SECRET not in str(raised.value)


def test_a_ring_keeps_references_and_never_their_secrets(tmp_path: Path) -> None:
    path, environment = tmp_path / "ring.json", {"NEW": SECRET}
    ring = with_new_key(key_ring(["plain"]), ("news.*",), referred_key("env:NEW", environment))
    write_key_file(path, ring)
    write_key_file(path, with_key_retired(read_key_file(path, environment), Key(b"plain").id))
    assert SECRET not in path.read_text()
    first, second = json.loads(path.read_text())["keys"]
    assert (first["secret_from"], first["id"], "secret" in first) == ("env:NEW", Key(SECRET.encode()).id, False)  # fmt: skip
    assert (second["secret"], "secret_from" in second) == ("plain", False)
    keys = read_key_file(path, environment).keys
    assert (keys[0].secret, keys[0].scopes, keys[0].source) == (SECRET.encode(), ("news.*",), "env:NEW")  # fmt: skip
    assert keys[1].retired_at_us is not None
    assert SECRET not in repr(keys)
    assert pickle.loads(pickle.dumps(keys)) == keys  # noqa: S301 - as Beam gives it to workers


def test_a_secret_that_changed_behind_its_reference_is_said_to_have(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    write_key_file(path, KeyRing((referred_key("env:NAME", {"NAME": SECRET}),)))
    with pytest.raises(SetupError, match=r"The secret at env:NAME is not that of the key [0-9a-f]{8} any more") as raised:  # fmt: skip
        read_key_file(path, {"NAME": "another"})
    assert SECRET not in str(raised.value)
    with pytest.raises(SetupError, match="'NAME' is to hold a secret and is not set"):
        read_key_file(path)


def test_a_whole_ring_may_be_kept_elsewhere(tmp_path: Path, vault: dict[str, bytes]) -> None:
    path = tmp_path / "ring.json"
    ring = KeyRing((Key(b"a", "2026-01-01T00:00:00Z", ("news.*",), 5, 3), Key(b"b")))
    write_key_file(path, ring)
    vault[VERSION.removeprefix("sm://")] = path.read_bytes()
    for reference in (VERSION, f"file:{path}", "env:RING"):
        assert read_key_reference(reference, {"RING": path.read_text()}) == ring
    path.chmod(0o644)
    assert read_key_reference(f"file:{path}", {}) == ring, "as secrets are mounted"


def test_bare_secrets_may_be_kept_elsewhere(vault: dict[str, bytes]) -> None:
    keys = read_key_reference("env:NAME", {"NAME": " new, old,,"}).keys
    assert [(key.secret, key.source) for key in keys] == [
        (b"new", "env:NAME"),
        (b"old", "env:NAME"),
    ]
    (key,) = read_key_reference(VERSION, {}).keys
    assert (key.secret, key.source) == (SECRET.encode(), VERSION)


@pytest.mark.parametrize(
    "text",
    [
        '{"keys": [{}]}', '{"keys": [{"secret": "a", "secret_from": "env:A"}]}', "{",
        '{"keys": [{"secret_from": 1}]}',
    ],
)  # fmt: skip
def test_what_is_no_key_ring_is_said_to_be_none(text: str) -> None:
    with pytest.raises(SetupError, match="env:RING is no key ring"):
        read_key_reference("env:RING", {"RING": text, "A": "x"})


def test_a_key_is_added_once() -> None:
    ring = with_new_key(KeyRing(), (), referred_key("env:A", {"A": "x"}))
    with pytest.raises(SetupError, match=r"The key [0-9a-f]{8} is in the ring already"):
        with_new_key(ring, (), referred_key("env:B", {"B": "x"}))
