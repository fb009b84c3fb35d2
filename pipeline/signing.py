"""Signatures: the one definition for the command line, the verifier and, later, the web page.

v1 is the form that PRX's pixel tracker embedded in the wild: HMAC-SHA256 over the compact JSON
array of `[name, value]` pairs of all query parameters but `s`, sorted by name in UTF-16 order, as
`JSON.stringify` writes it; base64url without padding.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from urllib.parse import quote, urlencode

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.query import Parameters, parse_queries

SIGNATURE = "s"
SIGNATURE_CHARS = 43
NO_KEY = -1
MOST_KEYS = 127
"""Keys are numbered in eight bits."""

_BLOCK_BYTES, _DIGEST_BYTES = 64, 32
_BASE64URL = np.full(256, 255, np.uint8)
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_BASE64URL[np.frombuffer(_ALPHABET, np.uint8)] = np.arange(64)


@dataclass(frozen=True)
class Key:
    """A signing key. `scopes` are globs of the destinations that it may name."""

    secret: bytes = field(repr=False)
    created_at: str = ""
    scopes: tuple[str, ...] = ("*",)
    retired_at_us: int | None = None

    @cached_property
    def id(self) -> str:
        """A short name for the key, the same wherever its secret is kept; not for guessing from."""
        return self.digest(b"pixelship key id").hex()[:8]

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
        return (Key, (self.secret, self.created_at, self.scopes, self.retired_at_us))


@dataclass(frozen=True)
class KeyRing:
    """Keys, the newest first. The first that is not retired signs, all verify."""

    keys: tuple[Key, ...] = ()

    @property
    def signer(self) -> Key | None:
        """The key that signs, or None where all are retired."""
        return next((key for key in self.keys if key.retired_at_us is None), None)

    def verify(self, messages: pa.StringArray, signatures: pa.StringArray) -> npt.NDArray[np.int8]:
        """For each message the number of the key whose signature it carries, or `NO_KEY`.

        Digests are compared whole, in a time that does not depend on where they differ.
        """
        verified = np.full(len(messages), NO_KEY, np.int8)
        rows, expected = _decode_signatures(signatures)
        for number, key in enumerate(self.keys):
            texts = messages.take(pa.array(rows)).cast(pa.binary()).to_pylist()
            digests = np.frombuffer(b"".join(map(key.digest, texts)), np.uint8)
            differs = (digests.reshape(-1, _DIGEST_BYTES) ^ expected).any(axis=1)
            verified[rows[~differs]] = number
            rows, expected = rows[differs], expected[differs]
        return verified


def messages(parameters: Parameters) -> pa.StringArray:
    """What is signed of each query string."""
    return parameters.without([SIGNATURE]).as_json(('["', '","', '"]'), ("[", "]"))


def sign_query(parameters: Mapping[str, str], key: Key) -> str:
    """A signed query string; the signature comes first, so that a cut URL keeps it."""
    query = urlencode(parameters, quote_via=quote, safe="")
    message = messages(parse_queries(pa.array([query.encode()])))[0].as_py()
    signature = base64.urlsafe_b64encode(key.digest(message.encode())).rstrip(b"=").decode()
    return f"{SIGNATURE}={signature}&{query}"


def _decode_signatures(
    signatures: pa.StringArray,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
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
