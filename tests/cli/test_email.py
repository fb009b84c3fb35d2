"""`pixelship email new` and `import`: what is noted, what is printed, and what is kept from both."""

from __future__ import annotations

import csv
import hashlib
import hmac
import html
import io
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipeline.signing import Key
from tests.cli.conftest import Pixelship
from tests.cli.places import CONFIG, KINDS, Place, place_of, words
from tests.logs import SECRET

pytestmark = pytest.mark.usefixtures("without_beam")

SENDS = (
    "SELECT send_id, job_number, client_id, campaign, recipient, recipient_key_id, opens_table "
    "FROM pixelship.sends ORDER BY send_id"
)
LIST = 'name,Email,note\n"Å, B", Anna@Example.org ,"a ""b"""\nBob,bob@example.org,"two\nlines"\n'
OLD = (
    "send_id,job_number,client_id,campaign,created_at\n"
    "aa,7,acme,Spring,2026-03-01T10:00\nbb,7,acme,Spring,\ncc,8,acme,Autumn,2026-09-01T10:00+02:00\n"
)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, pixelship: Pixelship) -> Place:
    return place_of(request, pixelship)


@pytest.fixture
def file(request: pytest.FixtureRequest, pixelship: Pixelship) -> Place:
    """A DuckDB file: enough for what has nothing to do with the warehouse."""
    Path("pixelship.toml").write_text(CONFIG)
    return Place(pixelship, None)


def hashed(recipient: str) -> str:
    message = b"pixelship recipient\n" + recipient.encode()
    return hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()


# New


def test_sends_are_noted_and_their_ids_printed(place: Place) -> None:
    done = place.run(*words("Spring", "--count", "3"))
    assert (done.status, done.stderr) == (0, "")
    ids = done.stdout.splitlines()
    assert len(set(ids)) == 3
    assert all(re.fullmatch("[0-9a-f]{40}", id_) for id_ in ids)
    assert place.ask(SENDS) == [
        (id_, "7", "acme", "Spring", None, None, "mail.opens") for id_ in sorted(ids)
    ]
    assert len(place.run(*words("Spring")).stdout.splitlines()) == 1
    assert len(place.ask(SENDS)) == 4


def test_a_list_comes_back_with_ids_and_tags_and_its_recipients_are_hashed(place: Place) -> None:
    Path("list.csv").write_text(LIST, encoding="utf-8-sig")
    done = place.run(*words("Spring", "--recipient-file", "list.csv"))
    given, *rows = csv.reader(io.StringIO(done.stdout))
    assert given == ["name", "Email", "note", "send_id", "tag"]
    assert [row[:3] for row in rows] == list(csv.reader(io.StringIO(LIST)))[1:]
    ids = [row[3] for row in rows]
    assert [row[4] for row in rows] == [
        f'<img src="https://px.example.org/pixel.gif?sh={id_}" alt="" width="1" height="1">'
        for id_ in ids
    ]
    found = {row[0]: row[4:6] for row in place.ask(SENDS)}
    key_id = Key(SECRET.encode()).id
    assert found == {
        ids[0]: (hashed("anna@example.org"), key_id),
        ids[1]: (hashed("bob@example.org"), key_id),
    }


def test_recipients_are_stored_as_they_are_where_asked(file: Place, bare: Pixelship) -> None:
    Path("list.csv").write_text(LIST)
    options = ("--recipient-file", "list.csv", "--store-recipients", "plain")
    assert file.run(*words("Spring", *options), env={"SIGNER_SECRET": None}).status == 0
    found = {row[4:6] for row in file.ask(SENDS)}
    assert found == {("Anna@Example.org", None), ("bob@example.org", None)}
    file.run(*words("Spring", *options, "--recipient-column", "name"))
    assert {row[4] for row in file.ask(SENDS)} > {"Å, B", "Bob"}


