"""Signing keys and rings of them: HMAC-SHA256, digests compared in constant time."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Mask, Rows

SIGNATURE_CHARS = 43
NO_KEY = -1
MOST_KEYS = 127
"""Keys are numbered in eight bits."""

_BLOCK_BYTES, _DIGEST_BYTES = 64, 32
Digests = npt.NDArray[np.uint8]
"""32 bytes each, one row a digest."""
KeyNumbers = npt.NDArray[np.int8]

_BASE64URL = np.full(256, 255, np.uint8)
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_BASE64URL[np.frombuffer(_ALPHABET, np.uint8)] = np.arange(64)


@dataclass(frozen=True)
class Key:
    """A signing key. `scopes` are globs of the destinations that it may name.

    From `retired_at_us` on, or `revoked_at_us` where that is earlier, its views do not count.
    `source` is the reference that the secret was read by, such as `env:NAME`; null for none.
    """

    secret: bytes = field(repr=False)
    created_at: str = ""
    scopes: tuple[str, ...] = ("*",)
    retired_at_us: int | None = None
    revoked_at_us: int | None = None
    source: str | None = None

    @cached_property
    def id(self) -> str:
        """A short name for the key, the same wherever its secret is kept; not for guessing from."""
        return self.digest(b"pixelship key id").hex()[:8]

    @property
    def ends_at_us(self) -> int | None:
        """The log's time from which on the key's views do not count; null for a key in use."""
        ends = [end for end in (self.retired_at_us, self.revoked_at_us) if end is not None]
        return min(ends, default=None)

    def signature(self, message: str) -> str:
        """The digest of a text as a URL has it: base64url without padding."""
        return base64.urlsafe_b64encode(self.digest(message.encode())).rstrip(b"=").decode()

    def digest(self, message: bytes) -> bytes:
        """HMAC-SHA256 (RFC 2104), with the key's two blocks hashed once and copied."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def may_name(self, destination: str) -> bool:
        """Whether the key's scope holds the destination."""
        return any(fnmatchcase(destination, scope) for scope in self.scopes)

    @cached_property
    def _inner(self) -> hashlib._Hash:
        return self._keyed(0x36)

    @cached_property
    def _outer(self) -> hashlib._Hash:
        return self._keyed(0x5C)

    def _keyed(self, mask: int) -> hashlib._Hash:
        secret = self.secret
        if len(secret) > _BLOCK_BYTES:
            secret = hashlib.sha256(secret).digest()
        return hashlib.sha256(bytes(byte ^ mask for byte in secret.ljust(_BLOCK_BYTES, b"\0")))

    def __reduce__(self) -> tuple[object, ...]:
        return (Key, tuple(getattr(self, each.name) for each in fields(self)))


@dataclass(frozen=True)
class KeyRing:
    """Keys, the newest first. The first that is neither retired nor revoked signs, all verify."""

    keys: tuple[Key, ...] = ()

    @property
    def signer(self) -> Key | None:
        """The key that signs, or None where none may."""
        return next((key for key in self.keys if key.ends_at_us is None), None)

    def verify(self, messages: pa.StringArray, signatures: pa.StringArray) -> KeyNumbers:
        """For each message the number of the key whose signature it carries, or `NO_KEY`."""
        rows, expected = decode_signatures(signatures)
        return self._find(messages, rows, expected, None)

    def verify_by_id(
        self, messages: pa.StringArray, signatures: pa.StringArray, ids: pa.StringArray
    ) -> KeyNumbers:
        """The same, by keys of the id alone that stands beside each message (null: no key)."""
        rows, expected = decode_signatures(signatures)
        return self._find(messages, rows, expected, ids.take(pa.array(rows)))

    def knows(self, ids: pa.StringArray) -> Mask:
        """Which ids are those of keys in the ring."""
        known = pa.array([key.id for key in self.keys], pa.string())
        return pc.is_in(ids, value_set=known).to_numpy(zero_copy_only=False)

    def _find(
        self, messages: pa.StringArray, rows: Rows, expected: Digests, ids: pa.StringArray | None
    ) -> KeyNumbers:
        """Tries each key on those rows that no key before it fits (and that have its id).

        Digests are compared whole, in a time that does not depend on where they differ.
        """
        found = np.full(len(messages), NO_KEY, np.int8)
        is_open = np.ones(len(rows), np.bool_)
        for number, key in enumerate(self.keys):
            tried = np.flatnonzero(is_open if ids is None else is_open & _equal(ids, key.id))
            texts = messages.take(pa.array(rows[tried])).cast(pa.binary()).to_pylist()
            digests = np.frombuffer(b"".join(map(key.digest, texts)), np.uint8)
            differs = (digests.reshape(-1, _DIGEST_BYTES) ^ expected[tried]).any(axis=1)
            found[rows[tried[~differs]]] = number
            is_open[tried[~differs]] = False
        return found


def _equal(texts: pa.StringArray, text: str) -> Mask:
    return pc.equal(texts, text).fill_null(False).to_numpy(zero_copy_only=False)


def decode_signatures(signatures: pa.StringArray) -> tuple[Rows, Digests]:
    """Which rows hold 43 characters of canonical base64url, and their 32 bytes each."""
    is_whole = pc.equal(pc.binary_length(signatures), SIGNATURE_CHARS).fill_null(False)
    rows = np.flatnonzero(is_whole.to_numpy(zero_copy_only=False))
    text = "".join(signatures.take(pa.array(rows)).to_pylist()).encode()
    sextets = _BASE64URL[np.frombuffer(text, np.uint8)].reshape(-1, SIGNATURE_CHARS)
    is_valid = (sextets < 64).all(axis=1) & (sextets[:, -1] % 4 == 0)
    rows, sextets = rows[is_valid], sextets[is_valid]
    padded = np.pad(sextets, ((0, 0), (0, 1))).reshape(-1, 11, 4).astype(np.uint32)
    words = padded @ np.array([1 << 18, 1 << 12, 1 << 6, 1], np.uint32)
    octets = np.stack([words >> 16, words >> 8 & 255, words & 255], axis=2).astype(np.uint8)
    return rows, octets.reshape(-1, 33)[:, :_DIGEST_BYTES]


def key_ring(secrets: Sequence[str]) -> KeyRing:
    """A key ring of bare secrets, the first of which signs."""
    return KeyRing(tuple(Key(secret.encode()) for secret in secrets))
