"""The times that logs write, as UTC microseconds; null where they cannot be read.

All functions are vectorised and take plain binary columns, where they do not say otherwise. Years from 2000 to 2099 are believed.
"""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Coded, Mask, holding, map_values, offsets_and_bytes
from pipeline.model import TIMESTAMP

_Numbers = npt.NDArray[np.int64]

_EARLIEST_US = int(datetime(2000, 1, 1, tzinfo=timezone.utc).timestamp()) * 1_000_000
_LATEST_US = int(datetime(2100, 1, 1, tzinfo=timezone.utc).timestamp()) * 1_000_000
_EPOCH = r"^[0-9]+(\.[0-9]*)?$"
_ISO8601 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})$"
_MOST_DECIMALS = 9
_LEAP_SECOND = "^(.{16}):60"
"""A second of 60 in ISO 8601: read as the first of the next minute."""
_INTEGER = r"^(?:[0-9]{1,18}|[1-8][0-9]{18})$"
_NANOSECONDS = pa.timestamp("ns", tz="UTC")
_MONTHS = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"]  # fmt: skip


def from_epoch_s(column: pa.Array) -> pa.Array:
    """Seconds since 1970 with decimals, such as nginx's `$msec`; past microseconds rounded."""
    try:
        if holding(column, lambda data: (data > ord("9")) | (data < ord("."))).any():
            raise pa.ArrowInvalid
        seconds = column.cast(pa.string()).cast(pa.float64())
    except pa.ArrowInvalid:  # some value is no number
        is_number = pc.match_substring_regex(column, _EPOCH)
        column = pc.if_else(is_number, column, pa.scalar(None, column.type))
        seconds = column.cast(pa.string()).cast(pa.float64())
    microseconds = pc.round(pc.multiply(seconds, 1e6)).fill_null(-1)
    return _believed(microseconds.to_numpy(zero_copy_only=False))


