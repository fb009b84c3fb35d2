"""The requests that `benchmarks.formats` writes down in every log format, the same for all of them.

Pages' pixels, Zipf-distributed; some with a cache buster of their own, some for one newsletter's
recipient, so that three lines in ten have a URL never seen before. One line in a hundred is ugly: an
agent or a referrer with quotes, backslashes and bytes past ASCII, a URL that needs escaping, or a
line that is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

import numpy as np

from benchmarks import agents
from benchmarks.generate import DEFAULT_SECRET
from benchmarks.traffic import Repertoire, fresh_hit, make_repertoire, zipf_weights

AGENTS: Final = 500
HOST: Final = "px.example.org"
COOKIE: Final = "_pxid"
_SEED: Final = 1
_BEGIN_MS: Final = 1_763_700_000_000
_SPAN_MS: Final = 3_600_000
_SHARES: Final = (0.7, 0.2, 0.1)
"""Of pages, of pages with a cache buster, of newsletters."""
_UGLY: Final = 0.01
_UGLY_AGENTS: Final = (
    'Mozilla/5.0 (Linux; Android 12; TAB-9"HD Build/SP1A) AppleWebKit/537.36 (KHTML, like Gecko)',
    "Lecteur de balados de Québec/2.1 (iOS 17.4)",
    "curl\\8.0 [bot] {x}",
)
_UGLY_REFERRERS: Final = (
    'https://www.example.org/search?q="Québec"',
    "https://www.example.org/a b?x=%2520&y='1'",
)
_UGLY_URIS: Final = (
    "/i.gif?k=Épisode+1&c=https://www.example.org/é&d=news.pageviews",
    '/i.gif?k="a"&c=<b>&d=news.pageviews&s=\\x',
    "/",
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the client sent it; empty where it sent nothing.

    `uri` is the path and the query. Of a line that `is_cut` only the first half is in the log.
    """

    msec: int
    id: str
    address: str
    uri: str
    status: str
    agent: str
    referrer: str
    cookie: str
    is_cut: bool

    @property
    def path(self) -> str:
        """What stands before the `?`."""
        return self.uri.partition("?")[0]

    @property
    def query(self) -> str:
        """What stands behind the `?`."""
        return self.uri.partition("?")[2]

    @property
    def time(self) -> datetime:
        """When it was answered, whole seconds."""
        return second(self.msec // 1000)


@lru_cache(maxsize=1 << 13)
def second(seconds: int) -> datetime:
    """Seconds since 1970 as a time."""
    return _EPOCH + timedelta(seconds=seconds)


@lru_cache(maxsize=1)
def known_repertoire() -> Repertoire:
    """The URLs, agents and visitors, made once a process: that takes seconds."""
    return make_repertoire(_SEED, DEFAULT_SECRET)


def requests(lines: int) -> Iterator[Request]:
    """The first `lines` requests; the same for the same number."""
    rng = np.random.default_rng([_SEED, 2])
    repertoire = known_repertoire()
    hits = repertoire.signed + repertoire.unsigned + repertoire.tampered
    people, bots = agents.people(), agents.bots()
    known = [*people[:: len(people) // (AGENTS - len(bots)) + 1], *bots]
    visitor = rng.integers(0, len(repertoire.addresses), lines)
    columns = zip(
        rng.choice(len(_SHARES), lines, p=_SHARES).tolist(),
        rng.choice(len(hits), lines, p=zipf_weights(len(hits), 0.8)).tolist(),
        visitor.tolist(),
        rng.choice(len(known), lines, p=zipf_weights(len(known), 0.8)).tolist(),
        rng.random(lines).tolist(),
        np.where(rng.random(lines) < _UGLY, rng.integers(1, 5, lines), 0).tolist(),
        (_BEGIN_MS + np.sort(rng.integers(0, _SPAN_MS, lines))).tolist(),
        rng.integers(0, 1 << 62, lines).tolist(),
        strict=True,
    )
    for number, (kind, hit, who, agent, chance, ugly, msec, id_) in enumerate(columns):
        uri, page = hits[hit].uri, hits[hit].page
        if kind == 1:
            uri = f"{uri}&cb={id_ % 10_000_000_000}"
        elif kind == 2:
            uri, page = fresh_hit(number, hit, DEFAULT_SECRET).uri, ""
        others = repertoire.referrers
        yield Request(
            msec,
            f"{id_:016x}{number:016x}",
            repertoire.addresses[who],
            _UGLY_URIS[number % 3] if ugly == 1 else uri,
            "304" if chance > 0.97 else "200",
            _UGLY_AGENTS[number % 3] if ugly == 2 else known[agent],
            _UGLY_REFERRERS[number % 2]
            if ugly == 3
            else page
            if chance < 0.75
            else others[number % 8]
            if chance < 0.9
            else "",
            repertoire.cookies[who],
            ugly == 4,
        )
