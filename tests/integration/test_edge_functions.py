"""The functions for CloudFront and Cloudflare answer as nginx does, run by a real Node.js."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest

from demo.site import SHIPPED
from tests.integration.asking import (
    EVERYWHERE,
    ISSUED,
    MALFORMED,
    OF_THE_PIXEL,
    OLD_PATHS,
    PIXELS,
    VISITOR,
    ask,
    query,
)  # fmt: skip
from tests.integration.conftest import ServeNginx

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("ask_function.mjs")
GIF = (SHIPPED / "pixel.gif").read_bytes()
ODD = "k=a&x=%20+b&&y=%25&u={id}"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: str


@dataclass(frozen=True)
class Function:
    """An edge's function. A request is (method, path with query, headers)."""

    edge: str

    def answers(self, *requests: tuple[str, str, dict[str, str]]) -> list[Answer]:
        asked: list[dict[str, Any]] = []
        for method, target, headers in requests:
            path, mark, query_ = target.partition("?")
            lower = {name.lower(): value for name, value in headers.items()}
            asked.append({"method": method, "path": path, "headers": lower})
            if mark:
                asked[-1]["query"] = query_
        node = shutil.which("node")
        if node is None:
            pytest.fail("node is missing: install Node.js, from 18 on.", pytrace=False)
        done = subprocess.run(
            [node, DRIVER, self.edge],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [Answer(**each) for each in json.loads(done.stdout)]


@pytest.fixture(params=["cloudfront", "cloudflare"])
def function(request: pytest.FixtureRequest) -> Function:
    return Function(request.param)


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def test_the_pixel(function: Function) -> None:
    known = {"Cookie": f"_pxid={VISITOR}"}
    targets = [f"{path}?k=a&s=b" for path in (*PIXELS, *OLD_PATHS)]
    for answer in function.answers(*(("GET", target, known) for target in targets)):
        assert (answer.status, answer.cookies) == (200, [])
        assert bytes.fromhex(answer.body) == GIF
        # The edge says itself how long the answer is.
        assert answer.headers | {"content-length": "43"} == lower(OF_THE_PIXEL)
    for answer in function.answers(*(("HEAD", target, known) for target in targets)):
        assert (answer.status, answer.body) == (200, "")
        assert answer.headers["content-type"] == "image/gif"


def test_other_methods_and_paths(function: Function) -> None:
    methods = ("POST", "PUT", "DELETE", "OPTIONS", "PATCH")
    for answer in function.answers(*((method, "/i.gif?k=a", {}) for method in methods)):
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
        assert (answer.cookies, answer.body) == ([], "")
        assert lower(EVERYWHERE).items() <= answer.headers.items()
    nowhere = (
        "/",
        "/PIXEL.GIF",
        "/pixel.gif/",
        "//pixel.gif",
        "/i.gifs",
        "/tracks",
        "/v1/pixel",
        "/pixel.gi",
    )
    for answer in function.answers(*(("GET", path, {}) for path in nowhere)):
        assert (answer.status, answer.body, answer.cookies) == (404, "", [])
        assert lower(EVERYWHERE) == answer.headers


def test_a_new_visitor_is_sent_on_with_a_cookie(function: Function) -> None:
    with_query, without, head = function.answers(
        ("GET", f"/i.gif?{ODD}", {}), ("GET", "/i.gif", {}), ("HEAD", f"/i.gif?{query()}", {})
    )
    assert with_query.headers["location"] == f"/r.gif?{ODD}"
    assert without.headers["location"] == "/r.gif"
    assert head.headers["location"] == f"/r.gif?{query()}"
    ids = set()
    for answer in (with_query, without, head):
        assert (answer.status, answer.body) == (302, "")
        assert lower(EVERYWHERE).items() <= answer.headers.items()
        (line,) = answer.cookies
        cookie = SimpleCookie(line)["_pxid"]
        assert str(uuid.UUID(cookie.value)) == cookie.value
        assert (cookie["path"], cookie["domain"], cookie["max-age"]) == ("/", "", "31536000")
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "None")
        ids.add(cookie.value)
    assert len(ids) == 3


def test_whose_cookie_is_well_formed(function: Function) -> None:
    known = (
        VISITOR,
        VISITOR.upper(),
        ISSUED,
        f"{ISSUED}; a=b",
        f"x; _pxid={VISITOR}",
        f"{VISITOR}; _pxid=x",
    )
    cookies = [{"Cookie": f"a=b; x_pxid=no; _pxid={value}"} for value in known]
    for answer in function.answers(*(("GET", "/i.gif", each) for each in cookies)):
        assert (answer.status, answer.cookies) == (200, [])
    malformed = [{"Cookie": f"_pxid={value}"} for value in MALFORMED if value.isascii()]
    for answer, sent in zip(
        function.answers(*(("GET", "/i.gif", each) for each in malformed)), malformed, strict=True
    ):
        assert answer.status == 302, sent


def test_sec_gpc_is_honoured(function: Function) -> None:
    refusing, other = function.answers(
        ("GET", "/i.gif", {"Sec-GPC": "1"}), ("GET", "/i.gif", {"Sec-GPC": "0"})
    )
    assert (refusing.status, refusing.cookies) == (200, [])
    assert (other.status, len(other.cookies)) == (302, 1)


def test_a_visitor_of_an_edge_is_known_to_nginx(function: Function, serve: ServeNginx) -> None:
    (first,) = function.answers(("GET", "/i.gif", {}))
    cookie = {"Cookie": first.cookies[0].partition(";")[0]}
    assert ask(serve(), "GET", "/i.gif", cookie)[0].status == 200
    there, _ = ask(serve(), "GET", "/i.gif")
    issued = there.headers["Set-Cookie"].partition(";")[0]
    (again,) = function.answers(("GET", "/i.gif", {"Cookie": issued}))
    assert again.status == 200


def test_fastlys_snippets_say_what_the_others_do() -> None:
    recv, error = ((ROOT / "fastly" / name).read_text() for name in ("recv.vcl", "error.vcl"))
    (gif,) = re.findall(r'synthetic\.base64 "([^"]+)"', error)
    assert base64.b64decode(gif) == GIF
    said = dict(re.findall(r'set obj\.http\.([\w-]+) = "([^"]+)";', error))
    expected = {**OF_THE_PIXEL, "Allow": "GET, HEAD"}
    del expected["Content-Length"]
    assert said == expected
    assert set(re.findall(r"error (\d+)", recv)) == {"601", "602", "604", "605"}
    patterns = {
        name: re.findall(r"\^/.*\$|\^\\/.*\$", (ROOT / name).read_text())[0].replace(r"\/", "/")
        for name in ("fastly/recv.vcl", "cloudfront/pixel.js", "cloudflare/worker.mjs")
    }
    assert len(set(patterns.values())) == 1, patterns


def test_the_worker_is_short() -> None:
    assert len((ROOT / "cloudflare" / "worker.mjs").read_text().splitlines()) < 40
