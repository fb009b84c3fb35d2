"""What the real nginx answers from the shipped files: every status and header, by real requests."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest

from demo.install import NoNginxError
from demo.server import Nginx, check_configuration
from demo.site import SHIPPED
from demo.traffic import Shot, request, send
from pipeline.options import Rules
from pipeline.signing import key_ring
from tests.integration.asking import (
    EVERYWHERE,
    FIREFOX,
    OF_THE_PIXEL,
    OLD_PATHS,
    PIXELS,
    VISITOR,
    ask,
    closed_log,
    logged,
    query,
)  # fmt: skip
from tests.integration.conftest import SECRET, ServeNginx
from tests.logs import read

GIF = (SHIPPED / "pixel.gif").read_bytes()
KNOWN = {"Cookie": f"_pxid={VISITOR}"}
PER_CONNECTION = {"Date", "Connection", "Server"}


def raw(nginx: Nginx, wire: bytes) -> bytes:
    """What nginx says to these bytes before it closes the connection."""
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=20) as connection:
        connection.sendall(wire)
        connection.shutdown(socket.SHUT_WR)
        said = b""
        while piece := connection.recv(65536):
            said += piece
    return said


def test_the_shipped_picture_is_a_gif_of_one_pixel() -> None:
    assert GIF.startswith(b"GIF89a\x01\x00\x01\x00")
    assert GIF.endswith(b";")
    assert len(GIF) <= 43


def test_nginx_and_gixy_find_no_fault_with_the_shipped_files() -> None:
    try:
        assert check_configuration() == ""
    except NoNginxError as error:
        pytest.fail(str(error), pytrace=False)


def test_the_pixel_answers_get_and_head(serve: ServeNginx) -> None:
    nginx = serve()
    for path in (*PIXELS, *OLD_PATHS):
        for method, body in (("GET", GIF), ("HEAD", b"")):
            response, said = ask(nginx, method, f"{path}?k=a&s=b", KNOWN)
            assert (response.status, said) == (200, body)
            headers = {k: v for k, v in response.getheaders() if k not in PER_CONNECTION}
            assert headers == OF_THE_PIXEL
            assert response.headers["Server"] == "nginx"


def test_other_methods_are_refused_and_told_which_there_are(serve: ServeNginx) -> None:
    nginx = serve()
    methods = ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "NONSENSE")
    for path in (*PIXELS, *OLD_PATHS):
        for method in methods:
            response, _ = ask(nginx, method, path, body=b"k=a" if method == "POST" else None)
            assert response.status == 405, (method, path)
            assert response.headers["Allow"] == "GET, HEAD"
            assert "Set-Cookie" not in response.headers
            assert EVERYWHERE.items() <= dict(response.getheaders()).items()
    statuses = {(row["method"], row["status"]) for row in logged(nginx)}
    assert statuses == {(method, "405") for method in methods}


CONDITIONS = (
    {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
    {"If-None-Match": '"655c8f12-2b"'},
    {"Range": "bytes=0-3"},
    {"Range": "bytes=99-"},
    {"Accept-Encoding": "gzip, br, zstd"},
    {"Accept": "text/html"},
    {"Expect": "100-continue"},
    {"Origin": "https://news.example.org"},
    {"Cache-Control": "only-if-cached"},
)


def test_the_pixel_is_whole_whatever_is_asked(serve: ServeNginx) -> None:
    nginx = serve()
    for headers in CONDITIONS:
        response, said = ask(nginx, "GET", "/pixel.gif", headers)
        assert (response.status, said) == (200, GIF), headers
        unwanted = {"ETag", "Last-Modified", "Accept-Ranges", "Content-Encoding", "Vary"}
        assert not unwanted & set(response.headers)


NOWHERE = (
    "/", "/PIXEL.GIF", "/pixel.gif/", "/pixel.gif/x", "//pixel.gif", "/i.gifs", "/r.gif.", "/no-such-file",
    "/nginx.conf", "/pixel.conf", "/../pixelship/pixel.conf", "/tracks", "/track/x", "/v1/pixel", "/favicon.ico",
)  # fmt: skip


def test_other_paths_are_not_found(serve: ServeNginx) -> None:
    nginx = serve()
    for path in NOWHERE:
        for method in ("GET", "HEAD", "POST"):
            response, _ = ask(nginx, method, path)
            assert response.status in ((404,) if ".." not in path else (400,)), path
            assert response.headers["Cache-Control"] == EVERYWHERE["Cache-Control"]
            assert "Allow" not in response.headers


def test_the_paths_of_other_pixels_can_be_left_out(serve: ServeNginx) -> None:
    nginx = serve(choices=())
    for path in OLD_PATHS:
        assert ask(nginx, "GET", path)[0].status == 404
    assert ask(nginx, "GET", "/pixel.gif?key=a")[0].status == 200


def test_urls_may_be_long(serve: ServeNginx) -> None:
    nginx = serve()
    target = f"/pixel.gif?{query()}&x="
    for length, status in ((8192, 200), (16000, 200), (17000, 414)):
        assert ask(nginx, "GET", target.ljust(length, "a"))[0].status == status
    *taken, refused = logged(nginx)
    assert [len(f"{row['path']}?{row['query']}") for row in taken] == [8192, 16000]
    assert (refused["status"], refused["path"], refused["query"]) == ("414", None, None)


EARLY = {
    "no host": (b"GET /pixel.gif HTTP/1.1\r\n\r\n", b" 400 "),
    "two hosts": (b"GET /pixel.gif HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b" 400 "),
    "bad host": (b"GET /pixel.gif HTTP/1.1\r\nHost: a/b\r\n\r\n", b" 400 "),
    "no http": (b"\x00\xff no such thing\r\n\r\n", b" 400 "),
    "small letters": (b"get /pixel.gif HTTP/1.1\r\nHost: a\r\n\r\n", b" 400 "),
    "TLS": (b"\x16\x03\x01\x00\xc4\x01\x00\x00\xc0\x03\x03" + bytes(range(180)), b" 400 "),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b" 400 "),
    "HTTP/3.0": (b"GET /pixel.gif HTTP/3.0\r\nHost: a\r\n\r\n", b" 505 "),
    "NUL": (b"GET /pixel.gif?\x00 HTTP/1.1\r\nHost: a\r\n\r\n", b" 400 "),
    "long header": (
        b"GET /pixel.gif HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 17000 + b"\r\n\r\n",
        b" 400 ",
    ),
    "half a request": (b"GET /pixel.gif HTTP/1.1\r\nHo", b""),
}


def test_requests_that_fail_early_leave_a_line_each_and_are_no_views(serve: ServeNginx) -> None:
    nginx = serve()
    for name, (wire, status) in EARLY.items():
        assert status in raw(nginx, wire).partition(b"\r\n")[0], name
    assert ask(nginx, "POST", "/pixel.gif", {"Content-Length": "99000000"})[0].status == 413
    reading = read(closed_log(nginx), Rules(key_ring([SECRET])))
    assert (reading.tally.lines, reading.tally.not_pixel) == (len(EARLY) + 1, len(EARLY) + 1)
    assert reading.reasons == []
    assert {row["status"] for row in logged(nginx)} == {"400", "413", "505"}


def test_who_is_slow_to_ask_is_cut_off_and_logged(serve: ServeNginx) -> None:
    patience = ("connections.conf", "client_header_timeout 15s;", "client_header_timeout 1s;")
    nginx = serve(edits=[patience])
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=60) as connection:
        connection.sendall(b"GET /pixel.gif HTTP/1.1\r\nHo")
        with suppress(ConnectionResetError):
            assert connection.recv(65536) == b""
    reading = read(closed_log(nginx), Rules(key_ring([SECRET])))
    assert (reading.tally.lines, reading.tally.not_pixel) == (1, 1)
    assert logged(nginx)[0]["status"] == "408"


def test_http_1_0_and_0_9_get_the_pixel(serve: ServeNginx) -> None:
    nginx = serve()
    agent = f"User-Agent: {FIREFOX}\r\n".encode()
    target = f"/pixel.gif?{query()}".encode()
    assert raw(nginx, b"GET " + target + b" HTTP/1.0\r\n" + agent + b"\r\n").endswith(GIF)
    assert raw(nginx, b"GET " + target + b"\r\n").endswith(GIF)
    reading = read(closed_log(nginx), Rules(key_ring([SECRET])))
    assert (reading.tally.lines, reading.tally.accepted) == (2, 1)
    assert reading.reasons == ["no-agent"]  # HTTP/0.9 has no headers


def test_a_connection_is_kept_for_the_next_view(serve: ServeNginx) -> None:
    nginx = serve()
    asked = request("/pixel.gif", {}).replace(b"Connection: close\r\n", b"")
    said = raw(nginx, asked * 3)
    assert said.count(b"HTTP/1.1 200 OK\r\n") == said.count(GIF) == 3


ASKED = (
    (
        "GET",
        "/pixel.gif",
        "k=%20a+b&c=%C3%A9&&d",
        {"User-Agent": 'A "q" \\x41\tb', "Referer": "-"},
        200,
    ),
    ("HEAD", "/i.gif", "k=a?b=c#d", {"Cookie": f"_pxid={VISITOR}"}, 200),
    ("GET", "/i.gif", "k=1", {"Cookie": "_pxid=made-up"}, 302),
    ("GET", "/i.gif", "k=1", {"Sec-GPC": "1", "Cookie": f"_pxid={VISITOR}"}, 200),
    ("GET", "/track/", "data=eyJl%3D%3D&img=1", {"X-Forwarded-For": "203.0.113.7"}, 200),
    ("GET", "/v1/pixel/page", "data=eyJl", {"Host": "PX.example.org:8080"}, 200),
    ("POST", "/r.gif", "k=1", {"Content-Length": "0"}, 405),
    ("GET", "/pixel%2Egif", "k=1", {}, 200),
    ("GET", "/other", None, {}, 404),
)


def test_requests_are_logged_as_they_were_asked(serve: ServeNginx) -> None:
    nginx = serve()
    for method, path, query_, headers, status in ASKED:
        target = path if query_ is None else f"{path}?{query_}"
        assert ask(nginx, method, target, headers)[0].status == status
    for row, (method, path, query_, headers, status) in zip(logged(nginx), ASKED, strict=True):
        said = {name: headers.get(name) for name in ("User-Agent", "X-Forwarded-For")}
        assert (row["method"], row["path"], row["query"]) == (method, path, query_)
        assert (row["user_agent"], row["forwarded_for"]) == tuple(said.values())
        assert row["status"] == str(status)
        assert row["host"] == ("px.example.org" if "Host" in headers else "127.0.0.1")
        is_known = headers.get("Cookie") == f"_pxid={VISITOR}" and "Sec-GPC" not in headers
        assert row["cookie_pxid"] == (VISITOR if is_known else None)
        assert row["ip"] == "127.0.0.1"
    ids = {row["request_id"] for row in logged(nginx)}
    assert len(ids) == len(ASKED)


def test_what_counts_is_what_was_answered_with_the_pixel(serve: ServeNginx) -> None:
    nginx = serve()
    agent = {"User-Agent": FIREFOX}
    shots = [
        *(Shot(request(f"{path}?{query()}", {**agent, **KNOWN}), "") for path in PIXELS),
        Shot(request(f"/i.gif?{query()}", agent), "", status=302),
        Shot(request(f"/pixel.gif?{query()}", agent, "HEAD"), ""),
        Shot(request(f"/pixel.gif?{query()}", agent, "OPTIONS"), "", status=405),
        Shot(request(f"//pixel.gif?{query()}", agent), "", status=404),
        Shot(request("/robots.txt", agent), "", status=404),
    ]
    asyncio.run(send(shots, nginx.port))
    reading = read(closed_log(nginx), Rules(key_ring([SECRET])))
    assert (reading.tally.accepted, reading.tally.not_pixel) == (4, 4)
    assert {row["key"] for row in reading.events} == {"story-1"}
