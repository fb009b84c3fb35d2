"""A machine of the edge, as its startup script lays it out: a real nginx is run from those files."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.install import ensure_nginx
from tests.terraform.conftest import MakePlan
from tests.terraform.test_edge import EDGE
from tfcheck.terraform import ROOT

BALANCER = "198.51.100.7"
VISITOR = "203.0.113.9"
MAIN = """\
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ }}
http {{
    client_body_temp_path {folder}/tmp;
    proxy_temp_path {folder}/tmp;
    fastcgi_temp_path {folder}/tmp;
    uwsgi_temp_path {folder}/tmp;
    scgi_temp_path {folder}/tmp;
    include conf.d/*.conf;
}}
"""
PATIENCE_S = 60.0


def command(folder: Path, name: str, script: str) -> None:
    """A program of that name, first on PATH."""
    file = folder / "bin" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def environment(folder: Path) -> dict[str, str]:
    programs = f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": programs, "DESTDIR": str(folder)}


@pytest.fixture(scope="module")
def machine(plan_of: MakePlan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The machine's files below a folder, by the startup script that a plan holds."""
    folder = tmp_path_factory.mktemp("machine")
    plan = plan_of("modules/edge", **EDGE, kind="nginx")
    script = folder / "startup.sh"
    script.write_text(plan.one("google_compute_instance_template")["metadata_startup_script"])
    command(folder, "curl", f"echo {BALANCER}")
    command(folder, "hostname", "echo pixelship-edge-x7f2")
    subprocess.run(["bash", script, "lay_out"], env=environment(folder), check=True)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def ports(machine: Path) -> Iterator[tuple[int, int]]:
    """nginx's port for the pixel and its port for health; what is on loopback is the balancer."""
    pixel, health = free_port(), free_port()
    nginx = machine / "etc/nginx"
    logs = machine / "var/log/nginx"
    logs.mkdir(parents=True)
    edits = {
        "pixelship/pixelship.conf": [("listen 80;", f"listen 127.0.0.1:{pixel};")],
        "pixelship/pixel.conf": [("root /etc/nginx", f"root {nginx}")],
        "pixelship/access-log.conf": [("access_log /var/log/nginx", f"access_log {logs}")],
        "pixelship/real-ip.conf": [
            ("set_real_ip_from 35.191.0.0/16;", "set_real_ip_from 127.0.0.1;")
        ],
        "conf.d/health.conf": [("listen 8080;", f"listen 127.0.0.1:{health};")],
    }
    for name, pairs in edits.items():
        text = (nginx / name).read_text()
        for old, new in pairs:
            assert text.count(old) == 1
            text = text.replace(old, new)
        (nginx / name).write_text(text)
    user = "user root;" if os.geteuid() == 0 else ""
    (nginx / "nginx.conf").write_text(MAIN.format(folder=machine, user=user))
    started = subprocess.Popen(
        [ensure_nginx(), "-e", machine / "error.log", "-c", nginx / "nginx.conf"]
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not answers(pixel):
            assert started.poll() is None, (machine / "error.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield pixel, health
    finally:
        started.terminate()
        started.wait(PATIENCE_S)


def get(port: int, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", path, headers={"Host": "px.example.org", **named})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def test_the_log_has_the_visitor_and_no_health_checks(
    machine: Path, ports: tuple[int, int]
) -> None:
    pixel, health = ports
    assert get(health, "/").status == 200
    forwarded = f"10.9.8.7, {VISITOR}, {BALANCER}"
    assert get(pixel, "/pixel.gif?k=1", X_Forwarded_For=forwarded).status == 200
    log = machine / "var/log/nginx/pixelship.log"
    deadline = time.monotonic() + PATIENCE_S
    while not log.read_text().endswith("\n"):  # nginx writes it out after five seconds
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (line,) = log.read_text().splitlines()
    fields = line.split("\t")
    assert fields[3] == VISITOR
    assert fields[6:8] == ["px.example.org", "/pixel.gif?k=1"]


def test_a_new_visitor_gets_a_cookie_with_this_machines_number(
    machine: Path, ports: tuple[int, int]
) -> None:
    answer = get(ports[0], "/i.gif")
    assert answer.status == 302
    assert answer.headers["Set-Cookie"].startswith("_pxid=")
    cookie = (machine / "etc/nginx/pixelship/cookie.conf").read_text()
    (number,) = re.findall(r"^userid_service (\d+);", cookie, re.M)
    assert 1 < int(number) < 2**32


def test_it_answers_for_its_host_names(machine: Path) -> None:
    text = (machine / "etc/nginx/pixelship/pixelship.conf").read_text()
    assert "server_name px.example.com px.example.org;" in text


def test_the_shipper_is_told_where_to(machine: Path) -> None:
    assert (
        machine / "etc/default/pixelship-ship"
    ).read_text() == "PIXELSHIP_TO=gs://acme-logs/nginx\n"
    for unit in ("pixelship-ship.service", "pixelship-ship.timer"):
        laid_out = (machine / "etc/systemd/system" / unit).read_bytes()
        assert laid_out == (ROOT / "ship" / unit).read_bytes()


def test_what_is_left_is_shipped_when_the_machine_stops(tmp_path: Path) -> None:
    logs, store = tmp_path / "var/log/nginx", tmp_path / "store"
    logs.mkdir(parents=True)
    store.mkdir()
    (logs / "pixelship.log").write_text("a line\n")
    (tmp_path / "etc/default").mkdir(parents=True)
    (tmp_path / "etc/default/pixelship-ship").write_text(f"PIXELSHIP_TO={store}\n")
    command(tmp_path, "systemctl", f'echo "$@" >> {tmp_path}/said')
    done = subprocess.run(
        ["bash", ROOT / "terraform/modules/edge/shutdown.sh"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "said").read_text() == "stop nginx\n"
    assert not (logs / "pixelship.log").exists()
    (shipped,) = store.rglob("*.log.zst")
    assert shipped.stat().st_size > 0
