"""A log whose views go to many destinations, a few of them to most: typical traffic, other URLs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.generate import DATA_FOLDER, DEFAULT_SECRET, DataSet, write_log
from benchmarks.traffic import Hit, draw, make_repertoire, query_of, sign, zipf_weights

_SEED: Final = 1
_DATASET_TABLES: Final = 100
_SIGNED, _FRESH, _REDIRECT = 0, 1, 4


def make_log(lines: int, destinations: int) -> Path:
    """Makes the log below `benchmarks/.data`, unless it is there; gives its path.

    Destinations are drawn by Zipf's law: of 5,000 the first has a ninth of the views.
    """
    folder = DATA_FOLDER / f"destinations-{destinations}-{lines}-seed{_SEED}"
    data = DataSet(lines=lines, seed=_SEED)
    path = folder / data.file_name(0)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        drawn = draw("typical", _SEED, 0, lines)
        rng = np.random.default_rng([_SEED, destinations])
        hit = rng.choice(destinations, lines, p=zipf_weights(destinations, 1.0))
        views = drawn.kind <= _FRESH
        drawn = replace(
            drawn,
            kind=np.where(views, _SIGNED, drawn.kind),
            hit=np.where(views | (drawn.kind == _REDIRECT), hit, drawn.hit),
        )
        signed = [_hit(number) for number in range(destinations)]
        repertoire = replace(make_repertoire(_SEED, DEFAULT_SECRET), signed=signed)
        write_log(path, data, drawn, repertoire, DEFAULT_SECRET)
    return path


def _hit(number: int) -> Hit:
    """The pixel of a destination of its own."""
    page = f"https://www.example.org/{number}"
    destination = f"site_{number // _DATASET_TABLES:03d}.views_{number:05d}"
    params = [("k", f"story-{number}"), ("c", page), ("d", destination)]
    query = query_of([*params, ("s", sign(params, DEFAULT_SECRET))])
    return Hit(f"/pixel.gif?{query}", page)
