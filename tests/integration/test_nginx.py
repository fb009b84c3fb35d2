"""The real nginx, run from the shipped files, and what the main job makes of its logs."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import demo.__main__ as demonstration
from demo.install import NoNginxError
from demo.performance import RECORDED, RECORDED_SECRET
from demo.results import differences
from demo.server import Nginx
from demo.traffic import ACCEPTED, LOOPBACKS_ARE_MANY, Shot, Tally, plan, request, send
from pipeline.signing import key_ring
from tests.integration.asking import PIXELS, VISITOR, sign, view
from tests.integration.conftest import LoadLogs, ServeNginx

FIELDS = 13

sign_as_recorded = demonstration.signed_by(key_ring([RECORDED_SECRET]))


def sent(nginx: Nginx, shots: list[Shot]) -> dict[str, Any]:
    """Sends shots all at once, stops nginx, and gives the tally."""
    asyncio.run(send(shots, nginx.port))
    nginx.quit()
    return Tally.of(shots).to_json()


def columns(names: str, table: str = "news.pageviews") -> str:
    return f"SELECT {names} FROM {table} ORDER BY ALL"


# The log


def test_a_line_of_the_log(serve: ServeNginx) -> None:
    nginx = serve({"access.log": "px1", "access.json": "px1_json"})
    headers = {
        "User-Agent": 'A "quoted"\tagent \\x41 é',
        "Referer": "https://example.org/?q=ü",
        "X-Forwarded-For": "203.0.113.7, 10.0.0.1",
        "Cookie": f"a=b; _pxid={VISITOR}; c=d",
    }
    sent(nginx, [Shot(request("/i.gif?k=%20a+b&c=", headers, "HEAD"), "unsigned")])

    lines = nginx.log().read_bytes().split(b"\n")
    assert len(lines) == 2
    assert lines[1] == b""
    fields = lines[0].decode("ascii").split("\t")
    assert len(fields) == FIELDS
    tag, msec, request_id, *rest, end = fields
    assert (tag, end) == ("px1", ".")
    seconds, _, thousandths = msec.partition(".")
    assert (len(seconds), len(thousandths)) == (10, 3)
    assert len(bytes.fromhex(request_id)) == 16
    assert rest == [
        "127.0.0.1",
        "203.0.113.7, 10.0.0.1",
        "HEAD",
        "px.example.org",
        "/i.gif?k=%20a+b&c=",
        "200",
        r"A \x22quoted\x22\x09agent \x5Cx41 \xC3\xA9",
        r"https://example.org/?q=\xC3\xBC",
        VISITOR,
    ]
    assert json.loads(nginx.log("access.json").read_text()) == {
        "format": "px1",
        "msec": float(msec),
        "request_id": request_id,
        "remote_addr": "127.0.0.1",
        "http_x_forwarded_for": headers["X-Forwarded-For"],
        "request_method": "HEAD",
        "host": "px.example.org",
        "request_uri": "/i.gif?k=%20a+b&c=",
        "status": 200,
        "http_user_agent": headers["User-Agent"],
        "http_referer": headers["Referer"],
        "cookie__pxid": VISITOR,
    }


def test_requests_that_fail_early_leave_whole_lines(serve: ServeNginx) -> None:
    nginx = serve({"access.log": "px1", "access.json": "px1_json"})
    broken = [shot for shot in plan(sign) if shot.status in (None, 400, 414)]
    sent(nginx, broken)
    fields = [line.split(b"\t") for line in nginx.log().read_bytes().splitlines()]
    assert len(fields) == len(broken)
    assert {len(line) for line in fields} == {FIELDS}
    assert {(line[0], line[-1]) for line in fields} == {(b"px1", b".")}
    assert {line[8] for line in fields} == {b"400", b"414"}
    written = nginx.log("access.json").read_bytes().splitlines()
    assert {json.loads(line)["status"] for line in written} == {400, 414}


def test_rotation_under_way_loses_and_repeats_nothing(serve: ServeNginx, load: LoadLogs) -> None:
    nginx = serve()
    shots = [view({}, key=f"story-{number}") for number in range(1200)]
    done: list[Shot] = []
    rotations: list[asyncio.Task[list[Path]]] = []

    def count(shot: Shot) -> None:
        done.append(shot)
        if len(done) in (300, 600, 900):
            rotations.append(asyncio.create_task(asyncio.to_thread(rotate)))

    def rotate() -> list[Path]:
        old = nginx.rotate()
        assert old[0].read_bytes().endswith(b"\t.\n")
        return old

    async def everything() -> None:
        await send(shots, nginx.port, each=count)
        await asyncio.gather(*rotations)

    asyncio.run(everything())
    nginx.quit()
    assert len(list(nginx.log_folder.iterdir())) == 4
    loaded = load(nginx.log_folder)
    assert loaded.balance["objects"] == 4
    assert loaded.balance["accepted"] == len(shots)
    keys = Counter(loaded.rows("SELECT key FROM news.pageviews"))
    assert keys == Counter((f"story-{number}",) for number in range(1200))


# The main job on the log


@pytest.mark.parametrize("log_format", ["px1", "px1_json"])
def test_every_request_meets_its_fate(serve: ServeNginx, load: LoadLogs, log_format: str) -> None:
    shots = plan(sign)
    if log_format == "px1_json":  # bytes from 0x80 on are not escaped there: no line gets too long
        shots = [shot for shot in shots if shot.fate != "too-long"]
    nginx = serve({"access.log": log_format})
    tally = sent(nginx, shots)
    loaded = load(nginx.log_folder)
    assert differences(tally, loaded.balance) == []
    assert loaded.status == 0
    assert (loaded.balance["header"], loaded.balance["duplicate"]) == (0, 0)
    assert (loaded.balance["parked"], loaded.balance["faults"]) == ({}, [])
    reasons = dict(loaded.rows("SELECT reason, count(*) FROM pixelship.rejects GROUP BY 1"))
    assert reasons == tally["rejected"]
    for destination, count in tally["destinations"].items():
        assert loaded.rows(f"SELECT count(*) FROM {destination}") == [(count,)]


ODD_HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"User-Agent": 'Mozilla/5.0 "quoted" \\ back\\x41slash \\"'},
    {"User-Agent": "Mozilla/5.0 (tab\there) {json: [1, 2]}"},
    {"User-Agent": "Mozilla/5.0 (Grün; 東京; 🦊)"},
    {"Referer": 'https://example.org/a?b="c"&d=\\u0041'},
    {"Referer": "https://bücher.example/"},
    {"Referer": "-"},
    {"Cookie": f"_pxid={VISITOR}"},
    {"Cookie": "_pxid="},
    {"Cookie": "_pxid=with%20escape"},
    {"X-Forwarded-For": "203.0.113.7, 2001:db8::1"},
)


def test_tsv_and_json_logs_of_the_same_requests_give_the_same_rows(
    serve: ServeNginx, load: LoadLogs
) -> None:
    nginx = serve({"access.log": "px1", "access.json": "px1_json"})
    shots = [view(headers, target=path) for headers in ODD_HEADERS for path in PIXELS[:2]]
    shots += [view({"Cookie": f"_pxid={VISITOR}", **headers}) for headers in ODD_HEADERS]
    latin_1 = view({}).wire.replace(b"Firefox", "Füchsin".encode("latin-1"))
    shots += [Shot(latin_1, ACCEPTED, destination="news.pageviews")]
    shots += [shot for shot in plan(sign) if shot.fate != "too-long"][::4]
    tally = sent(nginx, shots)
    tsv = load(nginx.log(), into="tsv.duckdb")
    json_ = load(nginx.log("access.json"), into="json.duckdb")
    assert differences(tally, tsv.balance) == []
    assert differences(tally, json_.balance) == []
    same = "* EXCLUDE (batch, source_object, source_position)"
    for destination in tally["destinations"]:
        assert tsv.rows(columns(same, destination)) == json_.rows(columns(same, destination))
    refused = "timestamp, stage, reason, detail"
    assert tsv.rows(columns(refused, "pixelship.rejects")) == json_.rows(
        columns(refused, "pixelship.rejects")
    )


def test_loading_the_same_logs_again_changes_nothing(serve: ServeNginx, load: LoadLogs) -> None:
    nginx = serve()
    asyncio.run(send([view({})] * 20, nginx.port))
    nginx.rotate()
    asyncio.run(send([view({})] * 30, nginx.port))
    nginx.quit()
    assert load(nginx.log("access.log.1")).balance["accepted"] == 20
    assert load(nginx.log_folder).balance["accepted"] == 30
    again = load(nginx.log_folder)
    assert (again.status, again.balance["lines"]) == (0, 0)
    assert again.rows("SELECT count(*), count(DISTINCT event_id) FROM news.pageviews") == [(50, 50)]


def test_a_log_that_grew_adds_its_new_lines_only(serve: ServeNginx, load: LoadLogs) -> None:
    nginx = serve()
    asyncio.run(send([view({})] * 20, nginx.port))
    (old,) = nginx.rotate()
    asyncio.run(send([view({})] * 30, nginx.port))
    nginx.quit()
    assert load(old).balance["accepted"] == 20
    with old.open("ab") as grown:
        grown.write(nginx.log().read_bytes())
    assert load(old).balance["accepted"] == 30


def test_the_recorded_log_gives_the_rows_of_a_live_one(serve: ServeNginx, load: LoadLogs) -> None:
    tally = json.loads((RECORDED / "tally.json").read_text())
    recorded = load(RECORDED / "access.log.gz", into="recorded.duckdb", secret=RECORDED_SECRET)
    assert differences(tally, recorded.balance) == []
    nginx = serve()
    assert sent(nginx, plan(sign_as_recorded)) == tally
    live = load(nginx.log_folder, secret=RECORDED_SECRET)
    differing = "timestamp, event_id, batch, source_object, source_position"
    if not LOOPBACKS_ARE_MANY:
        differing += ", remote_ip, user_id"
    for destination in tally["destinations"]:
        same = columns(f"* EXCLUDE ({differing})", destination)
        assert live.rows(same) == recorded.rows(same)


def test_the_demonstration_makes_do_without_nginx(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def missing() -> Path:
        raise NoNginxError("nginx is missing.")

    monkeypatch.setattr(demonstration, "ensure_nginx", missing)
    status = demonstration.main([], out=tmp_path / "out")
    said = capfd.readouterr().out
    assert status == 0, said
    assert "nginx is missing. A log recorded from a real nginx stands in." in said
    assert "The balance sheet agrees with the tally" in said
    assert "Views per minute" in said
