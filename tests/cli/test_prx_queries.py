"""Queries that were written for PRX's pixel tables answer as before: of old rows and of new ones."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timezone
from typing import Any

import pytest
from google.cloud import bigquery

from tests.cli.conftest import Pixelship
from tests.cli.places import Place, place_of
from tests.cloud import Cloud
from tests.logs import FIREFOX, GOOGLEBOT, NOON_US, SECOND_US, Hit, signed

pytestmark = pytest.mark.usefixtures("without_beam")

DAY_US = 86_400 * SECOND_US
ANNA, BOB = b"3f2b8c1e-anna", b"77aa0d52-bob"
OLD_COLUMNS = (
    ("timestamp", "TIMESTAMP"), ("user_id", "STRING"), ("key", "STRING"), ("canonical", "STRING"),
    ("remote_agent", "STRING"), ("remote_referrer", "STRING"), ("remote_ip", "STRING"),
    ("city_geoname_id", "INTEGER"), ("country_geoname_id", "INTEGER"),
)  # fmt: skip
OLD_ROW = (
    "TIMESTAMP '2025-11-20 08:00:00', 'old-user', 'story-1', 'https://news.example.org/a', "
    "'Mozilla/5.0', 'https://example.org/', '198.51.100.0', 5128581, 6252001"
)


def prx(at: int, user: bytes | None, day: int = 0, path: bytes = b"/r.gif", **others: Any) -> Hit:
    """A view as PRX's URLs ask for it."""
    parameters = {name: others.pop(name) for name in ("k", "c") if name in others}
    return Hit(
        uri=path + b"?" + signed(d="news.pageviews", **parameters),
        request_id=b"%d" % at,
        cookie_pxid=user,
        time_us=NOON_US + day * DAY_US,
        **others,
    )


HITS = (
    prx(1, ANNA),
    prx(2, ANNA, day=1),
    prx(3, BOB, referrer=b"https://example.org/page"),
    prx(4, BOB, k="story-2", c="https://news.example.org/b", path=b"/i.gif"),
    prx(5, None, path=b"/i.gif", status=b"302"),
    prx(6, None),
    prx(7, BOB, user_agent=GOOGLEBOT),
)
NOBODY = hashlib.md5(FIREFOX + b"-203.0.113.7-", usedforsecurity=False).hexdigest()


@pytest.fixture
def filled(cloud: Cloud, pixelship: Pixelship) -> Place:
    """BigQuery with a table that PRX's tracker filled, and a load of a log after it."""
    place = Place(pixelship, cloud)
    with cloud.client() as client:
        client.create_dataset("news")
        columns = [bigquery.SchemaField(*column) for column in OLD_COLUMNS]
        client.create_table(bigquery.Table(f"{cloud.project}.news.pageviews", columns))
    place.change(f"INSERT INTO news.pageviews VALUES ({OLD_ROW})")
    assert place.load("a.log", *HITS).json["destinations"] == {"news.pageviews": 5}
    return place


def test_the_columns_stand_first_and_are_of_their_types(filled: Place) -> None:
    assert filled.cloud is not None
    with filled.cloud.client() as client:
        found = client.get_table(f"{filled.cloud.project}.news.pageviews").schema
    assert [(field.name, field.field_type) for field in found[:9]] == list(OLD_COLUMNS)


def test_counts_by_key_and_day(filled: Place) -> None:
    sql = (
        "SELECT key, DATE(timestamp) AS day, COUNT(*) AS views FROM `news.pageviews` "
        "WHERE timestamp >= TIMESTAMP('2025-11-20') AND timestamp < TIMESTAMP('2025-11-23') "
        "GROUP BY key, day ORDER BY key, day"
    )
    assert filled.ask(sql) == [
        ("story-1", date(2025, 11, 20), 1),
        ("story-1", date(2025, 11, 21), 3),
        ("story-1", date(2025, 11, 22), 1),
        ("story-2", date(2025, 11, 21), 1),
    ]


