"""What version 2 of signatures costs beside version 1: the same views, signed in each, in turns.

    python -m benchmarks.signatures --lines 200000 --rounds 5

Prints lines per CPU-second of the engine, from blocks to rows: the middle of the rounds. The log is
nginx's; three lines in eight have a URL of their own. `added` is the same with two parameters
put behind each URL: version 1 needs a repair then.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from statistics import median
from typing import Final
from urllib.parse import parse_qsl

from benchmarks.format_traffic import Request
from benchmarks.generate import DEFAULT_SECRET
from benchmarks.ladder import with_broken_urls
from benchmarks.lines_of_text import nginx_tsv
from pipeline.blocks import Block, read_blocks
from pipeline.engine import Engine
from pipeline.formats import named
from pipeline.options import Rules
from pipeline.shape import Origin
from pipeline.signing import Key, key_ring, sign_queries_v2, sign_query

ADDED: Final = "&utm_source=mail&cb=1763726400"
_EACH_NEW: Final = 4
_KEY: Final = Key(DEFAULT_SECRET.encode())


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    engine = Engine(Rules(key_ring([DEFAULT_SECRET])))
    logs = {
        name: list(_blocks(requests)) for name, requests in signed_requests(given.lines).items()
    }
    took: dict[str, list[float]] = {name: [] for name in logs}
    for number in range(given.rounds + 1):
        for name in list(logs)[:: -1 if number % 2 else 1]:
            seconds = _run(engine, logs[name])
            if number:  # the first round fills what the engine keeps of user agents
                took[name].append(seconds)
    base = median(took["v1"])
    for name, times in took.items():
        rate = given.lines / median(times)
        print(
            f"{name:12} {rate:>9,.0f} lines per CPU-second   {median(times) / base:.3f} of v1's time"
        )


def signed_requests(lines: int) -> dict[str, list[Request]]:
    """The same requests with URLs of each version, and with parameters added behind them."""
    requests = list(with_broken_urls(0.0, lines))
    views = []
    for number, request in enumerate(requests):
        view = dict(parse_qsl(request.query, keep_blank_values=True, encoding="utf-8"))
        view.pop("s", None)
        views.append({**view, "n": str(number)} if number % _EACH_NEW == 0 else view)
    v1 = [_sign_v1(tuple(view.items())) for view in views]
    made = {"v1": v1, "v2": sign_queries_v2(views, _KEY)}
    queries = made | {
        f"{name}, added": [f"{query}{ADDED}" for query in made[name]] for name in made
    }
    return {
        name: [
            replace(request, uri=f"{request.path}?{query}", is_cut=False)
            for request, query in zip(requests, signed, strict=True)
        ]
        for name, signed in queries.items()
    }


@cache
def _sign_v1(view: tuple[tuple[str, str], ...]) -> str:
    return sign_query(dict(view), _KEY)


def _blocks(requests: Sequence[Request]) -> Iterator[Block]:
    log = "".join(f"{nginx_tsv(each)}\n" for each in requests).encode()
    for block in read_blocks(io.BytesIO(log), 0, len(log), len(log)):
        if isinstance(block, Block):
            yield block


def _run(engine: Engine, blocks: Sequence[Block]) -> float:
    """The engine's CPU seconds for some blocks."""
    format_, origin = named("nginx-tsv"), Origin("00000001", "access.log", "prefix", "nginx-tsv")
    began = time.process_time()
    for block in blocks:
        engine.process(block, format_, origin)
    return time.process_time() - began


if __name__ == "__main__":
    main()
