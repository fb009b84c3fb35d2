"""PRX's pixel: `/i.gif?k=KEY&c=CANONICAL_URL&d=DATASET.TABLE&s=SIGNATURE`.

Source: PRX's pixel tracker (checked 2026-11-21). Its reasons are `invalid` (here `unsigned`,
`truncated` or `tampered`) and `no-data`, in this order; a blank `k`, `c` or `d` is no data.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Mask, encode
from pipeline.destinations import is_permitted
from pipeline.dialects.contract import Claims
from pipeline.model import Reason
from pipeline.options import Rules
from pipeline.query import Parameters, parse_queries
from pipeline.signing import NO_KEY, SIGNATURE, SIGNATURE_CHARS, messages

NAME = "prx"
KEY, CANONICAL, DESTINATION = "k", "c", "d"


def read_claims(queries: pa.BinaryArray, rules: Rules) -> Claims:
    """Decodes and verifies query strings (distinct, binary, no nulls)."""
    parameters = parse_queries(queries)
    signature = parameters.get(SIGNATURE)
    key_number = rules.keys.verify(messages(parameters), signature)
    key, canonical, destination = map(parameters.get, (KEY, CANONICAL, DESTINATION))
    has_data = ~_is_blank(key) & ~_is_blank(canonical) & ~_is_blank(destination)
    tests = (
        (Reason.UNSIGNED, _is_blank(signature)),
        (Reason.TRUNCATED, (key_number == NO_KEY) & _is_cut(parameters, signature, queries)),
        (Reason.TAMPERED, key_number == NO_KEY),
        (Reason.NO_DATA, ~has_data),
        (Reason.BAD_DESTINATION, ~_is_permitted(destination, key_number, rules)),
    )
    reason = parameters.fault.copy()
    for verdict, applies in tests:
        reason[applies & (reason == 0)] = verdict
    none = pa.nulls(len(queries), pa.string())
    params = _params(parameters)
    return Claims(reason, key_number, key, canonical, destination, params, none, none)


def _is_blank(values: pa.StringArray) -> Mask:
    return pc.equal(pc.binary_length(values), 0).fill_null(True).to_numpy(zero_copy_only=False)


def _is_cut(parameters: Parameters, signature: pa.StringArray, queries: pa.BinaryArray) -> Mask:
    """Whether the URL ends in half a signature or half an escape."""
    is_short = pc.less(pc.binary_length(signature), SIGNATURE_CHARS).fill_null(False)
    is_short = is_short.to_numpy(zero_copy_only=False) & parameters.is_last(SIGNATURE)
    ends_in_escape = pc.match_substring_regex(queries, r"%[0-9A-Fa-f]?$")
    return is_short | ends_in_escape.to_numpy(zero_copy_only=False)


def _is_permitted(
    destinations: pa.StringArray, key_number: npt.NDArray[np.int8], rules: Rules
) -> Mask:
    """Whether each destination is well named, allowed, and in its key's scope."""
    coded = encode(destinations)
    permitted = np.zeros(len(coded), np.bool_)
    for number, key in enumerate(rules.keys.keys):
        names = coded.values.to_pylist()
        may = np.array([is_permitted(name, rules.allow) and key.may_name(name) for name in names])
        permitted |= (key_number == number) & coded.look_up(may.astype(np.bool_), False)
    return permitted


def _params(parameters: Parameters) -> pa.StringArray:
    extra = parameters.without([SIGNATURE, KEY, CANONICAL, DESTINATION])
    if not len(extra.row):
        return pa.nulls(parameters.count, pa.string())
    texts = extra.as_json(('"', '":"', '"'), ("{", "}"))
    return pc.if_else(pc.equal(texts, "{}"), pa.scalar(None, pa.string()), texts)
