"""Requests to a running nginx, and what a reader who counts looks like."""

from __future__ import annotations

import http.client
import io
from collections.abc import Mapping
from typing import Any

from demo.__main__ import signed_by
from demo.server import Nginx
from demo.traffic import ACCEPTED, Shot, request
from pipeline.blocks import Block, read_blocks
from pipeline.formats.nginx_tsv import NginxTsv
from pipeline.signing import key_ring
from tests.integration.conftest import SECRET

PIXELS = ("/pixel.gif", "/r.gif", "/i.gif")
OLD_PATHS = ("/track", "/track/", "/v1/pixel/page", "/v1/pixel/track/x")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
VISITOR = "0b9b6ad5-1d0a-4a0c-9d3c-6a1f6a0e7a11"
"""A well-formed `_pxid`: with it, /i.gif answers the pixel."""

ISSUED = "AQAAAGkgQiBrMyQ/AwMDAg=="
"""An id in the form that nginx writes."""
MALFORMED = (
    "", "-", "x", "visitor", "null", "AQAAAGkgQiBrMyQ/AwMDAg", "AQAAAGkgQiBrMyQ/AwMDAg=", "AQAAAGkgQiBrMyQ/AwMDAgX=",
    "AQAAAGkgQiBrMyQ_AwMDAg==", "AQAAAGkgQiBrMyQ/AwMDAgAQAAAGkgQiBrMyQ/AwMDAg==", f'"{ISSUED}"', f"={ISSUED}",
    VISITOR[:-1], f"{VISITOR}0", f"{VISITOR}<script>", VISITOR.replace("-", ""), f"%7B{VISITOR}%7D", "../../etc/passwd",
    "a" * 22, "é" * 30, "\\x41\t\\", "a" * 4000, "' OR 1=1 --",
)  # fmt: skip

EVERYWHERE = {
    "Cache-Control": "no-store, no-cache, must-revalidate, private, max-age=0",
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Timing-Allow-Origin": "*",
    "X-Content-Type-Options": "nosniff",
}
OF_THE_PIXEL = {
    **EVERYWHERE,
    "Content-Type": "image/gif",
    "Content-Length": "43",
    "Content-Disposition": "inline",
}

sign = signed_by(key_ring([SECRET]))


def ask(
    nginx: Nginx,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> tuple[http.client.HTTPResponse, bytes]:
    """One request, and the reply with its body."""
    connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=20)
    try:
        connection.request(method, target, body, headers=dict(headers or {}))
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def query(key: str = "story-1") -> str:
    """A signed query string that counts."""
    return sign({"k": key, "c": "https://news.example.org/é?a=1", "d": "news.pageviews"})


def view(headers: Mapping[str, str], key: str = "story-1", target: str = "/pixel.gif") -> Shot:
    """A signed view that must count."""
    wire = request(f"{target}?{query(key)}", {"User-Agent": FIREFOX, **headers})
    return Shot(wire, ACCEPTED, destination="news.pageviews")


def logged(nginx: Nginx) -> list[dict[str, Any]]:
    """The requests that nginx logged, as the pipeline reads them; every line must be readable.

    Values are text, or None where the log has none. nginx quits, and so flushes its log.
    """
    data = closed_log(nginx)
    (block,) = read_blocks(io.BytesIO(data), 0, len(data), len(data))
    assert isinstance(block, Block)
    parsed = NginxTsv().parse(block.lines())
    assert len(parsed.malformed) == 0
    assert parsed.requests.num_rows == data.count(b"\n")
    return [
        {name: value.decode() if isinstance(value, bytes) else value for name, value in row.items()}
        for row in parsed.requests.to_pylist()
    ]


def closed_log(nginx: Nginx) -> bytes:
    """All that nginx logged, once it has quit."""
    nginx.quit()
    data = nginx.log().read_bytes()
    assert data.endswith(b"\t.\n")
    return data
