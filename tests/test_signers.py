"""The ready signers in signers/, run by the real Node, PHP and Python, against the test vectors."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from pipeline.check import check_urls
from pipeline.options import Rules
from pipeline.signing import key_ring

ROOT = Path(__file__).parents[1]
SIGNERS = ROOT / "signers"
MOST_LINES = 39
BASE = "https://px.example.org/pixel.gif"
VECTORS: list[dict[str, Any]] = [
    vector
    for vector in json.loads((ROOT / "tests/vectors/signatures-v2.json").read_text("utf-8"))
    if vector["reason"] is None
]
NO_SIGNATURES = (
    {"k": "a", "c": "b"}, {"k": "", "c": "b", "d": "a.b"}, {"k": "a", "c": "b", "d": "a.b", "s": "1"},
    {"k": "a", "c": "b", "d": "a.b", "x.y": "1"}, {"k": "a", "c": "b", "d": "a.b", "x" * 65: "1"},
    {"k": "a", "c": "b", "d": "a.b", **{f"p{number}": "1" for number in range(30)}},
)  # fmt: skip
JAVASCRIPT = """
import { readFileSync } from "node:fs";
if (!globalThis.crypto) globalThis.crypto = (await import("node:crypto")).webcrypto;
const { sign } = await import(process.argv[2]);
const signed = [];
for (const each of JSON.parse(readFileSync(0, "utf8"))) {
  try { signed.push(await sign(Object.fromEntries(each.params), each.secret, undefined, each.unsigned)); }
  catch (error) { signed.push(null); }
}
console.log(JSON.stringify(signed));
"""
PHP = """<?php
require $argv[1];
$signed = [];
foreach (json_decode(stream_get_contents(STDIN), true) as $each) {
    $params = [];
    foreach ($each['params'] as [$name, $value]) $params[$name] = $value;
    try { $signed[] = pixelship_sign($params, $each['secret'], 'https://px.example.org/pixel.gif', $each['unsigned']); }
    catch (InvalidArgumentException $error) { $signed[] = null; }
}
echo json_encode($signed);
"""


def program(name: str, package: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is missing: run `make programs`, or install {package}."
    return found


def run(tmp_path: Path, signer: str, wanted: list[dict[str, Any]]) -> list[str | None]:
    """What a signer makes of parameters and secrets; null where it refuses."""
    if signer.endswith(".php"):
        command, driver = program("php", "php-cli"), tmp_path / "drive.php"
        driver.write_text(PHP)
    else:
        command, driver = program("node", "nodejs"), tmp_path / "drive.mjs"
        driver.write_text(JAVASCRIPT)
    stdin = [{"unsigned": "", **each, "params": list(each["params"].items())} for each in wanted]
    done = subprocess.run(
        [command, driver, SIGNERS / signer],
        input=json.dumps(stdin), capture_output=True, text=True, check=False, encoding="utf-8",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    signed: list[str | None] = json.loads(done.stdout)
    return signed


def assert_as_specified(url: str, vector: dict[str, Any]) -> None:
    path, _, query = url.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    assert path == BASE
    assert pairs[0] == ("s", vector["s"])
    assert sorted(pairs[1:]) == sorted(vector["params"].items())
    (verdict,) = check_urls([url], Rules(key_ring([vector["secret"]])), vector["time"] * 1_000_000)
    assert (verdict.reason, verdict.facts.params) == (None, vector["params"])


@pytest.mark.parametrize("signer", ["node.mjs", "browser.mjs", "pixelship.php"])
def test_a_signer_signs_as_specified(tmp_path: Path, signer: str) -> None:
    signed = run(tmp_path, signer, VECTORS)
    for url, vector in zip(signed, VECTORS, strict=True):
        assert url is not None, vector["name"]
        assert_as_specified(url, vector)


@pytest.mark.parametrize("signer", ["node.mjs", "browser.mjs", "pixelship.php"])
def test_a_signer_refuses_what_would_not_count(tmp_path: Path, signer: str) -> None:
    wanted = [{"secret": "x", "params": params} for params in NO_SIGNATURES]
    wanted += [{"secret": "", "params": VECTORS[0]["params"]}]
    assert run(tmp_path, signer, wanted) == [None] * len(wanted)


@pytest.mark.parametrize("signer", ["node.mjs", "browser.mjs", "pixelship.php"])
def test_a_merge_tag_is_put_behind_as_it_is(tmp_path: Path, signer: str) -> None:
    (url,) = run(tmp_path, signer, [{**VECTORS[0], "unsigned": "&id=*|UNIQID|*"}])
    assert url is not None
    assert url.endswith("&id=*|UNIQID|*")
    assert_as_specified(url.removesuffix("&id=*|UNIQID|*"), VECTORS[0])


def merge(
    rows: list[dict[str, str]], *words: str, key: str = "some-secret"
) -> list[dict[str, str]]:
    """The rows that the recipe for mail merges makes of others."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    done = subprocess.run(
        [sys.executable, SIGNERS / "mailmerge.py", "--to", "news.pageviews", *words],
        input=("\ufeff" + text.getvalue()).encode(), capture_output=True, check=False,
        env={**os.environ, "PIXELSHIP_SECRET": key, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    return list(csv.DictReader(io.StringIO(done.stdout.decode())))


def test_a_mail_merge_signs_each_row_as_specified() -> None:
    recipients = [{"key": "issue 12", "canonical": "https://e.org/é?a=b&c", "recipient": f"r-{number}, \"x\""} for number in range(3)]  # fmt: skip
    rows = merge(recipients, "--sign", "recipient")
    assert [{**row, "url": ""} for row in rows] == [{**row, "url": ""} for row in recipients]
    verdicts = check_urls([row["url"] for row in rows], Rules(key_ring(["some-secret"])), 0)
    for verdict, row in zip(verdicts, recipients, strict=True):
        assert verdict.reason is None
        assert verdict.facts.params == {
            "k": row["key"], "c": row["canonical"], "d": "news.pageviews", "recipient": row["recipient"],
        }  # fmt: skip


def test_a_mail_merge_may_leave_the_recipient_to_the_mailer() -> None:
    rows = merge([{"key": "a", "canonical": "b"}] * 2, "--unsigned", "&id=*|UNIQID|*")
    assert rows[0]["url"] == rows[1]["url"]
    filled = rows[0]["url"].replace("*|UNIQID|*", "4711")
    for verdict in check_urls([rows[0]["url"], filled], Rules(key_ring(["some-secret"])), 0):
        assert verdict.reason is None
        assert verdict.facts.extras.keys() == {"id"}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"].replace(" ", "-"))
def test_a_mail_merge_signs_as_specified(vector: dict[str, Any]) -> None:
    others = {name: text for name, text in vector["params"].items() if name not in "kcd"}
    if vector["params"]["d"] != "news.pageviews" or {"key", "canonical"} & others.keys():
        raise AssertionError("the recipe cannot make this vector: change the test")
    row = {"key": vector["params"]["k"], "canonical": vector["params"]["c"], **others}
    (merged,) = merge([row], *(["--sign", *others] if others else []), key=vector["secret"])
    assert_as_specified(merged["url"], vector)


@pytest.mark.parametrize("path", sorted(SIGNERS.glob("*.*")), ids=lambda path: path.name)
def test_a_signer_is_short_and_documented(path: Path) -> None:
    if path.suffix != ".md":
        assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES
        assert f"({path.name})" in (SIGNERS / "README.md").read_text("utf-8")
