from __future__ import annotations

from datetime import datetime, timezone

import pyarrow as pa
import pytest

from pipeline.columns import encode
from pipeline.formats.times import (
    TIMESTAMP,
    from_any,
    from_clf,
    from_date_and_time,
    from_epoch,
    from_epoch_s,
    from_iso8601,
)

NOON_US = 1_763_726_400_000_000
"""2025-11-21 12:00:00 UTC."""


def column(*texts: bytes | None) -> pa.Array:
    return pa.array(texts, pa.binary())


def us(times: pa.Array) -> list[int | None]:
    assert times.type == TIMESTAMP
    return times.cast(pa.int64()).to_pylist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"1763726400", NOON_US),
        (b"1763726400.123", NOON_US + 123_000),
        (b"1763726400.123456", NOON_US + 123_456),
        (b"1763726400.123456789", NOON_US + 123_457),
        (b"1763726400.0", NOON_US),
        (b"946684800", 946_684_800_000_000),
        (b"946684799.999", None),
        (b"4102444799.999", 4_102_444_799_999_000),
        (b"4102444800", None),
        (b"0", None),
        (b"999999999999", None),
        (b"1763726400123", None),
        (b"1763726400.", NOON_US),
        (b"0001763726400", NOON_US),
        (b".5", None),
        (b".", None),
        (b"1" * 400, None),
        (b"-1763726400", None),
        (b"+1763726400", None),
        (b"1763726400.1234567891", NOON_US + 123_457),
        (b"1.7637264e9", None),
        (b"1763726400 ", None),
        (b"1763726400\n", None),
        (b"1,763,726,400", None),
        (b"inf", None),
        (b"", None),
        (None, None),
        (b"\xff", None),
    ],
)
def test_seconds_since_1970(text: bytes | None, expected: int | None) -> None:
    assert us(from_epoch_s(column(text))) == [expected]
    assert us(from_epoch_s(column(text, b"x", None))) == [expected, None, None]
    assert us(from_any(column(text))) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"21/Nov/2025:12:00:00 +0000", NOON_US),
        (b"21/Nov/2025:12:00:00 -0000", NOON_US),
        (b"21/Nov/2025:13:30:00 +0130", NOON_US),
        (b"21/Nov/2025:07:00:00 -0500", NOON_US),
        (b"22/Nov/2025:02:00:00 +1400", NOON_US),
        (b"21/Nov/2025:11:59:60 +0000", NOON_US),
        (b"29/Feb/2024:00:00:00 +0000", 1_709_164_800_000_000),
        (b"29/Feb/2025:00:00:00 +0000", None),
        (b"29/Feb/2000:00:00:00 +0000", 951_782_400_000_000),
        (b"31/Dec/2099:23:59:59 +0000", 4_102_444_799_000_000),
        (b"31/Dec/2099:23:59:59 -0100", None),
        (b"01/Jan/2000:00:00:00 +0000", 946_684_800_000_000),
        (b"01/Jan/2000:00:00:00 +0001", None),
        (b"31/Apr/2025:12:00:00 +0000", None),
        (b"00/Nov/2025:12:00:00 +0000", None),
        (b"32/Jan/2025:12:00:00 +0000", None),
        (b"21/nov/2025:12:00:00 +0000", None),
        (b"21/Mai/2025:12:00:00 +0000", None),
        (b"21/Nov/2025:24:00:00 +0000", None),
        (b"21/Nov/2025:12:60:00 +0000", None),
        (b"21/Nov/2025:12:00:61 +0000", None),
        (b"21-Nov-2025:12:00:00 +0000", None),
        (b"21/Nov/2025:12:00:00 00000", None),
        (b"2l/Nov/2025:12:00:00 +0000", None),
        (b"21/Nov/2025:12:00:00+00000", None),
        (b"1/Nov/2025:12:00:00 +0000", None),
        (b"21/Nov/2025:12:00:00 +00:00", None),
        (b"\xff" * 26, None),
        (b"0" * 26, None),
        (b"", None),
        (None, None),
    ],
)
def test_the_common_log_formats_times(text: bytes | None, expected: int | None) -> None:
    assert us(from_clf(column(text))) == [expected]
    assert us(from_any(column(text))) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"2025-11-21T12:00:00+00:00", NOON_US),
        (b"2025-11-21T12:00:00Z", NOON_US),
        (b"2025-11-21T13:30:00+01:30", NOON_US),
        (b"2025-11-21T07:00:00-0500", NOON_US),
        (b"2025-11-21 12:00:00Z", NOON_US),
        (b"2025-11-21T12:00:00.5Z", NOON_US + 500_000),
        (b"2025-11-21T12:00:00.123+00:00", NOON_US + 123_000),
        (b"2025-11-21T12:00:00.1234567Z", NOON_US + 123_456),
        (b"2025-11-21T12:00:00.123456789Z", NOON_US + 123_456),
        (b"2025-11-21T11:59:60Z", NOON_US),
        (b"2025-11-21T13:29:60.25+01:30", NOON_US + 250_000),
        (b"2025-11-21T11:59:60.9999999Z", NOON_US + 999_999),
        (b"2025-11-21T11:59:61Z", None),
        (b"2025-02-30T11:59:60Z", None),
        (b"2025-11-21T12:00:00", None),
        (b"2025-11-21", None),
        (b"2025-02-29T12:00:00Z", None),
        (b"2025-11-21T25:00:00Z", None),
        (b"2025-11-21T12:00:00+25:00", None),
        (b"1999-12-31T23:59:59Z", None),
        (b"2100-01-01T00:00:00Z", None),
        (b"9999-12-31T23:59:59Z", None),
        (b"yesterday", None),
    ],
)
def test_iso_8601_needs_an_offset(text: bytes, expected: int | None) -> None:
    assert us(from_any(column(text))) == [expected]
    among = column(b"2025-11-21T12:00:00.000001Z", text, None, b"2025-02-30T00:00:00Z")
    assert us(from_iso8601(among)) == [NOON_US + 1, expected, None, None]