def test_people_are_counted_once(filled: Place) -> None:
    sql = "SELECT key, COUNT(DISTINCT user_id) AS people FROM `news.pageviews` GROUP BY key ORDER BY key"
    assert filled.ask(sql) == [("story-1", 4), ("story-2", 1)]
    users = {user for (user,) in filled.ask("SELECT DISTINCT user_id FROM news.pageviews")}
    assert users == {"old-user", ANNA.decode(), BOB.decode(), NOBODY}


def test_countries_are_joined(filled: Place) -> None:
    filled.change(
        "CREATE TABLE news.geonames AS SELECT 6252001 AS geoname_id, 'United States' AS name"
    )
    sql = (
        "SELECT IFNULL(g.name, 'unknown') AS land, COUNT(*) AS views FROM `news.pageviews` AS p "
        "LEFT JOIN `news.geonames` AS g ON p.country_geoname_id = g.geoname_id "
        "GROUP BY land ORDER BY views DESC"
    )
    assert filled.ask(sql) == [("unknown", 5), ("United States", 1)]


def test_pages_are_joined(filled: Place) -> None:
    filled.change(
        "CREATE TABLE news.articles AS SELECT 'https://news.example.org/a' AS url, 'A' AS title "
        "UNION ALL SELECT 'https://news.example.org/b', 'B'"
    )
    sql = (
        "SELECT a.title, COUNT(*) AS views, COUNTIF(p.remote_referrer LIKE 'https://example.org/%') AS linked "
        "FROM `news.pageviews` AS p JOIN `news.articles` AS a ON a.url = p.canonical "
        "GROUP BY a.title ORDER BY a.title"
    )
    assert filled.ask(sql) == [("A", 5, 2), ("B", 1, 0)]


def test_the_last_view_of_each_person(filled: Place) -> None:
    sql = (
        "SELECT user_id, key, timestamp FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY user_id "
        "ORDER BY timestamp DESC) AS nth FROM `news.pageviews`) WHERE nth = 1 AND user_id LIKE '%anna'"
    )
    noon = datetime(2025, 11, 22, 12, tzinfo=timezone.utc)
    assert filled.ask(sql) == [(ANNA.decode(), "story-1", noon)]


def test_addresses_are_masked_as_they_were(filled: Place) -> None:
    sql = "SELECT DISTINCT remote_ip FROM `news.pageviews` ORDER BY remote_ip"
    assert filled.ask(sql) == [("198.51.100.0",), ("203.0.113.0",)]


@pytest.fixture(params=["duckdb"])
def laptop(request: pytest.FixtureRequest, pixelship: Pixelship) -> Place:
    return place_of(request, pixelship)


def test_a_file_answers_the_same(laptop: Place) -> None:
    laptop.load("a.log", *HITS)
    by_day = "SELECT key, timestamp::DATE, count(*), count(DISTINCT user_id) FROM news.pageviews GROUP BY ALL ORDER BY ALL"
    assert laptop.ask(by_day) == [
        ("story-1", date(2025, 11, 21), 3, 3),
        ("story-1", date(2025, 11, 22), 1, 1),
        ("story-2", date(2025, 11, 21), 1, 1),
    ]
    assert laptop.ask("SELECT country_geoname_id, count(*) FROM news.pageviews GROUP BY 1") == [
        (None, 5)
    ]
    nine = ", ".join(name for name, _ in OLD_COLUMNS)
    first = f"SELECT {nine} FROM news.pageviews ORDER BY timestamp DESC LIMIT 1"
    assert laptop.ask(first) == [
        (
            datetime(2025, 11, 22, 12), ANNA.decode(), "story-1", "https://news.example.org/a",  # noqa: DTZ001
            FIREFOX.decode(), None, "203.0.113.0", None, None,
        )
    ]  # fmt: skip
