"""The main job's keys: where they come from, how long they hold, and that they stay secret."""

from __future__ import annotations

import stat
from pathlib import Path

from pipeline.keyfile import read_key_file, write_key_file
from pipeline.signing import Key, KeyRing
from tests.cli.conftest import Pixelship, rows
from tests.logs import NOON_US, SECRET, Hit, log, signed, tsv


def save(data: bytes) -> None:
    Path("access.log").write_bytes(data)


def test_the_first_secret_signs_and_all_verify(bare: Pixelship) -> None:
    lines = (
        tsv(Hit(request_id=b"%d" % number, uri=b"/i.gif?" + signed(secret)))
        for number, secret in enumerate(("new", "old", "older", "foreign"))
    )
    save(log(*lines))
    env = {"SIGNER_SECRET": "new, old,,older,"}
    sheet = bare("load", "access.log", "--json", env=env).json
    assert (sheet["accepted"], sheet["rejected"]) == (3, {"tampered": 1})
    url = bare("sign", "--key", "story-1", "--canonical", "https://news.example.org/a", "--to", "news.pageviews", "--v1", env=env).stdout  # fmt: skip
    assert signed("new").decode().partition("&")[0] in url


def test_the_key_ring_of_the_file_verifies_beside_the_environments(bare: Pixelship) -> None:
    write_key_file(Path("ring.json"), KeyRing((Key(b"filed"),)))
    save(log(*(tsv(Hit(request_id=s.encode(), uri=b"/i.gif?" + signed(s))) for s in ("filed", "listed"))))  # fmt: skip
    for words, env, accepted in (
        (("--keys", "ring.json"), {"SIGNER_SECRET": "listed"}, 2),
        (("--keys", "ring.json"), {}, 1),
        ((), {"PIXELSHIP_KEYS": "ring.json"}, 1),
        ((), {"SIGNER_SECRET": "listed"}, 1),
    ):
        Path("out.db").unlink(missing_ok=True)
        done = bare("load", "access.log", "--to", "duckdb:out.db", "--json", *words, env=env)
        assert done.json["accepted"] == accepted


def test_a_key_file_open_to_others_is_refused(bare: Pixelship) -> None:
    bare("keys", "new", "--keys", "ring.json")
    assert stat.S_IMODE(Path("ring.json").stat().st_mode) == 0o600
    Path("ring.json").chmod(0o640)
    for words in (
        ("load", "access.log"),
        ("sign", "--key", "k", "--canonical", "c", "--to", "a.b"),
        ("check", "https://px.example.org/i.gif"),
        ("keys", "list"),
        ("keys", "new"),
        ("keys", "retire", "x"),
    ):
        done = bare(*words, "--keys", "ring.json")
        assert (done.status, done.stdout) == (2, "")
        assert done.stderr.endswith("Others may read the key ring ring.json: run `chmod 600 ring.json`.\n")  # fmt: skip
    assert not Path("pixelship.duckdb").exists()


def test_of_a_retired_key_the_views_before_count_and_those_after_do_not(bare: Pixelship) -> None:
    old, new = Key(b"old", retired_at_us=NOON_US), Key(b"new")
    write_key_file(Path("pixelship-keys.json"), KeyRing((new, old)))
    hits = [
        Hit(request_id=b"before", uri=b"/i.gif?" + signed("old"), time_us=NOON_US - 1000),
        Hit(request_id=b"at", uri=b"/i.gif?" + signed("old")),
        Hit(request_id=b"after", uri=b"/i.gif?" + signed("old"), time_us=NOON_US + 1000),
        Hit(request_id=b"present", uri=b"/i.gif?" + signed("new"), time_us=NOON_US + 1000),
    ]
    save(log(*map(tsv, hits)))
    sheet = bare("load", "access.log", "--json").json
    assert (sheet["accepted"], sheet["rejected"]) == (2, {"retired-key": 2})
    loaded = rows("SELECT event_id, key_id FROM news.pageviews ORDER BY ALL")
    assert loaded == [("before", old.id), ("present", new.id)]


def test_a_key_retired_in_1970_never_counts(bare: Pixelship) -> None:
    write_key_file(Path("pixelship-keys.json"), KeyRing((Key(b"old", retired_at_us=0),)))
    save(log(tsv(Hit(uri=b"/i.gif?" + signed("old")))))
    assert bare("load", "access.log", "--json").json["rejected"] == {"retired-key": 1}


def test_a_keys_scope_holds(bare: Pixelship) -> None:
    write_key_file(Path("pixelship-keys.json"), KeyRing((Key(b"k", scopes=("mail.*",)),)))
    lines = (
        tsv(Hit(request_id=d.encode(), uri=b"/i.gif?" + signed("k", d=d)))
        for d in ("mail.opens", "news.pageviews")
    )
    save(log(*lines))
    sheet = bare("load", "access.log", "--json").json
    assert (sheet["destinations"], sheet["rejected"]) == (
        {"mail.opens": 1},
        {"bad-destination": 1},
    )


def test_no_secret_is_printed_or_stored(bare: Pixelship) -> None:
    bare("keys", "new")
    (key,) = read_key_file(Path("pixelship-keys.json")).keys
    save(log(tsv(Hit())))
    env = {"SIGNER_SECRET": SECRET}
    printed = [
        bare(*words, env=env)
        for words in (
            ("keys", "list"),
            ("keys", "retire", "nope"),
            ("load", "access.log"),
            ("load", "access.log", "--json"),
            ("load", "access.log", "--nope"),
            ("check", "https://px.example.org/i.gif?s=1"),
            ("sign", "--key", "k", "--canonical", "c", "--to", "nowhere"),
        )
    ]
    for secret in (key.secret.decode(), SECRET):
        assert not any(secret in done.stdout + done.stderr for done in printed)
        assert secret.encode() not in Path("pixelship.duckdb").read_bytes()