def test_tags_are_those_of_the_configuration(file: Place) -> None:
    def tag(*options: str, **env: str | None) -> str:
        (line,) = file.run(*words("Spring", "--html", *options), env=env).stdout.splitlines()
        return re.sub("[0-9a-f]{40}", "ID", line)

    shown = '<img src="{}?sh=ID" alt="" width="1" height="1">'
    assert tag() == shown.format("https://px.example.org/pixel.gif")
    assert tag("--base", "https://p.org/") == shown.format("https://p.org/pixel.gif")
    assert tag("--base", "//p.org/pixel.gif") == shown.format("//p.org/pixel.gif")
    assert tag("--base", "p.org") == shown.format("p.org/pixel.gif")
    assert tag(PIXELSHIP_BASE="https://q.org") == shown.format("https://q.org/pixel.gif")
    Path("pixelship.toml").write_text(CONFIG.replace("[ping]", 'paths = ["/o/*", "/open.gif"]\n[ping]'))  # fmt: skip
    assert tag() == shown.format("https://px.example.org/open.gif")
    assert tag("--base", "https://p.org/o/7.gif") == shown.format("https://p.org/o/7.gif")


def test_signed_tags_count_where_signatures_are_demanded(file: Place) -> None:
    page = "https://example.org/spring?a=b&c"
    (url,) = re.findall('src="(.*?)"', file.run(*words("Spring", "--html", "--canonical", page)).stdout)  # fmt: skip
    checked = file.pixelship("check", "--json", html.unescape(url))
    (told,) = checked.json
    assert (checked.status, told["version"], told["destination"]) == (0, 2, "mail.opens")
    ((id_,),) = file.ask("SELECT send_id FROM pixelship.sends")
    assert told["params"] == {"k": "Spring", "c": page, "d": "mail.opens", "sh": id_}
    line = f'203.0.113.7 - - [21/Nov/2026:12:00:00 +0000] "GET {html.unescape(url).removeprefix("https://px.example.org")} HTTP/1.1" 200 43 "-" "Firefox/130.0"\n'
    Path("access.log").write_text(line)
    assert file.run("load", "access.log", "--json").json["destinations"] == {"mail.opens": 1}
    assert file.ask("SELECT dialect, send_id, key FROM mail.opens") == [("prx", id_, "Spring")]
    (campaign,) = file.run("email", "campaigns", "--json").json
    assert (campaign["opens"], campaign["unique_opens"]) == (1, 1)


def test_tags_are_not_signed_for_paths_on_which_nobody_looks(file: Place) -> None:
    Path("pixelship.toml").write_text(CONFIG.replace("[ping]", 'paths = ["/open.gif"]\n[ping]'))
    done = file.run(*words("Spring", "--canonical", "https://example.org/"))
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: Signed pixels count on /pixel.gif, /i.gif, /r.gif alone")
    assert not Path("pixelship.duckdb").exists()


def test_json_tells_all_of_a_mailing(file: Place) -> None:
    Path("list.csv").write_text("email\na@example.org\n")
    told = file.run(*words("Spring", "--recipient-file", "list.csv", "--json")).json
    ((send,), id_) = told["sends"], told["sends"][0]["send_id"]
    url = f"https://px.example.org/pixel.gif?sh={id_}"
    assert told == {
        "job_number": "7", "client_id": "acme", "campaign": "Spring",
        "campaign_hash": "89677615c2ec030bc5542abbacb5c286b12096fe",
        "open_hash": "65b8673b09005ac100379f5522f65567e2b31a71",
        "sends": [{"email": "a@example.org", "send_id": id_, "url": url, "tag": send["tag"]}],
    }  # fmt: skip
    assert set(file.run(*words("Spring", "--json")).json["sends"][0]) == {"send_id", "url", "tag"}
    Path("list.csv").write_text("email,URL\na@example.org,x\n")
    done = file.run(*words("Spring", "--recipient-file", "list.csv", "--json"))
    assert "has a column url already" in done.stderr
    assert file.run(*words("Spring", "--recipient-file", "list.csv")).status == 0


def test_without_a_list_no_key_is_wanted(file: Place) -> None:
    assert file.run(*words("Spring"), env={"SIGNER_SECRET": None}).status == 0
    Path("list.csv").write_text("email\na@example.org\n")
    done = file.run(*words("Spring", "--recipient-file", "list.csv"), env={"SIGNER_SECRET": None})
    assert "There is no signing key" in done.stderr
    assert len(file.ask(SENDS)) == 1


