"""A bucket of one's own in the object store on loopback, and servers that say what a test has them say."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from google.cloud import storage

from emulators.bigquery import BigQuery
from emulators.object_store import ObjectStore


class Bucket:
    """A bucket of its own, and what a test does with it besides."""

    def __init__(self, store: ObjectStore) -> None:
        self.name = store.make_bucket(f"test-{uuid.uuid4().hex}")
        self.url = f"gs://{self.name}"
        self._client = storage.Client(client_options={"api_endpoint": store.url})

    def put(self, name: str, data: bytes, content_encoding: str | None = None) -> int:
        """Uploads an object past the proxy; gives its generation."""
        blob = self._client.bucket(self.name).blob(name)
        blob.content_encoding = content_encoding
        blob.upload_from_string(data)
        return int(blob.generation)

    def get(self, name: str) -> bytes:
        """An object's stored bytes."""
        data: bytes = self._client.bucket(self.name).blob(name).download_as_bytes(raw_download=True)
        return data

    def delete(self, name: str) -> None:
        """Deletes an object."""
        self._client.bucket(self.name).blob(name).delete()

    def names(self) -> list[str]:
        """The names of all objects."""
        return [blob.name for blob in self._client.list_blobs(self.name)]


@pytest.fixture
def bucket(cloud_servers: tuple[ObjectStore, BigQuery]) -> Bucket:
    return Bucket(cloud_servers[0])


class Script(HTTPServer):
    """A server that gives the answers it was told, one after the other, and keeps what it was sent."""

    def __init__(self, answers: tuple[bytes, ...], headers: dict[str, str]) -> None:
        self.left = list(answers)
        self.headers = headers
        self.sent: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Script

    def do_GET(self) -> None:
        self.server.sent.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self.send_response(200)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.left.pop(0))

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Script]]:
    """Starts servers in the object store's place."""
    servers = []

    def start(*answers: bytes, **headers: str) -> Script:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        servers.append(Script(answers, headers))
        Thread(target=servers[-1].serve_forever, daemon=True).start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{servers[-1].server_port}")
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