@pytest.mark.parametrize(
    ("per_second", "text", "expected"),
    [
        (1000, b"1763726400123", NOON_US + 123_000),
        (1_000_000, b"1763726400123456", NOON_US + 123_456),
        (1_000_000_000, b"1763726400123456789", NOON_US + 123_456),
        (1000, b"0001763726400123", NOON_US + 123_000),
        (1000, b"946684799999", None),
        (1000, b"4102444799999", 4_102_444_799_999_000),
        (1000, b"4102444800000", None),
        (1000, b"9" * 18, None),
        (1000, b"8" * 19, None),
        (1_000_000_000, b"9" * 19, None),
        (1_000_000, b"9" * 400, None),
        (1_000_000, b"1763726400.5", None),
        (1_000_000, b"-1763726400123456", None),
        (1_000_000, b"1763726400123456\n", None),
        (1_000_000, b" 1763726400123456", None),
        (1_000_000, b"", None),
        (1_000_000, b"\xff", None),
        (1_000_000, None, None),
    ],
)
def test_whole_numbers_since_1970(
    per_second: int, text: bytes | None, expected: int | None
) -> None:
    assert us(from_epoch(column(text), per_second)) == [expected]
    assert us(from_epoch(column(b"x", text, None), per_second)) == [None, expected, None]


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        (b"2025-11-21", b"12:00:00", NOON_US),
        (b"2025-11-21", b"11:59:60", NOON_US),
        (b"2024-02-29", b"00:00:00", 1_709_164_800_000_000),
        (b"2025-02-29", b"00:00:00", None),
        (b"2025-13-01", b"00:00:00", None),
        (b"2025-00-01", b"00:00:00", None),
        (b"2025-11-00", b"00:00:00", None),
        (b"2025-11-21", b"24:00:00", None),
        (b"2025-11-21", b"12:00:61", None),
        (b"2025-11-21", b"12:60:00", None),
        (b"2025/11/21", b"12:00:00", None),
        (b"2025-11-21", b"12.00.00", None),
        (b"2025-11-2", b"12:00:00", None),
        (b"25-11-21", b"12:00:00", None),
        (b"1999-12-31", b"23:59:59", None),
        (b"2000-01-01", b"00:00:00", 946_684_800_000_000),
        (b"2099-12-31", b"23:59:60", None),
        (b"\xff" * 10, b"\xff" * 8, None),
        (b"", b"", None),
        (None, b"12:00:00", None),
        (b"2025-11-21", None, None),
    ],
)
def test_date_and_time_apart(date: bytes | None, time: bytes | None, expected: int | None) -> None:
    dates = encode(column(b"2025-11-21", date, None))
    times = encode(column(b"12:00:00", time, b"12:00:00"))
    assert us(from_date_and_time(dates, times)) == [NOON_US, expected, None]
    assert us(from_date_and_time(encode(column()), encode(column()))) == []


def test_each_value_is_read_as_it_comes() -> None:
    texts = column(
        b"2025-11-21T12:00:00Z", b"1763726400", None, b"2025-02-30T12:00:00Z", b"-",
        b"21/Nov/2025:12:00:00 +0000", b"\xff\xfe", b"2025-11-21T13:00:00+01:00",
    )  # fmt: skip
    assert us(from_any(texts)) == [NOON_US, NOON_US, None, None, None, NOON_US, None, NOON_US]


@pytest.mark.parametrize("read", [from_any, from_clf, from_epoch_s])
def test_no_values_are_no_times(read: object) -> None:
    assert us(read(column())) == []  # type: ignore[operator]
    assert us(read(column(None, None))) == [None, None]  # type: ignore[operator]


def test_a_slice_is_read_from_its_own_start() -> None:
    texts = column(b"1", b"1763726400", b"21/Nov/2025:12:00:00 +0000").slice(1)
    assert from_any(texts).to_pylist() == [datetime(2025, 11, 21, 12, tzinfo=timezone.utc)] * 2
