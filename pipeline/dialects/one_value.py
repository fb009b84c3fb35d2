"""Pixels whose URL says one thing, without a signature; what else stands in it goes into `extras`."""

from __future__ import annotations

import pyarrow as pa

from pipeline.columns import is_blank
from pipeline.destinations import is_permitted, matches
from pipeline.dialects.contract import Reading, claims_of, one_each
from pipeline.model import Reason
from pipeline.options import Rules, UnsignedDialect
from pipeline.query import parse_queries


def read_one_value(
    queries: pa.BinaryArray, rules: Rules, dialect: UnsignedDialect, told: tuple[str, str]
) -> Reading:
    """Decodes query strings (distinct, binary, no nulls).

    `told` is the parameter that counts, and the column that it fills.
    """
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
