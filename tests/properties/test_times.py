"""Times against the standard library's reading of them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.formats.times import TIMESTAMP, from_any, from_clf, from_epoch_s, from_iso8601
from tests.logs import clf

FIRST, LAST = datetime(2000, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001 - the offset is drawn
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2110, 1, 1), timezones=OFFSETS)  # noqa: DTZ001
SOME_TEXTS = (
    b"1763726400.123", b"21/Nov/2025:12:00:00 +0100", b"2025-11-21T12:00:00+00:00",
    b"2025-11-21T12:00:00Z", b"2025-11-21T12:00:00.5Z", b"2025-11-21T12:00:00.123456789Z",
    b"2025-11-21 12:00:00.25-0330", b"2025-11-21T12:00+05", b"2025-11-21T12:00:00", b"2025-11-21",
    b"20251121T120000Z", b"2025-02-30T00:00:00Z", b"2025-11-21T24:00:00Z", b"2025-11-21T12:00:60Z",
    b"1763726400e3", b"-", b"", b"\xff", b"12:00", b"2025-11-21T12:00:00+24:00", b"2025-11-21T12:00:00z",
    b" 1763726400", b"1763726400 ", b"1763726400.", b"1999-12-31T23:59:59Z", b"2025-11-21T12:00:00.Z",
    b"2025-11-21T12:00:00.1234567+02:00", b"2025-W47-5T12:00:00Z", b"2025-11-21x12:00:00Z",
    b"0001763726400", b"9999999999999999-01-01T00:00:00Z", b"2025-11-21T12:00:00,5Z",
)  # fmt: skip


def us(column: pa.Array) -> list[int | None]:
    """Microseconds since 1970."""
    assert column.type == TIMESTAMP
    return column.cast(pa.int64()).to_pylist()


def believed(time: datetime) -> int | None:
    instant = (time - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)
    first, last = (edge.replace(tzinfo=timezone.utc).timestamp() * 1e6 for edge in (FIRST, LAST))
    return instant if first <= instant < last else None


@given(st.lists(TIMES, max_size=5))
def test_the_common_log_formats_times(times: list[datetime]) -> None:
    whole = [time.replace(microsecond=0) for time in times]
    texts = [time.strftime("%d/%b/%Y:%H:%M:%S %z").encode() for time in whole]
    expected = [believed(time) for time in whole]
    assert us(from_clf(pa.array(texts, pa.binary()))) == expected
    assert us(from_any(pa.array(texts, pa.binary()))) == expected


@given(st.lists(st.integers(0, 5_000_000_000_000_000), max_size=5))
def test_seconds_since_1970(instants: list[int]) -> None:
    texts = [b"%d.%06d" % divmod(instant, 1_000_000) for instant in instants]
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    expected = [believed(epoch + timedelta(microseconds=instant)) for instant in instants]
    assert us(from_epoch_s(pa.array(texts, pa.binary()))) == expected
    assert us(from_any(pa.array(texts, pa.binary()))) == expected


@given(st.lists(TIMES, max_size=5), st.sampled_from(("auto", "seconds", "milliseconds")))
def test_iso_8601(times: list[datetime], precision: str) -> None:
    texts = [time.isoformat(timespec=precision) for time in times]
    expected = [believed(datetime.fromisoformat(text)) for text in texts]
    assert us(from_any(pa.array([text.encode() for text in texts], pa.binary()))) == expected


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.sampled_from(SOME_TEXTS),
            st.text("0123456789-:T.Z+ ", max_size=28).map(str.encode),
        ),
        max_size=6,
    )
)
@example([*SOME_TEXTS, None])
@example(list(SOME_TEXTS[2:7]))
def test_a_time_is_read_the_same_alone_and_among_others(texts: list[bytes | None]) -> None:
    alone = [us(from_any(pa.array([text], pa.binary())))[0] for text in texts]
    assert us(from_any(pa.array(texts, pa.binary()))) == alone


@given(st.integers(0, 4_000_000_000), st.integers(0, 25), st.integers(0, 255))
def test_a_changed_byte_never_raises(second: int, at: int, byte: int) -> None:
    text = bytearray(clf(second * 1_000_000))
    text[at] = byte
    from_clf(pa.array([bytes(text)], pa.binary()))


_ZULU = st.datetimes(datetime(1970, 1, 2), datetime(2110, 1, 1), timezones=st.just(timezone.utc))  # noqa: DTZ001


@given(st.lists(st.tuples(_ZULU, st.integers(0, 9)), max_size=6))
def test_iso_8601_in_utc_whatever_its_decimals(times: list[tuple[datetime, int]]) -> None:
    texts, expected = [], []
    for time, decimals in times:
        digits = f"{time.microsecond:06d}000"[:decimals]
        texts.append(
            time.strftime("%Y-%m-%dT%H:%M:%S").encode()
            + (b"." + digits.encode() if digits else b"")
            + b"Z"
        )
        expected.append(believed(time.replace(microsecond=int(digits.ljust(6, "0")[:6] or 0))))
    assert us(from_iso8601(pa.array(texts, pa.binary()))) == expected
