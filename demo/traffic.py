"""The requests of the demonstration: what is sent, when, and what should become of each.

`plan` makes the shots, `send` fires them over loopback at their times, and `Tally` counts what
must come out at the other end. The plan is the same at every run but for the signatures.
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from demo.cast import BOTS, BROWSERS, OTHER_PATHS, SCENES, Scene

ACCEPTED, BOT, NOT_PIXEL = "accepted", "bot", "not_pixel"
HOST = "px.example.org"
AT_ONCE = 64
REPLY_S = 20.0
LOOPBACKS_ARE_MANY = sys.platform == "linux"

Sign = Callable[[Mapping[str, str]], str]
"""Signs decoded parameters; gives the whole query string with its signature."""


@dataclass(frozen=True)
class Shot:
    """One connection to make: raw bytes, and what should come of them.

    `at` is the time to fire, from 0 to 1. `fate` is the place in the balance sheet: accepted, bot,
    not_pixel, or a reject's reason. `status` is the reply expected; None where the client hangs up
    in the middle of its request.
    """

    wire: bytes
    fate: str
    status: int | None = 200
    destination: str = ""
    at: float = 0.0
    source: str = "127.0.0.1"


@dataclass
class Tally:
    """What was sent, by expected fate, under the names of the balance sheet."""

    lines: int = 0
    accepted: int = 0
    bot: int = 0
    not_pixel: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    destinations: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, shots: Iterable[Shot]) -> Tally:
        """Counts shots."""
        tally = cls()
        for shot in shots:
            tally.lines += 1
            if shot.fate in (ACCEPTED, BOT, NOT_PIXEL):
                setattr(tally, shot.fate, getattr(tally, shot.fate) + 1)
            else:
                tally.rejected[shot.fate] += 1
            if shot.fate == ACCEPTED:
                tally.destinations[shot.destination] += 1
        return tally

    def to_json(self) -> dict[str, Any]:
        """The tally as a plain value, in the balance sheet's words."""
        return {
            "lines": self.lines,
            "not_pixel": self.not_pixel,
            "accepted": self.accepted,
            "bot": self.bot,
            "rejected": dict(sorted(self.rejected.items())),
            "destinations": dict(sorted(self.destinations.items())),
        }


