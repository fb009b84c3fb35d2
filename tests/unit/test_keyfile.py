from __future__ import annotations

import json
import pickle
import stat
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SetupError
from pipeline.keyfile import (
    read_key_file,
    with_key_retired,
    with_key_revoked,
    with_new_key,
    write_key_file,
)
from pipeline.options import Rules
from pipeline.signing import Key, KeyRing, key_ring
from pipeline.staging import Job

SECRET = "do-not-tell-anyone"
RING = KeyRing(
    (
        Key(SECRET.encode(), "2026-01-02T03:04:05Z", ("news.*", "mail.[a-c]*")),
        Key("zweiter Schlüssel".encode(), "2025-01-02T03:04:05Z", retired_at_us=1_763_700_000_000_001),
        Key(b"third", retired_at_us=0),
    )
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def save(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def test_a_key_ring_comes_back_as_it_was_written(path: Path) -> None:
    write_key_file(path, RING)
    assert read_key_file(path) == RING
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@given(st.integers(min_value=0, max_value=4_000_000_000_000_000))
def test_the_time_of_retirement_comes_back_to_the_microsecond(
    tmp_path_factory: pytest.TempPathFactory, time_us: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "retired.json"
    ring = KeyRing((Key(b"x", retired_at_us=time_us),))
    write_key_file(path, ring)
    assert read_key_file(path) == ring


def test_the_file_may_be_read_by_people(path: Path) -> None:
    write_key_file(path, RING)
    entries = json.loads(path.read_text())["keys"]
    assert [entry["id"] for entry in entries] == [key.id for key in RING.keys]
    assert entries[0]["scopes"] == ["news.*", "mail.[a-c]*"]
    assert [entry["retired_at"] for entry in entries] == [
        None,
        "2025-11-21T04:40:00.000001+00:00",
        "1970-01-01T00:00:00+00:00",
    ]


def test_writing_replaces_the_file_whole_and_closes_it_to_others(path: Path) -> None:
    save(path, "old" * 10_000, 0o666)
    write_key_file(path, RING)
    assert read_key_file(path) == RING
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o640, 0o620, 0o644, 0o666, 0o777, 0o601, 0o610])
def test_a_file_open_to_others_is_refused(path: Path, mode: int) -> None:
    write_key_file(path, RING)
    path.chmod(mode)
    with pytest.raises(SetupError, match=r"Others may read .*chmod 600"):
        read_key_file(path)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_for_its_owner_alone_is_taken(path: Path, mode: int) -> None:
    write_key_file(path, RING)
    path.chmod(mode)
    assert read_key_file(path) == RING


def entry(**changes: Any) -> str:
    return json.dumps({"keys": [{"id": "x", "secret": SECRET, **changes}]})


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "{}", "null", '{"keys": 1}', '{"keys": [1]}', '{"keys": [{}]}',
        entry(secret=""), entry(scopes="news.*"), entry(scopes=[1]), entry(retired_at="yesterday"),
        entry(retired_at=1), entry(retired_at="2026-01-01T00:00:00"), entry(retired_at=""),
        entry(secret="\ud800"),
    ],
)  # fmt: skip
def test_what_is_no_key_ring_is_said_to_be_none(path: Path, text: str) -> None:
    save(path, text)
    with pytest.raises(SetupError, match="is no key ring") as raised:
        read_key_file(path)
    assert SECRET not in str(raised.value)
    assert raised.value.__suppress_context__


def test_fields_that_older_files_lack_have_defaults(path: Path) -> None:
    save(path, entry())
    assert read_key_file(path) == KeyRing((Key(SECRET.encode()),))


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(SetupError, match=r"No key ring is at .*keys\.json: make one"):
        read_key_file(path)


def test_a_file_that_cannot_be_read_is_named(path: Path) -> None:
    path.mkdir()
    with pytest.raises(SetupError, match=r"keys.json cannot be read"):
        read_key_file(path)
    binary = path / "binary"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(SetupError, match="cannot be read"):
        read_key_file(binary)


