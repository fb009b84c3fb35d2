"""Says of pixel URLs whether a view of them would count: the job's own verdict, on made-up views."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.blocks import Lines
from pipeline.columns import encode
from pipeline.engine import Engine, first_reasons, select_pixels
from pipeline.formats.contract import requests, uri_columns
from pipeline.model import ABSENT, Reason
from pipeline.options import Rules
from pipeline.query import parse_queries
from pipeline.shape import Judged
from pipeline.signing import SIGNATURE

NOT_PIXEL = "not-pixel"
_AGENT = b"Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"


@dataclass(frozen=True)
class Verdict:
    """Whether a view of the URL would count, and if not, why and what to do about it.

    `repair` names what is wrong with a URL that counts all the same, null where nothing is.
    """

    url: str
    counts: bool
    reason: str | None
    meaning: str
    remedy: str
    destination: str | None
    params: dict[str, str]
    repair: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The verdict as `check --json` prints it."""
        return {
            "url": self.url,
            "counts": self.counts,
            "reason": self.reason,
            "destination": self.destination,
            "params": self.params,
            "repair": self.repair,
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
    claims = dict(zip(lines, _claims(judged), strict=True))
    queries = encode(views.column("query")).plain().fill_null(b"")
    parameters = parse_queries(queries).without([SIGNATURE])
    params: list[dict[str, str]] = [{} for _ in urls]
    for row, name, value in zip(
        parameters.row, parameters.name.to_pylist(), parameters.value.to_pylist(), strict=True
    ):
        params[row][name] = value
    verdicts = []
    for row, (url, found) in enumerate(zip(urls, params, strict=True)):
        repair, mended = claims.get(row, (None, {}))
        verdict = _verdict(url, reasons.get(row), mended if repair else found, rules)
        verdicts.append(replace(verdict, repair=repair))
    return verdicts


def _claims(judged: Judged) -> Iterator[tuple[str | None, dict[str, str]]]:
    """For each view its repair, and what its URL claims once it is mended."""
    claims = judged.claims
    columns = (claims.key, claims.canonical, claims.destination, claims.params, claims.repair)
    rows = list(zip(*(column.to_pylist() for column in columns), strict=True))
    for at in judged.claim.tolist():
        *named, params, repair = rows[at] if at != ABSENT else (None,) * len(columns)
        known = {name: text for name, text in zip("kcd", named, strict=True) if text is not None}
        yield repair, {**known, **json.loads(params or "{}")}


def _browser(count: int, now_us: int) -> dict[str, pa.Array]:
    """What the log would hold of a browser's request, less the URL."""
    constant = {"method": b"GET", "status": b"200", "user_agent": _AGENT, "ip": b"192.0.2.1"}
    columns = {name: pa.array([value] * count, pa.binary()) for name, value in constant.items()}
    return {**columns, "timestamp": pa.array([now_us] * count, pa.timestamp("us", tz="UTC"))}


def _verdict(url: str, code: int | None, params: dict[str, str], rules: Rules) -> Verdict:
    destination = params.get("d")
    url = url.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if code is None:
        meaning = "its path is no pixel's"
        remedy = f"Use one of {', '.join(rules.all_paths)}."
        return Verdict(url, False, NOT_PIXEL, meaning, remedy, destination, params)
    if code == 0:
        return Verdict(url, True, None, "", "", destination, params)
    reason = next(reason for reason in Reason if reason == code)
    return Verdict(url, False, reason.label, reason.meaning, reason.remedy, destination, params)
