"""`pixelship config check`, and the configuration in the other commands."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import duckdb
import pytest

from pipeline.storage import create_file
from tests.cli.conftest import Pixelship
from tests.cloud import BUCKET, Cloud
from tests.logs import SECRET, Hit, log, signed, tsv

CONFIG = """
signed_only = ["news.*"]
[mixpanel]
tokens = { "tok-secretish" = "web.events" }
[segment]
write_keys = { wk = "web.events" }
[email]
destination = "mail.opens"
[ping]
destination = "counts.hits"
"""


def data(found: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(found).encode()).decode()


EVENTS = [{"event": f"e{n}", "properties": {"token": "tok-secretish"}} for n in range(3)]
ALL_FOUR = (
    f"/i.gif?{signed().decode()}",
    f"/track/?data={data(EVENTS)}&img=1",
    f"/v1/pixel/track?data={data({'writeKey': 'wk', 'event': 'Opened'})}",
    "/pixel.gif?key=story-1",
    "/pixel.gif?sh=0123456789abcdef",
    "/track/?data=nonsense",
    "/other.gif?key=a",
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGNER_SECRET", SECRET)
    hits = [Hit(uri=uri.encode(), request_id=b"r%d" % n) for n, uri in enumerate(ALL_FOUR)]
    Path("access.log").write_bytes(log(*map(tsv, hits)))
    Path("pixelship.toml").write_text(CONFIG)
    return tmp_path


def test_a_log_of_all_systems_loads_in_one_run(here: Path, pixelship: Pixelship) -> None:
    done = pixelship("load", "--json", "access.log")
    assert (done.status, done.stderr) == (0, "")
    told = done.json
    assert told["destinations"] == {
        "counts.hits": 1,
        "mail.opens": 1,
        "news.pageviews": 1,
        "web.events": 4,
    }
    counts = ("lines", "extra_events", "accepted", "not_pixel")
    assert [told[name] for name in counts] == [7, 2, 7, 1]
    assert told["rejected"] == {"malformed": 1}
    with duckdb.connect(str(here / "pixelship.duckdb"), read_only=True) as db:
        ids = db.execute("SELECT event_id FROM web.events ORDER BY 1").fetchall()
        dialects = db.execute("SELECT DISTINCT dialect FROM web.events ORDER BY 1").fetchall()
    assert ids == [("r1",), ("r1.1",), ("r1.2",), ("r2",)]
    assert dialects == [("mixpanel",), ("segment",)]
    assert pixelship("load", "--json", "access.log").json["accepted"] == 0
    status = pixelship("status", "--json").json
    assert status["adds_up"] is True


def test_no_key_is_needed_where_pixels_without_signatures_count(
    here: Path, pixelship: Pixelship, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SIGNER_SECRET")
    told = pixelship("load", "--json", "access.log").json
    assert told["rejected"] == {"malformed": 1, "tampered": 1}
    assert told["accepted"] == 6
    assert pixelship("check", "/pixel.gif?key=a").status == 0
    Path("pixelship.toml").write_text("")
    done = pixelship("load", "access.log")
    assert done.status == 2
    assert done.stderr.startswith("Error: There is no signing key: make one with")


def test_check_knows_the_dialects(here: Path, pixelship: Pixelship) -> None:
    urls = [f"https://px.example.org{uri}" for uri in ALL_FOUR]
    told = pixelship("check", "--json", *urls).json
    assert [each["reason"] for each in told] == [None] * 5 + ["malformed", "not-pixel"]
    assert [each["destination"] for each in told] == [
        *("news.pageviews", "web.events", "web.events", "counts.hits", "mail.opens", None, None),
    ]


def test_the_balance_sheet_says_what_an_array_adds(here: Path, pixelship: Pixelship) -> None:
    shown = pixelship("load", "access.log").stdout.replace("│", " ").split("\n")
    assert any(line.split()[:2] == ["extra_events", "-2"] for line in shown)
    assert any(line.split()[:2] == ["lines", "7"] for line in shown)


def test_rejects_count_once_their_token_is_known(here: Path, pixelship: Pixelship) -> None:
    Path("pixelship.toml").write_text(CONFIG.replace("tok-secretish", "another"))
    assert pixelship("load", "--json", "access.log").json["rejected"] == {
        "malformed": 1,
        "unknown-token": 1,
    }
    Path("pixelship.toml").write_text(CONFIG)
    replayed = pixelship("replay", "--reason", "unknown-token", "--json")
    assert (replayed.status, replayed.stderr) == (0, "")
    assert (replayed.json["accepted"], replayed.json["resolved"]) == (3, {"unknown-token": 1})
    assert pixelship("status", "--json").json["adds_up"] is True
    with duckdb.connect(str(here / "pixelship.duckdb"), read_only=True) as db:
        assert db.execute("SELECT count(*) FROM web.events").fetchall() == [(4,)]


def test_a_file_can_be_named_and_options_go_before_it(here: Path, pixelship: Pixelship) -> None:
    Path("pixelship.toml").rename("other.toml")
    assert pixelship("load", "--json", "access.log").json["not_pixel"] == 4
    Path("pixelship.duckdb").unlink()
    told = pixelship("load", "--json", "--config", "other.toml", "--allow", "news.*", "access.log")
    assert told.json["destinations"] == {"news.pageviews": 1}
    assert told.json["rejected"] == {"bad-destination": 4, "malformed": 1}


def test_the_file_is_no_log_wherever_it_lies(here: Path, pixelship: Pixelship) -> None:
    assert pixelship("load", "--json", str(here)).json["objects"] == 1


def test_the_file_may_be_in_cloud_storage(here: Path, pixelship: Pixelship, cloud: Cloud) -> None:
    address = f"{cloud.folder}/pixelship.toml"
    with create_file(address) as sink:
        sink.write(Path("pixelship.toml").read_bytes())
    Path("pixelship.toml").unlink()
    told = pixelship("config", "check", address, "--json").json
    assert (told["file"], told["signed_only"]) == (address, ["news.*"])
    loaded = pixelship("load", "--json", "--config", address, "access.log").json
    assert loaded["destinations"].keys() > {"web.events", "counts.hits"}
    again = pixelship("load", "--json", "access.log", env={"PIXELSHIP_CONFIG": address})
    assert (again.status, again.json["unchanged"]) == (0, 1)


def test_what_is_not_in_cloud_storage_is_one_sentence(
    here: Path, pixelship: Pixelship, cloud: Cloud
) -> None:
    for options, what in (("--config", "configuration"), ("--format", "map")):
        address = f"{cloud.folder}/missing.toml"
        done = pixelship("load", options, address, "access.log")
        assert done.status == 2
        assert done.stderr == f"Error: No {what} is at {address}: check the path.\n"
    with create_file(f"{cloud.folder}/wrong.toml") as sink:
        sink.write(b"alow = []")
    done = pixelship("load", "--config", f"{cloud.folder}/wrong.toml", "access.log")
    assert done.stderr.endswith("wrong.toml: alow is not known: perhaps allow is meant.\n")
    for address, why in (
        ("gs://", "names no object"),
        (f"gs://{BUCKET}-not/a.toml", "check the path"),
    ):
        done = pixelship("load", "--config", address, "access.log")
        assert (done.status, why in done.stderr) == (2, True)


def test_check_explains_without_showing_tokens(here: Path, pixelship: Pixelship) -> None:
    done = pixelship("config", "check")
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.startswith("pixelship.toml is sound.\n")
    assert "Without a signature nothing goes to news.*." in done.stdout
    assert "tok-secretish" not in done.stdout
    told = pixelship("config", "check", "--json", "pixelship.toml")
    assert "tok-secretish" not in told.stdout
    assert [each["dialect"] for each in told.json["dialects"]] == ["prx", "mixpanel", "segment", "email", "ping"]  # fmt: skip


def test_check_explains_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixelship: Pixelship
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = pixelship("config", "check").stdout
    assert shown.startswith("No pixelship.toml is here: these are the defaults.\n")


def test_a_mistake_ends_every_command_with_one_sentence(here: Path, pixelship: Pixelship) -> None:
    Path("pixelship.toml").write_text("alow = []")
    sentence = "Error: pixelship.toml: alow is not known: perhaps allow is meant.\n"
    for words in (("config", "check"), ("load", "access.log"), ("replay",)):
        done = pixelship(*words)
        assert (done.status, done.stderr) == (2, sentence)
    done = pixelship("config", "check", "missing.toml")
    assert done.stderr == "Error: No configuration is at missing.toml: check the path.\n"
    assert pixelship("config", "check", ".").status == 2
