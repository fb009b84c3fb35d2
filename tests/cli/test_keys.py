from __future__ import annotations

import json
import re
import shlex
import stat
import time
from pathlib import Path

import pytest

from pipeline.keyfile import read_key_file
from tests.cli.conftest import Pixelship, rows
from tests.logs import NOON_US, Hit, log, tsv

pytestmark = pytest.mark.usefixtures("without_beam")


def cells(table: str) -> list[list[str]]:
    """The rows of a printed table."""
    return [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in table.splitlines()
        if line.startswith("│")
    ]


def test_a_first_key_makes_the_file(bare: Pixelship) -> None:
    done = bare("keys", "new")
    path = Path("pixelship-keys.json")
    (key,) = read_key_file(path).keys
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout == f"Key {key.id} is in pixelship-keys.json and signs from now on.\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.secret.decode() not in done.stdout


def test_a_further_key_signs_and_the_first_still_verifies(bare: Pixelship) -> None:
    sign = ("sign", "--key", "k", "--canonical", "c", "--to", "a.b")
    bare("keys", "new")
    old = bare(*sign).stdout.strip()
    bare("keys", "new", "--scope", "a.*")
    new = bare(*sign).stdout.strip()
    assert old != new
    assert bare("check", old, new).status == 0
    listed = cells(bare("keys", "list").stdout)
    assert [(row[2], row[3]) for row in listed] == [
        ("a.*", "signs and verifies"),
        ("*", "verifies"),
    ]


def test_the_list_tells_ids_dates_scopes_and_use(bare: Pixelship) -> None:
    scopes = ["n.[a-z]*", "[/red]"]
    bare("keys", "new", "--keys", "ring.json", *(f"--scope={scope}" for scope in scopes))
    bare("keys", "new", "--keys", "ring.json")
    second, first = read_key_file(Path("ring.json")).keys
    assert bare("keys", "retire", second.id, "--keys", "ring.json").stdout == f"Key {second.id} is retired.\n"  # fmt: skip
    done = bare("keys", "list", "--keys", "ring.json", env={"SIGNER_SECRET": "one, two"})
    listed = cells(done.stdout)
    assert [row[0] for row in listed[:2]] == [second.id, first.id]
    assert re.fullmatch(r"retired \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", listed[0][3])
    assert listed[1][1:] == [first.created_at, " ".join(scopes), "signs and verifies"]
    assert [row[1:] for row in listed[2:]] == [["SIGNER_SECRET", "*", "verifies"]] * 2


def test_a_retired_keys_urls_count_for_views_logged_before(bare: Pixelship) -> None:
    bare("keys", "new")
    url = bare("sign", "--key", "k", "--canonical", "c", "--to", "a.b").stdout.strip()
    assert bare("check", url).status == 0
    before_us = time.time_ns() // 1000
    (key,) = read_key_file(Path("pixelship-keys.json")).keys
    assert bare("keys", "retire", key.id).status == 0
    after_us = time.time_ns() // 1000
    assert bare("check", url).status == 1
    uri = url.removeprefix("https://px.example.org").encode()
    hits = (
        Hit(request_id=b"before", uri=uri, time_us=before_us - 1000),
        Hit(request_id=b"after", uri=uri, time_us=after_us + 1000),
    )
    Path("a.log").write_bytes(log(*map(tsv, hits)))
    sheet = bare("load", "a.log", "--json").json
    assert (sheet["accepted"], sheet["rejected"]) == (1, {"retired-key": 1})
    assert rows("SELECT event_id FROM a.b") == [("before",)]
    assert bare("sign", "--key", "k", "--canonical", "c", "--to", "a.b").status == 2


def test_a_revoked_keys_urls_count_for_views_logged_before_its_time(bare: Pixelship) -> None:
    bare("keys", "new")
    url = bare("sign", "--key", "k", "--canonical", "c", "--to", "a.b").stdout.strip()
    (key,) = read_key_file(Path("pixelship-keys.json")).keys
    done = bare("keys", "revoke", key.id, "--from", "2025-11-21T12:00")
    assert (done.status, done.stderr) == (0, "")
    first, *advice = done.stdout.splitlines()
    assert first == f"Key {key.id} is revoked from 2025-11-21 12:00:00 UTC on: it signs no more, and later views of its URLs do not count."  # fmt: skip
    assert f"WHERE key_id = '{key.id}' AND timestamp >= '2025-11-21 12:00:00+00'" in advice[1]
    assert "  pixelship unload --day 2025-11-21" in advice
    assert cells(bare("keys", "list").stdout)[0][3] == "revoked from 2025-11-21 12:00:00 UTC"
    uri = url.removeprefix("https://px.example.org").encode()
    hits = [Hit(request_id=b"%d" % at, uri=uri, time_us=NOON_US + at) for at in (-1000, 0, 1000)]
    Path("a.log").write_bytes(log(*map(tsv, hits)))
    sheet = bare("load", "a.log", "--json").json
    assert (sheet["accepted"], sheet["rejected"]) == (1, {"retired-key": 2})
    assert bare("sign", "--key", "k", "--canonical", "c", "--to", "a.b").status == 2
    bare("keys", "retire", key.id)
    assert re.fullmatch(r"retired .* UTC, revoked from .* UTC", cells(bare("keys", "list").stdout)[0][3])  # fmt: skip