def from_epoch(column: pa.Array, per_second: int) -> pa.Array:
    """Whole milliseconds (`per_second` is 1000), micro- or nanoseconds since 1970."""
    is_number = pc.match_substring_regex(column, _INTEGER)
    numbers = pc.if_else(is_number, column, pa.scalar(None, column.type))
    numbers = numbers.cast(pa.string()).cast(pa.int64()).fill_null(-1)
    counts = numbers.to_numpy(zero_copy_only=False)
    if per_second > 1_000_000:
        return _believed(counts // (per_second // 1_000_000))
    latest = _LATEST_US // (1_000_000 // per_second)
    return _believed(np.minimum(counts, latest) * (1_000_000 // per_second))


def from_date_and_time(date: Coded, time: Coded) -> pa.Array:
    """The columns of a W3C log, `2019-12-04` and `21:02:31`, in UTC."""
    dates, is_date = _fixed(date.values, b"0000-00-00")
    days, is_day = _days(_number(dates, 0, 4), _number(dates, 5, 7), _number(dates, 8, 10))
    times, is_time = _fixed(time.values, b"00:00:00")
    seconds, is_second = _seconds(times, 0)
    day_us = np.where(is_date & is_day, days * 86_400_000_000, -1)
    second_us = np.where(is_time & is_second, seconds * 1_000_000, -1)
    day_us = date.look_up(day_us, -1).astype(np.int64)
    second_us = time.look_up(second_us, -1).astype(np.int64)
    return _believed(np.where((day_us < 0) | (second_us < 0), -1, day_us + second_us))


def from_clf(column: pa.Array) -> pa.Array:
    """The Common Log Format's `10/Feb/2012:16:42:07 -0500`."""
    text, is_valid = _fixed(column, b"00/Aaa/0000:00:00:00 +0000")
    names = text[:, 3:6].astype(np.int64) @ np.array([65536, 256, 1])
    known = np.array([int.from_bytes(name, "big") for name in _MONTHS])
    month = (names[:, None] == known).argmax(axis=1) + 1
    is_valid &= (names[:, None] == known).any(axis=1)
    days, is_day = _days(_number(text, 7, 11), month, _number(text, 0, 2))
    seconds, is_second = _seconds(text, 12)
    offset = _number(text, 22, 24) * 3600 + _number(text, 24, 26) * 60
    offset = np.where(text[:, 21] == ord("-"), -offset, offset)
    instant = days * 86400 + seconds - offset
    return _believed(np.where(is_valid & is_day & is_second, instant * 1_000_000, -1))


def from_any(column: pa.Array) -> pa.Array:
    """Epoch seconds, the Common Log Format or ISO 8601 with an offset, each value as it comes."""
    times = from_epoch_s(column)
    if times.null_count:
        times = pc.coalesce(times, from_clf(column))
    if times.null_count:
        times = pc.coalesce(times, from_iso8601(column))
    return times


def from_iso8601(column: pa.Array) -> pa.Array:
    """ISO 8601 with an offset, to nine decimals; those past microseconds are cut off."""
    known_us = _zulu_us(column)
    odd = pa.array(known_us < 0)
    if pc.any(odd, min_count=0).as_py():
        known_us[known_us < 0] = _any_iso8601_us(column.filter(odd))
    return _believed(known_us)


def _zulu_us(column: pa.Array) -> npt.NDArray[np.int64]:
    """Times such as `2026-11-21T12:00:00.5Z`, of the commonest length; -1 for all others."""
    microseconds = np.full(len(column), -1, np.int64)
    lengths = np.diff(offsets_and_bytes(column)[0])
    decimals = (
        int(np.bincount(lengths).argmax()) - len("0000-00-00T00:00:00.Z") if len(column) else 0
    )
    if not -1 <= decimals <= _MOST_DECIMALS or decimals == 0:
        return microseconds
    fraction = b"." + b"0" * decimals if decimals > 0 else b""
    text, is_valid = _fixed(column, b"0000-00-00T00:00:00" + fraction + b"Z")
    days, is_day = _days(_number(text, 0, 4), _number(text, 5, 7), _number(text, 8, 10))
    seconds, is_second = _seconds(text, 11)
    kept = min(max(decimals, 0), 6)
    parts = _number(text, 20, 20 + kept) * 10 ** (6 - kept)
    instant = (days * 86_400 + seconds) * 1_000_000 + parts
    return np.where(is_valid & is_day & is_second, instant, -1)


def _any_iso8601_us(column: pa.Array) -> npt.NDArray[np.int64]:
    """Times in any form of it; -1 for what is none."""
    is_fit = pc.match_substring_regex(column, _ISO8601)
    coded = pc.if_else(is_fit, column, pa.scalar(None, column.type)).dictionary_encode()
    texts = coded.dictionary.cast(pa.string())
    is_leap = pc.match_substring_regex(texts, _LEAP_SECOND)
    texts = pc.replace_substring_regex(texts, _LEAP_SECOND, r"\1:59")
    try:
        times = texts.cast(_NANOSECONDS).cast(pa.int64())
    except pa.ArrowInvalid:  # some day or hour is none
        times = map_values(texts, _nanoseconds, pa.int64())
    whole = pc.add(pc.divide(times, 1000), pc.multiply(is_leap.cast(pa.int64()), 1_000_000))
    microseconds = whole.take(coded.indices).fill_null(-1)
    return microseconds.to_numpy(zero_copy_only=False)


def _nanoseconds(text: str) -> int | None:
    try:
        return int(pa.scalar(text).cast(_NANOSECONDS).value)
    except pa.ArrowInvalid:
        return None


def _believed(microseconds: npt.NDArray[np.int64]) -> pa.Array:
    is_wrong = ~((microseconds >= _EARLIEST_US) & (microseconds < _LATEST_US))
    whole = np.where(is_wrong, 0, microseconds).astype(np.int64)
    return pa.array(whole, pa.int64(), mask=is_wrong).cast(TIMESTAMP)


def _fixed(column: pa.Array, shape: bytes) -> tuple[npt.NDArray[np.uint8], Mask]:
    """A row of bytes for each value, and which values have the shape; null has not."""
    has_length = pc.equal(pc.binary_length(column), len(shape)).fill_null(False)
    blank = pa.scalar(b"0" * len(shape), column.type)
    text = offsets_and_bytes(pc.if_else(has_length, column, blank))[1].reshape(-1, len(shape))
    return text, _has_shape(text, shape) & has_length.to_numpy(zero_copy_only=False)


def _days(year: _Numbers, month: _Numbers, day: _Numbers) -> tuple[_Numbers, Mask]:
    """Days since 1970, and which there are in the calendar."""
    is_month = (month >= 1) & (month <= 12)
    months = (year - 1970) * 12 + np.where(is_month, month, 1) - 1
    first_day = months.astype("datetime64[M]").astype("datetime64[D]")
    next_month = (months + 1).astype("datetime64[M]").astype("datetime64[D]")
    is_day = (day >= 1) & (day <= (next_month - first_day).astype(np.int64))
    return first_day.astype(np.int64) + day - 1, is_month & is_day


def _seconds(text: npt.NDArray[np.uint8], start: int) -> tuple[_Numbers, Mask]:
    """Seconds of the day from `00:00:00` at a place of each row, and which a clock may show.

    A leap second, 60, is the first of the next minute.
    """
    hour, minute, second = (_number(text, start + at, start + at + 2) for at in (0, 3, 6))
    is_second = (hour < 24) & (minute < 60) & (second <= 60)
    return hour * 3600 + minute * 60 + second, is_second


def _has_shape(text: npt.NDArray[np.uint8], shape: bytes) -> Mask:
    """Which rows have digits, letters and marks where the shape has 0, A or a, and marks."""
    is_right = np.ones(len(text), np.bool_)
    for place, mark in enumerate(shape):
        column = text[:, place]
        if mark == ord("0"):
            is_right &= (column >= ord("0")) & (column <= ord("9"))
        elif mark == ord("+"):
            is_right &= (column == ord("+")) | (column == ord("-"))
        elif mark not in b"Aa":
            is_right &= column == mark
    return is_right


def _number(text: npt.NDArray[np.uint8], start: int, end: int) -> npt.NDArray[np.int64]:
    """Decimal digits at fixed places of each row."""
    number = np.zeros(len(text), np.int64)
    for place in range(start, end):
        number = number * 10 + (text[:, place].astype(np.int64) - ord("0"))
    return number
