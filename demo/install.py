"""Finds nginx, libfaketime and what else tests run, and installs them where that is permitted.

Permitted means: running as root on a system with `apt-get`. Anything else is left to the user,
in one sentence. Run as `python -m demo.install`, it makes sure that nginx is there; as
`python -m demo.install node php openssl`, that those are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NGINX_FOLDERS = "/usr/sbin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin"
FAKETIME_PLACES = (
    "usr/lib/*/faketime/libfaketime.so.1",
    "usr/lib*/faketime/libfaketime.so.1",
    "usr/local/lib/faketime/libfaketime.so.1",
)
APT_SECONDS = 180
POLICY = Path("/usr/sbin/policy-rc.d")


PACKAGES = {
    "node": "nodejs",
    "php": "php-cli",
    "openssl": "openssl",
    "java": "default-jre-headless",
    "mvn": "maven",
    "go": "golang",
}
"""Programs other than nginx, and the Debian packages that hold them."""


class NoProgramError(Exception):
    """A program is missing and could not be installed: one sentence that says what to do."""


class NoNginxError(Exception):
    """There is no nginx, and none could be installed: one sentence that says what to do."""


def find_nginx() -> Path | None:
    """The nginx program, or None. Looked for on PATH and where systems put it outside PATH."""
    found = shutil.which("nginx") or shutil.which("nginx", path=NGINX_FOLDERS)
    return Path(found) if found else None


def find_faketime() -> Path | None:
    """The libfaketime library, or None."""
    root = Path("/")
    return next((path for place in FAKETIME_PLACES for path in root.glob(place)), None)


def ensure_nginx() -> Path:
    """The nginx program, installed if need be; raises `NoNginxError` where it can't be had."""
    found = find_nginx()
    if found:
        return found
    if not _may_install():
        raise NoNginxError("nginx is missing: install it with your system's package manager.")
    print("· installing nginx with apt-get (once)", flush=True)
    trouble = _apt_install("nginx-light") and _apt_install("nginx")
    found = find_nginx()
    if not found:
        raise NoNginxError(f"nginx is missing, and apt-get could not install it ({trouble}).")
    return found


def ensure_program(name: str) -> Path:
    """One of `PACKAGES`, installed if need be; raises `NoProgramError` where it can't be had."""
    found, package = shutil.which(name), PACKAGES[name]
    if not found and _may_install():
        print(f"· installing {package} with apt-get (once)", flush=True)
        _apt_install(package)
        found = shutil.which(name)
    if not found:
        raise NoProgramError(f"{name} is missing: install {package} with your system's package manager.")  # fmt: skip
    return Path(found)


def ensure_faketime() -> Path | None:
    """The libfaketime library, installed if need be and permitted; None where it can't be had."""
    if find_faketime() is None and sys.platform == "linux" and _may_install():
        print("· installing libfaketime with apt-get (once)", flush=True)
        _apt_install("libfaketime")
    return find_faketime()


def _may_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _apt_install(package: str) -> str:
    """Installs one Debian package without starting its service. The trouble's last line, or ''."""
    trouble = _apt("install", "-y", "--no-install-recommends", package)
    if not trouble:
        return ""
    # A bare machine often has no package lists, or old ones: fetch them and try once more.
    return _apt("update") or _apt("install", "-y", "--no-install-recommends", package)


def _apt(*arguments: str) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        with _services_held():
            done = subprocess.run(
                ["apt-get", "-qq", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=APT_SECONDS,
                check=False,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return (done.stdout.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


@contextmanager
def _services_held() -> Iterator[None]:
    """Keeps Debian from starting a service it has just installed (its documented policy-rc.d)."""
    if POLICY.exists():
        yield
        return
    try:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def main() -> int:
    """Makes sure that nginx, or what was named, is there; the exit status says whether it is."""
    try:
        for name in sys.argv[1:]:
            ensure_program(name)
        if not sys.argv[1:]:
            ensure_nginx()
    except (NoNginxError, NoProgramError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