def request(target: str, headers: Mapping[str, str], method: str = "GET") -> bytes:
    """The bytes of a request. Header values go out as UTF-8; an empty one is left out."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {HOST}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value]
    return "\r\n".join([*lines, "", ""]).encode()


def plan(sign: Sign, seed: int = 1) -> list[Shot]:
    """All shots of the demonstration, in the order of their times."""
    chance = random.Random(seed)
    author = _Author(sign, chance)
    shots = [author.view(scene) for scene in SCENES for _ in range(scene.views)]
    strays = (
        (author.by_bot, 240),
        (author.unsigned, 90),
        (author.tampered, 130),
        (author.truncated, 60),
        (author.without_data, 24),
        (author.to_nowhere, 18),
        (author.without_agent, 32),
        (author.by_post, 60),
        (author.elsewhere, 160),
        (author.endless, 2),
    )
    shots += [write() for write, count in strays for _ in range(count)]
    shots += [shot for _ in range(6) for shot in author.broken()]
    return sorted(shots, key=lambda shot: shot.at)


class _Author:
    """Writes shots. All chance comes from one generator, so that a plan can be repeated."""

    def __init__(self, sign: Sign, chance: random.Random) -> None:
        self._chance = chance
        self._sign = lru_cache(maxsize=None)(lambda pairs: sign(dict(pairs)))
        self._visitors = [self._visitor() for _ in range(900)]

    def view(self, scene: Scene) -> Shot:
        """A view that counts; one in twenty comes as HEAD."""
        query = self._signed(**self._page(scene))
        method = "HEAD" if self._chance.random() < 0.05 else "GET"
        headers = self._headers(scene)
        wire = request(f"{_path(scene, headers)}?{query}", headers, method)
        return self._shot(wire, ACCEPTED, destination=scene.destination, at=self._when(scene))

    def by_bot(self) -> Shot:
        """A rightly signed pixel, fetched by a crawler."""
        scene = self._scene()
        query = self._signed(**self._page(scene))
        headers = {"User-Agent": self._chance.choice(BOTS)}
        return self._shot(request(f"{_path(scene, headers)}?{query}", headers), BOT)

    def unsigned(self) -> Shot:
        """A pixel's URL that someone put together without signing it."""
        scene = self._scene()
        return self._pixel(scene, urlencode(self._page(scene), quote_via=quote), "unsigned")

    def tampered(self) -> Shot:
        """A signed URL whose destination or key was changed afterwards."""
        scene = self._scene()
        pairs = dict(parse_qsl(self._signed(**self._page(scene))))
        pairs |= self._chance.choice(({"d": "sales.orders"}, {"k": "someone-else"}))
        return self._pixel(scene, urlencode(pairs, quote_via=quote), "tampered")

    def truncated(self) -> Shot:
        """A signed URL that was cut off within its signature."""
        scene = self._scene()
        pairs = dict(parse_qsl(self._signed(**self._page(scene))))
        signature = pairs.pop("s")[: self._chance.randint(4, 40)]
        query = urlencode({**pairs, "s": signature}, quote_via=quote)
        return self._pixel(scene, query, "truncated")

    def without_data(self) -> Shot:
        """A rightly signed URL that lacks its canonical URL."""
        scene = self._scene()
        page = self._page(scene)
        return self._pixel(scene, self._signed(k=page["k"], d=page["d"]), "no-data")

    def to_nowhere(self) -> Shot:
        """A rightly signed URL whose destination is no table's name."""
        scene = self._scene()
        page = self._page(scene) | {"d": self._chance.choice(("pageviews", "news.page-views"))}
        return self._pixel(scene, self._signed(**page), "bad-destination")

    def without_agent(self) -> Shot:
        """A view by a client that does not say what it is."""
        scene = self._scene()
        query = self._signed(**self._page(scene))
        return self._shot(request(f"{_path(scene, {})}?{query}", {}), "no-agent")

    def by_post(self) -> Shot:
        """A form or a script that posts to the pixel."""
        scene = self._scene()
        query = self._signed(**self._page(scene))
        headers = self._headers(scene) | {"Content-Length": "0"}
        return self._shot(request(f"{scene.path}?{query}", headers, "POST"), NOT_PIXEL, status=405)

    def elsewhere(self) -> Shot:
        """A request for anything else."""
        target = self._chance.choice(OTHER_PATHS)
        headers = {"User-Agent": self._chance.choice(BROWSERS)}
        return self._shot(request(target, headers), NOT_PIXEL, status=404)

    def endless(self) -> Shot:
        """Headers that nginx takes, but whose log line grows past 64 KiB by its escaping."""
        scene = self._scene()
        filler = b"\xff" * 7900
        query = self._signed(**self._page(scene))
        start = request(f"{_path(scene, {})}?{query}", {})[:-2]
        names = (b"User-Agent", b"Referer", b"X-Forwarded-For")
        wire = start + b"".join(name + b": " + filler + b"\r\n" for name in names) + b"\r\n"
        return self._shot(wire, "too-long")

    def broken(self) -> list[Shot]:
        """A broken client: TLS on the plain port, junk, no host, an endless URL, half requests."""
        scene = self._scene()
        view = request(f"{scene.path}?{self._signed(**self._page(scene))}", self._headers(scene))
        hello = b"\x16\x03\x01\x00\xc4\x01\x00\x00\xc0\x03\x03" + bytes(range(180))
        endless = request(f"/pixel.gif?c={'a' * 20_000}", {})
        return [
            self._shot(hello, NOT_PIXEL, status=400),
            self._shot(b"\x00\xff\xfe\x80 no such thing\r\n\r\n", NOT_PIXEL, status=400),
            self._shot(view.replace(b"Host", b"Hose"), NOT_PIXEL, status=400),
            self._shot(endless, NOT_PIXEL, status=414),
            self._shot(view[:40], NOT_PIXEL, status=None),
            self._shot(view[:-30], NOT_PIXEL, status=None),
        ]

    def _scene(self) -> Scene:
        return self._chance.choice(SCENES)

    def _page(self, scene: Scene) -> dict[str, str]:
        key, canonical = self._chance.choice(scene.pages)
        return {"k": key, "c": canonical, "d": scene.destination}

    def _signed(self, **parameters: str) -> str:
        return self._sign(tuple(parameters.items()))

    def _headers(self, scene: Scene) -> dict[str, str]:
        cookie = self._chance.choice(self._visitors)[1]
        return {
            "User-Agent": self._chance.choice(scene.agents),
            "Referer": self._chance.choice(scene.referrers),
            "Cookie": f"theme=dark; _pxid={cookie}" if cookie else "",
        }

    def _pixel(self, scene: Scene, query: str, fate: str) -> Shot:
        headers = self._headers(scene)
        return self._shot(request(f"{_path(scene, headers)}?{query}", headers), fate)

    def _shot(self, wire: bytes, fate: str, **more: Any) -> Shot:
        at = more.pop("at", self._chance.random())
        return Shot(wire, fate, at=at, source=self._chance.choice(self._visitors)[0], **more)

    def _visitor(self) -> tuple[str, str]:
        """An address of this machine's own, and, for most, a cookie."""
        rest = [self._chance.randint(1, 254) for _ in range(3)]
        source = ".".join(map(str, [127, *rest])) if LOOPBACKS_ARE_MANY else "127.0.0.1"
        bits = self._chance.getrandbits(128)
        return source, str(uuid.UUID(int=bits, version=4)) if bits % 10 < 7 else ""

    def _when(self, scene: Scene) -> float:
        """A time drawn from the scene's humps, by rejection."""
        most = sum(weight for weight, _, _ in scene.humps)
        while True:
            at = self._chance.random()
            if self._chance.random() * most < sum(_height(at, *hump) for hump in scene.humps):
                return at


