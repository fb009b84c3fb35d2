"""Makes the tables of `docs/scale.md` from `results/scale.json`: `python -m benchmarks.scale_page`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import scale_model
from benchmarks.scale_model import SITES, Measured, Row

_ROOT: Final = Path(__file__).parent.parent
PAGE: Final = _ROOT / "docs" / "scale.md"
RESULTS: Final = Path(__file__).parent / "results" / "scale.json"
_TABLE: Final = re.compile(r"(<!-- table: ([a-z-]+) -->\n).*?(<!-- end -->)", re.S)
HOUR_HEADINGS: Final = (
    "hour", "log objects listed", "pages", "batches", "CPU s to plan", "CPU s in all", "requests",
    "state folder", "memory",
)  # fmt: skip
TABLES_HEADINGS: Final = (
    "tables", "CPU s", "shards", "load jobs", "tables.get", "tables.insert", "jobs.insert", "requests",
)  # fmt: skip
STAGING_HEADINGS: Final = ("destinations", "CPU s", "shards", "bytes", "memory")


def tables() -> dict[str, str]:
    """The page's tables in Markdown, by their names."""
    figures = json.loads(RESULTS.read_text())
    measured = Measured.of(figures)
    sites = tuple(f"{site.name} a day" for site in SITES)
    return {
        "million": _markdown(
            ("", "a million views", "and each run"), scale_model.per_million(measured)
        ),
        "needs": _markdown(("a day", *sites), scale_model.needs(measured)),
        "bills": _markdown(("a month", *sites), scale_model.bills(measured)),
        "destinations": _markdown(TABLES_HEADINGS, scale_model.destinations(figures)),
        "staging": _markdown(STAGING_HEADINGS, scale_model.staging(figures)),
        "planner": _markdown(HOUR_HEADINGS, scale_model.planning(figures)),
    }


def filled(page: str) -> str:
    """A page with its tables as they are to be. Raises KeyError for one that there is not."""
    found = tables()
    return _TABLE.sub(lambda match: f"{match[1]}{found[match[2]]}\n{match[3]}", page)


def _markdown(headings: Sequence[str], rows: Sequence[Row]) -> str:
    rule = ["---", *("---:" for _ in headings[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (headings, rule, *rows))


def fill() -> None:
    """Puts the tables into the page."""
    PAGE.write_text(filled(PAGE.read_text()))


if __name__ == "__main__":
    fill()
