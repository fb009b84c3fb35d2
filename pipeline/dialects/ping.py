"""pixel-ping's pixel: `/pixel.gif?key=NAME`, a hit of a key.

Source: https://github.com/documentcloud/pixel-ping (checked 2026-11-21).
"""

from __future__ import annotations

import pyarrow as pa

from pipeline.dialects.contract import Reading
from pipeline.dialects.one_value import read_one_value
from pipeline.options import Rules, UnsignedDialect

MARK = "key"


def read_claims(queries: pa.BinaryArray, rules: Rules, dialect: UnsignedDialect) -> Reading:
    """Decodes query strings (distinct, binary, no nulls)."""
    return read_one_value(queries, rules, dialect, (MARK, "key"))
