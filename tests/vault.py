"""Secret Manager on loopback: a server that answers as its REST interface is documented to.

It is a stand-in: what it cannot show is Google's own log-in and permissions.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import google_crc32c


@dataclass
class Vault:
    """The server's answers, one after the other (the last for ever), and what it was asked."""

    url: str = ""
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    hangs: Event = field(default_factory=Event)

    def holds(self, data: bytes, **changes: Any) -> None:
        """Has it answer with a secret."""
        payload = {
            "data": base64.b64encode(data).decode(),
            "dataCrc32c": str(google_crc32c.value(data)),
            **changes,
        }
        self.answers = [(200, json.dumps({"payload": payload}).encode())]

    def fails(self, *codes: int, message: str = "no") -> None:
        """Has it refuse."""
        self.answers = [
            (code, json.dumps({"error": {"code": code, "message": message}}).encode())
            for code in codes
        ]


@contextmanager
def vault_on_loopback() -> Iterator[Vault]:
    """The running server."""
    vault, over = Vault(), Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            vault.asked.append((self.path, self.headers.get("Authorization")))
            if vault.hangs.is_set():
                over.wait(60)
                return
            status, body = vault.answers.pop(0) if len(vault.answers) > 1 else vault.answers[0]
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    vault.url = f"http://127.0.0.1:{server.server_port}/"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield vault
    finally:
        over.set()
        server.shutdown()
        server.server_close()
