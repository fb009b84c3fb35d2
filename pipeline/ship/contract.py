"""What a shipper is told, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import ServiceError, SetupError

LIVE = "pixelship.log"
KEEP_S = 24 * 3600.0
MOST_DISK_BYTES = 20 * 10**9


@dataclass(frozen=True)
class Order:
    """What to ship, and how.

    `live` are the names of logs that are being written: they are never taken, and logs are taken that
    match `patterns` (by default the names that rotation makes of `live`). `host` begins objects' names.
    A shipped file is kept for `keep_s`. The spool may take `most_disk_bytes`; past that, files that the
    store has are removed early, and those that it has not only if `drops_oldest`. A log must rest for
    `settle_s` (None: as this module has it). With `nginx_pid` the live logs are rotated first.
    """

    folder: Path
    host: str
    live: tuple[str, ...] = (LIVE,)
    patterns: tuple[str, ...] = ()
    keep_s: float = KEEP_S
    most_disk_bytes: int = MOST_DISK_BYTES
    drops_oldest: bool = False
    settle_s: float | None = None
    nginx_pid: Path | None = None


@dataclass(frozen=True)
class Failure:
    """A log that could not go on its way, and why: it stays where it is."""

    name: str
    why: str


@dataclass
class Report:
    """What a run did, and how things stand after it.

    `shipped` counts logs that the store confirmed, `found` those among them that it held before;
    `log_bytes` and `stored_bytes` are their sizes before and after. `removed` were kept long enough,
    `dropped` never reached the store. `waiting` are not in the store yet, the oldest was last written
    to `oldest_s` ago; `kept` are. `trouble` ended the sending.
    """

    shipped: int = 0
    found: int = 0
    log_bytes: int = 0
    stored_bytes: int = 0
    removed: int = 0
    dropped: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    waiting: int = 0
    oldest_s: float = 0.0
    kept: int = 0
    disk_bytes: int = 0
    most_disk_bytes: int = MOST_DISK_BYTES
    sees_writers: bool = True
    trouble: SetupError | ServiceError | None = None

    @property
    def is_over_budget(self) -> bool:
        """Whether what waits takes more of the disk than it may."""
        return self.disk_bytes > self.most_disk_bytes

    @property
    def is_clean(self) -> bool:
        """Whether nothing wants a person."""
        return not (self.failed or self.dropped or self.is_over_budget or self.trouble)

    def to_json(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return {
            "shipped": self.shipped,
            "found": self.found,
            "log_bytes": self.log_bytes,
            "stored_bytes": self.stored_bytes,
            "waiting": self.waiting,
            "oldest_s": round(self.oldest_s, 1),
            "kept": self.kept,
            "removed": self.removed,
            "dropped": self.dropped,
            "failed": [{"name": each.name, "why": each.why} for each in self.failed],
            "disk_bytes": self.disk_bytes,
            "over_budget": self.is_over_budget,
            "sees_writers": self.sees_writers,
            "trouble": self.trouble and str(self.trouble),
        }
