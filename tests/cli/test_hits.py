"""`pixelship hits`, and the view of hits by key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Pixelship
from tests.cli.places import CONFIG, KINDS, Place, opened, place_of
from tests.logs import GOOGLEBOT, NOON_US, SECOND_US, Hit, signed

pytestmark = pytest.mark.usefixtures("without_beam")

DAY_US = 86_400 * SECOND_US
ODD = "a%26b%20%22%C3%A9"


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, pixelship: Pixelship) -> Place:
    return place_of(request, pixelship)


@pytest.fixture
def file(request: pytest.FixtureRequest, pixelship: Pixelship) -> Place:
    Path("pixelship.toml").write_text(CONFIG)
    return Place(pixelship, None)


def ping(key: str, at: int, day: int = 0, referrer: bytes | None = None) -> Hit:
    time_us = NOON_US + day * DAY_US
    uri = f"/pixel.gif?key={key}".encode()
    return Hit(uri=uri, request_id=b"%d" % at, time_us=time_us, referrer=referrer)


def load(place: Place) -> None:
    """Five hits of three keys on two days, some of them brought twice."""
    first = ping("story-1", 1, referrer=b"https://A.example.org/x")
    place.load("a.log", first, ping("story-2", 2), ping(ODD, 3), first)
    place.load("b.log", ping("story-2", 4, day=1), first, ping("story-2", 5, day=1))


def test_the_map_is_the_one_that_pixel_ping_posted(place: Place) -> None:
    load(place)
    done = place.run("hits", "--by", "key", "--json")
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout == '{"story-2": 3, "a&b \\"é": 1, "story-1": 1}\n'


def test_hits_are_counted_by_other_things_too(place: Place) -> None:
    load(place)
    assert place.run("hits", "--by", "day", "--json").json == {"2025-11-21": 3, "2025-11-22": 2}
    assert place.run("hits", "--by", "referrer_host", "--json").json == {"": 4, "a.example.org": 1}
    assert place.run("hits", "--by", "dialect", "--json").json == {"ping": 5}
    assert place.run("hits", "--by", "canonical", "--json").json == {"": 5}


def test_hits_are_counted_within_a_time(place: Place) -> None:
    load(place)
    assert place.run("hits", "--since", "2025-11-22", "--json").json == {"story-2": 2}
    assert place.run("hits", "--until", "2025-11-21T12:00", "--json").json == {}
    one = ("--since", "2025-11-21T13:00+01:00", "--until", "2025-11-21T12:00:01")
    assert sum(place.run("hits", *one, "--json").json.values()) == 3


def test_any_table_may_be_asked(place: Place) -> None:
    place.load("a.log", Hit(), Hit(request_id=b"b"), Hit(request_id=b"c", user_agent=GOOGLEBOT))
    assert place.run("hits", "--table", "news.pageviews", "--json").json == {"story-1": 2}
    by = ("--by", "canonical", "--table", "news.pageviews")
    assert place.run("hits", *by, "--json").json == {"https://news.example.org/a": 2}


def test_rows_that_others_wrote_count_one_each(place: Place) -> None:
    place.load("a.log", ping("story-1", 1))
    for _ in range(2):
        place.change("INSERT INTO counts.hits (timestamp, key) VALUES (TIMESTAMP '2025-11-21 13:00:00', 'story-1')")  # fmt: skip
    assert place.run("hits", "--json").json == {"story-1": 3}
    assert place.ask("SELECT key, hits FROM counts.hits_by_key") == [("story-1", 3)]


def test_a_view_shows_hits_by_key(place: Place) -> None:
    load(place)
    shown = "SELECT key, hits, CAST(first_hit AS STRING), CAST(last_hit AS STRING) FROM counts.hits_by_key"
    found = {row[0]: (row[1], row[2][:10], row[3][:10]) for row in place.ask(shown)}
    assert found == {
        "story-1": (1, "2025-11-21", "2025-11-21"),
        "story-2": (3, "2025-11-21", "2025-11-22"),
        'a&b "é': (1, "2025-11-21", "2025-11-21"),
    }
    place.change("DROP VIEW counts.hits_by_key")
    place.load("c.log", Hit(uri=b"/other"))
    assert len(place.ask(shown)) == 3


def test_no_view_is_made_where_there_is_no_table_or_its_name_is_taken(place: Place) -> None:
    place.load("a.log", opened("x", 1))
    done = place.run("hits")
    assert (done.status, done.stdout) == (2, "")
    assert "There is no table counts.hits: load a log first" in done.stderr
    place.load("b.log", Hit(uri=b"/pixel.gif?" + signed(d="counts.hits_by_key")))
    assert place.load("c.log", ping("story-1", 1)).status == 0
    assert place.run("hits", "--json").json == {"story-1": 1}
    assert place.run("hits", "--table", "counts.hits_by_key", "--json").json == {"story-1": 1}


def test_people_are_shown_a_table(file: Place) -> None:
    file.load("a.log", *(ping("story-1", at) for at in range(1234)), ping("%1B[2J", 9999))
    lines = file.run("hits").stdout.replace("│", " ").splitlines()
    assert ["story-1", "1,234"] in [line.split() for line in lines]
    assert ["\\x1b[2J", "1"] in [line.split() for line in lines]


WRONG = {
    "no table": (("--config", "none.toml"), "No configuration is at none.toml"),
    "no name": (("--table", "hits"), "--table 'hits' is no DATASET.TABLE"),
    "bookkeeping": (("--table", "pixelship.sends"), "is no DATASET.TABLE"),
    "an injection": (("--table", "a.b; DROP TABLE x"), "is no DATASET.TABLE"),
    "a table without such columns": (("--table", "odd.one"), "odd.one cannot be asked"),
    "no time": (("--since", "today"), "--since 'today' is no time"),
    "no span": (("--since", "2026-01-02", "--until", "2026-01-02"), "is not before --until"),
    "by nothing": (("--by", "agent"), "'agent' is not one of"),
}


@pytest.mark.parametrize(("wrong", "said"), WRONG.values(), ids=WRONG.keys())
def test_wrong_usage_is_one_sentence(file: Place, wrong: tuple[str, ...], said: str) -> None:
    file.load("a.log", ping("story-1", 1))
    file.change("CREATE SCHEMA odd", "CREATE TABLE odd.one AS SELECT 1 AS key")
    done = file.run("hits", *wrong)
    assert (done.status, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_table_what_to_say_is_said(bare: Pixelship) -> None:
    done = bare("hits")
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr == (
        "Error: Say which table with --table DATASET.TABLE, or write `[ping]` and below it "
        '`destination = "counts.hits"` into pixelship.toml.\n'
    )
