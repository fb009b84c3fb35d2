from __future__ import annotations

import json
import re
import stat
import time
from pathlib import Path

import pytest

from pipeline.keyfile import read_key_file
from tests.cli.conftest import Pixelship, rows
from tests.logs import Hit, log, tsv


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
