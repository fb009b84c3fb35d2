"""Makes `.venv-emulators`, the servers' own environment: `python -m emulators.install`.

The BigQuery emulator wants a DuckDB of its own version, so the servers cannot live in `.venv`. The
environment is made on first use and made again when `requirements.txt` or Python change. Any number
of processes may ask for it at once: one makes it, the others wait for a lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-emulators"
REQUIREMENTS = Path(__file__).resolve().parent / "requirements.txt"
OLDEST_PYTHON = (3, 11)
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3")
PIP_SECONDS = 900

_LOCK = ".lock"
_STAMP = ".installed"
_WHICH_VERSION = "import sys, ensurepip, venv; print(*sys.version_info[:2])"


class NoEmulatorsError(Exception):
    """The emulators can't be had, or would not start: one sentence that says what to do."""


def ensure_environment() -> Path:
    """The Python of `.venv-emulators`, which is made or brought up to date if need be."""
    python = FOLDER / "bin" / "python"
    if _is_current(python):
        return python
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the system lets go of it when this process ends
        if not _is_current(python):
            print(f"· making {FOLDER.name} (once; about a minute)", file=sys.stderr, flush=True)
            _make()
            (FOLDER / _STAMP).write_text(_wanted())
    return python


def _wanted() -> str:
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


def _is_current(python: Path) -> bool:
    stamp = FOLDER / _STAMP
    return stamp.exists() and python.exists() and stamp.read_text() == _wanted()


def _make() -> None:
    for path in FOLDER.iterdir():
        if path.name == _LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    _run(_base_python(), "-m", "venv", str(FOLDER))
    _run(
        *(str(FOLDER / "bin" / "python"), "-m", "pip", "install", "--quiet"),
        *("--disable-pip-version-check", "--no-input", "--requirement", str(REQUIREMENTS)),
    )


def _base_python() -> str:
    """A Python that is new enough, the running one's own installation first."""
    running = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    own = Path(sys.base_prefix) / "bin" / running
    for name in (str(own), running, *PYTHONS):
        found = shutil.which(name)
        if found is None:
            continue
        said = subprocess.run(
            [found, "-c", _WHICH_VERSION], capture_output=True, text=True, check=False
        )
        if said.returncode == 0 and tuple(map(int, said.stdout.split())) >= OLDEST_PYTHON:
            return found
    wanted = ".".join(map(str, OLDEST_PYTHON))
    raise NoEmulatorsError(
        f"The emulators need a Python from {wanted} on with its venv module, and none is on PATH."
    )


def _run(*command: str) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PIP_SECONDS,
            check=False,
        )
        trouble = (done.stdout.strip().splitlines() or ["no reason"])[-1]
        failed = done.returncode != 0
    except (OSError, subprocess.TimeoutExpired) as error:
        trouble, failed = str(error), True
    if failed:
        raise NoEmulatorsError(
            f"The emulators could not be installed into {FOLDER.name}: they come from PyPI, so pip"
            f" must reach it once ({trouble})."
        )


def main() -> int:
    """Makes sure that the environment is there; the exit status says whether it is."""
    try:
        ensure_environment()
    except NoEmulatorsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