WRONG_LISTS = {
    "no such file": (None, "No list is at list.csv"),
    "nothing": (b"", "is empty"),
    "a heading alone": (b"email\n", "is empty"),
    "no heading": (b"secret@a.org,x\nb@a.org,y\n", "has no column email: name the one"),
    "a blank": (b"n,email\n1,secret@a.org\n\n2, \n", "Line 4 of list.csv has nothing in the column email"),
    "too few": (b"email,n\nsecret@a.org,x\nsecret@b.org\n", "Line 3 of list.csv has 1 fields"),
    "a quote that stays open": (b'email\n"secret@a.org\n', "is no CSV: check its quotes"),
    "a quote within": (b'email\n"secret"@a.org\n', "Line 2 of list.csv is no CSV"),
    "latin-1": (b"email\nsecret\xe9@a.org\n", "is not UTF-8"),
    "two of a name": (b"email,Email\nsecret@a.org,x\n", "Two columns of list.csv have one name"),
    "our own output": (b"email,send_id\nsecret@a.org,x\n", "has a column send_id already"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "said"), WRONG_LISTS.values(), ids=WRONG_LISTS.keys())
def test_a_wrong_list_is_one_sentence_without_what_is_in_it(
    file: Place, data: bytes | None, said: str
) -> None:
    if data is not None:
        Path("list.csv").write_bytes(data)
    done = file.run(*words("Spring", "--recipient-file", "list.csv"))
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
    assert "secret" not in done.stderr
    assert not Path("it.duckdb").exists()


WRONG = {
    "no job": (("email", "new"), "Missing option"),
    "a blank campaign": (words(" "), "may not be empty"),
    "no number": (words("S", "--count", "0"), "--count"),
    "a list and a number": (words("S", "--recipient-file", "l", "--count", "2"), "leave --count and --html out"),
    "a base with a query": (words("S", "--base", "https://p.org/?a"), "may have no query"),
    "a base whose opens would not count": (words("S", "--base", "https://p.org/i.gif"), "names the path /i.gif, whose opens would not count: name one of /pixel.gif"),
    "a base that is no URL": (words("S", "--base", "https://[p.org"), "is no URL"),
    "a folder that is not there": (words("S", "--to", "duckdb:no/x.db"), "make it first"),
    "BigQuery without its state": (words("S", "--to", "bigquery:acme-mail"), "BigQuery needs --state"),
    "an import without a list": (("email", "import"), "Missing argument"),
    "campaigns without a file": (("email", "campaigns"), "No DuckDB file is at"),
    "sends without a campaign": (("email", "sends"), "Missing argument"),
}  # fmt: skip


@pytest.mark.parametrize(("wrong", "said"), WRONG.values(), ids=WRONG.keys())
def test_wrong_usage_is_one_sentence(file: Place, wrong: tuple[str, ...], said: str) -> None:
    done = file.pixelship(*wrong)
    assert (done.status, done.stdout) == (2, "")
    assert said in done.stderr
    assert sorted(path.name for path in Path().iterdir()) == ["pixelship.toml"]


def test_without_a_destination_what_to_write_is_said(bare: Pixelship) -> None:
    for command in (words("Spring"), ("email", "import", "x.csv")):
        done = bare(*command)
        assert (done.status, done.stdout) == (2, "")
        assert done.stderr == (
            "Error: Nothing says where opens go: write `[email]` and below it "
            '`destination = "mail.opens"` into pixelship.toml.\n'
        )
    Path("other.toml").write_text('[ping]\ndestination = "a.b"\n')
    assert "into other.toml." in bare(*words("Spring", "--config", "other.toml")).stderr


def test_sends_that_cannot_be_shown_are_not_noted(file: Place) -> None:
    file.run(*words("Spring"))
    file.change("DROP TABLE mail.opens", "CREATE VIEW mail.opens AS SELECT 1 AS one")
    done = file.run(*words("Spring", "--count", "5"))
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr == "Error: mail.opens cannot be used: a view has its name.\n"
    assert len(file.ask("SELECT * FROM pixelship.sends")) == 1


def test_ten_thousand_are_one_call(place: Place) -> None:
    lines = [f"{n}@example.org" for n in range(10_000)]
    Path("list.csv").write_text("\n".join(["email", *lines]) + "\n")
    done = place.run(*words("Spring", "--recipient-file", "list.csv"))
    assert len(done.stdout.splitlines()) == 10_001
    counted = "SELECT COUNT(DISTINCT send_id), COUNT(DISTINCT recipient) FROM pixelship.sends"
    assert place.ask(counted) == [(10_000, 10_000)]


