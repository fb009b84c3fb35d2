from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from pipeline.formats.nginx_tsv import NginxTsv
from tests.logs import lines_of, log, requests_of

SAMPLE = (
    b"px1\t1763726400.123\t5f0c\t203.0.113.7\t198.51.100.9, 10.0.0.1\tGET\tpx.example.org\t"
    b"/i.gif?k=a&c=b\t200\tMozilla/5.0\thttps://e.org/\t816fe127\t."
)
NOON = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)


def malformed(*lines: bytes) -> list[int]:
    return NginxTsv().parse(lines_of(log(*lines))).malformed.tolist()


def test_a_line_with_all_fields() -> None:
    assert requests_of(NginxTsv(), SAMPLE) == [
        {
            "line": 0,
            "timestamp": NOON + timedelta(milliseconds=123),
            "method": b"GET",
            "host": b"px.example.org",
            "path": b"/i.gif",
            "query": b"k=a&c=b",
            "status": b"200",
            "ip": b"203.0.113.7",
            "forwarded_for": b"198.51.100.9, 10.0.0.1",
            "user_agent": b"Mozilla/5.0",
            "referrer": b"https://e.org/",
            "cookie_pxid": b"816fe127",
            "request_id": b"5f0c",
        }
    ]


def test_a_line_with_no_field() -> None:
    (row,) = requests_of(NginxTsv(), b"px1" + b"\t-" * 11 + b"\t.")
    assert set(row) - {name for name, value in row.items() if value is None} == {"line"}
    (row,) = requests_of(NginxTsv(), b"px1" + b"\t" * 11 + b"\t.")
    assert set(row) - {name for name, value in row.items() if value is None} == {"line"}


def test_nginx_escapes_are_undone_once() -> None:
    line = SAMPLE.replace(b"Mozilla/5.0", rb"\x22\xC3\xa9\x5Cx41\x09\x0A\xFF \x4 \xZZ")
    (row,) = requests_of(NginxTsv(), line)
    assert row["user_agent"] == b'"\xc3\xa9\\x41\t\n\xff \\x4 \\xZZ'


@pytest.mark.parametrize("place", range(2, 12))
def test_escapes_are_undone_in_every_field(place: int) -> None:
    fields = SAMPLE.split(b"\t")
    fields[place] = rb"\x41"
    (row,) = requests_of(NginxTsv(), b"\t".join(fields))
    assert b"A" in row.values()


def test_an_escaped_question_mark_parts_nothing_more() -> None:
    (row,) = requests_of(NginxTsv(), SAMPLE.replace(b"k=a", rb"k=\x3F\xE9?"))
    assert row["query"] == b"k=?\xe9?&c=b"


def test_lines_that_are_not_px1_are_malformed() -> None:
    fields = SAMPLE.split(b"\t")
    others = [
        SAMPLE[:-2],  # cut
        SAMPLE[:-1],
        SAMPLE + b"\t.",
        SAMPLE + b" ",
        SAMPLE.replace(b"px1", b"px2"),
        SAMPLE.replace(b"px1", b"PX1"),
        b"\xef\xbb\xbf" + SAMPLE,
        SAMPLE + SAMPLE,  # two lines torn into one
        SAMPLE.replace(b"Mozilla", b"\0Mozilla"),
        SAMPLE.replace(b"Mozilla", b"\rMozilla"),
        b"\0" * 100 + SAMPLE,
        b"\t".join(fields[:-2] + fields[-1:]),
        b"{}",
        b"-",
    ]
    assert malformed(*others) == list(range(len(others)))
    assert malformed(SAMPLE, others[0], SAMPLE, *others[1:], SAMPLE) == [
        1,
        *range(3, len(others) + 2),
    ]
    assert malformed(SAMPLE, SAMPLE) == []


def test_no_lines_at_all() -> None:
    parsed = NginxTsv().parse(lines_of(b""))
    assert parsed.requests.num_rows == 0
    assert parsed.malformed.tolist() == []


def test_only_px1_lines_are_recognised() -> None:
    assert NginxTsv().recognises(SAMPLE)
    assert not NginxTsv().recognises(SAMPLE[:-1])
    assert not NginxTsv().recognises(b"px1\t.")
