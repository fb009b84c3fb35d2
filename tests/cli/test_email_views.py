"""`pixelship email campaigns` and `sends`: sends joined with opens, in either warehouse."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from google.cloud import bigquery

from tests.cli.conftest import Pixelship
from tests.cli.places import CONFIG, KINDS, Place, opened, place_of, words
from tests.logs import NOON_US, SECOND_US, Hit, signed

pytestmark = pytest.mark.usefixtures("without_beam")

NOON = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, pixelship: Pixelship) -> Place:
    return place_of(request, pixelship)


def test_opens_are_joined_with_sends(place: Place) -> None:
    spring = place.run(*words("Spring", "--count", "4")).stdout.split()
    autumn = place.run(*words("Autumn")).stdout.split()
    assert place.run("email", "campaigns", "--json").json[1]["opens"] == 0
    hits = [
        opened(spring[0], 1),
        opened(spring[0], 2, time_us=NOON_US + 60 * SECOND_US),
        opened(spring[1], 3, time_us=NOON_US + 30 * SECOND_US),
        opened("0" * 40, 4),
    ]
    assert place.load("a.log", *hits).json["destinations"] == {"mail.opens": 4}
    last = "2025-11-21T12:01:00+00:00"
    assert place.run("email", "campaigns", "--json").json == [
        {
            "campaign": "Autumn", "campaign_hash": "36da46482340573194056bac9a54cb3a7221e53b",
            "sends": 1, "opens": 0, "unique_opens": 0, "open_percent": 0.0, "first_open": None, "last_open": None,
        },
        {
            "campaign": "Spring", "campaign_hash": "89677615c2ec030bc5542abbacb5c286b12096fe",
            "sends": 4, "opens": 3, "unique_opens": 2, "open_percent": 50.0, "first_open": NOON.isoformat(), "last_open": last,
        },
    ]  # fmt: skip
    sends = {each["send_id"]: each for each in place.run("email", "sends", "Spring", "--json").json}
    assert set(sends) == set(spring)
    assert sends[spring[0]]["opens"] == 2
    assert (sends[spring[0]]["first_open"], sends[spring[0]]["last_open"]) == (
        NOON.isoformat(),
        last,
    )
    assert (sends[spring[3]]["opens"], sends[spring[3]]["first_open"]) == (0, None)
    by_hash = place.run("email", "sends", "89677615c2ec030bc5542abbacb5c286b12096fe", "--json")
    assert len(by_hash.json) == 4
    assert [
        each["send_id"] for each in place.run("email", "sends", "Autumn", "--json").json
    ] == autumn


def campaign(place: Place) -> dict[str, object]:
    (found,) = place.run("email", "campaigns", "--json").json
    return {name: found[name] for name in ("sends", "opens", "unique_opens", "open_percent")}


def test_an_open_counts_once_however_often_it_is_loaded(place: Place) -> None:
    (send,) = place.run(*words("Spring")).stdout.split()
    place.load("a.log", opened(send, 1), opened(send, 1), opened(send, 2))
    place.load("b.log", opened("0" * 40, 3), opened(send, 1), opened(send, 2))
    told = {"sends": 1, "opens": 2, "unique_opens": 1, "open_percent": 100.0}
    assert campaign(place) == told


def test_views_show_opens_that_were_there_before_the_sends(place: Place) -> None:
    place.load("a.log", opened("old-1", 1))
    assert place.run("email", "campaigns").status == 2
    Path("old.csv").write_text("send_id,job_number,client_id,campaign\nold-1,7,acme,Spring\n")
    place.run("email", "import", "old.csv")
    told = {"sends": 1, "opens": 1, "unique_opens": 1, "open_percent": 100.0}
    assert campaign(place) == told


def test_a_load_makes_the_views_again_and_the_table_that_is_missing(place: Place) -> None:
    (send,) = place.run(*words("Spring")).stdout.split()
    place.change(
        "DROP VIEW pixelship.campaigns", "DROP VIEW pixelship.campaign_sends", "DROP TABLE mail.opens"
    )  # fmt: skip
    assert place.run("email", "campaigns").status == 2
    assert place.load("a.log", Hit(uri=b"/other")).status == 0
    assert campaign(place)["opens"] == 0
    place.load("b.log", opened(send, 1))
    assert campaign(place)["opens"] == 1


def test_a_destination_that_changed_keeps_the_opens_of_the_old(place: Place) -> None:
    (send,) = place.run(*words("Spring")).stdout.split()
    place.load("a.log", opened(send, 1))
    Path("pixelship.toml").write_text(CONFIG.replace("mail.opens", "post.views"))
    assert place.load("b.log", opened(send, 2)).json["destinations"] == {"post.views": 1}
    assert campaign(place)["opens"] == 2
    place.change("DROP TABLE mail.opens")
    place.load("c.log", opened(send, 3))
    assert campaign(place)["opens"] == 2


def test_signed_e_mail_pixels_are_opens_too(place: Place) -> None:
    (send,) = place.run(*words("Spring")).stdout.split()
    place.load("a.log", Hit(uri=b"/pixel.gif?" + signed(d="mail.opens", sh=send)))
    assert campaign(place)["opens"] == 1


def test_a_table_with_the_name_of_a_view_stays_and_the_load_goes_on(place: Place) -> None:
    place.load("a.log", Hit(uri=b"/other"))
    place.change("CREATE TABLE pixelship.campaigns AS SELECT 1 AS mine")
    done = place.run(*words("Spring"))
    assert (done.status, done.stdout) == (2, "")
    assert "pixelship.campaigns cannot be used: a table has its name" in done.stderr
    assert place.load("b.log", opened("x", 1)).status == 0
    assert place.ask("SELECT mine FROM pixelship.campaigns") == [(1,)]
    place.change("DROP TABLE pixelship.campaigns")
    place.run(*words("Spring"))
    assert campaign(place)["sends"] == 1


def test_tables_that_want_a_time_can_be_joined(
    request: pytest.FixtureRequest, pixelship: Pixelship
) -> None:
    place = Place(pixelship, request.getfixturevalue("cloud"))
    Path("pixelship.toml").write_text(CONFIG)
    (send,) = place.run(*words("Spring"), "--require-partition-filter").stdout.split()
    place.load("a.log", opened(send, 1))
    with place.cloud.client() as client:
        assert client.get_table(f"{place.cloud.project}.mail.opens").require_partition_filter
    assert campaign(place)["opens"] == 1
    assert place.run("hits", "--table", "mail.opens", "--json").json == {"": 1}


def test_opens_in_another_location_are_refused_before_anything_is_noted(
    request: pytest.FixtureRequest, pixelship: Pixelship
) -> None:
    place = Place(pixelship, request.getfixturevalue("cloud"))
    Path("pixelship.toml").write_text(CONFIG)
    with place.cloud.client() as client:
        dataset = bigquery.Dataset(f"{place.cloud.project}.mail")
        dataset.location = "EU"
        client.create_dataset(dataset)
    done = place.run(*words("Spring"))
    assert (done.status, done.stdout) == (2, "")
    assert "mail.opens is in EU" in done.stderr
    assert place.ask("SELECT * FROM pixelship.sends") == []
    assert place.load("a.log", opened("x", 1)).status == 0


def test_without_the_right_to_make_views_a_load_goes_on(
    request: pytest.FixtureRequest, pixelship: Pixelship
) -> None:
    place = Place(pixelship, request.getfixturevalue("cloud"))
    Path("pixelship.toml").write_text(CONFIG)
    (send,) = place.run(*words("Spring")).stdout.split()
    place.change("DROP VIEW pixelship.campaigns")
    place.cloud.bigquery.deny(place.cloud.project, "pixelship", "campaigns", what="all")
    try:
        assert place.load("a.log", opened(send, 1)).status == 0
        assert "There is no permission to" in place.run("email", "campaigns").stderr
    finally:
        place.cloud.bigquery.allow(place.cloud.project)
