"""Where a line breaks that a map cannot read, for whoever writes the map."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import encode, to_text
from pipeline.formats.maps.columns import time_texts, wanted
from pipeline.formats.maps.mapped import Mapped
from pipeline.formats.maps.readers import Delimited, Json, Pattern, Reader
from pipeline.formats.maps.times import AUTO, Times

_TIMES = ("timestamp", "date", "time")
_MOST_TIMES = 3


def unread_times(format_: Mapped, lines: Lines) -> list[tuple[str, str]]:
    """Some times that cannot be read, as logged, each with what to write in the map."""
    times = {name: each for name, each in format_.fields.items() if name in _TIMES}
    found: dict[str, str] = {}
    for part in format_.reader.read(lines, wanted(times)):
        texts = time_texts(part.values, times)
        is_unread = format_.times.read(texts).is_null()
        for text in encode(texts.filter(is_unread)).values[:_MOST_TIMES]:
            one = pa.array([text.as_py()], pa.binary())
            found.setdefault(to_text(one)[0].as_py(), _why_no_time(format_.times, one))
        if texts.null_count:
            found.setdefault("", "is missing")
    return list(found.items())[:_MOST_TIMES]


def _why_no_time(times: Times, one: pa.Array) -> str:
    for known in (replace(times, zone="UTC"), Times(AUTO, times.zone), Times(AUTO, "UTC")):
        if known.read(one)[0].is_valid:
            break
    else:
        return "is in no format that is told by itself: write time.format as a pattern"
    form = (
        ""
        if known.format == times.format
        else f'is not {times.format}: write format = "{AUTO}" under [time]'
    )
    zone = (
        ""
        if known.zone == times.zone
        else 'names no zone: write zone = "UTC" (or what it is) under [time]'
    )
    return "; it ".join(filter(None, (form, zone)))


def why(reader: Reader, line: bytes) -> str:
    """What is wrong with a malformed line, in a few words after "it"."""
    if b"\0" in line or b"\r" in line:
        return "holds a NUL or a carriage return"
    if isinstance(reader, Json):
        return _why_no_json(line)
    if isinstance(reader, Pattern):
        return _why_no_fit(reader, line)
    if isinstance(reader, Delimited):
        return _why_no_fields(reader, line)
    return "is not as the map says"


def _why_no_json(line: bytes) -> str:
    try:
        found = json.loads(line.decode("utf-8", "replace"), strict=False)
    except ValueError as error:
        place = f" at character {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        what = (
            error.msg[0].lower() + error.msg[1:] if isinstance(error, json.JSONDecodeError) else ""
        )
        return f"is no JSON: {what}{place}"
    except RecursionError:
        return "is nested too deep"
    return (
        "is JSON that cannot be read whole" if isinstance(found, dict) else "is JSON, but no object"
    )


def _why_no_fit(reader: Pattern, line: bytes) -> str:
    """How far the expression fits."""
    one = pa.array([line], pa.binary())
    for count in range(len(reader.labels), 0, -1):
        front = "".join(reader.parts[:count])
        if pc.match_substring_regex(one, f"^(?:{front})")[0].as_py():
            if count == len(reader.parts):
                return f"goes on after {reader.labels[-1]}, where the map ends"
            return f"fits up to {reader.labels[count - 1]}, not {reader.labels[count]}"
    return "does not fit from its start" if reader.labels else "does not fit the expression"


def _why_no_fields(reader: Delimited, line: bytes) -> str:
    if reader.needs_header and reader.header is None:
        return "comes after no header line that has the names which the map uses"
    mark = reader.delimiter.decode()
    text = line.decode("latin-1")
    fields = next(csv.reader([text], delimiter=mark), []) if reader.is_quoted else text.split(mark)
    width = len(reader.names)
    if len(fields) != width:
        return f"has {len(fields)} field{'s' * (len(fields) != 1)}, not {width}"
    return "has a quote that is not closed, or stands within a field"
