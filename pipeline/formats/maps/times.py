"""The times of a map: epochs in any unit, ISO 8601, the Common Log Format, or a pattern as strptime's.

A pattern becomes a regular expression whose groups are numbers, so reading is columnar, strict, and
the same whatever the machine's language. A time that names no zone is read in the map's, and without
one not at all: nothing is guessed. Years from 2000 to 2099 are believed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytz

from pipeline.columns import encode, map_values

TIMESTAMP = pa.timestamp("us", tz="UTC")
AUTO = "auto"
EPOCHS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1, "epoch_ns": 0.001}
"""How many microseconds each unit has."""
NAMED = {
    "iso8601": r"%Y-%m-%d[T ]%H:%M:%S%f?%z?",
    "clf": "[[]?%d/%b/%Y:%H:%M:%S %z[]]?",
}
"""Expressions in which the directives stand for their groups."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DIRECTIVES = {
    "Y": "(?P<Y>[0-9]{4})",
    "y": "(?P<y>[0-9]{2})",
    "m": "(?P<m>[0-9]{1,2})",
    "b": "(?P<b>(?i:" + "|".join(_MONTHS) + "))",
    "B": "(?P<B>(?i:january|february|march|april|may|june|july|august|september|october|november|december))",
    "d": "(?P<d>[0-9]{1,2})",
    "e": " ?(?P<d>[0-9]{1,2})",
    "a": "[A-Za-z]{3}",
    "A": "[A-Za-z]{6,9}",
    "H": "(?P<H>[0-9]{1,2})",
    "I": "(?P<I>[0-9]{1,2})",
    "p": "(?P<p>(?i:am|pm))",
    "M": "(?P<M>[0-9]{1,2})",
    "S": "(?P<S>[0-9]{1,2})",
    "f": "(?:[.,](?P<f>[0-9]{1,9}))",
    "z": "(?P<z>Z|UTC|GMT|[+-](?:0[0-9]|1[0-4]):?[0-5][0-9])",
    "%": "%",
}
_SHORT = {"T": "%H:%M:%S", "D": "%m/%d/%y", "F": "%Y-%m-%d", "R": "%H:%M"}
_DIRECTIVE = re.compile("%(.)|%$", re.DOTALL)
_OFFSET = re.compile(r"([+-])(0[0-9]|1[0-4]):?([0-5][0-9])")
_EARLIEST_US, _LATEST_US = (
    int(np.datetime64(year, "us").astype(np.int64)) for year in ("2000-01-01", "2100-01-01")
)
_MINUTE_US = 60_000_000
_SLOT_US = 15 * _MINUTE_US
"""No zone changes its offset but at a quarter of an hour."""

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Times:
    """How a log writes its times: `format` is `auto`, an epoch, a named format or a pattern.

    `zone` (a name such as Europe/Berlin, UTC, or an offset as +02:00) is that of times which name
    none.
    """

    format: str = AUTO
    zone: str | None = None

    def read(self, column: pa.Array) -> pa.Array:
        """A binary column as UTC microseconds; null where a time cannot be read."""
        coded = encode(column)
        return self._read(coded.values).take(pa.array(coded.codes, mask=coded.is_absent))

    def _read(self, texts: pa.Array) -> pa.Array:
        texts = pc.utf8_trim(_ascii(texts), " ")
        if self.format == AUTO:
            found = [
                _told_epoch(texts),
                _by_pattern(texts, NAMED["clf"], self.zone),
                _by_pattern(texts, NAMED["iso8601"], self.zone),
            ]
            return pc.coalesce(*found)
        if self.format in EPOCHS:
            return _believed(_epoch(texts, EPOCHS[self.format]))
        return _by_pattern(texts, NAMED.get(self.format) or expression(self.format), self.zone)


def directives() -> tuple[str, ...]:
    """The letters that a pattern may have after a percent sign, but the sign itself."""
    return tuple(letter for letter in (*_DIRECTIVES, *_SHORT) if letter != "%")


def expression(pattern: str) -> str:
    """A strptime pattern as an expression in which `%X` stands for groups; raises ValueError."""
    text = re.sub("%([TDFR])", lambda match: _SHORT[match[1]], pattern)
    parts = re.split("(%.)", re.sub(r"[.,]%f", "%f", text))
    return "".join(part if part.startswith("%") else re.escape(part) for part in parts)


