"""The times of a map: every unit, format, pattern and zone, and what is never guessed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.maps.times import Times, compiled, expression

UTC = timezone.utc


def read(times: Times, *texts: bytes | None) -> list[datetime | None]:
    return times.read(pa.array(texts, pa.binary())).to_pylist()


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("format_", "text", "microsecond"),
    [
        ("epoch_s", b"1763726400", 0),
        ("epoch_s", b"1763726400.", 0),
        ("epoch_s", b"1763726400.123", 123000),
        ("epoch_s", b"1763726400.123456789", 123456),
        ("epoch_s", b"1763726400,5", 500000),
        ("epoch_ms", b"1763726400123", 123000),
        ("epoch_ms", b"1763726400123.5", 123500),
        ("epoch_us", b"1763726400123456", 123456),
        ("epoch_ns", b"1763726400123456789", 123456),
        ("auto", b"1763726400.25", 250000),
        ("auto", b"1763726400123", 123000),
        ("auto", b"1763726400123456", 123456),
        ("auto", b"1763726400123456789", 123456),
        ("auto", b"21/Nov/2025:13:00:00 +0100", 0),
        ("auto", b"[21/Nov/2025:13:00:00 +0100]", 0),
        ("clf", b"21/Nov/2025:07:00:00 -0500", 0),
        ("auto", b"2025-11-21T12:00:00Z", 0),
        ("auto", b"2025-11-21 12:00:00.123456789Z", 123456),
        ("iso8601", b"2025-11-21T13:00:00,5+01:00", 500000),
        ("iso8601", b"2025-11-21T06:30:00-0530", 0),
        ("iso8601", b" 2025-11-21T11:59:60Z ", 0),
        ("%d.%m.%Y %H:%M:%S %z", b"21.11.2025 13:00:00 +0100", 0),
        ("%d.%m.%Y %H:%M:%S.%f %z", b"21.11.2025 13:00:00.1 +0100", 100000),
        ("%b %e %Y %I:%M:%S %p %z", b"nov 21 2025 12:00:00 PM UTC", 0),
        ("%a, %d %b %Y %T %z", b"Fri, 21 Nov 2025 12:00:00 GMT", 0),
        ("%A %d %B %Y %R%z", b"Friday 21 November 2025 12:00Z", 0),
        ("%F (%T) 100%% %z", b"2025-11-21 (12:00:00) 100% Z", 0),
        ("%D %T %z", b"11/21/25 12:00:00 Z", 0),
    ],
)  # fmt: skip
def test_a_time_is_read(format_: str, text: bytes, microsecond: int) -> None:
    noon = utc(2025, 11, 21, 12)
    assert read(Times(format_), text) == [noon.replace(microsecond=microsecond)]


@pytest.mark.parametrize("format_", ["auto", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "clf", "iso8601", "%Y-%m-%d %H:%M %z"])  # fmt: skip
@pytest.mark.parametrize(
    "text",
    [
        b"", b"-", b"0", b"-5", b"1e9", b"1763726400.1.2", b"\xff", b"1763726400\0", b"9" * 19, b"9" * 40,
        b"18446744073709551616", b"31/Feb/2025:12:00:00 +0000", b"21/Foo/2025:12:00:00 +0000",
        b"2025-02-29T12:00:00Z", b"2025-13-01T12:00:00Z", b"2025-11-21T24:00:00Z",
        b"2025-11-21T12:60:00Z", b"2025-11-21T12:00:61Z", b"2025-11-21T12:00:00+99:99",
        b"1999-12-31T23:59:59Z", b"2100-01-01T00:00:00Z", b"2025-11-21T12:00:00Z tail",
        "２０２５-11-21T12:00:00Z".encode(), None,
    ],
)  # fmt: skip
def test_what_is_no_time_is_none(format_: str, text: bytes | None) -> None:
    assert read(Times(format_, "UTC"), text) == [None]


def test_the_ends_of_what_is_believed() -> None:
    first, last = utc(2000, 1, 1), utc(2099, 12, 31, 23, 59, 59)
    assert read(Times(), b"2000-01-01T00:00:00Z", b"2099-12-31T23:59:59Z", b"946684800", b"4102444799999") == [first, last, first, last.replace(microsecond=999000)]  # fmt: skip
    assert read(Times(), b"1999-12-31T19:00:00-05:00", b"2099-12-31T23:00:00-01:00") == [first, None]  # fmt: skip


def test_a_clock_of_twelve_hours_has_no_hour_0_or_13() -> None:
    twelve = Times("%Y-%m-%d %I:%M %p %z")
    hours = (b"12:30 AM", b"01:30 am", b"12:30 PM", b"11:30 pm", b"00:30 AM", b"13:30 PM", b"13:30 AM")  # fmt: skip
    found = read(twelve, *(b"2025-11-21 " + hour + b" Z" for hour in hours))
    assert [time and time.hour for time in found] == [0, 1, 12, 23, None, None, None]


def test_a_time_without_a_zone_is_not_guessed() -> None:
    text = b"2025-11-21 12:00:00"
    assert read(Times(), text) == [None]
    assert read(Times("%Y-%m-%d %H:%M:%S"), text) == [None]
    assert read(Times(zone="UTC"), text) == [utc(2025, 11, 21, 12)]
    assert read(Times(zone="+05:30"), text) == [utc(2025, 11, 21, 6, 30)]
    assert read(Times(zone="America/New_York"), text) == [utc(2025, 11, 21, 17)]
    assert read(Times(zone="America/New_York"), text + b"Z") == [utc(2025, 11, 21, 12)]


def test_the_hour_that_comes_twice_is_the_first_and_the_one_that_never_was_is_none() -> None:
    berlin = Times("%d.%m.%Y %H:%M", "Europe/Berlin")
    texts = (b"25.10.2026 01:59", b"25.10.2026 02:30", b"25.10.2026 03:00", b"29.03.2026 01:59", b"29.03.2026 02:00", b"29.03.2026 03:00")  # fmt: skip
    assert read(berlin, *texts) == [
        utc(2026, 10, 24, 23, 59),
        utc(2026, 10, 25, 0, 30),
        utc(2026, 10, 25, 2, 0),
        utc(2026, 3, 29, 0, 59),
        None,
        utc(2026, 3, 29, 1, 0),
    ]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("%Y-%m-%d %H:%Q", "%Q is not known in it"),
        ("%Y-%m-%d %H %", "% is not known in it"),
        ("%Y-%m-%d %H %H", "%H stands in it twice"),
        ("%m-%d %H", "it must have one year: %Y or %y"),
        ("%Y %y-%m-%d %H", "it must have one year: %Y or %y"),
        ("%Y-%m %H", "it must have one day: %d or %e"),
        ("%Y-%m-%d", "it must have one hour: %H or %I"),
        ("%Y-%m-%d %I:%M", "%I and %p go together"),
    ],
)
def test_a_pattern_that_cannot_be_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match="^" + said.replace("|", "\\|")):
        compiled(expression(pattern))


def test_what_means_something_to_a_regular_expression_is_plain_text() -> None:
    assert read(Times("(%Y).*[%m]+%d? %H|%z"), b"(2025).*[11]+21? 12|Z", b"2025--11 12|Z") == [
        utc(2025, 11, 21, 12),
        None,
    ]


@given(
    st.integers(1, 36_000).map(lambda day: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(day)),
    st.integers(0, 86_400 * 10**6 - 1).map(lambda number: timedelta(microseconds=number)),
    st.integers(-14 * 60, 14 * 60),
)
def test_every_time_comes_back(day: datetime, clock: timedelta, minutes: int) -> None:
    time = day + clock
    local = time.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    pattern = "%d.%m.%y %H:%M:%S.%f %z"
    assert read(Times(pattern), local.strftime(pattern).encode()) == [local]
    assert read(Times(), local.isoformat().encode()) == [local]
    assert read(Times("%B %d %Y %I:%M:%S %p", "UTC"), time.strftime("%B %d %Y %I:%M:%S %p").encode()) == [time.replace(microsecond=0)]  # fmt: skip
