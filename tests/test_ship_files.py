"""The files in ship/: units, stanza and container say what the command knows, and the container's script works."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest
from backports import zstd

from demo.install import ensure_nginx
from emulators.processes import LOOPBACK, free_port
from faults.processes import poll
from pipeline.cli import main

ROOT = Path(__file__).parents[1]
SHIP = ROOT / "ship"
PATIENCE_S = 90.0
REQUESTS = 50
CONF = """\
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    client_body_temp_path {folder}/tmp;
    proxy_temp_path {folder}/tmp;
    fastcgi_temp_path {folder}/tmp;
    uwsgi_temp_path {folder}/tmp;
    scgi_temp_path {folder}/tmp;
    include {formats};
    access_log {folder}/log/pixelship.log px1 buffer=64k;
    server {{ listen {address}:{port}; location / {{ empty_gif; }} }}
}}
"""


def unit(name: str) -> dict[str, dict[str, str]]:
    """A unit's sections; of a key that stands twice, the last."""
    parser = configparser.RawConfigParser(strict=False, comment_prefixes="#")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(SHIP / name)
    return {section: dict(parser[section]) for section in parser.sections()}


def words_of(line: str) -> list[str]:
    """The words behind `pixelship ship` in a command line."""
    words = shlex.split(line)
    return words[words.index("ship") + 1 :]


def test_the_service_uses_options_that_there_are() -> None:
    words = words_of(unit("pixelship-ship.service")["Service"]["ExecStart"])
    context = main.commands["ship"].make_context("ship", words)
    assert context.params["rotate"]
    assert context.params["url"] == "${PIXELSHIP_TO}"
    assert context.params["live"] == ("pixelship.log",)


def test_the_service_may_write_where_the_logs_are_and_see_processes() -> None:
    service = unit("pixelship-ship.service")["Service"]
    folder = main.commands["ship"].make_context("ship", words_of(service["ExecStart"]))
    assert service["ReadWritePaths"] == str(folder.params["folder"])
    assert "CAP_SYS_PTRACE" in service["CapabilityBoundingSet"]
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert not {"ProtectProc", "PrivateUsers", "PrivatePIDs", "User"} & service.keys()
    assert unit("pixelship-ship.timer")["Timer"]["OnCalendar"]


def test_the_stanza_loses_nothing() -> None:
    text = re.sub(r"^#.*\n", "", (SHIP / "logrotate.conf").read_text(), flags=re.M)
    assert "copytruncate" not in text
    assert "rotate -1" in text
    assert "nocompress" in text
    assert re.search(r"postrotate\n.*kill -USR1.*\n +endscript", text)


def test_the_stanza_names_the_log_that_nginx_writes() -> None:
    (named,) = re.findall(r"^(/\S+) \{$", (SHIP / "logrotate.conf").read_text(), re.M)
    assert f"access_log {named} " in (ROOT / "nginx" / "access-log.conf").read_text()


def test_the_container_copies_what_there_is() -> None:
    text = (SHIP / "Containerfile").read_text()
    for line in re.findall(r"^COPY (.*) \S+$", text, re.M):
        for name in line.split():
            assert (ROOT / name).exists(), name


def test_the_scripts_options_are_known() -> None:
    text = (SHIP / "edge.sh").read_text()
    known = {name for each in main.commands["ship"].params for name in each.opts}
    assert isinstance(main.commands["ship"], click.Command)
    assert set(re.findall(r"(?<= )--[a-z-]+", text)) <= known


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[tuple[list[str], dict[str, str], int]]:
    """What runs the container's script outside of a container, and nginx's port."""
    (tmp_path / "log").mkdir()
    port = free_port()
    text = CONF.format(
        user="user root;" if os.geteuid() == 0 else "",
        folder=tmp_path,
        formats=ROOT / "nginx" / "log-format.conf",
        address=LOOPBACK,
        port=port,
    )
    (tmp_path / "nginx.conf").write_text(text)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "NGINX": f"{ensure_nginx()} -e {tmp_path}/error.log -c {tmp_path}/nginx.conf",
        "NGINX_PID": str(tmp_path / "nginx.pid"),
        "PIXELSHIP_LOGS": str(tmp_path / "log"),
        "PIXELSHIP_TO": str(tmp_path / "out"),
        "PIXELSHIP_HOST": "edge-1",
        "PIXELSHIP_EVERY": "1h",
        "PIXELSHIP_OPTIONS": "--settle 0 --keep 0",
    }
    yield [str(SHIP / "edge.sh")], environment, port
    with suppress(OSError, ValueError):  # where a test failed
        os.kill(int((tmp_path / "nginx.pid").read_text()), signal.SIGKILL)


def answers(port: int) -> bool:
    """Whether a request is answered, which is then in the log."""
    try:
        with socket.create_connection((LOOPBACK, port), PATIENCE_S) as line:
            line.sendall(b"GET /i.gif HTTP/1.0\r\n\r\n")
            return line.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def lines_in(folder: Path) -> int:
    return sum(
        zstd.decompress(path.read_bytes()).count(b"\n") for path in folder.rglob("*.log.zst")
    )


def test_a_container_that_is_stopped_leaves_nothing_behind(
    tmp_path: Path, edge: tuple[list[str], dict[str, str], int]
) -> None:
    command, environment, port = edge
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as script:
        assert poll(lambda: answers(port), PATIENCE_S)
        for _ in range(REQUESTS - 1):
            assert answers(port)
        script.send_signal(signal.SIGTERM)
        assert script.wait(PATIENCE_S) == 0
    assert lines_in(tmp_path / "out") == REQUESTS
    assert [path.name for path in (tmp_path / "log").iterdir()] == [".pixelship-ship"]


def test_a_container_ends_when_nginx_does(
    tmp_path: Path, edge: tuple[list[str], dict[str, str], int]
) -> None:
    command, environment, port = edge
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as script:
        assert poll(lambda: answers(port), PATIENCE_S)
        os.kill(int((tmp_path / "nginx.pid").read_text()), signal.SIGQUIT)
        assert script.wait(PATIENCE_S) == 1
    assert lines_in(tmp_path / "out") == 1


def test_the_script_wants_to_know_where_to() -> None:
    done = subprocess.run(
        [SHIP / "edge.sh"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "say where to: gs://BUCKET/FOLDER" in done.stderr
