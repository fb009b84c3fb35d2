"""Brings what `make test-flink` needs into `.runners`: `python -m runners.install`.

Flink and Beam's job server come from Maven Central, Prism is built from Beam's Go module. That takes
minutes, once; it is done again when `pom.xml` or the versions below change.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from demo.install import NoProgramError, ensure_program
from emulators.install import ROOT

FOLDER = ROOT / ".runners"
JARS = FOLDER / "jars"
PRISM = FOLDER / "bin" / "prism"
POM = Path(__file__).resolve().with_name("pom.xml")
PRISM_MODULE = "github.com/apache/beam/sdks/v2/go/cmd/prism@v2.77.0"
"""Of the same release as the SDK."""
INSTALL_SECONDS = 1800


class NoRunnersError(Exception):
    """A runner can't be had, or would not start: one sentence that says what to do."""


def ensure_flink() -> Path:
    """The folder of jars that make a Flink cluster and Beam's job server; raises NoRunnersError."""
    stamp, wanted = FOLDER / "jars.installed", hashlib.sha256(POM.read_bytes()).hexdigest()
    if not _is_stamped(stamp, wanted):
        java, maven = _program("java"), _program("mvn")
        print(f"· bringing Flink and Beam's job server into {JARS.relative_to(ROOT)} (once)", flush=True)  # fmt: skip
        shutil.rmtree(JARS, ignore_errors=True)
        copy = (str(maven), "--batch-mode", "--quiet", "--file", str(POM), "dependency:copy-dependencies")  # fmt: skip
        options = ("-DincludeScope=runtime", f"-DoutputDirectory={JARS}")
        _run(*copy, *options, environment={"PATH": f"{java.parent}:{os.environ['PATH']}"})
        stamp.write_text(wanted)
    _program("java")
    return JARS


def ensure_prism() -> Path:
    """The program Prism; raises NoRunnersError."""
    stamp = FOLDER / "prism.installed"
    if not _is_stamped(stamp, PRISM_MODULE):
        go = _program("go")
        print(f"· building Prism into {PRISM.relative_to(ROOT)} (once; minutes)", flush=True)
        _run(str(go), "install", PRISM_MODULE, environment={"GOBIN": str(PRISM.parent)})
        stamp.write_text(PRISM_MODULE)
    return PRISM


def _is_stamped(stamp: Path, wanted: str) -> bool:
    FOLDER.mkdir(exist_ok=True)
    return stamp.exists() and stamp.read_text() == wanted


def _program(name: str) -> Path:
    try:
        return ensure_program(name)
    except NoProgramError as error:
        raise NoRunnersError(str(error)) from None


def _run(*command: str, environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=INSTALL_SECONDS,
            check=False,
        )
        lines = done.stdout.strip().splitlines() or ["no reason"]
        trouble = next((line for line in lines if "ERROR" in line), lines[-1])
        failed = done.returncode != 0
    except (OSError, subprocess.TimeoutExpired) as error:
        trouble, failed = str(error), True
    if failed:
        what = Path(command[0]).name
        raise NoRunnersError(f"{what} could not bring what the runners need: it must reach its registry once ({trouble}).")  # fmt: skip


def main() -> int:
    """Makes sure that all is there; the exit status says whether it is."""
    try:
        ensure_flink()
        ensure_prism()
    except NoRunnersError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
