"""The dialects: how the URLs of a pixel say what was seen. A new one is a file and a line here.

Which paths speak which dialect is told by the rules. Several may share a path: of these the one
whose mark, a parameter, stands in the URL is taken; what carries a signature is PRX's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Coded, Codes, Mask, Rows
from pipeline.dialects import email, mixpanel, ping, prx, segment
from pipeline.dialects.contract import Claims, Reading, concatenated
from pipeline.options import Rules, UnsignedDialect, is_path
from pipeline.signing import SIGNATURE

_Read = Callable[[pa.BinaryArray, Rules, UnsignedDialect], Reading]


@dataclass(frozen=True)
class Unsigned:
    """A dialect without signatures: the parameter that marks it, how it is read, its usual paths.

    `by_token`: its URLs name a destination by a token of the configuration.
    """

    mark: str
    read: _Read
    paths: tuple[str, ...]
    by_token: bool


UNSIGNED = {
    "mixpanel": Unsigned(mixpanel.MARK, mixpanel.read_claims, ("/track", "/track/"), by_token=True),
    "segment": Unsigned(segment.MARK, segment.read_claims, ("/v1/pixel/*",), by_token=True),
    "email": Unsigned(email.MARK, email.read_claims, ("/pixel.gif",), by_token=False),
    "ping": Unsigned(ping.MARK, ping.read_claims, ("/pixel.gif",), by_token=False),
}
"""The configuration gives them in this order: of those that share a path the first is tried first."""
DIALECTS = (prx.NAME, *UNSIGNED)


@dataclass(frozen=True)
class Claimed:
    """The claims of some requests; `first` is for each of them the row of its first claim.

    `counts` says at a first claim how many claims its query string makes; None: all make one.
    """

    claims: Claims
    first: Codes
    counts: Codes | None


def read_claims(queries: Coded, paths: Coded, rules: Rules) -> Claimed:
    """What requests claim, by their query strings (null: none) and paths."""
    if not rules.unsigned:
        return Claimed(prx.read_claims(queries.values, rules), queries.codes, None)
    texts = pa.concat_arrays([queries.values, pa.array([b""], queries.values.type)])
    codes = np.where(queries.is_absent, len(texts) - 1, queries.codes)
    pairs, pair_of = np.unique(_spoken(paths, rules) * len(texts) + codes, return_inverse=True)
    told = texts.take(pa.array(pairs % len(texts)))
    reading = _read(told, _chosen(told, pairs // len(texts), rules), rules)
    count = len(reading.claims.reason)
    starts = np.sort(reading.first)
    counts = np.zeros(count, np.int32)
    counts[starts] = np.diff(starts, append=count)
    return Claimed(reading.claims, reading.first[pair_of].astype(np.int32), counts)


def _read(queries: pa.BinaryArray, chosen: Rows, rules: Rules) -> Reading:
    """Reads each query string in the dialect chosen for it, by its number: PRX's is 0."""
    first = np.zeros(len(queries), np.int64)
    parts = [prx.read_claims(queries.filter(pa.array(chosen == 0)), rules)]
    first[chosen == 0] = np.arange(len(parts[0].reason))
    count = len(parts[0].reason)
    for number, dialect in enumerate(rules.unsigned, start=1):
        is_its = chosen == number
        if is_its.any():
            reading = UNSIGNED[dialect.name].read(queries.filter(pa.array(is_its)), rules, dialect)
            first[is_its] = reading.first + count
            parts.append(reading.claims)
            count += len(reading.claims.reason)
    return Reading(concatenated(parts), first)


def _spoken(paths: Coded, rules: Rules) -> Rows:
    """For each request a number whose bits say which dialects its path speaks."""
    each = [rules.paths, *(dialect.paths for dialect in rules.unsigned)]
    bits = np.zeros(len(paths.values), np.int64)
    for number, globs in enumerate(each):
        bits |= is_path(paths.values, globs).astype(np.int64) << number
    return paths.look_up(bits, 0).astype(np.int64)


def _chosen(queries: pa.BinaryArray, spoken: Rows, rules: Rules) -> Rows:
    """The number of the dialect that each query string is read in; `spoken` are its path's."""
    marks = [SIGNATURE, *(UNSIGNED[dialect.name].mark for dialect in rules.unsigned)]
    is_spoken = [(spoken >> number & 1).astype(np.bool_) for number in range(len(marks))]
    is_marked = [
        each & _holding(queries, mark) for each, mark in zip(is_spoken, marks, strict=True)
    ]
    chosen = np.full(len(queries), -1)
    for masks in (is_marked, is_spoken):
        for number, mask in enumerate(masks):
            chosen[(chosen < 0) & mask] = number
    return chosen


def _holding(queries: pa.BinaryArray, name: str) -> Mask:
    """Which query strings have a parameter of the name, as it stands."""
    found = pc.match_substring_regex(queries, rf"(?:^|&){name}=")
    return found.to_numpy(zero_copy_only=False).astype(np.bool_)