def compiled(expression_: str) -> str:
    """The regular expression for RE2; raises ValueError for a directive that is not known or stands twice."""
    seen: set[str] = set()

    def group(match: re.Match[str]) -> str:
        letter = match[1] or ""
        if letter not in _DIRECTIVES:
            known = " ".join(f"%{each}" for each in (*_DIRECTIVES, *_SHORT))
            raise ValueError(f"%{letter} is not known in it: use {known}")
        if letter in seen and letter != "%":
            raise ValueError(f"%{letter} stands in it twice")
        seen.add(letter)
        return _DIRECTIVES[letter]

    made = "^" + _DIRECTIVE.sub(group, expression_) + "$"
    for letters, what in (("Yy", "year"), ("mbB", "month"), ("de", "day"), ("HI", "hour")):
        if len(seen & set(letters)) != 1:
            raise ValueError(
                f"it must have one {what}: {' or '.join('%' + each for each in letters)}"
            )
    if ("I" in seen) != ("p" in seen):
        raise ValueError("%I and %p go together")
    return made


def is_zone(name: str) -> bool:
    """Whether a zone is known."""
    return _OFFSET.fullmatch(name) is not None or name in pytz.all_timezones_set


def _ascii(values: pa.Array) -> pa.Array:
    """Values as text; those with other bytes than ASCII's, and long ones, as no time."""
    is_fit = pc.match_substring_regex(values, r"^[ -~]{1,64}$")
    return pc.if_else(is_fit, values, pa.scalar(b"", values.type)).cast(pa.string())


def _told_epoch(texts: pa.Array) -> pa.Array:
    """An epoch whose unit is told from its size: each unit has magnitudes of its own."""
    return pc.coalesce(*(_believed(_epoch(texts, unit)) for unit in EPOCHS.values()))


