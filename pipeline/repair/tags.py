"""Merge tags that a mailer or an ad server should have filled in, and did not.

Source: the vendors' guides to personalisation and macros (as known in November 2026, not each looked up again); `docs/repair.md`
lists the systems.
"""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from pipeline.columns import Mask
from pipeline.query import Parameters

TAGS = (
    r"\*\|[^|]+\|\*",
    r"\{\{[^{}]+\}\}",
    r"\{%[^{}]+%\}",
    r"\{![^{}]+\}",
    r"\[\[[^\[\]]+\]\]",
    r"\[%?[A-Z][A-Z0-9_]{2,}%?\]",
    r"\[(?:timestamp|random|cachebuster|cachebusting|email|unique_?id)\]",
    r"%%[A-Za-z_!=][^%]*%%",
    r"%[A-Z][A-Z0-9_-]{2,}%",
    r"\$\{[^{}]+\}",
    r"\$[A-Z][A-Z0-9_.]*\$",
    r"<%[^<>]+%>",
)
"""How tags look once the query string is decoded (RE2)."""

_TAG = "|".join(TAGS)


def holding_tags(parameters: Parameters) -> Mask:
    """Which query strings hold an unfilled tag, in a name or a value."""
    mask = np.zeros(parameters.count, np.bool_)
    for texts in (parameters.name, parameters.value):
        hit = pc.match_substring_regex(texts, _TAG)
        mask[parameters.row[hit.to_numpy(zero_copy_only=False)]] = True
    return mask
