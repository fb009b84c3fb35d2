"""Tables of figures: printed, and kept as Markdown and JSON beside the machine they were taken on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import table
from rich.console import Console

from benchmarks.machine import RESULTS_FOLDER, machine


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; `legend` explains them, `words` are the columns set to the left."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    legend: str
    words: Sequence[int] = (0,)

    def print(self, console: Console) -> None:
        """The table in a terminal."""
        shown = table.Table(title=self.title, title_justify="left", box=None, padding=(0, 2, 0, 0))
        for at, heading in enumerate(self.headings):
            shown.add_column(heading, justify="left" if at in self.words else "right", no_wrap=True)
        for row in self.rows:
            shown.add_row(*row)
        console.print(shown)
        console.print(self.legend, style="dim", highlight=False)
        console.print()

    def markdown(self) -> str:
        """The table under a heading of its own."""
        rule = ["---" if at in self.words else "---:" for at in range(len(self.headings))]
        lines = ["| " + " | ".join(cells) + " |" for cells in (self.headings, rule, *self.rows)]
        return "\n".join([f"## {self.title}", "", *lines, "", self.legend])


@dataclass(frozen=True)
class Kept:
    """What a benchmark measured: a title, a sentence on how, its tables, and its figures."""

    title: str
    how: str
    tables: Sequence[Table]
    figures: Mapping[str, object]

    def write(
        self, name: str, folder: Path | None = None, facts: Mapping[str, str] | None = None
    ) -> None:
        """Keeps it as `NAME.json` and `NAME.md`; `facts` are more of the machine."""
        place = folder or RESULTS_FOLDER
        place.mkdir(parents=True, exist_ok=True)
        known = {**machine(), **(facts or {})}
        content = {"machine": known, **self.figures}
        (place / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
        told = ", ".join(f"{fact} {value}" for fact, value in known.items())
        parts = [
            f"# {self.title}",
            f"{self.how} {told}.",
            *(each.markdown() for each in self.tables),
        ]
        (place / f"{name}.md").write_text("\n\n".join(parts) + "\n")
