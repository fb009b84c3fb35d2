"""Wrong usage and set-up: exit status 2, one sentence, nothing on standard output, nothing made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Pixelship
from tests.logs import Hit, log, tsv

LOAD = ("load", "access.log")
WRONG = {
    "no command of that name": (("lode",), "No such command"),
    "an option that is not there": (("--nope",), "No such option"),
    "no log": (("load",), "Missing argument"),
    "options but no log": (("load", "--job_name", "x"), "Name a log file"),
    "a log that is not there": (("load", "none.log"), "No log file is there under 'none.log'"),
    "a glob without a match": (("load", "*.none"), "No log file is there"),
    "an empty name": (("load", ""), "No log file is there under ''"),
    "an unknown format": ((*LOAD, "--format", "iis"), "--format iis is not known: choose one of nginx-tsv,"),
    "a warehouse of another kind": ((*LOAD, "--to", "sqlite:x"), "write duckdb:PATH"),
    "a warehouse without a path": ((*LOAD, "--to", "duckdb:"), "write duckdb:PATH"),
    "a bare path": ((*LOAD, "--to", "x.duckdb"), "write duckdb:PATH"),
    "a folder that is not there": ((*LOAD, "--to", "duckdb:no/x.db"), "make it first"),
    "a folder for a file": ((*LOAD, "--to", "duckdb:folder"), "cannot be opened as a DuckDB file"),
    "no DuckDB file": ((*LOAD, "--to", "duckdb:access.log"), "cannot be opened as a DuckDB file"),
    "no network": ((*LOAD, "--trusted-proxy", "10.0.0.0/99"), "is no network"),
    "a name for a network": ((*LOAD, "--trusted-proxy", "localhost"), "is no network"),
    "no path": ((*LOAD, "--path", "pixel.gif"), "is no path"),
    "an unknown policy": ((*LOAD, "--addresses", "all"), "'all' is not one of"),
    "no number of workers": ((*LOAD, "--workers", "two"), "is not a valid int"),
    "no workers": ((*LOAD, "--workers", "0"), "--workers"),
    "an option without its value": ((*LOAD, "--keys"), "requires an argument"),
    "a mistyped option": ((*LOAD, "--formt", "auto"), "There is no option --formt"),
    "a mistyped short option": ((*LOAD, "-j"), "There is no option -j"),
    "a Beam option's wrong value": ((*LOAD, "--direct_num_workers=x"), "A Beam option is wrong"),
    "a Beam option without its value": ((*LOAD, "--job_name"), "A Beam option is wrong"),
    "a runner that is not there": ((*LOAD, "--runner=Nope"), "Beam refuses its options"),
    "a key ring that is not there": ((*LOAD, "--keys", "none.json"), "No key ring is at none.json"),
    "a key ring that is a folder": ((*LOAD, "--keys", "folder"), "cannot be read"),
    "no key ring": ((*LOAD, "--keys", "junk.json"), "is no key ring"),
    "a secret that is no text": (LOAD, "is not valid UTF-8"),
    "a value that is no text": (("sign", "--key", os.fsdecode(b"\xff"), "--canonical", "c", "--to", "a.b"), "is not valid UTF-8"),
    "sign without anything": (("sign",), "--key, --canonical and --to are needed"),
    "a revocation from no time": (("keys", "revoke", "00000000"), "Missing option"),
    "check without a URL": (("check",), "Missing argument"),
    "query without SQL": (("query",), "Missing argument"),
    "query without a file": (("query", "SELECT 1"), "No DuckDB file is at"),
    "keys without a command": (("keys", "old"), "No such command"),
    "retire without a key": (("keys", "retire"), "Missing argument"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "said"), WRONG.values(), ids=WRONG.keys())
def test_wrong_usage_is_one_sentence(
    pixelship: Pixelship, words: tuple[str, ...], said: str, request: pytest.FixtureRequest
) -> None:
    Path("access.log").write_bytes(log(*(tsv(Hit(request_id=b"%d" % at)) for at in range(3))) * 20)
    Path("folder").mkdir()
    Path("junk.json").touch(mode=0o600)
    before = {path: path.is_file() and path.read_bytes() for path in Path().iterdir()}
    env = {"SIGNER_SECRET": os.fsdecode(b"\xff")} if "a secret" in request.node.name else {}
    done = pixelship(*words, env=env)
    assert (done.status, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert sum("Error: " in line for line in done.stderr.splitlines()) == 1
    Path("pixelship.duckdb").unlink(missing_ok=True)  # a runner is tried after the file is opened
    assert {path: path.is_file() and path.read_bytes() for path in Path().iterdir()} == before


@pytest.mark.parametrize(
    "words",
    [
        LOAD,
        ("sign", "--key", "k", "--canonical", "c", "--to", "a.b"),
        ("check", "/i.gif"),
        ("keys", "list"),
    ],
)
def test_without_a_key_what_to_do_is_said(bare: Pixelship, words: tuple[str, ...]) -> None:
    Path("access.log").write_bytes(b"x\n")
    for env in ({}, {"SIGNER_SECRET": ""}, {"SIGNER_SECRET": " , ,"}):
        done = bare(*words, env=env)
        assert (done.status, done.stdout) == (2, "")
        assert done.stderr == (
            "Error: There is no signing key: make one with `pixelship keys new`, "
            "name a key ring with --keys, or set SIGNER_SECRET.\n"
        )
    assert not Path("pixelship.duckdb").exists()
