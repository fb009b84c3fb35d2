"""Servers: they start or say why not, and nothing outlives the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from emulators import install
from emulators.install import ROOT, NoEmulatorsError, ensure_environment
from emulators.processes import Server, is_answering

PARENT = """
import sys, time
from emulators.bigquery import BigQuery
from emulators.fault_proxy import FaultProxy
from emulators.object_store import ObjectStore
store = ObjectStore()
servers = [store, BigQuery(store.root), FaultProxy(store.url)]
print(*(server.url for server in servers), flush=True)
time.sleep(60)
"""


def is_gone(url: str) -> bool:
    deadline = time.monotonic() + 20
    while is_answering(url + "/_internal/healthcheck") or _listens(url):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _listens(url: str) -> bool:
    import socket

    host, _, port = url.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_servers_die_with_their_parent(how: signal.Signals, tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        urls = parent.stdout.readline().split()
        assert len(urls) == 3
        assert all(_listens(url) for url in urls)
        parent.send_signal(how)
    assert all(is_gone(url) for url in urls)


def test_what_a_server_started_ends_with_it() -> None:
    listen = "import socket, sys, time; s = socket.create_server(('', int(sys.argv[1]))); time.sleep(600)"

    def command(port: int) -> list[str]:
        return ["sh", "-c", '"$0" -c "$1" "$2" & wait', sys.executable, listen, str(port)]

    server = Server(command, None)  # it has no path to ask: its port takes connections
    assert _listens(server.url)
    server.close()
    assert is_gone(server.url)


def test_a_thread_may_start_a_server_and_end() -> None:
    started: list[Server] = []

    def start() -> None:
        started.append(Server(_http_server, "/"))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    (server,) = started
    time.sleep(0.2)
    assert is_answering(server.url)
    server.close()
    assert is_gone(server.url)


def _http_server(port: int) -> list[str]:
    return [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(NoEmulatorsError, match=r"would not start \(No such luck\)"):
        Server(lambda _: [sys.executable, "-c", "raise SystemExit('No such luck')"], "/")


def test_the_environment_is_made_once() -> None:
    python = ensure_environment()
    assert python.is_file()
    start = time.monotonic()
    assert ensure_environment() == python
    assert time.monotonic() - start < 0.1


def test_many_may_ask_for_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One makes it, the others wait; another requirement makes it anew."""
    made: list[str] = []

    def make() -> None:
        time.sleep(0.1)
        (tmp_path / "env" / "bin").mkdir(parents=True, exist_ok=True)
        (tmp_path / "env" / "bin" / "python").touch()
        made.append("once")

    requirements = tmp_path / "requirements.txt"
    requirements.write_text("one\n")
    monkeypatch.setattr(install, "FOLDER", tmp_path / "env")
    monkeypatch.setattr(install, "REQUIREMENTS", requirements)
    monkeypatch.setattr(install, "_make", make)
    threads = [threading.Thread(target=ensure_environment) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["once"]
    requirements.write_text("two\n")
    ensure_environment()
    assert made == ["once", "once"]


def test_what_can_not_be_installed_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "FOLDER", tmp_path / "env")
    monkeypatch.setattr(install, "_base_python", lambda: "/bin/false")
    assert install.main() == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("The emulators could not be installed into env: they come from PyPI")