def _epoch(texts: pa.Array, unit_us: float) -> Int64s:
    """Numbers of a unit as microseconds, -1 for what is none; whole ones are exact."""
    parts = pc.extract_regex(texts, r"^(?P<whole>[0-9]{1,19})(?:[.,](?P<part>[0-9]{0,18}))?$")
    whole = _number(pc.struct_field(parts, "whole"), -1)
    if unit_us < 1:
        return np.where(whole < 0, -1, whole // 1000)
    unit = int(unit_us)
    part = pc.utf8_slice_codeunits(pc.utf8_rpad(pc.struct_field(parts, "part"), 6, "0"), 0, 6)
    fits = (whole >= 0) & (whole < _LATEST_US // unit)
    micros = _number(part, 0) * unit // 1_000_000
    return np.where(fits, np.where(fits, whole, 0) * unit + micros, -1)


def _by_pattern(texts: pa.Array, pattern: str, zone: str | None) -> pa.Array:
    parts = pc.extract_regex(texts, compiled(pattern))
    names = {field.name for field in parts.type}
    is_fit = parts.is_valid().to_numpy(zero_copy_only=False)

    def number(name: str, other: int = 0) -> Int64s:
        return _number(pc.struct_field(parts, name), other) if name in names else _all(other, texts)

    year = number("Y") if "Y" in names else number("y") + 2000
    months = _month(parts, names)
    day = number("d")
    hour = number("H")
    if "I" in names:
        twelve = number("I")
        is_fit &= (twelve >= 1) & (twelve <= 12)
        afternoon = _lower(pc.struct_field(parts, "p")) == "pm"
        hour = twelve % 12 + 12 * afternoon
    minute, second = number("M"), number("S")
    is_fit &= (months >= 1) & (months <= 12) & (year >= 1999) & (year <= 2100)
    since = np.where(is_fit, (year - 1970) * 12 + months - 1, 0)
    first = since.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    last = (since + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    is_fit &= (day >= 1) & (day <= last - first) & (hour < 24) & (minute < 60) & (second <= 60)
    clock = (hour * 60 + minute) * _MINUTE_US + second * 1_000_000
    local = (first + day - 1) * 86_400_000_000 + clock + _fraction_us(parts, names)
    local = np.where(is_fit, local, -1)
    offset, has_offset = _offsets(parts, names, texts)
    if zone is None:
        return _believed(np.where(has_offset & is_fit, local - offset, -1))
    return _believed(np.where(has_offset, local - offset, _to_utc(local, zone)))


def _month(parts: pa.Array, names: set[str]) -> Int64s:
    if "m" in names:
        return _number(pc.struct_field(parts, "m"), 0)
    words = pc.struct_field(parts, "b" if "b" in names else "B")
    short = pc.utf8_slice_codeunits(pc.utf8_lower(words), 0, 3)
    found = pc.index_in(short, pa.array(_MONTHS)).fill_null(-1)
    return found.to_numpy(zero_copy_only=False).astype(np.int64) + 1


def _fraction_us(parts: pa.Array, names: set[str]) -> Int64s:
    if "f" not in names:
        return _all(0, parts)
    digits = pc.utf8_rpad(pc.struct_field(parts, "f"), 6, "0")
    return _number(pc.utf8_slice_codeunits(digits, 0, 6), 0)


def _offsets(
    parts: pa.Array, names: set[str], texts: pa.Array
) -> tuple[Int64s, npt.NDArray[np.bool_]]:
    """What the zone written beside each time adds to UTC, and where one is written."""
    if "z" not in names:
        return _all(0, texts), np.zeros(len(texts), np.bool_)
    coded = encode(pc.struct_field(parts, "z").dictionary_encode())
    known = map_values(coded.values, _offset_us, pa.int64()).to_numpy(zero_copy_only=False)
    offsets = coded.look_up(known.astype(np.int64), 0).astype(np.int64)
    is_written = coded.with_values(pc.if_else(pc.equal(coded.values, ""), None, coded.values))
    return offsets, ~is_written.is_absent


def _offset_us(text: str) -> int:
    found = _OFFSET.fullmatch(text)
    if not found:
        return 0
    minutes = int(found[2]) * 60 + int(found[3])
    return (-minutes if found[1] == "-" else minutes) * _MINUTE_US


def _to_utc(local: Int64s, zone: str) -> Int64s:
    """Times of a zone's clocks as UTC. An hour that comes twice is taken for the first; one that never was is -1."""
    if _OFFSET.fullmatch(zone):
        return np.where(local < 0, -1, local - _offset_us(zone))
    slots, place = np.unique(local // _SLOT_US, return_inverse=True)
    offsets = np.array([_slot_offset_us(zone, int(slot)) for slot in slots], np.int64)
    offset = offsets[place]
    return np.where((local < 0) | (offset == _NEVER), -1, local - offset)


_NEVER = np.iinfo(np.int64).max


@lru_cache(maxsize=4096)
def _slot_offset_us(zone: str, slot: int) -> int:
    """What a zone's clocks are ahead of UTC in a quarter of an hour of theirs."""
    local: Any = np.datetime64(slot * _SLOT_US, "us").astype(object)
    try:
        known = pytz.timezone(zone)
        return _in_us(known.localize(local, is_dst=None).utcoffset())
    except pytz.NonExistentTimeError:
        return _NEVER
    except pytz.AmbiguousTimeError:
        return _in_us(known.localize(local, is_dst=True).utcoffset())
    except (OverflowError, ValueError):
        return _NEVER


def _in_us(offset: Any) -> int:
    return int(offset.total_seconds()) * 1_000_000


def _number(digits: pa.Array, other: int) -> Int64s:
    """Texts of digits as numbers, `other` where there is none or it is too large."""
    filled = pc.if_else(pc.equal(digits, ""), None, digits)
    is_small = pc.or_(pc.less(pc.utf8_length(filled), 19), pc.less(filled, "9223372036854775807"))
    number = pc.if_else(is_small, filled, None).cast(pa.int64()).fill_null(other)
    return number.to_numpy(zero_copy_only=False)


def _lower(column: pa.Array) -> npt.NDArray[Any]:
    return pc.utf8_lower(column.fill_null("")).to_numpy(zero_copy_only=False)


def _all(number: int, column: pa.Array) -> Int64s:
    return np.full(len(column), number, np.int64)


def _believed(microseconds: Int64s) -> pa.Array:
    is_wrong = ~((microseconds >= _EARLIEST_US) & (microseconds < _LATEST_US))
    return pa.array(np.where(is_wrong, 0, microseconds), pa.int64(), mask=is_wrong).cast(TIMESTAMP)
