"""The shipped configuration, laid out in a folder as a user would edit it.

What is rewritten is what `nginx/README.md` tells a user to change: the address listened on, the
folder of the pixel, where the log goes, the certificate, the proxies that are believed. Optional
parts (`CHOICES`) are taken or left out by their include lines.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from demo.install import NoNginxError

SHIPPED = Path(__file__).resolve().parent.parent / "nginx"
LOOPBACK = "127.0.0.1"
CHOICES = frozenset({"tls", "real-ip", "limit", "legacy-paths"})
"""Files of `nginx/` that a site may do with or without."""
HTTP2_DIRECTIVE = (1, 25, 1)
"""The first version of nginx that has `http2 on` and warns of `listen … http2`."""

MAIN_CONF = """\
{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile 2048;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path tmp;
    proxy_temp_path tmp;
    fastcgi_temp_path tmp;
    uwsgi_temp_path tmp;
    scgi_temp_path tmp;
    include pixelship/pixelship.conf;
}}
"""
_LOG = "access_log /var/log/nginx/pixelship.log px1 buffer=64k flush=5s;"
_TLS = "listen 443 ssl http2;\nlisten [::]:443 ssl http2;"
_CERTIFICATES = "/etc/letsencrypt/live/px.example.com"
_PROXIES = "set_real_ip_from 192.0.2.0/24;"


@dataclass(frozen=True)
class Site:
    """What a site sets: its logs (file name to `log_format`), its ports, and what it chooses.

    `edits` are further changes to the shipped files: (file, text that stands there once, new text).
    Addresses are limited by choice alone, for tests send everything from this machine.
    """

    logs: Mapping[str, str] = field(default_factory=lambda: {"access.log": "px1"})
    choices: frozenset[str] = frozenset({"legacy-paths"})
    port: int = 8080
    tls_port: int = 8443
    edits: Sequence[tuple[str, str, str]] = ()

    def __post_init__(self) -> None:
        """Refuses choices that there are not."""
        if not self.choices <= CHOICES:
            raise ValueError(f"no such choices: {sorted(self.choices - CHOICES)}")


def lay_out(folder: Path, site: Site, program: Path) -> None:
    """Writes a whole configuration for `program` into `folder`, the shipped files in pixelship/."""
    own = folder / "pixelship"
    shutil.copytree(SHIPPED, own, dirs_exist_ok=True)
    for name, old, new in site.edits:
        _rewrite(own / name, old, new)
    (folder / "log").mkdir(exist_ok=True)
    # The master may be root in a folder that is closed to everyone else; so is the worker then.
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN_CONF.format(user=user))
    for name in CHOICES:
        _choose(own / "pixelship.conf", name, name in site.choices)
    listen = f"listen {LOOPBACK}:{site.port} backlog=1024;"
    _rewrite(own / "pixelship.conf", "listen 80;", listen)
    _rewrite(own / "pixel.conf", "root /etc/nginx/pixelship;", f'root "{own}";')
    directives = (
        _LOG.replace("/var/log/nginx/pixelship.log", f"log/{name}").replace(" px1 ", f" {kind} ")
        for name, kind in site.logs.items()
    )
    _rewrite(own / "access-log.conf", _LOG, "\n".join(directives))
    _rewrite(own / "real-ip.conf", _PROXIES, f"set_real_ip_from {LOOPBACK};")
    if "tls" in site.choices:
        _rewrite(own / "tls.conf", _TLS, _listen_tls(site.tls_port, version_of(program)))
        for name in ("fullchain.pem", "privkey.pem"):
            _rewrite(own / "tls.conf", f"{_CERTIFICATES}/{name}", f'"{folder / name}"')
        make_certificate(folder)


def version_of(program: Path) -> tuple[int, ...]:
    """The version that an nginx says it is."""
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    found = re.search(r"/(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else (0,)


def make_certificate(folder: Path) -> None:
    """A certificate that signs itself, and its key, under the names that Let's Encrypt uses."""
    try:
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-noenc", "-days", "2", "-subj", "/CN=px.example.com", "-addext",
                f"subjectAltName=DNS:px.example.com,IP:{LOOPBACK}",
                "-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem",
            ],
            capture_output=True,
            check=True,
        )  # fmt: skip
    except FileNotFoundError:
        sentence = "openssl is missing: install it with your system's package manager."
        raise NoNginxError(sentence) from None


def _listen_tls(port: int, version: tuple[int, ...]) -> str:
    if version < HTTP2_DIRECTIVE:
        return f"listen {LOOPBACK}:{port} ssl http2;"
    return f"listen {LOOPBACK}:{port} ssl;\nhttp2 on;"


def _choose(path: Path, name: str, is_chosen: bool) -> None:
    """Sets or removes the comment sign before the line that includes a file."""
    line = re.compile(rf"^( *)(?:# )?(include pixelship/{name}\.conf;)$", re.M)
    text, count = line.subn(r"\1\2" if is_chosen else r"\1# \2", path.read_text())
    if count != 1:
        raise ValueError(f"{path.name}: expected one line that includes {name}.conf")
    path.write_text(text)


def _rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    if text.count(old) != 1:
        raise ValueError(f"{path.name}: expected {old!r} exactly once")
    path.write_text(text.replace(old, new))
