"""The task that every contender does, stated once: who counts, what is written, how it is called.

A contender is a command `… --secret S --out DIR FILE...` that reads access logs, writes Parquet
below DIR and prints one JSON line of counts. A view counts when its method is GET or HEAD, its
path one of `PIXEL_PATHS` and its status one of `COUNTED_STATUSES` (else `not_pixel`), when its
signature verifies (else rejected as `unsigned` or `tampered`) and its agent is no bot (else `bot`),
in this order.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PIXEL_PATHS: Final = ("/i.gif", "/r.gif", "/pixel.gif")
COUNTED_METHODS: Final = ("GET", "HEAD")
COUNTED_STATUSES: Final = (200, 204, 304)
DESTINATIONS: Final = ("news.pageviews", "podcast.plays", "mail.opens")

BOT_PATTERN: Final = "bot|crawler|spider|slurp|externalhit"
"""Matches every bot of the generated traffic and no other agent, ASCII case ignored."""

LOG_FIELDS: Final = (
    "format",
    "msec",
    "request_id",
    "remote_addr",
    "http_x_forwarded_for",
    "request_method",
    "host",
    "request_uri",
    "status",
    "http_user_agent",
    "http_referer",
    "cookie__pxid",
)
"""The fields of a log line in the order of both formats; TSV closes with an end mark `.`."""

OUTPUT_COLUMNS: Final = (
    "timestamp",
    "user_id",
    "key",
    "canonical",
    "remote_agent",
    "remote_referrer",
    "remote_ip",
    "event_id",
    "referrer_host",
    "params",
    "source_object",
)
"""Columns of the Parquet files: `timestamp` to the millisecond in UTC, `remote_ip` masked to /24 or
/48, `params` a JSON object of the signed parameters other than k, c and d; the rest strings, null
or empty where there is nothing to say."""


@dataclass(frozen=True)
class Counts:
    """Where the lines of some log files went; `lines` is the sum of the others."""

    accepted: int
    bot: int
    not_pixel: int
    rejected: Mapping[str, int] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        """All lines."""
        return self.accepted + self.bot + self.not_pixel + sum(self.rejected.values())

    @classmethod
    def of_verdicts(cls, verdicts: Mapping[str, int]) -> Counts:
        """Counts from rows by verdict: `accepted`, `bot`, `not_pixel` or a reject reason."""
        rest = dict(verdicts)
        accepted, bot, not_pixel = (rest.pop(v, 0) for v in ("accepted", "bot", "not_pixel"))
        return cls(accepted, bot, not_pixel, {k: n for k, n in sorted(rest.items()) if n})

    @classmethod
    def of_json(cls, counts: Mapping[str, object]) -> Counts:
        """Counts as a contender printed them; ValueError where their sum is not `lines`."""
        rejected = counts["rejected"]
        if not isinstance(rejected, Mapping):
            raise ValueError("rejected is not an object of counts by reason")
        accepted, bot, not_pixel = (int(str(counts[n])) for n in ("accepted", "bot", "not_pixel"))
        reasons = {str(k): int(n) for k, n in sorted(rejected.items()) if n}
        made = cls(accepted, bot, not_pixel, reasons)
        if made.lines != int(str(counts["lines"])):
            raise ValueError(f"lines is {counts['lines']}, the parts add up to {made.lines}")
        return made

    def to_json(self) -> dict[str, object]:
        """What a contender prints."""
        return {
            "lines": self.lines,
            "accepted": self.accepted,
            "bot": self.bot,
            "not_pixel": self.not_pixel,
            "rejected": dict(self.rejected),
        }

    def __add__(self, other: Counts) -> Counts:
        reasons = sorted({*self.rejected, *other.rejected})
        return Counts(
            self.accepted + other.accepted,
            self.bot + other.bot,
            self.not_pixel + other.not_pixel,
            {r: self.rejected.get(r, 0) + other.rejected.get(r, 0) for r in reasons},
        )


@dataclass(frozen=True)
class Job:
    """One call of a contender."""

    secret: str
    out: Path
    files: tuple[Path, ...]

    @property
    def is_json(self) -> bool:
        """Whether the logs are JSON; the generator's file names say so."""
        return all(".json" in path.suffixes for path in self.files)


def job_parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments that all contenders share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--secret", required=True, help="the secret the URLs were signed with")
    parser.add_argument("--out", required=True, type=Path, help="folder for the Parquet files")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="access logs")
    return parser


def job_of(arguments: argparse.Namespace) -> Job:
    """The job in parsed arguments; makes the output folder."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    return Job(arguments.secret, arguments.out, tuple(arguments.files))


def read_job(description: str | None, argv: Sequence[str] | None = None) -> Job:
    """The job of a contender that has no options of its own."""
    return job_of(job_parser(description).parse_args(argv))


def print_counts(counts: Counts) -> None:
    """The one line a contender writes to standard output."""
    print(json.dumps(counts.to_json()), flush=True)
