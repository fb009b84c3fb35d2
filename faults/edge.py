"""A real nginx under load, whose log is rotated meanwhile; what its clients got is counted.

nginx writes the shipped log format, in steps as the shipped configuration has it. Apart from that its
configuration is its own: limits per address would turn this load away.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo.install import ensure_nginx
from emulators.processes import LOOPBACK, Stoppable, free_port
from faults.processes import poll
from faults.traffic import BOT, FIREFOX, GOOGLEBOT, NOT_PIXEL, REJECT, SECRET, VIEW
from pipeline.signing import Key, sign_query

LOG = "pixelship.log"
_FORMATS = Path(__file__).resolve().parent.parent / "nginx" / "log-format.conf"
_PATIENCE_S = 60.0
_AT_ONCE = 16
_READ_BYTES = 1 << 16
_REPLY = b"HTTP/1.1 "
_SPAWNED = multiprocessing.get_context("forkserver")
_CONF = """\
{user}
daemon off;
worker_processes 2;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path tmp;
    proxy_temp_path tmp;
    fastcgi_temp_path tmp;
    uwsgi_temp_path tmp;
    scgi_temp_path tmp;
    include log-format.conf;
    server {{
        listen {address}:{port};
        keepalive_requests 1000000000;
        access_log log/{log} px1 buffer=64k flush=1s;
        location = /i.gif {{ empty_gif; }}
        location / {{ return 404; }}
    }}
}}
"""


def _requests() -> dict[str, bytes]:
    """A request for each fate of a line."""
    parameters = {"k": "story-1", "c": "https://news.example.org/a", "d": "news.pageviews"}
    signed = "/i.gif?" + sign_query(parameters, Key(SECRET.encode()))
    return {
        VIEW: _request(signed, FIREFOX),
        BOT: _request(signed, GOOGLEBOT),
        REJECT: _request(signed.replace("story-1", "story-2"), FIREFOX),
        NOT_PIXEL: _request("/robots.txt", FIREFOX),
    }


def _request(target: str, agent: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: px\r\nUser-Agent: {agent}\r\n\r\n".encode()


class Edge(Stoppable):
    """The running server. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        """Starts nginx in a folder; returns when it answers."""
        self.logs = folder / "log"
        self.logs.mkdir(parents=True)
        self.pid_file = folder / "nginx.pid"
        self.port = free_port()
        self._rotations = 0
        shutil.copy(_FORMATS, folder)
        user = "user root;" if os.geteuid() == 0 else ""
        conf = folder / "nginx.conf"
        conf.write_text(_CONF.format(user=user, address=LOOPBACK, port=self.port, log=LOG))
        self._process = subprocess.Popen(
            [str(ensure_nginx()), "-e", str(folder / "error.log"), "-p", f"{folder}/", "-c", str(conf)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if not poll(self._is_up, _PATIENCE_S):
            raise TimeoutError("nginx did not start")

    def _is_up(self) -> bool:
        try:
            socket.create_connection((LOOPBACK, self.port), _PATIENCE_S).close()
        except OSError:
            return False
        return bool(self.pid_file.exists() and self.pid_file.read_text().strip())

    def rotate(self) -> bool:
        """Rotates as logrotate does: numbers move up, then the signal. False where no log was there.

        The log may be in the shipper's hands already, who moves it too.
        """
        self._rotations += 1
        old = self.logs / f"{LOG}.{self._rotations % 2 + 1}"
        try:
            if not old.exists():
                (self.logs / LOG).rename(old)
                return True
            (self.logs / LOG).rename(self.logs / f"{LOG}-{self._rotations}")
        except FileNotFoundError:
            return False
        else:
            return True
        finally:
            self._process.send_signal(signal.SIGUSR1)

    def stop(self) -> None:
        """Ends nginx as an operator does: it writes out what it holds. Twice is fine."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(_PATIENCE_S)


class Load:
    """Clients that ask and count replies, in processes of their own."""

    def __init__(self, port: int, clients: int, pause_s: float) -> None:
        """Begins."""
        self._stop = _SPAWNED.Event()
        self._counts: Any = _SPAWNED.Queue()
        self._clients = [
            _SPAWNED.Process(
                target=_ask, args=(port, pause_s, self._stop, self._counts), daemon=True
            )
            for _ in range(clients)
        ]
        for client in self._clients:
            client.start()

    def end(self) -> Counter[str]:
        """Stops asking; how many replies came, by the fate that their lines must have."""
        self._stop.set()
        total: Counter[str] = Counter()
        for _ in self._clients:
            total.update(self._counts.get(timeout=_PATIENCE_S))
        for client in self._clients:
            client.join(_PATIENCE_S)
        return total


def _ask(port: int, pause_s: float, stop: threading.Event, counts: Any) -> None:
    """Asks for one kind after another, some at a time, and waits for the replies to them all."""
    seen: Counter[str] = Counter()
    kinds = [(kind, wire * _AT_ONCE) for kind, wire in _requests().items()]
    with socket.create_connection((LOOPBACK, port), _PATIENCE_S) as line:
        while not stop.is_set():
            for kind, wire in (*kinds, kinds[0], kinds[0]):  # views are half of it
                line.sendall(wire)
                _read_replies(line, _AT_ONCE)
                seen[kind] += _AT_ONCE
            time.sleep(pause_s)
    counts.put(dict(seen))


def _read_replies(line: socket.socket, wanted: int) -> None:
    """Reads until so many replies have come whole."""
    data = b""
    while data.count(_REPLY) < wanted or not _is_whole(data):
        more = line.recv(_READ_BYTES)
        if not more:
            raise ConnectionError("nginx closed the connection")
        data += more


def _is_whole(data: bytes) -> bool:
    """Whether the last reply is all there."""
    head, _, body = data[data.rfind(_REPLY) :].partition(b"\r\n\r\n")
    lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return bool(lengths) and len(body) >= int(lengths[0].split(b":")[1])


def lines_of(counts: Mapping[str, int]) -> int:
    """How many lines the counts stand for."""
    return sum(counts.values())
