"""sha1-ip-pixel-tracker's pixel: `/pixel.gif?sh=ID`, an e-mail that was sent with this id was opened.

Source: the tracker's own documents (checked 2026-11-21).
"""

from __future__ import annotations

import pyarrow as pa

from pipeline.dialects.contract import Reading
from pipeline.dialects.one_value import read_one_value
from pipeline.options import Rules, UnsignedDialect

MARK = "sh"


def read_claims(queries: pa.BinaryArray, rules: Rules, dialect: UnsignedDialect) -> Reading:
    """Decodes query strings (distinct, binary, no nulls)."""
    return read_one_value(queries, rules, dialect, (MARK, "send_id"))
