"""What `benchmarks.formats` measured: tables in the terminal, `formats.json`, `formats.md`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console

from benchmarks.ladder import Share
from benchmarks.tables import Kept, Table

OURS: Final = "ours"
GOACCESS: Final = "GoAccess"
CHDB: Final = "chDB"
_HEADINGS: Final = ("format", "bytes/line", "ours", "peer", "peer's", "/ peer", "from", "to")
_WORDS: Final = (0, 3)
_LEGEND: Final = (
    "ours, peer's: lines per CPU-second, median; / peer: times as many as the peer; from, to: the "
    "least and the most that any round of ours over any of the peer's would give."
)
_LADDER_HEADINGS: Final = ("broken URLs", "with repair", "without", "cost, %", "from", "to")
_LADDER_LEGEND: Final = (
    "Lines per CPU-second of the engine, from blocks to rows, median; cost: CPU time that the ladder "
    "of repairs adds, the median of the pairs of rounds, and between which quarters they lie."
)


@dataclass
class Outcome:
    """A format's runs: CPU seconds by contender, ours first, for a log of so many lines and bytes."""

    name: str
    lines: int
    bytes: int
    rounds: dict[str, list[float]] = field(default_factory=dict)

    @property
    def peer(self) -> str | None:
        """The other contender, if there is one."""
        return next((who for who in self.rounds if who != OURS), None)

    def speed(self, who: str) -> float:
        """Lines per CPU-second, the median of the rounds."""
        return self.lines / median(self.rounds[who])

    @property
    def ratio(self) -> float | None:
        """How many times as many lines per CPU-second as the peer."""
        return self.speed(OURS) / self.speed(self.peer) if self.peer else None

    @property
    def bounds(self) -> tuple[float, float]:
        """The ratio of the peer's fastest round to our slowest, and of its slowest to our fastest."""
        ours, peers = self.rounds[OURS], self.rounds[self.peer or OURS]
        return min(peers) / max(ours), max(peers) / min(ours)


def _cells(outcome: Outcome) -> tuple[str, ...]:
    cells = (
        outcome.name,
        f"{outcome.bytes / outcome.lines:,.0f}",
        f"{outcome.speed(OURS):,.0f}",
    )
    if outcome.peer is None:
        return (*cells, "", "", "", "", "")
    figures = (outcome.ratio or 0, *outcome.bounds)
    ratios = (f"{figure:.2f}" for figure in figures)
    return (*cells, outcome.peer, f"{outcome.speed(outcome.peer):,.0f}", *ratios)


def _ladder_cells(cost: Share) -> tuple[str, ...]:
    low, middle, high = cost.percent
    return (
        f"{cost.broken:.0%}",
        f"{cost.lines / median(cost.with_s):,.0f}",
        f"{cost.lines / median(cost.without_s):,.0f}",
        *(f"{figure:.1f}" for figure in (middle, low, high)),
    )


def _tables(outcomes: Sequence[Outcome], costs: Sequence[Share]) -> list[Table]:
    """The formats, then the cost of repairs; those of them that were measured."""
    lines = outcomes[0].lines if outcomes else 0
    read = [_cells(each) for each in outcomes]
    repaired = [_ladder_cells(each) for each in costs]
    tables = (
        Table(f"{lines:,} requests in each format", _HEADINGS, read, _LEGEND, _WORDS),
        Table("Repair", _LADDER_HEADINGS, repaired, _LADDER_LEGEND),
    )
    return [table for table in tables if table.rows]


def report(
    outcomes: Sequence[Outcome],
    costs: Sequence[Share],
    goaccess: str,
    folder: Path | None,
    console: Console,
) -> None:
    """Prints what was measured, and keeps it as Markdown and JSON."""
    tables = _tables(outcomes, costs)
    for table in tables:
        table.print(console)
    rounds = max((len(each) for outcome in outcomes for each in outcome.rounds.values()), default=0)
    how = (
        f"CPU time of fresh processes less their start-up, one thread, {rounds} round(s), contenders"
        " taking turns; plain files."
    )
    figures = {
        "formats": [
            asdict(each)
            | {"speed": {who: each.speed(who) for who in each.rounds}, "ratio": each.ratio}
            for each in outcomes
        ],
        "repair": [asdict(each) | {"percent": each.percent} for each in costs],
    }
    kept = Kept("Reading the log formats", how, tables, figures)
    kept.write("formats", folder, {"goaccess": goaccess})
