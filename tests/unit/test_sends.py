"""Sends: ids, and the hashes of the system that is taken over from."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime, timezone

from pipeline import schemas
from pipeline.sends import Mailing, Send, new_ids, recipient_hash, rows_of
from pipeline.signing import Key

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


def test_hashes_are_those_of_the_old_system() -> None:
    """The hashes were made by sha1sum."""
    spring = Mailing("7", "acme", "Spring")
    assert spring.campaign_hash == "89677615c2ec030bc5542abbacb5c286b12096fe"
    assert spring.open_hash == "65b8673b09005ac100379f5522f65567e2b31a71"
    odd = Mailing("2026/11", "acme", "Frühling")
    assert odd.campaign_hash == "6355ebe2e5f58c1b282254217e7c45412c7ca707"
    assert odd.open_hash == "03055c262857817c6365b8ad3c5ce768a5636f3a"


def test_ids_are_random_and_as_long_as_the_old_ones() -> None:
    ids = new_ids(1000)
    assert len(set(ids)) == 1000
    assert all(re.fullmatch("[0-9a-f]{40}", id_) for id_ in ids)
    assert len({id_[0] for id_ in ids}) == 16


def test_a_recipient_is_hashed_with_the_key_whatever_the_case_and_the_blanks() -> None:
    key = Key(b"secret")
    expected = hmac.new(b"secret", b"pixelship recipient\n\xc3\xa5@example.org", hashlib.sha256)
    for written in ("å@example.org", " Å@Example.ORG\t"):
        assert recipient_hash(written, key) == expected.hexdigest()
    assert recipient_hash("å@example.org", Key(b"other")) != expected.hexdigest()


def test_a_recipient_is_no_way_to_a_signature() -> None:
    key = Key(b"secret")
    message = '[["c","x"],["d","a.b"],["k","y"]]'
    assert recipient_hash(message, key) != key.digest(message.encode()).hex()


def test_rows_are_as_the_schema_has_them() -> None:
    spring = Mailing("7", "acme", "Spring")
    rows = rows_of([Send("a", NOW, spring), Send("b", NOW, spring, "hash", "k1")], "mail.opens")
    assert rows.schema == schemas.arrow("sends")
    whole = {
        "created_at": NOW, "job_number": "7", "client_id": "acme", "campaign": "Spring",
        "campaign_hash": spring.campaign_hash, "open_hash": spring.open_hash,
        "opens_table": "mail.opens",
    }  # fmt: skip
    assert rows.to_pylist() == [
        {"send_id": "a", **whole, "recipient": None, "recipient_key_id": None},
        {"send_id": "b", **whole, "recipient": "hash", "recipient_key_id": "k1"},
    ]
