"""`pixelship replay`: what is chosen, by which words, and what is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.warehouses.duckdb import connect
from tests.cli.conftest import Pixelship, rows
from tests.cli.test_status import lines_of, save
from tests.logs import GOOGLEBOT, SECRET, Hit, combined, log, signed, tsv
from tests.test_docs import CLI, section, tables

pytestmark = pytest.mark.usefixtures("without_beam")

OTHER = "another key's secret"
BOTH = {"SIGNER_SECRET": f"{SECRET},{OTHER}"}
URI = b"/i.gif?" + signed(OTHER)
LOG = log(
    tsv(Hit(request_id=b"1")),
    tsv(Hit(request_id=b"2", uri=URI)),
    tsv(Hit(request_id=b"3", uri=URI, user_agent=GOOGLEBOT)),
    tsv(Hit(request_id=b"1", uri=URI)),
    tsv(Hit(uri=b"/i.gif")),
)


def test_people_see_what_became_of_them(pixelship: Pixelship) -> None:
    pixelship("load", save(data=LOG))
    done = pixelship("replay", "--plan", env=BOTH)
    assert done.status == 0
    assert {"what would become of them rejects", "accepted 2 views, loaded", "rejects 4 judged again"} <= lines_of(done.stdout.replace("┃", " "))  # fmt: skip
    assert done.stdout.endswith("Nothing was written.\n")
    done = pixelship("replay", env=BOTH)
    assert (done.status, done.stdout.splitlines()[0]) == (0, "Batch 00000002.")
    assert {"accepted 1 views, loaded", "news.pageviews 1", "duplicate 1 views that were there already", "rejected 1 again: they stay as they are", "unsigned 1"} <= lines_of(done.stdout)  # fmt: skip
    done = pixelship("replay", "--reason", "tampered", env=BOTH)
    assert (done.status, done.stdout) == (0, "There are no such rejects: nothing to do.\n")


def test_every_key_of_the_json_is_documented(pixelship: Pixelship) -> None:
    pixelship("load", save(data=LOG))
    told = pixelship("replay", "--json", env=BOTH).json
    documented = [row[0].strip("`") for row in tables(section(CLI, "The replay as JSON"))]
    assert documented == list(told)
    fates = ("accepted", "bot", "duplicate", "not_pixel", "header")
    assert told["chosen"] == 4 == sum(told[name] for name in fates) + sum(told["rejected"].values())


def test_batches_and_objects_are_named_as_people_do(
    pixelship: Pixelship, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixelship("load", save(data=LOG))
    path = Path("access.log").resolve()
    Path("sub").mkdir()
    for words, chosen in (
        (("--batch", "1"), 4),
        (("--batch", "00000001", "--object", "access.log"), 4),
        (("--batch", "2"), 0),
        (("--object", path, "--object", "other.log"), 4),
        (("--object", "./sub/../access.log"), 4),
        (("--object", "gs://bucket/access.log"), 0),
        (("--reason", "unsigned", "--reason", "malformed"), 1),
    ):
        assert pixelship("replay", "--plan", "--json", *words, env=BOTH).json["chosen"] == chosen


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "0001-01-01T00:00+05:00"), "--since '0001-01-01T00:00+05:00' is no time: write it as 2026-11-21T12:00."),
        (("--until", ""), "--until '' is no time: write it as 2026-11-21T12:00."),
        (("--since", "2026-11-21", "--until", "2026-11-21T00:00Z"), "--since is not before --until: no reject can be chosen."),
        (("--batch", "last"), "--batch 'last' is no batch: write its number, such as 00000042."),
        (("--batch", "123456789"), "--batch '123456789' is no batch: write its number, such as 00000042."),
        (("--reason", "too-long"), "Of lines that are too-long only a part was kept: they cannot be judged again."),
        (("--reason", "bored"), "There is no reason 'bored': choose of too-long, malformed, bad-time, unsigned, unfilled-tag, truncated, unknown-key, tampered, retired-key, bad-bounds, not-yet, expired, no-data, no-agent, no-ip, unknown-token, bad-destination."),
        (("--path", "i.gif"), "--path 'i.gif' is no path: write it as /pixel.gif."),
        (("--to", "duckdb:none.duckdb"), "No DuckDB file is at none.duckdb: load a log first, or name it with --to."),
        (("--state", "gs://bucket/state"), "--state is for bigquery:PROJECT: a DuckDB file keeps its own state."),
    ],
)  # fmt: skip
def test_wrong_words_are_told_in_a_sentence(
    pixelship: Pixelship, words: tuple[str, ...], said: str
) -> None:
    pixelship("load", save(data=LOG))
    before = sorted(Path().iterdir())
    done = pixelship("replay", *words)
    assert (done.status, done.stdout, done.stderr) == (2, "", f"Error: {said}\n")
    assert sorted(Path().iterdir()) == before


def test_no_key_is_told(bare: Pixelship, pixelship: Pixelship) -> None:
    pixelship("load", save(data=LOG))
    done = bare("replay", env={"SIGNER_SECRET": None})
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: There is no signing key: ")


def test_the_rules_are_those_of_load(pixelship: Pixelship) -> None:
    hits = (Hit(uri=URI, ip=b"203.0.113.7"), Hit(uri=b"/px.gif?" + signed(OTHER)))
    pixelship("load", save(data=log(*map(combined, hits))), "--path", "/px.gif", "--path", "/i.gif", "--format", "nginx-tsv")  # fmt: skip
    words = ("--format", "combined", "--addresses", "drop", "--path", "/px.gif", "--json")
    told = pixelship("replay", *words, "--allow", "mail.*", env=BOTH).json
    assert (told["not_pixel"], told["rejected"]) == (1, {"bad-destination": 1})
    told = pixelship("replay", *words, env=BOTH).json
    assert (told["accepted"], told["resolved"]) == (1, {"malformed": 1})
    assert rows("SELECT remote_ip, host FROM news.pageviews") == [(None, None)]


def test_parked_rows_are_told_and_exit_with_1(pixelship: Pixelship) -> None:
    pixelship("load", save(data=log(tsv(Hit(uri=URI)))))
    with connect(Path("pixelship.duckdb")) as db:
        db.execute("CREATE SCHEMA news")
        db.execute("CREATE VIEW news.pageviews AS SELECT 1 AS one")
    done = pixelship("replay", env=BOTH)
    assert done.status == 1
    assert "Parked: 1 rows for news.pageviews: a view has its name.\n" in done.stdout
    assert "accepted 1 views, loaded or parked" in lines_of(done.stdout)
