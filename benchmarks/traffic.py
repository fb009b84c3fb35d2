"""What the visitors of a made-up site request: signed URLs, visitors, and a verdict for each view.

Everything follows from a seed. `Repertoire` holds the requests that come again and again and the
visitors who make them; `draw` picks the lines of one file as NumPy arrays of indices into it.
"""

from __future__ import annotations

import base64
import hmac
import json
import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from benchmarks import agents
from benchmarks.task import DESTINATIONS

Profile = Literal["typical", "worst"]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]

SIGNED_URLS: Final = 2000
BROKEN_URLS: Final = 300
VISITORS: Final = 320_000
NEWSLETTERS: Final = 40

_SITE: Final = "https://www.example.org"
_SECTIONS: Final = ("politics", "culture", "science", "sport", "économie", "local")
_WORDS: Final = (
    "river",
    "council",
    "strike",
    "summit",
    "harvest",
    "museum",
    "budget",
    "election",
    "storm",
    "bridge",
    "vaccine",
    "orchestra",
    "derby",
    "ferry",
    "archive",
    "glacier",
    "tariff",
    "festival",
    "satellite",
    "harbour",
    "census",
    "library",
)
_OTHER_REQUESTS: Final = (
    "/favicon.ico",
    "/robots.txt",
    "/",
    "/wp-login.php",
    "/apple-touch-icon.png",
    "/.env?x=1",
    "/pixel.png?k=old&c=https%3A%2F%2Fwww.example.org%2F",
)
_REFERRERS: Final = (
    "https://www.google.com/",
    "https://m.facebook.com/",
    "https://t.co/",
    "https://news.ycombinator.com/item?id=42",
    "android-app://com.google.android.gm/",
    "https://www.bing.com/",
    "https://mail.google.com/",
    "https://duckduckgo.com/",
    'https://www.example.org/search?q="Québec"',
)

_KINDS: Final = ("typical", "fresh", "unsigned", "tampered", "redirect", "other")
_SHARES: Final[dict[Profile, tuple[float, ...]]] = {
    "typical": (0.86, 0.05, 0.03, 0.03, 0.01, 0.02),
    "worst": (0.0, 0.97, 0.0, 0.0, 0.01, 0.02),
}


def sign(params: Sequence[tuple[str, str]], secret: str) -> str:
    """The v1 signature of decoded parameters."""
    message = json.dumps(sorted(params), ensure_ascii=False, separators=(",", ":")).encode()
    return _base64url(hmac.digest(secret.encode(), message, "sha256"))