def test_what_a_revocation_advises_takes_the_rows_out(bare: Pixelship) -> None:
    bare("keys", "new")
    url = bare("sign", "--key", "k", "--canonical", "c", "--to", "a.b").stdout.strip()
    (key,) = read_key_file(Path("pixelship-keys.json")).keys
    uri = url.removeprefix("https://px.example.org").encode()
    hits = [Hit(request_id=b"%d" % at, uri=uri, time_us=NOON_US + at) for at in (-1000, 0, 1000)]
    Path("a.log").write_bytes(log(*map(tsv, hits)))
    assert bare("load", "a.log", "--json").json["accepted"] == 3
    advice = bare("keys", "revoke", key.id, "--from", "2025-11-21T12:00").stdout.splitlines()
    assert rows(advice[2].strip().replace("DATASET.TABLE", "a.b")) == [(2,)]
    assert bare(*shlex.split(advice[4])[1:]).status == 0
    assert bare("load", "a.log", "--json").json["rejected"] == {"retired-key": 2}
    assert rows("SELECT event_id FROM a.b") == [("-1000",)]


@pytest.mark.parametrize("time", ["yesterday", "", "30d"])
def test_a_time_to_revoke_from_must_be_one(bare: Pixelship, time: str) -> None:
    bare("keys", "new")
    (key,) = read_key_file(Path("pixelship-keys.json")).keys
    done = bare("keys", "revoke", key.id, "--from", time)
    assert (done.status, done.stdout) == (2, "")
    assert bare("keys", "revoke", key.id).status == 2
    assert bare("keys", "revoke", "00000000", "--from", "2026-01-01").status == 2


def test_a_secret_may_stay_elsewhere(bare: Pixelship) -> None:
    Path("secret").write_text("from a file\n")
    env = {"OURS": "from the environment"}
    bare("keys", "new", "--secret-from", "env:OURS", "--scope", "a.*", env=env)
    bare("keys", "new", "--secret-from", "file:secret", env=env)
    assert "from" not in Path("pixelship-keys.json").read_text().replace("secret_from", "")
    listed = cells(bare("keys", "list", env=env).stdout)
    assert [(row[2], row[4]) for row in listed] == [("*", "file:secret"), ("a.*", "env:OURS")]
    url = bare("sign", "--key", "k", "--canonical", "c", "--to", "a.b", env=env).stdout.strip()
    assert bare("check", url, "--keys", "file:secret").status == 0
    assert bare("check", url, env={"SIGNER_SECRET": "from a file"}).status == 2, (
        "env:OURS is not set"
    )
    done = bare("check", url)
    assert done.stderr == "Error: The environment variable 'OURS' is to hold a secret and is not set: set it.\n"  # fmt: skip
    Path("secret").write_text("changed")
    assert "is not that of the key" in bare("check", url, env=env).stderr


def test_a_whole_ring_may_stay_elsewhere(bare: Pixelship) -> None:
    bare("keys", "new", "--keys", "ring.json")
    ring = Path("ring.json").read_text()
    words = ("sign", "--key", "k", "--canonical", "c", "--to", "a.b")
    url = bare(*words, "--keys", "ring.json").stdout.strip()
    env = {"OURS": ring, "PIXELSHIP_KEYS": "env:OURS"}
    assert bare("check", url, env=env).status == 0
    assert bare(*words, "--keys", "env:OURS", env=env).stdout.strip() == url
    (key,) = read_key_file(Path("ring.json")).keys
    for words in (("new",), ("retire", key.id), ("revoke", key.id, "--from", "2026-01-01")):
        done = bare("keys", *words, env=env)
        assert (done.status, done.stdout) == (2, "")
        assert "The key ring at env:OURS cannot be changed from here" in done.stderr
    uri = url.removeprefix("https://px.example.org").encode()
    Path("logs").mkdir()
    Path("logs/a.log").write_bytes(log(tsv(Hit(uri=uri))))
    Path("logs/secret").write_text(ring)
    sheet = bare("load", "logs", "--json", "--keys", "file:logs/secret").json
    assert (sheet["objects"], sheet["accepted"]) == (1, 1)


def test_retiring_twice_keeps_the_first_time(bare: Pixelship) -> None:
    bare("keys", "new")
    path = Path("pixelship-keys.json")
    (key,) = read_key_file(path).keys
    bare("keys", "retire", key.id)
    once = path.read_bytes()
    assert bare("keys", "retire", key.id).status == 0
    assert path.read_bytes() == once


@pytest.mark.parametrize(
    "words",
    [("list",), ("retire", "12345678"), ("list", "--keys", "none.json"), ("new", "--keys", "a/b")],
)
def test_without_a_key_ring_there_is_nothing_to_do(bare: Pixelship, words: tuple[str, ...]) -> None:
    done = bare("keys", *words)
    assert (done.status, done.stdout) == (2, "")
    assert list(Path().iterdir()) == []


def test_a_key_that_is_not_there_cannot_be_retired(bare: Pixelship) -> None:
    bare("keys", "new")
    done = bare("keys", "retire", "12345678")
    assert (done.status, done.stderr) == (2, "Error: No key 12345678 is in the ring: see `pixelship keys list`.\n")  # fmt: skip


def test_too_many_keys_are_refused_in_one_sentence(bare: Pixelship) -> None:
    Path("ring.json").touch(mode=0o600)
    Path("ring.json").write_text(json.dumps({"keys": [{"secret": f"s{n}"} for n in range(128)]}))
    done = bare("check", "/i.gif?s=1", "--keys", "ring.json")
    assert (done.status, done.stdout) == (2, "")
    assert "127" in done.stderr
    Path("ring.json").write_text(json.dumps({"keys": [{"secret": f"s{n}"} for n in range(127)]}))
    url = bare("sign", "--key", "k", "--canonical", "c", "--to", "a.b", env={"SIGNER_SECRET": "s126"}).stdout  # fmt: skip
    assert bare("check", url.strip(), "--keys", "ring.json").status == 0
