"""What is known of a visitor and a page beside the URL: the user id, the referrer's host."""

from __future__ import annotations

from hashlib import md5

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import encode, map_values

_MD5 = md5(usedforsecurity=False)


def user_ids(cookie: pa.Array, agent: pa.Array, address: pa.Array, referrer: pa.Array) -> pa.Array:
    """The `_pxid` cookie, or as PRX has it the MD5 of `agent-address-referrer`."""
    if not cookie.null_count:
        return cookie
    lacks = pc.is_null(cookie)
    parts = [column.filter(lacks).fill_null("") for column in (agent, address, referrer)]
    visitor = encode(pc.binary_join_element_wise(*parts, "-"))
    hashes = map_values(visitor.values.cast(pa.binary()), _md5_hex, pa.string())
    return pc.replace_with_mask(cookie, lacks, visitor.with_values(hashes).plain())


def referrer_hosts(referrers: pa.StringArray) -> pa.StringArray:
    """The host of distinct referrers, lower case; null where there is none."""
    found = pc.extract_regex(referrers, r"^[A-Za-z][A-Za-z0-9+.\-]*://(?:[^/?#@]*@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^/?#:]+)")  # fmt: skip
    return pc.ascii_lower(pc.struct_field(found, "host"))


def _md5_hex(text: bytes) -> str:
    digest = _MD5.copy()
    digest.update(text)
    return digest.hexdigest()
