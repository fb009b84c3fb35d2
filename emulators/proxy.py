"""The fault proxy's process: `python -m emulators.proxy --upstream URL --port N`.

It hands requests to the server at URL and its answers back, and does to them what it is told to.
URLs of that server in answers (`Location` of a resumable upload, `mediaLink`) become the proxy's,
so that the client keeps coming here. Nothing but the standard library is used.

The control routes, in JSON: `/_faults/plan` (POST a fault, GET all with their hits, DELETE all) and
`/_faults/seen` (GET the requests seen so far, DELETE forgets them).
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import threading
import time
import urllib.parse
from dataclasses import asdict, dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from emulators.faults import (
    BEFORE,
    BODY,
    CUT,
    DELAY,
    HALF,
    HANG,
    KILL,
    REASONS,
    REFUSE,
    STOP,
    Fault,
    Seen,
)
from emulators.signals import send_signal

CONTROL = "/_faults/"
POLL_S = 0.05
# Headers that belong to one connection; the answer's length is counted anew.
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade"}


@dataclass
class Planned:
    """A fault with what is left of it."""

    fault: Fault
    skip: int
    times: int
    hits: int = 0


class Plan:
    """The faults to come and the requests seen; threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[Planned] = []
        self._seen: list[Seen] = []

    def add(self, fault: Fault) -> None:
        """Adds a fault behind the others."""
        with self._lock:
            self._planned.append(Planned(fault, fault.skip, fault.times))

    def clear(self) -> None:
        """Forgets all faults; hanging and delayed requests end or go on."""
        with self._lock:
            self._planned = []

    def take(self, method: str, target: str, body_bytes: int) -> tuple[int, Fault | None]:
        """Notes a request; its number, and the fault that befalls it."""
        path, _, query = target.partition("?")
        with self._lock:
            number = len(self._seen) + 1
            hit = self._hit(method, target)
            action = hit.action if hit else None
            self._seen.append(Seen(number, method, path, query, body_bytes, None, action))
        return number, hit

    def _hit(self, method: str, target: str) -> Fault | None:
        for planned in self._planned:
            if not planned.times or not planned.fault.fits(method, target):
                continue
            if planned.skip:
                planned.skip -= 1
                continue
            planned.times -= 1
            planned.hits += 1
            return planned.fault
        return None

    def answered(self, number: int, status: int) -> None:
        """Notes how a request was answered."""
        with self._lock:
            if number <= len(self._seen):
                self._seen[number - 1] = replace(self._seen[number - 1], status=status)

    def forget(self) -> None:
        """Forgets the requests; numbers start from 1."""
        with self._lock:
            self._seen = []

    def wait(self, fault: Fault) -> None:
        """Sleeps the fault's seconds, or until faults are cleared."""
        deadline = time.monotonic() + fault.seconds
        while time.monotonic() < deadline:
            with self._lock:
                if not any(planned.fault is fault for planned in self._planned):
                    return
            time.sleep(min(POLL_S, max(0.0, deadline - time.monotonic())))

    def planned_json(self) -> list[dict[str, object]]:
        """All faults with what is left of them."""
        with self._lock:
            return [
                {**asdict(p.fault), "skip": p.skip, "times": p.times, "hits": p.hits}
                for p in self._planned
            ]

    def seen_json(self) -> list[dict[str, object]]:
        """All requests seen."""
        with self._lock:
            return [asdict(seen) for seen in self._seen]


@dataclass(frozen=True)
class Answer:
    """The server's answer, whole. `length` is what its head said, for HEAD requests."""

    status: int
    phrase: str
    headers: list[tuple[str, str]]
    body: bytes


