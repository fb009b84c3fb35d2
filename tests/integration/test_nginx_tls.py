"""TLS and HTTP/2, and the visitor's cookie in a client that keeps cookies as browsers do."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import httpx
import pytest

from demo.server import Nginx
from tests.integration.asking import FIREFOX, VISITOR, ask, logged, query
from tests.integration.conftest import LoadLogs, ServeNginx


@pytest.fixture
def nginx(serve: ServeNginx) -> Nginx:
    return serve(choices=["tls", "legacy-paths"])


def client(nginx: Nginx, http2: bool) -> httpx.Client:
    trusted = ssl.create_default_context(cafile=str(nginx.folder / "fullchain.pem"))
    return httpx.Client(
        base_url=f"https://127.0.0.1:{nginx.tls_port}",
        http1=not http2,
        http2=http2,
        verify=trusted,
        timeout=20,
        trust_env=False,
        headers={"User-Agent": FIREFOX},
    )


@pytest.fixture(params=[True, False], ids=["HTTP/2", "HTTP/1.1"])
def browser(nginx: Nginx, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    with client(nginx, http2=request.param) as browser:
        yield browser


def test_the_pixel_over_tls(nginx: Nginx, browser: httpx.Client) -> None:
    over_plain, gif = ask(nginx, "GET", "/pixel.gif?k=a")
    response = browser.get("/pixel.gif?k=a")
    assert response.http_version in ("HTTP/2", "HTTP/1.1")
    assert (response.status_code, response.content) == (200, gif)
    expected = {name.lower(): value for name, value in over_plain.getheaders()}
    assert "strict-transport-security" not in expected
    expected["strict-transport-security"] = "max-age=31536000"
    differing = ("date", "connection")
    assert {k: v for k, v in response.headers.items() if k not in differing} == {
        k: v for k, v in expected.items() if k not in differing
    }
    head = browser.head("/track/")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == "43"
    refused = browser.post("/pixel.gif", content=b"k=a")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert browser.get("/").status_code == 404


def test_a_browser_keeps_its_cookie(nginx: Nginx, browser: httpx.Client, load: LoadLogs) -> None:
    first = browser.get(f"/i.gif?{query('first')}", follow_redirects=True)
    assert [each.status_code for each in first.history] == [302]
    assert (first.status_code, first.url.path) == (200, "/r.gif")
    (kept,) = browser.cookies.jar
    assert (kept.name, kept.path, kept.secure) == ("_pxid", "/", True)
    assert kept.expires is not None
    for path in ("/i.gif", "/r.gif", "/pixel.gif"):
        response = browser.get(f"{path}?{query('later')}", follow_redirects=True)
        assert (response.history, response.status_code) == ([], 200)
    nginx.quit()
    loaded = load(nginx.log_folder)
    assert (loaded.balance["accepted"], loaded.balance["not_pixel"]) == (4, 1)
    assert loaded.rows("SELECT user_id, count(*) FROM news.pageviews GROUP BY 1") == [
        (kept.value, 4)
    ]


def test_browsers_get_http_2(nginx: Nginx) -> None:
    trusted = ssl.create_default_context(cafile=str(nginx.folder / "fullchain.pem"))
    with httpx.Client(http2=True, verify=trusted, timeout=20, trust_env=False) as both:
        url = f"https://127.0.0.1:{nginx.tls_port}/pixel.gif"
        assert both.get(url).http_version == "HTTP/2"


def test_cookies_in_crumbs_and_long_urls_over_http_2(nginx: Nginx) -> None:
    target = f"/i.gif?{query()}&x=".ljust(8192, "a")
    crumbs = [("cookie", "theme=dark"), ("cookie", f"_pxid={VISITOR}"), ("cookie", "a=b")]
    with client(nginx, http2=True) as browser:
        response = browser.get(target, headers=crumbs)
        assert (response.http_version, response.status_code) == ("HTTP/2", 200)
    (row,) = logged(nginx)
    assert (row["method"], row["status"], row["ip"]) == ("GET", "200", "127.0.0.1")
    assert (f"{row['path']}?{row['query']}", row["cookie_pxid"]) == (target, VISITOR)


def test_plain_http_to_the_tls_port_is_refused_and_logged(nginx: Nginx) -> None:
    answer = httpx.get(f"http://127.0.0.1:{nginx.tls_port}/pixel.gif", timeout=20, trust_env=False)
    assert answer.status_code == 400
    (row,) = logged(nginx)
    assert row["status"] == "400"
