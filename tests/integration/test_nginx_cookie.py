"""The visitor's cookie, as the real nginx gives, reads and logs it, and whom the rows then name."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPResponse
from http.cookies import Morsel, SimpleCookie
from pathlib import Path

import pytest

from demo.server import Nginx
from pipeline.options import Rules
from pipeline.signing import key_ring
from tests.integration.asking import (
    FIREFOX,
    ISSUED,
    MALFORMED,
    VISITOR,
    ask,
    closed_log,
    logged,
    query,
)  # fmt: skip
from tests.integration.conftest import SECRET, LoadLogs, ServeNginx
from tests.logs import read

FORM = re.compile(r"[A-Za-z0-9+/]{22}==")


def given(response: HTTPResponse) -> Morsel[str]:
    """The cookie that an answer sets."""
    return SimpleCookie(response.headers["Set-Cookie"])["_pxid"]


def new_visitor(nginx: Nginx) -> str:
    """The id that a visitor without one is given."""
    response, _ = ask(nginx, "GET", "/i.gif")
    assert response.status == 302
    return given(response).value


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_new_visitor_is_sent_on_with_a_cookie(serve: ServeNginx, method: str) -> None:
    nginx = serve()
    odd = f"{query()}&x=%20+a&&y=%25%0d%0aSet-Cookie:z=1&u={{id}}|\"'"
    response, _ = ask(nginx, method, f"/i.gif?{odd}")
    assert response.status == 302
    assert response.headers["Location"] == f"/r.gif?{odd}"
    assert "no-store" in response.headers["Cache-Control"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert len(response.headers.get_all("Set-Cookie")) == 1
    cookie = given(response)
    assert FORM.fullmatch(cookie.value)
    assert (cookie["path"], cookie["domain"]) == ("/", "")
    assert cookie["secure"] is True
    assert cookie["httponly"] is True
    assert cookie["samesite"].lower() == "none"
    lasts = parsedate_to_datetime(cookie["expires"]) - parsedate_to_datetime(
        response.headers["Date"]
    )
    assert abs(lasts - timedelta(days=365)) < timedelta(minutes=1)
    assert ask(nginx, method, "/i.gif")[0].headers["Location"] == "/r.gif"


def test_ids_are_all_different_and_name_the_server_by_number(serve: ServeNginx) -> None:
    nginx = serve(edits=[("cookie.conf", "userid_service 1;", "userid_service 7;")])
    ids = [base64.b64decode(new_visitor(nginx)) for _ in range(300)]
    assert len(set(ids)) == 300
    assert {len(each) for each in ids} == {16}
    assert {each[:4] for each in ids} == {bytes([0, 0, 0, 7])}
    assert not any(bytes([127, 0, 0, 1]) in each for each in ids)


KNOWN = {
    ISSUED: ISSUED,
    VISITOR: VISITOR,
    VISITOR.upper(): VISITOR.upper(),
    f"{ISSUED}; theme=dark": ISSUED,
    f"{VISITOR};theme=dark": VISITOR,
    f"nonsense; _pxid={ISSUED}": ISSUED,
    f"{VISITOR}; _pxid={ISSUED}; _pxid=x": VISITOR,
    f"{ISSUED}.more": ISSUED,
}


def test_whoever_has_a_cookie_gets_the_pixel_and_keeps_it(serve: ServeNginx) -> None:
    nginx = serve()
    for sent in KNOWN:
        for path in ("/i.gif", "/r.gif", "/pixel.gif"):
            for cookies in (f"_pxid={sent}", f"a=b; x_pxid=no; _pxid={sent}"):
                response, said = ask(nginx, "GET", path, {"Cookie": cookies})
                assert (response.status, len(said)) == (200, 43), cookies
                assert "Set-Cookie" not in response.headers
    assert [row["cookie_pxid"] for row in logged(nginx)] == [
        each for each in KNOWN.values() for _ in range(6)
    ]


def test_a_malformed_cookie_is_replaced_and_never_taken_for_an_id(serve: ServeNginx) -> None:
    nginx = serve()
    for value in MALFORMED:
        cookie = {"Cookie": f"_pxid={value}".encode().decode("latin-1")}
        response, _ = ask(nginx, "GET", f"/i.gif?{query()}", cookie)
        assert response.status == 302, value
        assert FORM.fullmatch(given(response).value), value
        assert ask(nginx, "GET", f"/r.gif?{query()}", cookie)[0].status == 200
    assert {row["cookie_pxid"] for row in logged(nginx)} == {None}


def test_the_first_view_and_all_later_ones_on_every_server_are_one_visitors(
    serve: ServeNginx, load: LoadLogs, tmp_path: Path
) -> None:
    here, there = serve(), serve()
    agent = {"User-Agent": FIREFOX}
    first, _ = ask(here, "GET", f"/i.gif?{query('first')}", agent)
    cookie = {**agent, "Cookie": f"_pxid={given(first).value}"}
    assert ask(here, "GET", first.headers["Location"], cookie)[0].status == 200
    assert ask(here, "GET", f"/i.gif?{query('second')}", cookie)[0].status == 200
    assert ask(here, "GET", f"/pixel.gif?{query('third')}", cookie)[0].status == 200
    assert ask(there, "HEAD", f"/i.gif?{query('fourth')}", cookie)[0].status == 200
    here.quit()
    there.quit()
    loaded = load(here.log_folder, there.log_folder)
    assert (loaded.balance["accepted"], loaded.balance["not_pixel"]) == (4, 1)
    rows = loaded.rows("SELECT key, user_id FROM news.pageviews ORDER BY timestamp")
    assert sorted(rows) == sorted(
        (key, given(first).value) for key in ("first", "second", "third", "fourth")
    )


def test_whoever_refuses_the_cookie_is_counted_once_a_view(serve: ServeNginx) -> None:
    nginx = serve()
    for _ in range(3):
        response, _ = ask(nginx, "GET", f"/i.gif?{query()}", {"User-Agent": FIREFOX})
        ask(nginx, "GET", response.headers["Location"], {"User-Agent": FIREFOX})
    reading = read(closed_log(nginx), Rules(key_ring([SECRET])))
    assert (reading.tally.accepted, reading.tally.not_pixel) == (3, 3)
    (user_id,) = {row["user_id"] for row in reading.events}
    assert re.fullmatch("[0-9a-f]{32}", user_id)


def test_no_other_path_or_method_gives_a_cookie(serve: ServeNginx) -> None:
    nginx = serve()
    for method, path in (
        ("GET", "/pixel.gif"), ("GET", "/r.gif"), ("GET", "/track/"), ("POST", "/i.gif"),
        ("OPTIONS", "/i.gif"), ("GET", "/@new-visitor"), ("GET", "/"),
    ):  # fmt: skip
        response, _ = ask(nginx, method, path)
        assert "Set-Cookie" not in response.headers, (method, path)
        assert response.status != 302


REFUSING = {"User-Agent": FIREFOX, "Sec-GPC": "1"}
DNT = (
    "variables.conf",
    "$pixelship_no_cookie {\n    default 0;",
    "$pixelship_no_cookie {\n    default $pixelship_dnt;",
)
NONE_AT_ALL = (DNT[0], DNT[1], DNT[1].replace("0", "1"))


def asks_for_no_cookie(nginx: Nginx, headers: dict[str, str]) -> bool:
    """Whether these headers get the pixel at once, no cookie, and none is logged."""
    response, _ = ask(nginx, "GET", f"/i.gif?{query()}", headers)
    again, _ = ask(nginx, "GET", "/i.gif", {**headers, "Cookie": f"_pxid={VISITOR}"})
    answers = {response.status, again.status}
    assert ("Set-Cookie" in response.headers) == (response.status == 302)
    return answers == {200}


def test_sec_gpc_is_honoured(serve: ServeNginx) -> None:
    nginx = serve()
    assert asks_for_no_cookie(nginx, REFUSING)
    for value in ("0", "", "11", "true"):
        assert not asks_for_no_cookie(nginx, {"Sec-GPC": value})
    assert not asks_for_no_cookie(nginx, {"DNT": "1"})
    assert [row["cookie_pxid"] for row in logged(nginx)] == [None, None, *[None, VISITOR] * 5]


def test_do_not_track_is_honoured_where_the_site_says_so(serve: ServeNginx) -> None:
    nginx = serve(edits=[DNT])
    assert asks_for_no_cookie(nginx, {"DNT": "1"})
    assert asks_for_no_cookie(nginx, REFUSING)
    assert not asks_for_no_cookie(nginx, {"DNT": "0"})


def test_a_site_may_do_without_cookies(serve: ServeNginx) -> None:
    nginx = serve(edits=[NONE_AT_ALL])
    assert asks_for_no_cookie(nginx, {})
    assert {row["cookie_pxid"] for row in logged(nginx)} == {None}