def test_a_place_that_cannot_be_written_is_named_and_no_copy_stays(path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be written: No such file or directory"):
        write_key_file(path / "keys.json", RING)
    path.mkdir()
    (path / "full").touch()
    with pytest.raises(SetupError, match="cannot be written"):
        write_key_file(path, RING)
    assert list(path.parent.iterdir()) == [path]


def test_a_new_key_signs_and_the_others_still_verify() -> None:
    ring = with_new_key(RING, ("news.*",))
    assert ring.keys[1:] == RING.keys
    assert ring.signer is ring.keys[0]
    assert ring.keys[0].scopes == ("news.*",)
    assert len(ring.keys[0].secret) >= 43
    made = datetime.strptime(ring.keys[0].created_at, "%Y-%m-%dT%H:%M:%S%z")
    assert abs((datetime.now(timezone.utc) - made).total_seconds()) < 60
    assert with_new_key(RING, ()).keys[0].scopes == ("*",)
    assert with_new_key(RING, ()).keys[0].secret != ring.keys[0].secret


def test_a_retired_key_signs_no_more() -> None:
    assert RING.signer is RING.keys[0]
    now_us = int(datetime.now(timezone.utc).timestamp() * 1_000_000)
    ring = with_key_retired(RING, RING.keys[0].id)
    assert ring.signer is None
    retired = ring.keys[0].retired_at_us
    assert retired is not None
    assert abs(retired - now_us) < 60_000_000
    assert ring.keys == (replace(RING.keys[0], retired_at_us=retired), *RING.keys[1:])


def test_retiring_twice_keeps_the_first_time() -> None:
    for key in RING.keys[1:]:
        assert with_key_retired(RING, key.id) == RING


def test_a_key_that_is_not_there_cannot_be_retired() -> None:
    with pytest.raises(SetupError, match="No key nope is in the ring"):
        with_key_retired(RING, "nope")


def test_a_key_is_revoked_from_any_time_on(path: Path) -> None:
    since = datetime(2020, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    since_us = int(since.timestamp()) * 1_000_000
    ring = with_key_revoked(RING, RING.keys[0].id, since)
    assert ring.keys == (replace(RING.keys[0], revoked_at_us=since_us), *RING.keys[1:])
    assert ring.signer is None
    assert ring.keys[0].ends_at_us == since_us
    write_key_file(path, ring)
    assert read_key_file(path) == ring
    assert [entry.get("revoked_at") for entry in json.loads(path.read_text())["keys"]] == [
        "2020-01-02T03:04:05+00:00", None, None,
    ]  # fmt: skip
    later = datetime(2021, 1, 1, tzinfo=timezone.utc)
    again = with_key_revoked(ring, RING.keys[0].id, later).keys[0]
    assert again.revoked_at_us == int(later.timestamp()) * 1_000_000
    with pytest.raises(SetupError, match="No key nope is in the ring"):
        with_key_revoked(RING, "nope", since)


def test_a_key_ends_when_the_first_of_both_times_has_come() -> None:
    times: list[tuple[int | None, int | None, int | None]]
    times = [(None, None, None), (5, None, 5), (None, 0, 0), (5, 7, 5), (7, 5, 5)]
    for retired, revoked, end in times:
        assert Key(b"x", retired_at_us=retired, revoked_at_us=revoked).ends_at_us == end


def test_secrets_are_never_shown() -> None:
    ring = key_ring([SECRET])
    job = Job("b1", Rules(ring), "staging")
    for thing in (ring.keys[0], ring, job.rules, job, [job]):
        for text in (repr(thing), str(thing), f"{thing}"):
            assert SECRET not in text
            assert "secret" not in text
    assert pickle.loads(pickle.dumps(job)) == job  # noqa: S301 - as Beam gives it to workers


def test_a_keys_id_tells_nothing_of_its_secret() -> None:
    ids = {key.id for key in key_ring([f"secret {number}" for number in range(100)]).keys}
    assert len(ids) == 100
    assert all(len(id_) == 8 and int(id_, 16) >= 0 for id_ in ids)
    assert Key(b"x", "2020", ("a.*",), 5).id == Key(b"x").id
