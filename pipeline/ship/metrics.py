"""A run's figures as a text file that node_exporter's textfile collector reads.

Source: prometheus.io, "Exposition formats", text based (checked 2026-11-21).
"""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import SetupError
from pipeline.ship.contract import Report


def write_metrics(path: Path, report: Report, at: float) -> None:
    """Writes the file, whole or not at all; `at` is now (epoch seconds). Raises SetupError."""
    figures = {
        "waiting_files": ("Logs that are not in the store yet.", report.waiting),
        "oldest_unshipped_seconds": ("Age of the oldest of them.", round(report.oldest_s, 1)),
        "kept_files": ("Logs that are in the store and kept here for a while.", report.kept),
        "failed_files": ("Logs that could not go on their way.", len(report.failed)),
        "dropped_files": ("Logs that the last run removed unshipped.", len(report.dropped)),
        "shipped_files": ("Logs that the last run shipped.", report.shipped),
        "disk_bytes": ("What the spool takes on the disk.", report.disk_bytes),
        "max_disk_bytes": ("What it may take.", report.most_disk_bytes),
        "up": ("Whether the store could be used.", int(report.trouble is None)),
        "last_run_timestamp_seconds": ("When the last run ended.", int(at)),
    }
    text = "".join(
        f"# HELP pixelship_ship_{name} {meaning}\n# TYPE pixelship_ship_{name} gauge\n"
        f"pixelship_ship_{name} {value}\n"
        for name, (meaning, value) in figures.items()
    )
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        part.chmod(0o644)
        part.replace(path)
    except OSError as error:
        raise SetupError(
            f"{path} cannot be written: {error.strerror}; give another file with --metrics."
        ) from None
