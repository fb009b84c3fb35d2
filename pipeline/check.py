"""Says of pixel URLs whether a view of them would count: the job's own verdict, on made-up views."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.blocks import Lines
from pipeline.columns import Coded, Rows, encode
from pipeline.dialects.prx import CANONICAL, DESTINATION, KEY
from pipeline.engine import Engine, first_reasons, select_pixels
from pipeline.formats.contract import requests, uri_columns
from pipeline.model import Reason
from pipeline.options import Rules
from pipeline.query import Parameters
from pipeline.repair.ladder import mend
from pipeline.shape import Judged
from pipeline.signing import NO_KEY, bounds, read_signed, verify

NOT_PIXEL = "not-pixel"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_AGENT = b"Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"


@dataclass(frozen=True)
class Facts:
    """What stands in a URL, whether it counts or not.

    `version` is that of its signature, null where it has none; `key_id` the key that the signature
    names (version 2) or that verified it (version 1). `params` are the signed parameters, `extras`
    the others. `not_before` and `expires` are ISO 8601, null for no bound.
    """

    version: int | None
    key_id: str | None
    params: dict[str, str]
    extras: dict[str, str]
    not_before: str | None
    expires: str | None


@dataclass(frozen=True)
class Verdict:
    """Whether a view of the URL would count, and if not, why and what to do about it.

    `repair` names what is wrong with a URL that counts all the same, null where nothing is; the
    facts are then those of the URL as it was signed.
    """

    url: str
    counts: bool
    reason: str | None
    meaning: str
    remedy: str
    facts: Facts
    destination: str | None
    repair: str | None = None

    @property
    def params(self) -> dict[str, str]:
        """The signed parameters."""
        return self.facts.params

    def to_json(self) -> dict[str, Any]:
        """The verdict as `check --json` prints it."""
        return {
            "url": self.url,
            "counts": self.counts,
            "reason": self.reason,
            "destination": self.destination,
            "params": self.params,
            "repair": self.repair,
            "version": self.facts.version,
            "key_id": self.facts.key_id,
            "not_before": self.facts.not_before,
            "expires": self.facts.expires,
            "extras": self.facts.extras,
        }


def check_urls(urls: Sequence[str], rules: Rules, now_us: int) -> list[Verdict]:
    """A verdict for each URL (or path with query), as a browser's view of it at `now_us`.

    Bytes that are no UTF-8 come as Python has them in command lines, as lone surrogates.
    """
    sent = [url.partition("#")[0].encode("utf-8", "surrogateescape") for url in urls]
    raw = pa.array(sent, pa.binary())
    rows = np.arange(len(urls))
    views = requests(rows, {**_browser(len(urls), now_us), **uri_columns(encode(raw))})
    pixels = select_pixels(views, rules.all_paths)
    judged = Engine(rules).judge(pixels, Lines(b"", rows, rows))
    lines = pixels.column("line").to_pylist()
    reasons = dict(zip(lines, first_reasons(judged, rules), strict=True))
    repair = _by_line(lines, judged, judged.claims.repair)
    destination = _by_line(lines, judged, judged.claims.destination)
    queries = encode(views.column("query")).plain().fill_null(b"")
    facts = _facts(queries, np.array(sorted(repair), np.int64), rules)
    return [
        replace(
            _verdict(url, reasons.get(row), facts[row], rules),
            repair=repair.get(row),
            destination=destination.get(row),
        )
        for row, url in enumerate(urls)
    ]


def _by_line(lines: Sequence[int], judged: Judged, values: pa.StringArray) -> dict[int, str]:
    """What the claims of some lines say, those left out that say nothing."""
    told = Coded(values, judged.claim).with_values(values).plain().to_pylist()
    return {line: text for line, text in zip(lines, told, strict=True) if text}


def _facts(queries: pa.BinaryArray, broken: Rows, rules: Rules) -> list[Facts]:
    """What stands in query strings; in those that were repaired, as they were signed."""
    forms, left_out = queries.to_pylist(), {}
    mended = mend(
        queries.take(pa.array(broken)),
        lambda forms: verify(read_signed(forms), rules.keys)[0] != NO_KEY,
    )
    for row, form, extras in zip(
        broken[mended.rows], mended.queries.to_pylist(), mended.extras.to_pylist(), strict=True
    ):
        forms[row], left_out[row] = form, json.loads(extras or "{}")
    read = read_signed(pa.array(forms, pa.binary()))
    number, _ = verify(read, rules.keys)
    named = read.lists.key_id.to_pylist() if read.lists else [None] * len(forms)
    from_us, until_us, _ = bounds(read)
    params, unsigned = _by_row(read.signed), _by_row(read.unsigned)
    return [
        Facts(
            (2 if read.is_v2[row] else 1) if read.signature[row].as_py() else None,
            named[row] or (rules.keys.keys[number[row]].id if number[row] != NO_KEY else None),
            params[row],
            {**left_out.get(row, {}), **unsigned[row]},
            _time(from_us[row]),
            _time(until_us[row]),
        )
        for row in range(len(forms))
    ]


def _by_row(parameters: Parameters) -> list[dict[str, str]]:
    """The parameters of each query string, the first of each name."""
    found: list[dict[str, str]] = [{} for _ in range(parameters.count)]
    for row, name, value in zip(
        parameters.row, parameters.name.to_pylist(), parameters.value.to_pylist(), strict=True
    ):
        found[row].setdefault(name, value)
    return found


def _time(time_us: int) -> str | None:
    """A bound as ISO 8601; null for none, and for what lies past the year 9999."""
    try:
        return (_EPOCH + timedelta(microseconds=int(time_us))).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return None


def _browser(count: int, now_us: int) -> dict[str, pa.Array]:
    """What the log would hold of a browser's request, less the URL."""
    constant = {"method": b"GET", "status": b"200", "user_agent": _AGENT, "ip": b"192.0.2.1"}
    columns = {name: pa.array([value] * count, pa.binary()) for name, value in constant.items()}
    return {**columns, "timestamp": pa.array([now_us] * count, pa.timestamp("us", tz="UTC"))}


def _verdict(url: str, code: int | None, facts: Facts, rules: Rules) -> Verdict:
    url = url.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if code is None:
        meaning = "its path is no pixel's"
        remedy = f"Use one of {', '.join(rules.all_paths)}."
        return Verdict(url, False, NOT_PIXEL, meaning, remedy, facts, None)
    if code == 0:
        return Verdict(url, True, None, "", "", facts, None)
    reason = next(reason for reason in Reason if reason == code)
    meaning = reason.meaning
    unsigned = [name for name in (KEY, CANONICAL, DESTINATION) if name in facts.extras]
    if reason == Reason.NO_DATA and unsigned:
        meaning += f"; it holds {' and '.join(unsigned)} outside its signature"
    return Verdict(url, False, reason.label, meaning, reason.remedy, facts, None)
