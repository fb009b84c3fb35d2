"""Signatures: the one definition for the command line, the verifier and, later, the web page.

`keys` holds the keys, `v1` the form that PRX's pixel tracker embedded in the wild, `v2` our own, and
`verify` tells them apart; `docs/signatures.md` specifies both.
"""

from __future__ import annotations

from pipeline.signing.keys import MOST_KEYS, NO_KEY, SIGNATURE_CHARS, Key, KeyRing, key_ring
from pipeline.signing.v1 import SIGNATURE, messages, sign_query
from pipeline.signing.v2 import (
    ALWAYS_US,
    EXPIRES,
    NEVER_US,
    NOT_BEFORE,
    sign_queries_v2,
    sign_query_v2,
)
from pipeline.signing.verify import Signed, bounds, read_signed, verify

__all__ = [
    "ALWAYS_US",
    "EXPIRES",
    "MOST_KEYS",
    "NEVER_US",
    "NOT_BEFORE",
    "NO_KEY",
    "SIGNATURE",
    "SIGNATURE_CHARS",
    "Key",
    "KeyRing",
    "Signed",
    "bounds",
    "key_ring",
    "messages",
    "read_signed",
    "sign_queries_v2",
    "sign_query",
    "sign_query_v2",
    "verify",
]
