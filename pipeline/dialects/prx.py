"""PRX's pixel: `/i.gif?k=KEY&c=CANONICAL_URL&d=DATASET.TABLE&s=SIGNATURE`.

Source: PRX's pixel tracker (checked 2026-11-21). Its reasons are `invalid` (here `unsigned`,
`unfilled-tag`, `truncated` or `tampered`) and `no-data`, in this order; a blank `k`, `c` or `d` is
no data. What does not verify is mended where that can be (`pipeline.repair`). Signatures are of
version 1, PRX's own, or of version 2, ours: there `k`, `c` and `d` must be among the signed.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Mask, Rows, encode, is_blank
from pipeline.destinations import is_permitted
from pipeline.dialects.contract import Claims, claims_of
from pipeline.model import Reason
from pipeline.options import Rules
from pipeline.query import Parameters
from pipeline.repair.cuts import cut_reasons
from pipeline.repair.ladder import mend
from pipeline.repair.tags import holding_tags
from pipeline.repair.trackers import merged_extras
from pipeline.signing import EXPIRES, NO_KEY, NOT_BEFORE, KeyRing, bounds, read_signed, verify

NAME = "prx"
KEY, CANONICAL, DESTINATION = "k", "c", "d"
SEND = "sh"
"""An e-mail's id, in signed URLs too."""
_HOPELESS = (Reason.NUL_BYTE, Reason.UNKNOWN_KEY)
_DOUBTFUL = (Reason.TAMPERED, Reason.NOT_UTF8, Reason.MALFORMED_SIGNATURE)


def read_claims(queries: pa.BinaryArray, rules: Rules) -> Claims:
    """Decodes and verifies query strings (distinct, binary, no nulls).

    Those that fail are mended if a repair makes their signature fit; of the others it is found out
    why they fail. A NUL is never an accident: what holds one is not mended; nor is what a key
    signed that the ring does not hold.
    """
    claims = _claims(queries, rules)
    failed = (claims.key_number == NO_KEY) & ~np.isin(claims.reason, _HOPELESS)
    if not failed.any():
        return claims
    rows = np.flatnonzero(failed)
    mended = mend(queries.take(pa.array(rows)), lambda forms: _verifies(forms, rules.keys))
    if len(mended.rows):
        sound = _claims(mended.queries, rules)
        extras = merged_extras(sound.extras, mended.extras)
        claims = _replaced(
            claims, rows[mended.rows], replace(sound, repair=mended.repair, extras=extras)
        )
    failed &= claims.key_number == NO_KEY
    _diagnose(claims.reason, queries, np.flatnonzero(failed), rules)
    return claims


def _claims(queries: pa.BinaryArray, rules: Rules) -> Claims:
    """What query strings claim just as they are."""
    read = read_signed(queries)
    key_number, reason = verify(read, rules.keys)
    signed = read.signed
    key, canonical, destination = map(signed.get, (KEY, CANONICAL, DESTINATION))
    destination = _with_dataset(destination, rules.default_dataset)
    from_us, until_us, is_wrong = bounds(read)
    has_data = ~is_blank(key) & ~is_blank(canonical) & ~is_blank(destination)
    tests = (
        (Reason.BAD_BOUNDS, is_wrong),
        (Reason.NO_DATA, ~has_data),
        (Reason.BAD_DESTINATION, ~_is_permitted(destination, key_number, rules)),
    )
    for verdict, applies in tests:
        reason[applies & (reason == 0)] = verdict
    params = signed.without([KEY, CANONICAL, DESTINATION, SEND])
    columns = {
        "key_number": key_number,
        "key": key,
        "canonical": canonical,
        "destination": destination,
        "send_id": signed.get(SEND),
        "valid_from_us": from_us,
        "valid_until_us": until_us,
    }
    if read.lists:
        is_bound = pc.is_in(params.name, pa.array([EXPIRES, NOT_BEFORE]))
        params = params.where(~(read.is_v2[params.row] & is_bound.to_numpy(zero_copy_only=False)))
        columns["extras"] = _first_of_each(read.unsigned).as_object()
    columns["params"] = _first_of_each(params).as_object()
    return claims_of(NAME, reason, columns)


def _verifies(queries: pa.BinaryArray, keys: KeyRing) -> Mask:
    return verify(read_signed(queries), keys)[0] != NO_KEY


def _replaced(claims: Claims, rows: Rows, others: Claims) -> Claims:
    """The claims with some rows (rising) taken from others."""
    mask = np.zeros(len(claims.reason), np.bool_)
    mask[rows] = True
    columns = {}
    for each in fields(Claims):
        column, other = getattr(claims, each.name), getattr(others, each.name)
        if isinstance(column, np.ndarray):
            column[rows] = other
        else:
            column = pc.replace_with_mask(column, pa.array(mask), other)
        columns[each.name] = column
    return Claims(**columns)


def _diagnose(
    reason: npt.NDArray[np.int8], queries: pa.BinaryArray, failed: Rows, rules: Rules
) -> None:
    """Sets the reasons of query strings that seemed tampered with, and were cut or never filled in."""
    rows = failed[np.isin(reason[failed], _DOUBTFUL)]
    if not len(rows):
        return
    broken = queries.take(pa.array(rows))
    read = read_signed(broken)
    cut = cut_reasons(broken, read, (KEY, CANONICAL, DESTINATION), rules.paths)
    found = np.where(holding_tags(read.deciding), np.int8(Reason.UNFILLED_TAG), cut)
    reason[rows] = np.where(found, found, reason[rows])


def _with_dataset(destinations: pa.StringArray, default: str | None) -> pa.StringArray:
    """Destinations with bare table names put into the default dataset, where there is one."""
    if default is None:
        return destinations
    is_bare = pc.and_(pc.not_equal(pc.binary_length(destinations), 0), pc.invert(pc.match_substring(destinations, ".")))  # fmt: skip
    whole = pc.binary_join_element_wise(default, destinations, ".")
    return pc.if_else(is_bare.fill_null(False), whole, destinations)


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


def _first_of_each(parameters: Parameters) -> Parameters:
    """The same query strings with the first of each name alone."""
    return parameters.where(parameters.flaw != Reason.DUPLICATE_PARAMETER)
