"""GoAccess, reduced to parsing: all its panels ignored, so that it keeps nothing by visitor or page.

What it still does: split a line by its format, check times, addresses and status, decode URLs, and
count lines, good and bad, and bytes. Debian has it; as root on a system with `apt-get` it is
installed where it is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

LOG_FORMATS: Final[Mapping[str, str]] = {
    "combined": "COMBINED",
    "cloudfront": "CLOUDFRONT",
    "s3": "AWSS3",
    "alb": "AWSALB",
    "gcs-usage": "CLOUDSTORAGE",
}
"""Its own names of the formats that it knows."""
_PANELS: Final = (
    "VISITORS", "REQUESTS", "REQUESTS_STATIC", "NOT_FOUND", "HOSTS", "OS", "BROWSERS",
    "VISIT_TIMES", "VIRTUAL_HOSTS", "REFERRERS", "REFERRING_SITES", "KEYPHRASES", "STATUS_CODES",
    "REMOTE_USER", "CACHE_STATUS", "GEO_LOCATION", "MIME_TYPE", "TLS_TYPE",
)  # fmt: skip
_INSTALL: Final = ("apt-get", "install", "--yes", "--no-install-recommends", "goaccess")


class NoGoAccessError(Exception):
    """There is no GoAccess, and none could be installed: one sentence that says what to do."""


def find() -> str:
    """The program, installed if need be; raises NoGoAccessError."""
    if found := shutil.which("goaccess"):
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        for argv in (_INSTALL, ("apt-get", "update"), _INSTALL):
            subprocess.run(argv, capture_output=True, check=False)
            if found := shutil.which("goaccess"):
                return found
    raise NoGoAccessError("goaccess is missing: install it with your system's package manager.")


def version(program: str) -> str:
    """Such as `1.7`."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[2].rstrip(".")


def argv(program: str, name: str, log: Path, report: Path) -> list[str]:
    """The command that reads a log of the named format; `report` is the JSON file that it writes."""
    quiet = ("--no-global-config", "--no-parsing-spinner", "--no-progress")
    ignored = [f"--ignore-panel={panel}" for panel in _PANELS]
    form = f"--log-format={LOG_FORMATS[name]}"
    return [program, str(log), form, *quiet, *ignored, "--output", str(report)]