def _path(scene: Scene, headers: Mapping[str, str]) -> str:
    """Where the pixel is answered: /i.gif sends those without a cookie on to /r.gif."""
    is_sent_on = scene.path == "/i.gif" and not headers.get("Cookie")
    return "/r.gif" if is_sent_on else scene.path


def _height(at: float, weight: float, centre: float, width: float) -> float:
    distance = (at - centre) / abs(width)
    if width > 0:
        return weight * math.exp(-(distance**2) / 2)
    return weight * math.exp(-distance) if distance >= 0 else 0.0


async def send(
    shots: Sequence[Shot],
    port: int,
    seconds: float = 0.0,
    each: Callable[[Shot], None] | None = None,
) -> None:
    """Fires every shot at its time within `seconds`, and waits for every reply.

    `each` is called with every shot that was answered.

    Raises `UnexpectedReplyError` where nginx answers otherwise than the shot expects.
    """
    began = time.monotonic()
    free = asyncio.Semaphore(AT_ONCE)

    async def fire(shot: Shot) -> None:
        try:
            await _fire(shot, port)
        finally:
            free.release()
        if each:
            each(shot)

    under_way: list[asyncio.Task[None]] = []
    for shot in shots:
        await asyncio.sleep(max(0.0, began + shot.at * seconds - time.monotonic()))
        await free.acquire()
        under_way.append(asyncio.create_task(fire(shot)))
    await asyncio.gather(*under_way)


class UnexpectedReplyError(Exception):
    """nginx answered otherwise than expected, so the tally cannot be trusted."""


async def _fire(shot: Shot, port: int) -> None:
    """One connection: write, hang up if that is the part, and read until the server closes."""
    local = (shot.source, 0) if LOOPBACKS_ARE_MANY else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=local)
    try:
        writer.write(shot.wire)
        if shot.status is None:
            writer.write_eof()
        reply = await asyncio.wait_for(_read_all(reader), REPLY_S)
    finally:
        writer.close()
    words = reply.split(None, 2)
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else None
    # A server that refuses may reset the connection before its reply is read.
    if status != shot.status and (status is not None or shot.status == 200):
        raise UnexpectedReplyError(
            f"nginx answered {status} instead of {shot.status} to {shot.wire[:80]!r}"
        )


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    """What the server said before it closed; a reset after a broken request is an end as well."""
    said = b""
    try:
        while piece := await reader.read(4096):
            said += piece
    except ConnectionResetError:
        pass
    return said
