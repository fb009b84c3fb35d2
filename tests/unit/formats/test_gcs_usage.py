from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from pipeline.formats import detect, named
from pipeline.formats.contract import Format
from pipeline.formats.gcs_usage import GcsUsage
from tests.logs import Hit, lines_of, log, read, requests_of
from tests.text_logs import GCS_HEADER, gcs_usage

SAMPLE = (
    b'"1693206014339368","172.71.142.38","1","","GET","/v1/kanji/%E9%9B%86?a=b","200","0","277",'
    b'"488000","kanjiapi.dev","http://127.0.0.1:59961/","Mozilla/5.0 (Windows NT 6.2)",'
    b'"ADPycduvHuLf","GET_Object","kanjiapi.dev","v1/kanji/\xe9\x9b\x86"'
)
ROW = {
    "line": 0,
    "timestamp": datetime(2023, 8, 28, 7, 0, 14, 339_368, timezone.utc),
    "method": b"GET",
    "host": b"kanjiapi.dev",
    "path": b"/v1/kanji/%E9%9B%86",
    "query": b"a=b",
    "status": b"200",
    "ip": b"172.71.142.38",
    "forwarded_for": None,
    "user_agent": b"Mozilla/5.0 (Windows NT 6.2)",
    "referrer": b"http://127.0.0.1:59961/",
    "cookie_pxid": None,
    "request_id": b"ADPycduvHuLf",
}
BOUND = GcsUsage().bound([GCS_HEADER])


def one(line: bytes) -> dict[str, Any]:
    """What a line becomes: the same alone and among others."""
    (row,) = requests_of(BOUND, line)
    among = requests_of(BOUND, SAMPLE, line, SAMPLE)
    assert among[1] == {**row, "line": 1}
    return row


def fates(format_: Format, *lines: bytes) -> tuple[list[int], list[int], list[int]]:
    """Which lines became requests, malformed and headers."""
    parsed = format_.parse(lines_of(log(*lines)))
    return (
        sorted(parsed.requests.column("line").to_pylist()),
        sorted(parsed.malformed.tolist()),
        sorted(parsed.header.tolist()),
    )


def test_a_line_with_all_fields() -> None:
    assert one(SAMPLE) == ROW


def test_an_empty_field_is_nothing() -> None:
    row = one(b",".join([b'""'] * 17))
    assert {name for name, value in row.items() if value is not None} == {"line"}


@pytest.mark.parametrize(
    ("written", "agent"),
    [
        (b'a ""b"" c', b'a "b" c'),
        (b'""', b'"'),
        (b'"",""', b'","'),
        (b"a,b", b"a,b"),
        (b'a"",""b', b'a","b'),
        (b'\\"" \\x41', b'\\" \\x41'),
        (b"\xff\x1b[31m", b"\xff\x1b[31m"),
        (b"\xef\xbb\xbf", b"\xef\xbb\xbf"),
    ],
)
def test_quotes_and_commas_within_a_field(written: bytes, agent: bytes) -> None:
    line = SAMPLE.replace(b"Mozilla/5.0 (Windows NT 6.2)", written)
    assert one(line) == {**ROW, "user_agent": agent}


def test_the_target_may_be_a_full_url() -> None:
    row = one(SAMPLE.replace(b'"/v1', b'"https://kanjiapi.dev/v1'))
    assert (row["path"], row["query"]) == (ROW["path"], ROW["query"])


@pytest.mark.parametrize("time", [b"", b"0", b"1693206014.339368", b"x", b"9" * 19, b"9" * 30])
def test_a_time_that_cannot_be_read_is_no_time(time: bytes) -> None:
    assert one(SAMPLE.replace(b"1693206014339368", time))["timestamp"] is None


@pytest.mark.parametrize(
    "line",
    [
        b"x", b'"', b'""', b'"' * 34, SAMPLE[:-1], SAMPLE[1:], SAMPLE + b",", SAMPLE + b',""', SAMPLE + b" ", b" " + SAMPLE,
        SAMPLE.replace(b'"GET"', b"GET"), SAMPLE.replace(b'","GET"', b'", "GET"'), SAMPLE.replace(b'","GET"', b'";"GET"'),
        SAMPLE.replace(b'"GET",', b""), SAMPLE.replace(b"GET", b'G"ET'), SAMPLE.replace(b"GET", b'G"""ET'),
        SAMPLE.replace(b"GET", b"G\0T"), SAMPLE.replace(b"GET", b"G\rT"), SAMPLE[:90] + SAMPLE, SAMPLE.replace(b'"', b"'"),
        b'"bucket","storage_byte_hours"', b'"a","b"', SAMPLE.replace(b'"1","",', b'"1,"",'),
    ],
)  # fmt: skip
def test_other_lines_are_malformed(line: bytes) -> None:
    assert not BOUND.recognises(line)
    assert fates(BOUND, line) == ([], [0], [])
    assert fates(BOUND, SAMPLE, line, SAMPLE) == ([0, 2], [1], [])


def test_fields_are_found_by_name_in_any_order() -> None:
    header = b",".join(GCS_HEADER.split(b",")[::-1]) + b',"new"'
    line = b",".join(SAMPLE.split(b",")[::-1]) + b',"x"'
    assert not GcsUsage().recognises(header)  # the time comes first in every log there is
    header = b'"time_micros",' + header.replace(b'"time_micros",', b"")
    line = b'"1693206014339368",' + line.replace(b'"1693206014339368",', b"")
    assert requests_of(GcsUsage().bound([header]), line) == [ROW]


def test_without_a_header_no_line_is_read() -> None:
    assert fates(GcsUsage(), SAMPLE, GCS_HEADER, SAMPLE) == ([2], [0], [1])
    assert fates(GcsUsage(), SAMPLE) == ([], [0], [])
    assert detect([SAMPLE] * 3) is None


def test_a_header_within_a_user_agent_is_none() -> None:
    line = SAMPLE.replace(b"Mozilla", GCS_HEADER.replace(b'"', b'""'))
    assert one(line)["user_agent"] == GCS_HEADER + b"/5.0 (Windows NT 6.2)"
    forged = b'"time_micros was here"'
    assert fates(BOUND, forged, SAMPLE) == ([1], [0], [])


def test_the_log_is_known_by_its_header() -> None:
    found = detect([GCS_HEADER, SAMPLE])
    assert found is not None
    assert (found.name, found.header) == ("gcs-usage", GCS_HEADER.decode())
    again = named("gcs-usage", found.header)
    assert again is not None
    assert requests_of(again, SAMPLE) == [ROW]


def test_a_row_that_comes_twice_has_the_same_identity() -> None:
    reading = read(log(GCS_HEADER, *[gcs_usage(Hit(request_id=b"ADPy"))] * 2))
    assert [event["event_id"] for event in reading.events] == ["ADPy", "ADPy"]
    assert reading.tally.header == 1
