"""Pixels whose URL says one thing, without a signature: what was seen, or which e-mail was opened.

* pixel-ping's `/pixel.gif?key=NAME`: a hit of a key (https://github.com/documentcloud/pixel-ping);
* sha1-ip-pixel-tracker's `/pixel.gif?sh=ID`: an e-mail that was sent with this id was opened.

Both checked 2026-11-21. What else stands in the URL goes into `extras`.
"""

from __future__ import annotations

import pyarrow as pa

from pipeline.columns import is_blank
from pipeline.destinations import is_permitted, matches
from pipeline.dialects.contract import Reading, claims_of, one_each
from pipeline.model import Reason
from pipeline.options import Rules, UnsignedDialect
from pipeline.query import parse_queries

KEY_MARK, SEND_MARK = "key", "sh"


def read_pings(queries: pa.BinaryArray, rules: Rules, dialect: UnsignedDialect) -> Reading:
    """Decodes hits of keys (distinct query strings, binary, no nulls)."""
    return _read(queries, rules, dialect, (KEY_MARK, "key"))


def read_opens(queries: pa.BinaryArray, rules: Rules, dialect: UnsignedDialect) -> Reading:
    """Decodes opens of e-mails (distinct query strings, binary, no nulls)."""
    return _read(queries, rules, dialect, (SEND_MARK, "send_id"))


def _read(
    queries: pa.BinaryArray, rules: Rules, dialect: UnsignedDialect, told: tuple[str, str]
) -> Reading:
    """`told` is the parameter that counts, and the column that it fills."""
    mark, column = told
    parameters = parse_queries(queries)
    value = parameters.get(mark)
    destination = dialect.destinations[""]
    reason = parameters.fault.copy()
    for verdict, applies in (
        (Reason.NO_DATA, is_blank(value)),
        (Reason.BAD_DESTINATION, not is_permitted(destination, rules.allow)),
        (Reason.UNSIGNED, matches(destination, rules.signed_only)),
    ):
        reason[(reason == 0) & applies] = verdict
    columns = {
        column: value,
        "destination": pa.repeat(pa.scalar(destination), len(queries)),
        "extras": parameters.without([mark]).as_object(),
    }
    return one_each(claims_of(dialect.name, reason, columns))