def test_the_file_is_read_under_any_name_by_duckdb_itself(file: Place) -> None:
    file.run(*words("Spring"))
    Path("it.duckdb").rename("other.duckdb")
    with duckdb.connect("other.duckdb", read_only=True) as db:
        assert db.execute("SELECT sends FROM pixelship.campaigns").fetchall() == [(1,)]


# Import


def test_ids_of_another_system_are_brought_in_once(place: Place) -> None:
    Path("old.csv").write_text(OLD)
    done = place.run("email", "import", "old.csv")
    assert (done.status, done.stdout) == (0, "3 sends are noted; 0 were there already.\n")
    rows = place.ask("SELECT send_id, CAST(created_at AS STRING) FROM pixelship.sends ORDER BY 1")
    assert [(id_, time[:16]) for id_, time in rows if id_ != "bb"] == [
        ("aa", "2026-03-01 10:00"), ("cc", "2026-09-01 08:00"),
    ]  # fmt: skip
    Path("more.csv").write_text(OLD.replace("Spring", "Winter") + "dd,9,acme,Autumn,\n")
    done = place.run("email", "import", "more.csv")
    assert done.stderr == ""
    assert done.stdout == "1 send is noted; 3 were there already.\n"
    assert place.run("email", "import", "more.csv", "--json").json == {"noted": 0, "known": 4}
    campaigns = place.run("email", "campaigns", "--json").json
    assert [(each["campaign"], each["sends"]) for each in campaigns] == [
        ("Autumn", 2),
        ("Spring", 2),
    ]


def test_an_id_that_stands_twice_in_a_list_is_one(file: Place) -> None:
    line = "aa,7,acme,Spring\n"
    Path("old.csv").write_text("send_id,job_number,client_id,campaign\n" + line * 2)
    assert file.run("email", "import", "old.csv", "--json").json == {"noted": 1, "known": 0}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("aa,8,acme,Spring,2026-03-01T10:00\n", "Line 5 of old.csv has an id that stands above"),
        ("dd,8,acme,Spring,yesterday\n", "Line 5 of old.csv: created_at 'yesterday' is no time"),
        ("dd,8,,Spring,\n", "Line 5 of old.csv has nothing in the column client_id"),
        ("dd,8\n", "Line 5 of old.csv has 2 fields"),
    ],
    ids=["another", "no time", "no client", "short"],
)
def test_of_a_wrong_list_nothing_is_brought_in(file: Place, line: str, said: str) -> None:
    Path("old.csv").write_text(OLD + line)
    done = file.run("email", "import", "old.csv")
    assert (done.status, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
    assert not Path("it.duckdb").exists()


# What people read


def test_people_are_shown_tables(file: Place) -> None:
    Path("old.csv").write_text(OLD)
    file.run("email", "import", "old.csv")
    shown = [line.split() for line in file.run("email", "campaigns").stdout.replace("│", " ").splitlines()]  # fmt: skip
    assert ["Spring", "2", "0", "0", "0.0"] in shown
    shown = [line.split() for line in file.run("email", "sends", "Spring").stdout.replace("│", " ").splitlines()]  # fmt: skip
    assert ["aa", "7", "0"] in shown
    done = file.run("email", "sends", "Sprung")
    assert (done.status, done.stdout) == (2, "")
    assert "No send is of a campaign 'Sprung'" in done.stderr


def test_names_are_printed_harmlessly(file: Place) -> None:
    evil = "\x1b]0;owned\x07 [red]"
    file.run(*words(evil))
    for done in (file.run("email", "campaigns"), file.run("email", "sends", evil + "x")):
        assert "\x1b" not in done.stdout + done.stderr
        assert "owned" in done.stdout + done.stderr
    assert file.run("email", "campaigns", "--json").json[0]["campaign"] == evil


def test_nothing_of_recipients_is_in_what_fails(
    file: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("defect")

    Path("list.csv").write_text("email\nsecret@example.org\n")
    options = ("--recipient-file", "list.csv", "--store-recipients", "plain")
    with monkeypatch.context() as broken:
        broken.setattr("pipeline.warehouses.duckdb_views.DuckDBViews._show_campaigns", fail)
        done = file.run(*words("Spring", *options))
    assert (done.status, done.stdout) == (3, "")
    assert "defect" in done.stderr
    assert "secret" not in done.stderr
    assert "No e-mails were sent yet" in file.run("email", "campaigns").stderr
