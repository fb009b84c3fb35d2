"""The visitor's cookie in logs that hold the whole Cookie header."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_PXID = r"(?:^|;)[ \t]*_pxid=(?P<value>[^;]*?)[ \t]*(?:;|$)"


def pxid_in(cookies: pa.Array) -> pa.Array:
    """The value of the cookie `_pxid` in unescaped Cookie headers; null where there is none."""
    found = pc.struct_field(pc.extract_regex(cookies, _PXID), "value")
    return pc.if_else(pc.equal(found, b""), None, found)
