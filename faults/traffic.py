"""Makes small logs of which the fate of every line is known.

The lines are written from nginx's documents and the fates from the project's promises, apart from
the code under test; only signing is the project's own. The same seed gives the same logs.
"""

from __future__ import annotations

import gzip
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from pipeline.signing import Key, sign_query

VIEW, BOT, NOT_PIXEL, HEADER, REJECT = "view", "bot", "not_pixel", "header", "reject"
DESTINATIONS = ("news.pageviews", "mail.opens", "podcast.plays")
SECRET = "the matrix's secret"  # noqa: S105 - of logs that are made up
NOON = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
BOT_RULE = "ua-parser: Googlebot"
PLAIN, GZIP = "plain", "gzip"

_STORIES = 24
_KINDS = {
    VIEW: 60, "repeat": 5, BOT: 10, "missing": 4, "elsewhere": 3, HEADER: 3,
    "tampered": 4, "unsigned": 3, "truncated": 2, "malformed": 2, "no-agent": 2, "no-data": 1,
    "bad-destination": 1,
}  # fmt: skip
"""The kinds of lines, by their share; those that no name stands for are reasons of rejects."""


@dataclass(frozen=True)
class Line:
    """A line of a log without its newline, and what must become of it.

    `fate` is VIEW, BOT, NOT_PIXEL, HEADER or REJECT. A view has `destination`, `id`, `key` and
    `time`; a bot's view `destination` and `time`; a reject its `reason`.
    """

    data: bytes
    fate: str
    destination: str = ""
    id: str = ""
    key: str = ""
    time: datetime = NOON
    reason: str = ""

    @property
    def hour(self) -> datetime:
        """The hour of its time."""
        return self.time.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Log:
    """Lines, as an object stores them.

    `pieces` are what was written at a time: the file itself and then what it grew by, a gzip member
    each where it is compressed.
    """

    pieces: tuple[tuple[Line, ...], ...]
    codec: str = PLAIN

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines."""
        return tuple(itertools.chain.from_iterable(self.pieces))

    @property
    def data(self) -> bytes:
        """The stored bytes."""
        return b"".join(map(self._stored, self.pieces))

    def grown(self, lines: Sequence[Line]) -> Log:
        """With more lines at its end."""
        return replace(self, pieces=(*self.pieces, tuple(lines)))

    def portion(self, start: int, end: int) -> list[tuple[int, Line]] | None:
        """The lines that the stored bytes `[start, end)` hold, with their positions.

        Positions count inflated bytes. None where the bytes are not those of whole pieces.
        """
        found: list[tuple[int, Line]] = []
        stored = position = 0
        edges = {0}
        for piece in self.pieces:
            is_within = start <= stored < end
            for line in piece:
                if is_within:
                    found.append((position, line))
                position += len(line.data) + 1
            stored += len(self._stored(piece))
            edges.add(stored)
        return found if {start, end} <= edges else None

    def _stored(self, piece: tuple[Line, ...]) -> bytes:
        data = b"".join(line.data + b"\n" for line in piece)
        return gzip.compress(data, 1, mtime=0) if self.codec == GZIP else data


class Traffic:
    """An endless supply of logs; `secret` signs and may be changed meanwhile."""

    def __init__(self, seed: int, secret: str = SECRET) -> None:
        self._chance = random.Random(seed)
        self._seed = seed
        self._numbers = itertools.count(1)
        self.secret = secret
        self._time = NOON

    def log(self, lines: int = 40, destinations: Sequence[str] = DESTINATIONS) -> Log:
        """A new log; every fourth is compressed."""
        codec = GZIP if self._chance.random() < 0.25 else PLAIN
        return Log((tuple(self.lines(lines, destinations)),), codec)

    def lines(self, count: int, destinations: Sequence[str] = DESTINATIONS) -> list[Line]:
        """New lines, the first of which are views: one for each destination."""
        made = [self.view(name) for name in destinations][:count]
        kinds = self._chance.choices(list(_KINDS), list(_KINDS.values()), k=count - len(made))
        for kind in kinds:
            made.append(self._line(kind, self._chance.choice(destinations), made))
        return made

    def skip(self, time: timedelta) -> None:
        """Lets time go by."""
        self._time += time

    def view(self, destination: str) -> Line:
        """A view that counts."""
        key = self._story()
        id_, time = self._next()
        data = self._px1(id_, time, self._pixel(destination, key))
        return Line(data, VIEW, destination, id_, key, time)

    def _line(self, kind: str, destination: str, before: Sequence[Line]) -> Line:
        """A line of a kind; one that is repeated is a view of `before`."""
        if kind == VIEW:
            return self.view(destination)
        if kind == "repeat":
            return self._chance.choice([line for line in before if line.fate == VIEW])
        if kind == HEADER:
            return Line(b"", HEADER)
        id_, time = self._next()
        uri = self._pixel(destination, self._story())
        unlike = {
            BOT: lambda: Line(
                self._px1(id_, time, uri, agent=GOOGLEBOT), BOT, destination, time=time
            ),
            "missing": lambda: Line(self._px1(id_, time, uri, status=404), NOT_PIXEL),
            "elsewhere": lambda: Line(self._px1(id_, time, "/robots.txt"), NOT_PIXEL),
        }
        if kind in unlike:
            return unlike[kind]()
        return Line(self._broken(kind, id_, time, uri), REJECT, reason=kind)

    def _broken(self, reason: str, id_: str, time: datetime, uri: str) -> bytes:
        """A line that is rejected for a reason."""
        if reason == "malformed":
            return f"px1\tcut {id_}".encode()
        if reason == "no-agent":
            return self._px1(id_, time, uri, agent="-")
        if reason == "no-data":
            return self._px1(id_, time, f"/i.gif?{_signed(self.secret, k='story', d='news.x')}")
        if reason == "bad-destination":
            return self._px1(id_, time, self._pixel("nowhere", "story"))
        path, _, query = uri.partition("?")
        signature, _, rest = query.partition("&")
        changed = {
            "tampered": f"{signature}&{rest}x",
            "unsigned": rest,
            "truncated": f"{rest}&{signature[:20]}",
        }[reason]
        return self._px1(id_, time, f"{path}?{changed}")

    def _next(self) -> tuple[str, datetime]:
        """The next request's id and time: some minutes lie between two."""
        self._time += timedelta(milliseconds=self._chance.randrange(1, 120_000))
        return f"{self._seed:06x}{next(self._numbers):08x}", self._time

    def _story(self) -> str:
        return f"story-{self._chance.randrange(_STORIES)}"

    def _pixel(self, destination: str, key: str) -> str:
        query = _signed(self.secret, k=key, c="https://news.example.org/a", d=destination)
        return f"/i.gif?{query}"

    def _px1(
        self, id_: str, time: datetime, uri: str, status: int = 200, agent: str = FIREFOX
    ) -> bytes:
        """A line as nginx's `px1` has it; nothing here needs escaping."""
        since = time - datetime.fromtimestamp(0, timezone.utc)
        msec = f"{since // timedelta(seconds=1)}.{since.microseconds // 1000:03d}"
        address = f"203.0.113.{self._chance.randrange(1, 255)}"
        fields = ("px1", msec, id_, address, "-", "GET", "px.example.org", uri, str(status), agent, "-", "-", ".")  # fmt: skip
        return "\t".join(fields).encode()


@lru_cache(maxsize=4096)
def _signed(secret: str, **parameters: str) -> str:
    return sign_query(parameters, Key(secret.encode()))
