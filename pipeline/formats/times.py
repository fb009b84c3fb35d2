"""The times that logs write, as UTC microseconds; null where they cannot be read.

All functions take a plain binary column and are vectorised. Years from 2000 to 2099 are believed.
"""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Mask, holding, map_values, offsets_and_bytes

TIMESTAMP = pa.timestamp("us", tz="UTC")
_EARLIEST_US = int(datetime(2000, 1, 1, tzinfo=timezone.utc).timestamp()) * 1_000_000
_LATEST_US = int(datetime(2100, 1, 1, tzinfo=timezone.utc).timestamp()) * 1_000_000
_EPOCH = r"^[0-9]+(\.[0-9]*)?$"
_ISO8601 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})$"
_NANOSECONDS = pa.timestamp("ns", tz="UTC")
_MONTHS = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"]  # fmt: skip
_CLF_BYTES = len("10/Feb/2012:16:42:07 -0500")


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


def from_clf(column: pa.Array) -> pa.Array:
    """The Common Log Format's `10/Feb/2012:16:42:07 -0500`."""
    is_fit = pc.equal(pc.binary_length(column), _CLF_BYTES).fill_null(False)
    is_fit = is_fit.to_numpy(zero_copy_only=False)
    blank = pa.scalar(b"0" * _CLF_BYTES, column.type)
    fit = pc.if_else(pa.array(is_fit), column, blank)
    text = offsets_and_bytes(fit)[1].reshape(-1, _CLF_BYTES)
    is_valid = is_fit & _has_shape(text, b"00/Aaa/0000:00:00:00 +0000")
    names = text[:, 3:6].astype(np.int64) @ np.array([65536, 256, 1])
    known = np.array([int.from_bytes(name, "big") for name in _MONTHS])
    month = (names[:, None] == known).argmax(axis=1)
    is_valid &= (names[:, None] == known).any(axis=1)
    day, hour = _number(text, 0, 2), _number(text, 12, 14)
    minute, second = _number(text, 15, 17), _number(text, 18, 20)
    months = (_number(text, 7, 11) - 1970) * 12 + month
    first_day = months.astype("datetime64[M]").astype("datetime64[D]")
    next_month = (months + 1).astype("datetime64[M]").astype("datetime64[D]")
    is_valid &= (day >= 1) & (day <= (next_month - first_day).astype(np.int64))
    is_valid &= (hour < 24) & (minute < 60) & (second <= 60)
    offset = _number(text, 22, 24) * 3600 + _number(text, 24, 26) * 60
    offset = np.where(text[:, 21] == ord("-"), -offset, offset)
    days = first_day.astype(np.int64) + day - 1
    seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset
    return _believed(np.where(is_valid, seconds * 1_000_000, -1))


def from_any(column: pa.Array) -> pa.Array:
    """Epoch seconds, the Common Log Format or ISO 8601 with an offset, each value as it comes."""
    times = from_epoch_s(column)
    if times.null_count:
        times = pc.coalesce(times, from_clf(column))
    if times.null_count:
        times = pc.coalesce(times, _from_iso8601(column))
    return times


def _from_iso8601(column: pa.Array) -> pa.Array:
    is_fit = pc.match_substring_regex(column, _ISO8601)
    coded = pc.if_else(is_fit, column, pa.scalar(None, column.type)).dictionary_encode()
    texts = coded.dictionary.cast(pa.string())
    try:
        times = texts.cast(_NANOSECONDS).cast(pa.int64())
    except pa.ArrowInvalid:  # some day or hour is none
        times = map_values(texts, _nanoseconds, pa.int64())
    microseconds = pc.divide(times, 1000).take(coded.indices).fill_null(-1)
    return _believed(microseconds.to_numpy(zero_copy_only=False))


def _nanoseconds(text: str) -> int | None:
    try:
        return int(pa.scalar(text).cast(_NANOSECONDS).value)
    except pa.ArrowInvalid:
        return None


def _believed(microseconds: npt.NDArray[np.int64]) -> pa.Array:
    is_wrong = ~((microseconds >= _EARLIEST_US) & (microseconds < _LATEST_US))
    whole = np.where(is_wrong, 0, microseconds).astype(np.int64)
    return pa.array(whole, pa.int64(), mask=is_wrong).cast(TIMESTAMP)


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