def _base64url(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@lru_cache(maxsize=65536)
def _escape(value: str) -> str:
    return quote(value, safe="!'()*")


def query_of(params: Sequence[tuple[str, str]]) -> str:
    """A query string, values percent-escaped as `encodeURIComponent` does."""
    return "&".join(f"{name}={_escape(value)}" for name, value in params)


@dataclass(frozen=True)
class Hit:
    """A request that is made over and over, and the page it stands on (empty: no page)."""

    uri: str
    page: str


@dataclass(frozen=True)
class Repertoire:
    """What recurs in the traffic. `cookies` and `agent_of` go by visitor; `bot_of` by agent."""

    signed: list[Hit]
    unsigned: list[Hit]
    tampered: list[Hit]
    referrers: tuple[str, ...]
    other: tuple[str, ...]
    agents: list[str]
    bot_of: Flags
    addresses: list[str]
    cookies: list[str]
    agent_of: Indices


@dataclass(frozen=True)
class Draw:
    """The lines of one file; all arrays go by line.

    `kind` is an index into the kinds of request, `hit` into the repertoire's list of that kind;
    `referrer` is -2 for none, -1 for the page, else an index into the repertoire's referrers.
    """

    kind: Indices
    hit: Indices
    visitor: Indices
    referrer: Indices
    recipient: Indices
    head: Flags
    not_modified: Flags
    msec: Indices
    request_ids: str


def zipf_weights(count: int, exponent: float) -> NDArray[np.float64]:
    """Chances of `count` things, the first the likeliest."""
    weights = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _article(index: int, rng: np.random.Generator) -> tuple[str, str]:
    """A story's key and address."""
    words = "-".join(_WORDS[i] for i in rng.integers(0, len(_WORDS), 4))
    section = _SECTIONS[index % len(_SECTIONS)]
    return f"story-{index}", f"{_SITE}/{section}/2025/11/{words}-{100000 + index}"


def _signed_params(index: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    key, page = _article(index, rng)
    params = [("k", key), ("c", page), ("d", DESTINATIONS[0])]
    if index % 10 == 3:
        params[0], params[2] = (
            ("k", f"Épisode {index}: {_WORDS[index % 20]}"),
            ("d", DESTINATIONS[1]),
        )
        params.append(("player", "web+embed"))
    elif index % 10 == 7:
        params[2] = ("d", DESTINATIONS[2])
        params.append(("edition", f"{index % NEWSLETTERS}"))
    return params


def _path(index: int) -> str:
    return "/pixel.gif" if index % 10 in (1, 3, 7) else "/i.gif"


def _page(params: Sequence[tuple[str, str]]) -> str:
    """The page a pixel stands on, as a browser names it: pages for news, none for mail and apps."""
    values = dict(params)
    return quote(values["c"], safe=":/?=&") if values["d"] == DESTINATIONS[0] else ""


def _hit(index: int, params: list[tuple[str, str]], signature: str | None) -> Hit:
    signed = params if signature is None else [*params, ("s", signature)]
    query = query_of(signed)
    if index % 50 == 13:
        query = query.replace("%C3%89", "É").replace("%20", "+")
    return Hit(f"{_path(index)}?{query}", _page(params))


def _tampered(index: int, params: list[tuple[str, str]], secret: str) -> Hit:
    """A URL whose signature is another's: of an altered story, key or secret."""
    if index % 3 == 0:
        return _hit(index, params, sign(params, secret + "?"))
    altered = [(n, v + ("x" if n == "kc"[index % 2] else "")) for n, v in params]
    return _hit(index, altered, sign(params, secret))


def _addresses(count: int, rng: np.random.Generator) -> list[str]:
    """Public addresses, three in ten of them IPv6."""
    v6 = rng.random(count) < 0.3
    raw = rng.integers(0, 256, (count, 16), dtype=np.uint8)
    raw[:, 0] = np.where(v6, 0x2A, raw[:, 0] % 190 + 11)
    raw[:, 6:8] &= 0x0F
    rows = raw.tobytes()
    return [
        socket.inet_ntop(socket.AF_INET6, rows[i * 16 : i * 16 + 16])
        if six
        else socket.inet_ntop(socket.AF_INET, rows[i * 16 : i * 16 + 4])
        for i, six in enumerate(v6.tolist())
    ]


def make_repertoire(seed: int, secret: str) -> Repertoire:
    """The URLs, agents and visitors of a seed."""
    rng = np.random.default_rng([seed, 0])
    params = [_signed_params(i, rng) for i in range(SIGNED_URLS)]
    broken = [_signed_params(i, rng) for i in range(BROKEN_URLS)]
    people, bots = agents.people(), agents.bots()
    bot_of = np.arange(len(people) + len(bots)) >= len(people)
    is_bot = rng.random(VISITORS) < 0.05
    person_agents = rng.permutation(len(people))[
        rng.choice(len(people), VISITORS, p=zipf_weights(len(people), 0.8))
    ]
    bot_agents = len(people) + rng.choice(len(bots), VISITORS, p=zipf_weights(len(bots), 0.7))
    has_cookie = (rng.random(VISITORS) < 0.64) & ~is_bot
    ids = rng.bytes(16 * VISITORS)
    return Repertoire(
        signed=[_hit(i, p, sign(p, secret)) for i, p in enumerate(params)],
        unsigned=[_hit(i, p, None) for i, p in enumerate(broken)],
        tampered=[_tampered(i, p, secret) for i, p in enumerate(broken)],
        referrers=_REFERRERS,
        other=_OTHER_REQUESTS,
        agents=[*people, *bots],
        bot_of=bot_of,
        addresses=_addresses(VISITORS, rng),
        cookies=[
            str(uuid.UUID(bytes=ids[i * 16 : i * 16 + 16], version=4)) if has else ""
            for i, has in enumerate(has_cookie.tolist())
        ],
        agent_of=np.where(is_bot, bot_agents, person_agents).astype(np.int64),
    )


def fresh_hit(recipient: int, hit: int, secret: str) -> Hit:
    """A signed URL that nobody requested before: a newsletter's pixel for one recipient."""
    edition = hit % NEWSLETTERS
    page = f"{_SITE}/newsletter/2025/{edition}"
    # The names c, d, k, u stand sorted already, and no value needs escaping in JSON.
    user = f"{recipient * 0x9E3779B97F4A7C15 % 2**64:016x}"
    key = f"newsletter-{edition}"
    message = f'[["c","{page}"],["d","{DESTINATIONS[2]}"],["k","{key}"],["u","{user}"]]'
    signature = _base64url(hmac.digest(secret.encode(), message.encode(), "sha256"))
    query = f"k={key}&c={_escape(page)}&d={DESTINATIONS[2]}&u={user}&s={signature}"
    return Hit("/pixel.gif?" + query, "")


def _hits(kind: Indices, rng: np.random.Generator) -> Indices:
    """An index into the list that each line's kind draws from."""
    count = len(kind)
    broken = rng.integers(0, BROKEN_URLS, count)
    signed = rng.choice(SIGNED_URLS, count, p=zipf_weights(SIGNED_URLS, 1.0))
    redirected = signed // 10 * 10  # of the sort that stands at /i.gif
    other = rng.integers(0, len(_OTHER_REQUESTS), count)
    choices = (signed, signed, broken, broken, redirected, other)
    return np.asarray(np.choose(kind, choices), dtype=np.int64)


def draw(profile: Profile, seed: int, file_index: int, lines: int) -> Draw:
    """The lines of file `file_index`; the same however many files there are."""
    rng = np.random.default_rng([seed, 1, file_index])
    kind = rng.choice(len(_KINDS), lines, p=_SHARES[profile])
    chance = rng.random(lines)
    referrer = np.where(
        chance < 0.75, -1, np.where(chance < 0.9, rng.integers(0, len(_REFERRERS), lines), -2)
    )
    start_ms = 1_763_700_000_000 + file_index * 3_600_000
    return Draw(
        kind=kind,
        hit=_hits(kind, rng),
        visitor=(VISITORS * rng.random(lines) ** 1.1).astype(np.int64),
        referrer=referrer,
        recipient=np.arange(lines) + file_index * 1_000_000_000,
        head=rng.random(lines) < 0.005,
        not_modified=rng.random(lines) < 0.03,
        msec=start_ms + np.sort(rng.integers(0, 3_600_000, lines)),
        request_ids=rng.bytes(16 * lines).hex(),
    )


def verdicts(drawn: Draw, repertoire: Repertoire) -> dict[str, int]:
    """How many lines of a draw every contender must find under each verdict."""
    kind = drawn.kind
    bot = repertoire.bot_of[repertoire.agent_of[drawn.visitor]]
    signed = kind <= 1
    return {
        "accepted": int((signed & ~bot).sum()),
        "bot": int((signed & bot).sum()),
        "not_pixel": int((kind >= 4).sum()),
        "unsigned": int((kind == 2).sum()),
        "tampered": int((kind == 3).sum()),
    }
