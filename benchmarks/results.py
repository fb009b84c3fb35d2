"""Measured runs, and the figures that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median

from benchmarks.contenders import (
    CONTENDERS,
    FOUR_FILES,
    MANY_FILES,
    ONE_FILE,
    PER_LINE,
    REFERENCE,
    STARTUP,
    Scenario,
)

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Round:
    """One run of a contender."""

    cpu_s: float
    wall_s: float
    peak_bytes: int


@dataclass
class Entry:
    """A contender's runs in a scenario.

    `lines` is what it read itself of the scenario's `of_lines`; `differs` names the columns in which its rows are not the
    reference's, None where that was not compared.
    """

    scenario: str
    contender: str
    lines: int
    of_lines: int
    rounds: list[Round] = field(default_factory=list)
    differs: list[str] | None = None

    @property
    def cpu_s(self) -> float:
        """CPU-seconds, the median of the rounds."""
        return median(r.cpu_s for r in self.rounds)

    @property
    def wall_s(self) -> float:
        """Seconds by the clock, the median of the rounds."""
        return median(r.wall_s for r in self.rounds)

    @property
    def peak_mib(self) -> float:
        """Peak memory, the median of the rounds."""
        return median(r.peak_bytes for r in self.rounds) / _MIB


@dataclass(frozen=True)
class Speed:
    """An entry's figures for the lines of its scenario."""

    lines_per_cpu_s: float
    lines_per_s: float
    net_lines_per_cpu_s: float | None
    to_reference: float | None
    to_per_line: float | None


class Results:
    """Entries by scenario and contender."""

    def __init__(self, scenarios: Sequence[Scenario]) -> None:
        self.scenarios = tuple(scenarios)
        self._entries: dict[tuple[str, str], Entry] = {}

    def entry(self, scenario: Scenario, contender: str, lines: int) -> Entry:
        """The entry to record rounds in."""
        of_lines = scenario.files * scenario.data.lines
        made = Entry(scenario.name, contender, lines, of_lines)
        return self._entries.setdefault((scenario.name, contender), made)

    def find(self, scenario: str, contender: str) -> Entry | None:
        """The entry of a contender, None where it did not run."""
        entry = self._entries.get((scenario, contender))
        return entry if entry and entry.rounds else None

    def of(self, scenario: str) -> list[Entry]:
        """The entries of a scenario."""
        entries = self._entries.values()
        return [entry for entry in entries if entry.scenario == scenario and entry.rounds]

    def _start(self, contender: str) -> Entry | None:
        return self.find(STARTUP, contender)

    def seconds(self, entry: Entry) -> tuple[float, float]:
        """CPU and wall seconds for all lines of the scenario.

        For a contender that read only a share of them: start-up once, and the rest scaled.
        """
        share = entry.lines / entry.of_lines
        start = self._start(entry.contender)
        if share == 1:
            return entry.cpu_s, entry.wall_s
        cpu_s, wall_s = (start.cpu_s, start.wall_s) if start else (0.0, 0.0)
        return cpu_s + (entry.cpu_s - cpu_s) / share, wall_s + (entry.wall_s - wall_s) / share

    def speed(self, entry: Entry) -> Speed:
        """An entry's rates and ratios."""
        lines = entry.of_lines
        cpu_s, wall_s = self.seconds(entry)
        start = self._start(entry.contender)
        net_s = cpu_s - start.cpu_s if start else 0.0
        return Speed(
            lines / cpu_s,
            lines / wall_s,
            lines / net_s if net_s > 0 and entry.scenario != STARTUP else None,
            self._ratio(entry, REFERENCE),
            self._ratio(entry, PER_LINE),
        )

    def _ratio(self, entry: Entry, other_name: str) -> float | None:
        """How many times as many lines per CPU-second as another contender."""
        other = self.find(entry.scenario, other_name)
        return self.seconds(other)[0] / self.seconds(entry)[0] if other else None

    def derived(self) -> dict[str, float]:
        """Figures that compare two entries, by what they say; those whose entries are there."""
        figures: dict[str, float] = {}
        core, beam, two = (self.find(FOUR_FILES, n) for n in ("core", "beam", "beam-2"))
        if core and beam:
            figures["Beam and start-up over the core, 4 files, % of CPU"] = (
                beam.cpu_s / core.cpu_s - 1
            ) * 100
        if beam and two:
            figures["2 workers over 1, 4 files, times as fast"] = beam.wall_s / two.wall_s
        for name in ("core", "beam"):
            one, many = self.find(ONE_FILE, name), self.find(MANY_FILES, name)
            if one and many:
                label = CONTENDERS[name].label
                figures[f"{label}: peak MiB, 1 file"] = one.peak_mib
                figures[f"{label}: peak MiB, many files"] = many.peak_mib
        return figures

    def to_json(self) -> list[dict[str, object]]:
        """Every entry with its rounds and what follows from them."""
        return [
            {
                **asdict(entry),
                "cpu_s": entry.cpu_s,
                "wall_s": entry.wall_s,
                "peak_mib": entry.peak_mib,
                **asdict(self.speed(entry)),
            }
            for entry in self._entries.values()
        ]
