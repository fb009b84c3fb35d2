"""What the ladder of repairs costs: the engine over the same blocks with it and without it, in turns.

The log is nginx's, and all its URLs are signed; a share of the lines has a URL that was broken after
signing, in the ways that occur in the wild, or that no repair mends: cut off, or changed.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from statistics import quantiles
from typing import Final
from unittest.mock import patch

import numpy as np

from benchmarks.format_traffic import Request, known_repertoire, requests
from benchmarks.generate import DEFAULT_SECRET
from benchmarks.lines_of_text import nginx_tsv
from pipeline.blocks import Block, read_blocks
from pipeline.engine import Engine
from pipeline.formats import named
from pipeline.options import Rules
from pipeline.repair.ladder import mend
from pipeline.shape import Origin
from pipeline.signing import key_ring

SHARES: Final = (0.0, 0.01, 0.1, 1.0)
_SEED: Final = 1
_PAIRS_A_ROUND: Final = 3
"""What is looked for is small: it wants more pairs than the others do."""
_BREAKS: Final[tuple[Callable[[str, int], str], ...]] = (
    lambda uri, _: uri.replace("&", "&amp;"),
    lambda uri, _: uri.replace("%", "%25"),
    lambda uri, _: uri + "%22",
    lambda uri, _: uri + "&quot;&gt;",
    lambda uri, _: uri.replace("=", "=3D"),
    lambda uri, number: f"{uri}&utm_source=mail&utm_campaign={number % 50}",
    lambda uri, number: f"{uri}&fbclid=IwAR{number:024x}",
    lambda uri, number: f"{uri}&cb={number}",
    lambda uri, _: uri[:-20],
    lambda uri, number: uri.replace("?k=", f"?k={number % 9}"),
)
"""Ways in which a URL is broken; the last two cannot be mended."""


@dataclass
class Share:
    """CPU seconds of the engine with and without repair, round by round, for a share of broken URLs."""

    broken: float
    lines: int
    with_s: list[float] = field(default_factory=list)
    without_s: list[float] = field(default_factory=list)

    @property
    def percent(self) -> tuple[float, float, float]:
        """What repair adds, in per cent: the lower quarter of the rounds, the middle, the upper."""
        pairs = zip(self.with_s, self.without_s, strict=True)
        added = [(with_s / without_s - 1) * 100 for with_s, without_s in pairs]
        low, middle, high = quantiles(added, n=4) if len(added) > 1 else added * 3
        return low, middle, high


def measure_ladder(lines: int, rounds: int) -> list[Share]:
    """The cost for each of `SHARES`; of each pair of rounds the other comes first in turn."""
    return [_measure(share, lines, rounds) for share in SHARES]


def _measure(share: float, lines: int, rounds: int) -> Share:
    cost = Share(share, lines)
    blocks = list(_blocks(share, lines))
    engine = Engine(Rules(key_ring([DEFAULT_SECRET])))
    _run(engine, blocks)  # fills what it keeps of user agents
    for number in range(_PAIRS_A_ROUND * rounds):
        for is_off in (False, True) if number % 2 else (True, False):
            with _without_repair() if is_off else nullcontext():
                took_s = _run(engine, blocks)
            (cost.without_s if is_off else cost.with_s).append(took_s)
    return cost


def _run(engine: Engine, blocks: Sequence[Block]) -> float:
    """The engine's CPU seconds for some blocks."""
    format_ = named("nginx-tsv")
    origin = Origin("00000001", "access.log", "prefix", "nginx-tsv")
    began = time.process_time()
    for block in blocks:
        engine.process(block, format_, origin)
    return time.process_time() - began


def _without_repair() -> AbstractContextManager[object]:
    """Switches the ladder off in this process: it is given no query to mend."""
    return patch(
        "pipeline.dialects.prx.mend", lambda queries, verifies: mend(queries[:0], verifies)
    )


def _blocks(share: float, lines: int) -> Iterator[Block]:
    """A log with a share of its URLs broken."""
    log = "".join(f"{nginx_tsv(each)}\n" for each in with_broken_urls(share, lines)).encode()
    for block in read_blocks(io.BytesIO(log), 0, len(log), len(log)):
        if isinstance(block, Block):
            yield block


def with_broken_urls(share: float, lines: int) -> Iterator[Request]:
    """Requests whose URLs were all signed, and a share of them broken since."""
    signed = [hit.uri for hit in known_repertoire().signed]
    is_broken = np.random.default_rng([_SEED, 3]).random(lines) < share
    for number, (request, breaks) in enumerate(zip(requests(lines), is_broken, strict=True)):
        is_mail = "&u=" in request.uri
        uri = request.uri if is_mail else signed[request.msec * 7 % len(signed)]
        if breaks:
            uri = _BREAKS[number % len(_BREAKS)](uri, number)
        yield replace(request, uri=uri, is_cut=False)