class Proxy(ThreadingHTTPServer):
    """The server; each connection has a thread."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, upstream: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.plan = Plan()
        self.upstream = urllib.parse.urlsplit(upstream).netloc
        self.own = f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nothing to speak of."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Proxy

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""

    def _handle(self) -> None:
        body = self._read_body()
        if self.path.startswith(CONTROL):
            self._control(body)
            return
        number, fault = self.server.plan.take(self.command, self.path, len(body))
        if fault is None:
            self._answer(number, self._forward(body))
        elif fault.when == BEFORE:
            self._before(number, fault, body)
        else:
            self._after(number, fault, body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _handle  # noqa: N815

    def _before(self, number: int, fault: Fault, body: bytes) -> None:
        """A fault that the server knows nothing of; a delay and a stop end well."""
        if fault.action == REFUSE:
            self._answer(number, _refusal(fault))
        elif fault.action in {DELAY, STOP}:
            if fault.action == STOP:
                self._signal(fault)
            self.server.plan.wait(fault)
            self._answer(number, self._forward(body))
        else:
            if fault.action == HANG:
                self.server.plan.wait(fault)
            elif fault.action == HALF:
                self._forward_half(body)
            elif fault.action == KILL:
                self._signal(fault)
            self._hang_up()

    def _after(self, number: int, fault: Fault, body: bytes) -> None:
        """A fault after the server did what was asked."""
        answer = self._forward(body)
        if fault.action == REFUSE:
            self._answer(number, _refusal(fault))
        elif fault.action in {DELAY, STOP}:
            if fault.action == STOP:
                self._signal(fault)
            self.server.plan.wait(fault)
            self._answer(number, answer)
        else:
            if fault.action == HANG:
                self.server.plan.wait(fault)
            elif fault.action == KILL:
                self._signal(fault)
            elif fault.action == CUT and fault.where == BODY and answer is not None:
                self._send(answer, len(answer.body) // 2)
            self._hang_up()

    def _signal(self, fault: Fault) -> None:
        send_signal(fault, self.client_address[1], self.connection.getsockname()[1])

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def _open(self, length: int) -> http.client.HTTPConnection:
        """A connection to the server with the request's head sent."""
        connection = http.client.HTTPConnection(self.server.upstream)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP | {"expect"}:
                connection.putheader(name, value)
        connection.putheader("Connection", "close")
        if length or self.command in {"POST", "PUT", "PATCH"}:
            connection.putheader("Content-Length", str(length))
        return connection

    def _forward(self, body: bytes) -> Answer | None:
        """The server's answer to the request, or None where it gave none."""
        try:
            connection = self._open(len(body))
            try:
                connection.endheaders(body or None)
                response = connection.getresponse()
                headers = [
                    (name, self._ours(value) if name.lower() == "location" else value)
                    for name, value in response.getheaders()
                    if name.lower() not in _HOP
                ]
                content = response.read()
                if self.command == "HEAD":
                    headers.append(("Content-Length", response.getheader("Content-Length", "0")))
                elif self._speaks_of_objects(response):
                    content = self._ours(content.decode()).encode()
                return Answer(response.status, response.reason, headers, content)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return None

    def _forward_half(self, body: bytes) -> None:
        connection = self._open(len(body))
        connection.endheaders(body[: len(body) // 2] or None)
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()

    def _speaks_of_objects(self, response: http.client.HTTPResponse) -> bool:
        """Whether an answer is the API's own JSON, rather than an object's content."""
        is_json = response.getheader("Content-Type", "").startswith("application/json")
        is_content = "alt=media" in self.path or self.path.startswith("/download/")
        return is_json and not is_content and response.getheader("Content-Encoding") is None

    def _ours(self, text: str) -> str:
        """A text in which the server's URL is the proxy's."""
        return text.replace(f"http://{self.server.upstream}", f"http://{self.server.own}")

    def _answer(self, number: int, answer: Answer | None) -> None:
        if answer is None:
            self._hang_up()
            return
        self.server.plan.answered(number, answer.status)
        self._send(answer, len(answer.body))

    def _send(self, answer: Answer, much: int) -> None:
        """Sends an answer's head and so much of its body, in one piece."""
        lines = [f"HTTP/1.1 {answer.status} {answer.phrase}"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        is_bodiless = self.command == "HEAD" or answer.status in {204, 304}
        if not is_bodiless:
            lines.append(f"Content-Length: {len(answer.body)}")
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        self.wfile.write(head + (b"" if is_bodiless else answer.body[:much]))

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _control(self, body: bytes) -> None:
        plan, what = self.server.plan, self.path.removeprefix(CONTROL)
        said: object = {}
        if what == "plan":
            if self.command == "POST":
                plan.add(Fault(**json.loads(body)))
            elif self.command == "DELETE":
                plan.clear()
            said = plan.planned_json()
        elif what == "seen":
            if self.command == "DELETE":
                plan.forget()
            said = plan.seen_json()
        elif what != "health":
            self._send(Answer(404, "Not Found", [], b""), 0)
            return
        self._send(Answer(200, "OK", [("Content-Type", "application/json")], _json(said)), 1 << 62)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _refusal(fault: Fault) -> Answer:
    """An error as Google's APIs word it."""
    reason = fault.reason or REASONS.get(fault.status, "backendError")
    message = f"Made to fail: {reason}"
    error = {"domain": "global", "reason": reason, "message": message}
    body = _json({"error": {"code": fault.status, "message": message, "errors": [error]}})
    phrase = http.client.responses.get(fault.status, "Refused")
    headers = [("Content-Type", "application/json; charset=UTF-8")]
    return Answer(fault.status, phrase, headers, body)


def main() -> None:
    """Reads the command line and serves until the process ends."""
    parser = argparse.ArgumentParser(description="The fault proxy.")
    parser.add_argument("--upstream", required=True, help="the server's URL")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    Proxy(arguments.port, arguments.upstream).serve_forever()


if __name__ == "__main__":
    main()
