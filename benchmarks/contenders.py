"""Who is measured, and on what."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.generate import DataSet


@dataclass(frozen=True)
class Contender:
    """A command that does the task. A slow one gets files of at most `max_lines` lines."""

    name: str
    label: str
    command: tuple[str, ...]
    max_lines: int | None = None

    def argv(self, secret: str, out: Path, files: list[Path]) -> list[str]:
        """The command line that does the task."""
        paths = map(str, files)
        return [sys.executable, "-m", *self.command, "--secret", secret, "--out", str(out), *paths]


@dataclass(frozen=True)
class Scenario:
    """Some files of a data set, and the names of those who read them."""

    name: str
    title: str
    contenders: tuple[str, ...]
    data: DataSet
    files: int = 1
    max_rounds: int = 99


CONTENDERS: Final = {
    contender.name: contender
    for contender in (
        Contender("core", "ours, core", ("benchmarks.ours", "core")),
        Contender("beam", "ours, Beam", ("benchmarks.ours", "beam", "--workers", "1")),
        Contender(
            "beam-2",
            "ours, Beam, 2 workers",
            ("benchmarks.ours", "beam", "--workers", "2"),
        ),
        Contender("chdb", "ClickHouse (chDB)", ("benchmarks.peers.clickhouse",)),
        Contender("duckdb", "DuckDB", ("benchmarks.peers.duckdb_sql",)),
        Contender(
            "beam-per-line",
            "Beam, per line",
            ("benchmarks.peers.beam_per_line",),
            max_lines=100_000,
        ),
    )
}
REFERENCE: Final = "chdb"
PER_LINE: Final = "beam-per-line"

_ALL: Final = ("core", "beam", "chdb", "duckdb", "beam-per-line")
_OURS: Final = ("core", "beam", "beam-2")

STARTUP: Final = "startup"
STARTUP_LINES: Final = 100
FOUR_FILES: Final = "four-files"
ONE_FILE: Final = "typical-tsv-gz"
MANY_FILES: Final = "many-files"


def scenarios(lines: int, many: int, seed: int) -> tuple[Scenario, ...]:
    """What is measured, for files of `lines` lines; the last one reads `many` of them."""

    def data(profile: str, form: str, compression: str, count: int = lines) -> DataSet:
        return DataSet(profile, form, compression, count, seed)  # type: ignore[arg-type]

    typical_gz = data("typical", "tsv", "gz")
    small = data("typical", "tsv", "gz", STARTUP_LINES)
    return (
        Scenario(STARTUP, f"Start-up, {STARTUP_LINES} lines", tuple(CONTENDERS), small),
        Scenario(ONE_FILE, "Typical, TSV, gzip", _ALL, typical_gz),
        Scenario("typical-tsv-zst", "Typical, TSV, zstd", _ALL, data("typical", "tsv", "zst")),
        Scenario("typical-json-gz", "Typical, JSON, gzip", _ALL, data("typical", "json", "gz")),
        Scenario("worst-tsv-zst", "Worst case, TSV, zstd", _ALL, data("worst", "tsv", "zst")),
        Scenario(FOUR_FILES, "Typical, TSV, gzip, 4 files", (*_OURS, "chdb"), typical_gz, 4),
        Scenario(MANY_FILES, f"Typical, TSV, gzip, {many} files", _OURS[:2], typical_gz, many, 1),
    )
