"""A log whose accepted views go to two tables, a given number of them: typical traffic, cut to fit."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.generate import DATA_FOLDER, DEFAULT_SECRET, DataSet, write_log
from benchmarks.task import Counts
from benchmarks.traffic import Draw, Flags, Repertoire, draw, make_repertoire, verdicts

PAGES, MAIL = "news.pageviews", "mail.opens"
TABLES: Final = (PAGES, MAIL)
_SEED: Final = 1
_SPARE: Final = 1.4
"""Lines drawn for each view wanted: the rest are bots, rejects, other requests and podcasts."""
_SIGNED, _FRESH = 0, 1
_PODCAST, _MAIL = 3, 7
"""What a signed URL's number leaves when divided by ten, where it does not go to the pages' table."""


@dataclass(frozen=True)
class TwoTables:
    """A log, and what it holds: its lines' fates, and the rows of each table."""

    path: Path
    counts: Counts
    rows: dict[str, int]


def make_log(rows: int) -> TwoTables:
    """Makes the log with so many views below `benchmarks/.data`, unless it is there."""
    folder = DATA_FOLDER / f"two-tables-{rows}-seed{_SEED}"
    manifest, path = folder / "rows.json", folder / "px-000.tsv.gz"
    if not manifest.exists():
        folder.mkdir(parents=True, exist_ok=True)
        repertoire = make_repertoire(_SEED, DEFAULT_SECRET)
        drawn = _cut(draw("typical", _SEED, 0, int(rows * _SPARE) + 1000), repertoire, rows)
        write_log(path, DataSet(lines=len(drawn.kind), seed=_SEED), drawn, repertoire, DEFAULT_SECRET)  # fmt: skip
        counts = Counts.of_verdicts(verdicts(drawn, repertoire))
        mail = int((_accepted(drawn, repertoire) & _is_mail(drawn)).sum())
        by_table = {PAGES: counts.accepted - mail, MAIL: mail}
        manifest.write_text(json.dumps({"counts": counts.to_json(), "rows": by_table}) + "\n")
    known = json.loads(manifest.read_text())
    return TwoTables(path, Counts.of_json(known["counts"]), known["rows"])


def _cut(drawn: Draw, repertoire: Repertoire, rows: int) -> Draw:
    """The lines up to the last view wanted, less the podcasts' views."""
    is_podcast = (drawn.kind == _SIGNED) & (drawn.hit % 10 == _PODCAST)
    views = np.cumsum(_accepted(drawn, repertoire) & ~is_podcast)
    if views[-1] < rows:
        raise ValueError(f"{len(views)} lines hold {views[-1]} views, not {rows}")
    kept = np.flatnonzero(~is_podcast & (np.arange(len(views)) <= np.searchsorted(views, rows)))
    ids = drawn.request_ids
    lines = {
        each.name: getattr(drawn, each.name)[kept]
        for each in fields(drawn)
        if each.name != "request_ids"
    }
    return replace(drawn, **lines, request_ids="".join(ids[at * 32 : at * 32 + 32] for at in kept))


def _accepted(drawn: Draw, repertoire: Repertoire) -> Flags:
    is_bot = repertoire.bot_of[repertoire.agent_of[drawn.visitor]]
    return np.asarray((drawn.kind <= _FRESH) & ~is_bot)


def _is_mail(drawn: Draw) -> Flags:
    return np.asarray((drawn.kind == _FRESH) | (drawn.hit % 10 == _MAIL))
