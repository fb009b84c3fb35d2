"""What a dialect makes of query strings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.columns import Mask, Rows
from pipeline.model import TIMESTAMP
from pipeline.signing import ALWAYS_US, NEVER_US, NO_KEY


@dataclass(frozen=True)
class Claims:
    """What distinct query strings claim, one row an event: most claim one, arrays of events more.

    `reason` is the first `Reason` against the claim (0: none); `key_number` is the verifying key's
    place in the ring, or `NO_KEY`. The text columns are null where there is nothing to say: `params`
    is the JSON text of the signed parameters that have no column of their own (of those that could
    be, where a dialect has no signatures), `extras` of those that are not signed; `repair` names
    what had to be mended for the signature to fit; `user_id` and `client_time` are whom and when
    the client says, `send_id` the e-mail that was opened. The claim holds for requests logged from
    `valid_from_us` on and before `valid_until_us` (int64 microseconds, the least and the greatest
    where there is no bound). `hides_address` marks the events that are to be stored without the
    visitor's address.
    """

    reason: npt.NDArray[np.int8]
    key_number: npt.NDArray[np.int8]
    dialect: pa.StringArray
    key: pa.StringArray
    canonical: pa.StringArray
    destination: pa.StringArray
    params: pa.StringArray
    extras: pa.StringArray
    repair: pa.StringArray
    user_id: pa.StringArray
    send_id: pa.StringArray
    client_time: pa.TimestampArray
    hides_address: Mask
    valid_from_us: npt.NDArray[np.int64]
    valid_until_us: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """The claims of query strings, those of each together; `first` is where each one's begin.

    All claims of a query string have the same reason: an array of events counts whole or not at all.
    """

    claims: Claims
    first: Rows


def one_each(claims: Claims) -> Reading:
    """The reading of query strings that claim one event each."""
    return Reading(claims, np.arange(len(claims.reason)))


def claims_of(
    dialect: str,
    reason: npt.NDArray[np.int8],
    columns: Mapping[str, pa.Array | npt.NDArray[np.generic]],
) -> Claims:
    """Claims in one dialect; columns that are not given hold nothing."""
    count = len(reason)
    blank = {
        "key_number": np.full(count, NO_KEY, np.int8),
        "dialect": pa.repeat(pa.scalar(dialect), count),
        "client_time": pa.nulls(count, TIMESTAMP),
        "hides_address": np.zeros(count, np.bool_),
        "valid_from_us": np.full(count, ALWAYS_US),
        "valid_until_us": np.full(count, NEVER_US),
    }
    nothing = pa.nulls(count, pa.string())
    given = {**blank, **columns, "reason": reason}
    return Claims(**{each.name: given.get(each.name, nothing) for each in fields(Claims)})


def concatenated(parts: list[Claims]) -> Claims:
    """The claims of several dialects, one after the other."""
    columns = {}
    for each in fields(Claims):
        arrays = [getattr(part, each.name) for part in parts]
        is_numpy = isinstance(arrays[0], np.ndarray)
        columns[each.name] = np.concatenate(arrays) if is_numpy else pa.concat_arrays(arrays)
    return Claims(**columns)
