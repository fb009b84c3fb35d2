"""Query strings that were cut off, told from those that were changed, with the limit they hit.

What is measured is the query string itself, and the path with it (the request's target) for each
of the pixel's paths. A length is at a limit when it is that or up to three bytes less, since some
programs leave no half escape behind.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Mask
from pipeline.model import Reason
from pipeline.signing import SIGNATURE, Signed

LIMITS = {
    255: Reason.TRUNCATED_AT_255,
    512: Reason.TRUNCATED_AT_512,
    1024: Reason.TRUNCATED_AT_1024,
    2000: Reason.TRUNCATED_AT_2000,
    2048: Reason.TRUNCATED_AT_2048,
    2083: Reason.TRUNCATED_AT_2083,
    4096: Reason.TRUNCATED_AT_4096,
    8192: Reason.TRUNCATED_AT_8192,
}
"""Bytes, and the reason that names them."""

SURE_BYTES = 1000
"""From here on a length at a limit is enough; below it, the query string must look cut as well."""
_SLACK_BYTES = 3

_HALF_ESCAPE = "%[0-9A-Fa-f]?$"
_HALF_CHARACTER = (
    "(?i)%(?:C[2-9A-F]|D[0-9A-F]"
    "|E[0-9A-F](?:%[89AB][0-9A-F])?"
    "|F[0-4](?:%[89AB][0-9A-F]){0,2})(?:%[0-9A-F]?)?$"
)
_SIGNED_EARLY = r"(?:^|&)s=(?:2\.[0-9a-f]{8}\.[0-9A-Za-z_~-]+\.)?[0-9A-Za-z_-]{43}&"

Reasons = npt.NDArray[np.int8]


def cut_reasons(
    queries: pa.BinaryArray, read: Signed, needed: Sequence[str], paths: Sequence[str]
) -> Reasons:
    """For each query string that does not verify why it seems to have been cut, 0 where it does not.

    It ends in half an escape, half a character or half a signature; or it has come to a known limit
    and does not end in its signature: from `SURE_BYTES` on that is enough, below it must lack a
    needed parameter, or one that its signature names, as well. Of those with a fault only what ends
    in half a character seems cut.
    """
    parameters = read.parameters
    is_last = parameters.is_last(SIGNATURE)
    ends_short = _matches(queries, _HALF_ESCAPE) | (is_last & read.is_cut)
    is_cut = ends_short & (parameters.fault == 0)
    is_cut |= _matches(queries, _HALF_CHARACTER) & _matches(queries, _SIGNED_EARLY)
    lacks = read.lacks.copy()
    for name in needed:
        lacks |= parameters.get(name).is_null().to_numpy(zero_copy_only=False)
    limit = limits_hit(queries, paths)
    is_at_limit = read.is_whole & ~is_last & (lacks | (limit >= SURE_BYTES))
    reasons = np.where(is_cut, np.int8(Reason.TRUNCATED), np.int8(0))
    for bytes_, reason in LIMITS.items():
        reasons[(is_cut | is_at_limit) & (limit == bytes_)] = reason
    return reasons


def _matches(queries: pa.BinaryArray, pattern: str) -> Mask:
    return pc.match_substring_regex(queries, pattern).to_numpy(zero_copy_only=False)


def limits_hit(queries: pa.BinaryArray, paths: Sequence[str]) -> npt.NDArray[np.int64]:
    """The limit that each query string has come to, in bytes; 0 for none."""
    length = pc.binary_length(queries).to_numpy(zero_copy_only=False).astype(np.int64)
    hit = np.zeros(len(length), np.int64)
    for before in sorted({0, *(len(path.encode()) + len("?") for path in paths)}):
        for limit in LIMITS:
            measured = length + before
            is_hit = (measured <= limit) & (measured >= limit - _SLACK_BYTES)
            hit[is_hit & (hit == 0)] = limit
    return hit
