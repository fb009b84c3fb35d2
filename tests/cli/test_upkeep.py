"""`status`, `replay` and `unload` on the command line, into DuckDB and into BigQuery alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.signing import Key, sign_query
from pipeline.warehouses.duckdb import connect
from tests.cli.conftest import Pixelship
from tests.cloud import Cloud
from tests.logs import GOOGLEBOT, Hit, log, signed, tsv

pytestmark = pytest.mark.usefixtures("without_beam")

OTHER_SECRET = "of another key"
BY_OTHER = sign_query(
    {"k": "late", "c": "https://news.example.org/a", "d": "news.pageviews"},
    Key(OTHER_SECRET.encode()),
).encode()
LOG = log(
    tsv(Hit(request_id=b"1")),
    tsv(Hit(request_id=b"2", uri=b"/i.gif?" + signed(d="mail.opens"))),
    tsv(Hit(request_id=b"3", uri=b"/i.gif?" + BY_OTHER)),
    tsv(Hit(request_id=b"4", uri=b"/i.gif?" + BY_OTHER, user_agent=GOOGLEBOT)),
    tsv(Hit(uri=b"/i.gif")),
)


class Setting:
    """Where a log was loaded: the words that name the warehouse, and the log."""

    def __init__(self, run: Pixelship, to: list[str], log_name: str) -> None:
        self.run = run
        self.to = to
        self.log_name = log_name
        assert run("load", log_name, *to).status == 0

    def json(self, *words: str, **options: dict[str, str]) -> dict[str, object]:
        done = self.run(*words, *self.to, "--json", **options)
        assert done.stderr == ""
        found: dict[str, object] = done.json
        found.pop("lag_s", None)  # it grows
        return found


@pytest.fixture(params=["duckdb", "bigquery"])
def setting(request: pytest.FixtureRequest, pixelship: Pixelship) -> Setting:
    if request.param == "duckdb":
        Path("access.log").write_bytes(LOG)
        return Setting(pixelship, ["--to", "duckdb:it.duckdb"], str(Path("access.log").resolve()))
    cloud: Cloud = request.getfixturevalue("cloud")
    to = ["--to", f"bigquery:{cloud.project}", "--state", cloud.state]
    return Setting(pixelship, to, cloud.put("access.log", LOG))


def test_status_tells_of_lines_rows_and_times(setting: Setting) -> None:
    told = setting.json("status")
    assert told["batches"] == {"load": 1}
    assert (told["lines"], told["accepted"], told["bot"]) == (5, 2, 0)
    assert told["rejected"] == {"tampered": 2, "unsigned": 1}
    assert told["adds_up"] is True
    assert told["rows"] == {
        "mail.opens": 1, "news.pageviews": 1, "pixelship.bot_hits": 0, "pixelship.parked": 0,
        "pixelship.rejects": 3,
    }  # fmt: skip
    assert told["newest_view_at"] == "2025-11-21T12:00:00+00:00"
    done = setting.run("status", *setting.to, "--objects")
    assert done.status == 0
    assert "Batches: 1 load." in done.stdout
    assert setting.log_name in done.stdout.replace("\n", "")


def test_a_replay_by_a_key_that_was_missing_loads_what_it_signed_once(setting: Setting) -> None:
    env = {"SIGNER_SECRET": f"the tests' secret,{OTHER_SECRET}"}
    plan = setting.json("replay", "--plan", "--reason", "tampered", env=env)
    assert (plan["batches"], plan["chosen"], plan["accepted"]) == ([], 2, 1)
    done = setting.json("replay", "--reason", "tampered", env=env)
    assert (done["chosen"], done["accepted"], done["bot"]) == (2, 1, 1)
    assert done["resolved"] == {"tampered": 2}
    assert done["destinations"] == {"news.pageviews": 1}
    told = setting.json("status")
    assert (told["lines"], told["accepted"], told["bot"]) == (5, 3, 1)
    assert (told["rejected"], told["adds_up"]) == ({"unsigned": 1}, True)
    assert told["batches"] == {"load": 1, "replay": 1}
    again = setting.run("replay", "--reason", "tampered", *setting.to, env=env)
    assert (again.status, again.stdout) == (0, "There are no such rejects: nothing to do.\n")


def test_an_unloaded_log_comes_back_whole(setting: Setting) -> None:
    before = setting.json("status")
    plan = setting.json("unload", "--object", setting.log_name, "--plan")
    assert setting.json("status") == before
    done = setting.json("unload", "--day", "2025-11-21")
    assert done["rows"] == plan["rows"] == {
        "mail.opens": 1, "news.pageviews": 1, "pixelship.objects": 1, "pixelship.rejects": 3,
    }  # fmt: skip
    told = setting.json("status")
    assert (told["lines"], told["rejected"], told["adds_up"]) == (0, {}, True)
    assert setting.json("load", setting.log_name)["lines"] == 5
    assert setting.json("status")["rows"] == before["rows"]
    nothing = setting.run("unload", "--day", "2001-01-01", *setting.to)
    assert (nothing.status, nothing.stdout) == (0, "No log has such rows: nothing to do.\n")


def test_an_unload_says_what_came_out_and_refuses_what_is_not_there(setting: Setting) -> None:
    done = setting.run("unload", "--batch", "00000001", *setting.to)
    assert done.status == 0
    assert "│ news.pageviews    │    1 │\n" in done.stdout
    assert done.stdout.endswith("The next load takes them in again.\n")
    gone = setting.run("unload", "--object", "no.log", *setting.to)
    assert (gone.status, gone.stdout) == (2, "")
    name = Path("no.log").resolve()
    assert gone.stderr == f"Error: {name} is not loaded: pixelship.objects names what is.\n"


def test_parked_rows_are_told_and_exit_with_1(pixelship: Pixelship) -> None:
    Path("access.log").write_bytes(LOG)
    with connect(Path("it.duckdb")) as db:
        db.execute("CREATE SCHEMA mail")
        db.execute("CREATE VIEW mail.opens AS SELECT 1 AS one")
    assert pixelship("load", "access.log", "--to", "duckdb:it.duckdb").status == 1
    done = pixelship("status", "--to", "duckdb:it.duckdb")
    assert done.status == 1
    assert "Parked: 1 rows for mail.opens: a view has its name." in done.stdout
    with connect(Path("it.duckdb")) as db:
        db.execute("UPDATE pixelship.objects SET lines = 6")
    assert pixelship("status", "--to", "duckdb:it.duckdb").status == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("status",), "No DuckDB file is at pixelship.duckdb: load a log first, or name it with --to."),
        (("unload",), "Say what to unload: --object NAME, --day DATE or --batch ID."),
        (("replay", "--since", "yesterday"), "--since 'yesterday' is no time: write it as 2026-11-21T12:00."),
        (("status", "--to", "bigquery:project-a"), "BigQuery needs --state gs://BUCKET/FOLDER, where the batch log is kept."),
    ],
)  # fmt: skip
def test_wrong_set_up_is_said_in_a_sentence(
    pixelship: Pixelship, words: tuple[str, ...], said: str
) -> None:
    done = pixelship(*words)
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr == f"Error: {said}\n"


def test_times_are_utc_unless_they_name_a_zone(pixelship: Pixelship) -> None:
    Path("access.log").write_bytes(LOG)
    pixelship("load", "access.log")
    for words, chosen in (
        (("--since", "2025-11-21T12:00"), 3),
        (("--since", "2025-11-21T12:00:01"), 0),
        (("--until", "2025-11-21T13:00+01:00"), 0),
        (("--until", "2025-11-21T12:00:01Z"), 3),
    ):
        assert pixelship("replay", "--plan", "--json", *words).json["chosen"] == chosen
    assert json.loads(pixelship("replay", "--plan", "--json").stdout)["chosen"] == 3
