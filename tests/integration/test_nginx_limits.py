"""Limits for each address, and whose address it is behind a proxy."""

from __future__ import annotations

from collections import Counter

from demo.server import Nginx
from pipeline.options import Rules
from pipeline.signing import key_ring
from tests.integration.asking import FIREFOX, ask, closed_log, logged, query
from tests.integration.conftest import SECRET, ServeNginx
from tests.logs import read

SLOW = ("limit-zone.conf", "rate=100r/s", "rate=1r/m")
FEW = ("limit.conf", "burst=500", "burst=5")
DRY_RUN = ("limit.conf", "# limit_req_dry_run on;", "limit_req_dry_run on;")


def statuses(nginx: Nginx, count: int, **headers: str) -> Counter[int]:
    """The answers to so many views."""
    sent = {"User-Agent": FIREFOX} | {k.replace("_", "-"): v for k, v in headers.items()}
    target = f"/pixel.gif?{query()}"
    return Counter(ask(nginx, "GET", target, sent)[0].status for _ in range(count))


def test_what_goes_past_the_limit_is_refused_logged_and_no_view(serve: ServeNginx) -> None:
    nginx = serve(choices=["limit"], edits=[SLOW, FEW])
    assert statuses(nginx, 20) == {200: 6, 429: 14}
    response, _ = ask(nginx, "GET", "/i.gif")
    assert response.status == 429
    assert "no-store" in response.headers["Cache-Control"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in response.headers
    reading = read(closed_log(nginx), Rules(key_ring([SECRET])))
    assert (reading.tally.accepted, reading.tally.not_pixel) == (6, 15)
    assert Counter(row["status"] for row in logged(nginx)) == {"200": 6, "429": 15}


def test_a_dry_run_refuses_nobody_and_says_who_would_be(serve: ServeNginx) -> None:
    nginx = serve(choices=["limit"], edits=[SLOW, FEW, DRY_RUN])
    assert statuses(nginx, 20) == {200: 20}
    nginx.quit()
    assert (nginx.folder / "error.log").read_text().count("limiting requests, dry run") == 14


def test_a_crowd_behind_one_address_is_within_the_limit_as_it_is_shipped(
    serve: ServeNginx,
) -> None:
    assert statuses(serve(choices=["limit"]), 500) == {200: 500}


def test_behind_a_proxy_the_visitors_are_limited_and_logged(serve: ServeNginx) -> None:
    nginx = serve(choices=["limit", "real-ip"], edits=[SLOW, FEW])
    assert statuses(nginx, 10, X_Forwarded_For="203.0.113.7") == {200: 6, 429: 4}
    # Whatever stands before the last address was written by the client.
    assert statuses(nginx, 6, X_Forwarded_For="203.0.113.7, 198.51.100.9") == {200: 6}
    assert statuses(nginx, 6, X_Forwarded_For="2001:db8::7, 127.0.0.1") == {200: 6}
    assert Counter(row["ip"] for row in logged(nginx)) == {
        "203.0.113.7": 10, "198.51.100.9": 6, "2001:db8::7": 6,
    }  # fmt: skip


def test_nobody_else_may_claim_an_address(serve: ServeNginx) -> None:
    nginx = serve()
    statuses(nginx, 1, X_Forwarded_For="203.0.113.7")
    (row,) = logged(nginx)
    assert (row["ip"], row["forwarded_for"]) == ("127.0.0.1", "203.0.113.7")
