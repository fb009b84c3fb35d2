"""E-mails that are sent with a pixel: their ids, the hashes that stand for their campaigns, their rows.

Source: sha1-ip-pixel-tracker, which has a campaign's SHA-1 as `campaign_hash` and that of
`campaign:job_number` as `open_hash` (checked 2026-11-21). Its ids are SHA-1 hashes too; those made
here are random and as long.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from pipeline import schemas
from pipeline.signing import Key

_ID_BYTES = 20
_RECIPIENT = b"pixelship recipient\n"
"""Stands before what is hashed, so that no recipient's name can be what a signature is of."""


@dataclass(frozen=True)
class Mailing:
    """What e-mails are part of."""

    job_number: str
    client_id: str
    campaign: str

    @property
    def campaign_hash(self) -> str:
        """SHA-1 of the campaign, in hex."""
        return _sha1(self.campaign)

    @property
    def open_hash(self) -> str:
        """SHA-1 of `campaign:job_number`, in hex."""
        return _sha1(f"{self.campaign}:{self.job_number}")


@dataclass(frozen=True)
class Send:
    """An e-mail. `recipient` is what is stored of whom it goes to, `key_id` the key of its hash."""

    id: str
    created_at: datetime
    mailing: Mailing
    recipient: str | None = None
    key_id: str | None = None


def new_ids(count: int) -> list[str]:
    """So many ids that nobody can guess, 40 hex digits each."""
    return [secrets.token_hex(_ID_BYTES) for _ in range(count)]


def recipient_hash(recipient: str, key: Key) -> str:
    """What is stored of a recipient: HMAC-SHA256 of the text in lower case without blanks around it.

    In hex; the same for the same recipient as long as the key is.
    """
    return key.digest(_RECIPIENT + recipient.strip().lower().encode()).hex()


def rows_of(sends: Sequence[Send], opens_table: str) -> pa.Table:
    """The rows of `pixelship.sends`, as `schemas/sends.json` has them."""
    mailings = {send.mailing for send in sends}
    hashes = {each: (each.campaign_hash, each.open_hash) for each in mailings}
    columns = {
        "send_id": [send.id for send in sends],
        "created_at": [send.created_at for send in sends],
        "job_number": [send.mailing.job_number for send in sends],
        "client_id": [send.mailing.client_id for send in sends],
        "campaign": [send.mailing.campaign for send in sends],
        "campaign_hash": [hashes[send.mailing][0] for send in sends],
        "open_hash": [hashes[send.mailing][1] for send in sends],
        "recipient": [send.recipient for send in sends],
        "recipient_key_id": [send.key_id for send in sends],
        "opens_table": [opens_table] * len(sends),
    }
    return pa.Table.from_pydict(columns, schemas.arrow("sends"))


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
