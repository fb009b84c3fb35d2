"""`pixelship formats`: the list, a map tried on a log, and maps in `load` and `replay`."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pipeline.formats import FORMATS
from tests.cli.conftest import Pixelship, rows
from tests.cli.test_status import lines_of
from tests.logs import FIREFOX, SECRET, Hit, clf, combined, log, signed, tsv
from tests.test_docs import CLI, section, tables

MAP = """
name = "edge"
kind = "tsv"
columns = ["when", "who", "verb", "url", "code", "agent", "from", "cache"]

[fields]
timestamp = "when"
ip = "who"
method = "verb"
url = "url"
status = "code"
user_agent = "agent"
referrer = "from"
cache_status = "cache"

[time]
format = "epoch_ms"
"""
OTHER = "another key's secret"
BOTH = {"SIGNER_SECRET": f"{SECRET},{OTHER}"}


def edge(query: bytes, when: bytes = b"1763726400123") -> bytes:
    url = b"https://px.example.org/i.gif?" + query
    return b"\t".join((when, b"203.0.113.7", b"GET", url, b"200", FIREFOX, b"-", b"HIT"))


LOG = log(
    edge(signed()),
    edge(signed(OTHER, k="story-2")),
    b"1763726400123\t203.0.113.7\tGET",
    edge(signed(k="story-3"), b"yesterday"),
    b"",
    b"\x1b]0;owned\x07\x9b31m\xc2\x9bm",
)


@pytest.fixture
def edge_log() -> Path:
    Path("edge.toml").write_text(MAP, "utf-8")
    Path("edge.log").write_bytes(LOG)
    return Path("edge.log")


def test_all_formats_are_listed_in_their_order(bare: Pixelship) -> None:
    done = bare("formats")
    assert (done.status, done.stderr) == (0, "")
    shown = [
        line.split("│")[1].strip() for line in done.stdout.splitlines() if line.startswith("│")
    ]
    assert [name for name in shown if name] == [each.name for each in FORMATS]
    for each in FORMATS:
        assert all(word in done.stdout for word in each.quirks.title.split())
    told = bare("formats", "--json").json
    assert [entry["name"] for entry in told] == [each.name for each in FORMATS]
    first = next(each for each in FORMATS if each.name == told[0]["name"])
    assert told[0] == {
        "name": first.name, "title": first.quirks.title, "lateness": first.quirks.lateness,
        "order": first.quirks.order, "delivery": first.quirks.delivery,
        "lacks": list(first.quirks.lacks), "needs_header": first.needs_header,
    }  # fmt: skip


def test_a_map_shows_what_it_reads(pixelship: Pixelship, edge_log: Path) -> None:
    done = pixelship("formats", "test", "edge.toml", edge_log)
    assert (done.status, done.stderr) == (1, "")
    assert done.stdout.startswith("map:edge: 6 lines read, 3 requests, 2 malformed, 1 blank or header.\n")  # fmt: skip
    assert "\nLine 3 has 3 fields, not 8: 1763726400123\\t203.0.113.7\\tGET\n" in done.stdout
    assert "\nLine 6 has 1 field, not 8: \\x1b]0;owned\\x07\ufffd31m\\x9bm\n" in done.stdout
    assert {"timestamp when 2 2025-11-21T12:00:00.123000Z 2025-11-21T12:00:00.123000Z", "host url 3 px.example.org px.example.org px.example.org", "referrer from 0", "cache_status cache 3 HIT HIT HIT"} <= lines_of(done.stdout)  # fmt: skip
    assert done.stdout.endswith(
        "Times that could be read: 2 of 3.\n"
        "The time 'yesterday' is in no format that is told by itself: write time.format as a pattern.\n"
        "Requests for the pixel (/pixel.gif, /i.gif, /r.gif): 3 of 3.\n"
        "Empty in all of them: referrer.\n"
    )


def test_every_key_of_the_json_is_documented(pixelship: Pixelship, edge_log: Path) -> None:
    done = pixelship("formats", "test", "edge.toml", edge_log, "--json")
    assert (done.status, done.stderr, done.stdout.isprintable()) == (1, "", False)
    assert done.stdout.rstrip("\n").isprintable()
    told = done.json
    assert [row[0].strip("`") for row in tables(section(CLI, "pixelship formats test")) if not row[0].startswith("`--")] == list(told)  # fmt: skip
    assert [told[name] for name in ("format", "lines", "requests", "header", "other", "malformed", "times", "pixels")] == ["map:edge", 6, 3, 1, 0, 2, 2, 3]  # fmt: skip
    assert told["empty"] == ["referrer"]
    assert told["filled"]["path"] == 3
    assert told["examples"][0]["user_agent"] == FIREFOX.decode()
    assert told["broken"][0] == {"line": 3, "why": "has 3 fields, not 8", "text": "1763726400123\t203.0.113.7\tGET"}  # fmt: skip


def test_only_the_first_lines_are_read_also_of_compressed_logs(
    pixelship: Pixelship, edge_log: Path
) -> None:
    edge_log.write_bytes(gzip.compress(LOG * 1000))
    told = pixelship("formats", "test", "edge.toml", edge_log, "--json", "--lines", "2").json
    assert (told["lines"], told["requests"], told["malformed"]) == (2, 2, 0)
    assert pixelship("formats", "test", "edge.toml", edge_log, "--lines", "2").status == 0
    done = pixelship("formats", "test", "edge.toml", "-", "--lines", "2", stdin=gzip.compress(LOG))
    assert (done.status, done.stdout.split(".")[0]) == (0, "map:edge: 2 lines read, 2 requests")
    edge_log.write_bytes(gzip.compress(LOG)[:-9])
    done = pixelship("formats", "test", "edge.toml", edge_log)
    assert (done.status, "\nDamaged at stored byte " in done.stdout) == (1, True)
    edge_log.write_bytes(b"")
    done = pixelship("formats", "test", "edge.toml", edge_log)
    assert (done.status, done.stdout) == (0, "map:edge: 0 lines read, 0 requests.\n")


def test_what_would_go_wrong_is_told(pixelship: Pixelship, edge_log: Path) -> None:
    Path("edge.toml").write_text(MAP.replace('ip = "who"', "").replace('"epoch_ms"', '"%Y-%m-%d %H:%M:%S"'), "utf-8")  # fmt: skip
    edge_log.write_bytes(log(edge(signed(), b"2025-11-21 12:00:00"), edge(signed(), b"1763726400"), edge(signed(), b"-")))  # fmt: skip
    done = pixelship("formats", "test", "edge.toml", edge_log, "--path", "/px.gif")
    for sentence in (
        "The time '2025-11-21 12:00:00' names no zone: write zone = \"UTC\" (or what it is) under [time].",
        "The time '1763726400' is not %Y-%m-%d %H:%M:%S: write format = \"auto\" under [time].",
        "The time '' is missing.",
        "Requests for the pixel (/px.gif): 0 of 3.",
        "  3 of them: GET /i.gif 200",
        "A run takes GET and HEAD of these paths, answered with 200, 204 or 304.",
        "Empty in all of them: timestamp, referrer.",
        "No request has ip: each view would be refused as no-ip.",
    ):
        assert f"{sentence}\n" in done.stdout
    assert done.status == 1


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("kind = 'csv'\ncolumns = ['timestamp', 'request', 'status']", b'1,"GET /a,200', "has 2 fields, not 3"),
        ("kind = 'csv'\ncolumns = ['timestamp', 'request', 'status']", b'1,x"GET /a",20"0', "has a quote that is not closed, or stands within a field"),
        ("kind = 'csv'\nheader = true\nfields = { timestamp = 'a', request = 'b', status = 'c' }", b"1,2,3", "comes after no header line that has the names which the map uses"),
        ("kind = 'json'\nfields = { timestamp = 'a', request = 'b', status = 'c' }", b'{"a": 1,, "b": 2}', "is no JSON: expecting property name enclosed in double quotes at character 9"),
        ("kind = 'json'\nfields = { timestamp = 'a', request = 'b', status = 'c' }", b'["a"]', "is JSON, but no object"),
        ("kind = 'json'\nfields = { timestamp = 'a', request = 'b', status = 'c' }", b'{"a": NaN}', "is JSON that cannot be read whole"),
        ("kind = 'regex'\npattern = '(?P<timestamp>.*) (?P<request>.*) (?P<status>.*)'", b"x", "does not fit the expression"),
        ("kind = 'nginx'\nlog_format = '[$msec] \"$request\" $status'", b'[1763726400.123] "GET /a" OK', "fits up to $request, not $status"),
        ("kind = 'nginx'\nlog_format = '[$msec] \"$request\" $status'", b'[1763726400.123] "GET /a" 200 7', "goes on after $status, where the map ends"),
        ("kind = 'nginx'\nlog_format = '[$msec] \"$request\" $status'", b"1763726400.123", "does not fit from its start"),
        ("kind = 'tsv'\ncolumns = ['timestamp', 'request', 'status']", b"a\0b", "holds a NUL or a carriage return"),
    ],
)  # fmt: skip
def test_where_a_line_breaks_is_told(pixelship: Pixelship, text: str, line: bytes, why: str) -> None:  # fmt: skip
    Path("a.toml").write_text(f"name = 'a'\n{text}", "utf-8")
    Path("a.log").write_bytes(log(line))
    told = pixelship("formats", "test", "a.toml", "a.log", "--json").json
    assert [each["why"] for each in told["broken"]] == [why]


def test_a_registered_format_can_be_tried_as_well(pixelship: Pixelship) -> None:
    Path("a.log").write_bytes(log(tsv(Hit()), combined(Hit())))
    done = pixelship("formats", "test", "nginx-tsv", "a.log")
    assert done.status == 1
    assert "\nLine 2 is not in its log's format: 203.0.113.7 - - [" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none.toml", "edge.log"), "No map is at none.toml: check the path."),
        (("folder.toml", "edge.log"), "The map folder.toml cannot be read: Is a directory."),
        (("edge.toml", "none.log"), "No log file is there under 'none.log': check the path."),
        (("broken.toml", "edge.log"), "broken.toml: kind is missing: write one of nginx, json, tsv, csv, regex."),
        (("edge\x1b.toml", "edge.log"), "No map is at edge\\x1b.toml: check the path."),
    ],
)  # fmt: skip
def test_a_broken_map_is_one_sentence(
    pixelship: Pixelship, edge_log: Path, words: tuple[str, ...], said: str
) -> None:
    Path("folder.toml").mkdir()
    Path("broken.toml").write_text("name = 'x'", "utf-8")
    done = pixelship("formats", "test", *words)
    assert (done.status, done.stdout, done.stderr) == (2, "", f"Error: {said}\n")
    for command in (("load", "edge.log"), ("parse", "edge.log")):
        if words[1] == "edge.log":
            done = pixelship(*command, "--format", words[0])
            assert (done.status, done.stdout, done.stderr) == (2, "", f"Error: {said}\n")


def test_a_map_loads_a_log_and_its_rejects_are_read_by_it_alone(
    pixelship: Pixelship, edge_log: Path
) -> None:
    sheet = pixelship("load", ".", "--format", "edge.toml", "--json").json
    assert (sheet["objects"], sheet["lines"], sheet["accepted"]) == (1, 6, 1)
    assert sheet["rejected"] == {"bad-time": 1, "malformed": 2, "tampered": 1}
    assert rows("SELECT DISTINCT format FROM pixelship.rejects") == [("map:edge",)]
    assert rows("SELECT key, host, cache_status FROM news.pageviews") == [("story-1", "px.example.org", "HIT")]  # fmt: skip

    told = pixelship("replay", "--json", env=BOTH).json
    assert (told["batches"], told["chosen"], told["rejected"], told["maps"]) == ([], 4, {"no-map": 4}, {"map:edge": 4})  # fmt: skip
    done = pixelship("replay", "--format", "combined", "--reason", "tampered", env=BOTH)
    assert done.status == 0
    assert "Left alone: 1 that only the map edge can read. Name it: --format FILE.toml.\n" in done.stdout  # fmt: skip

    told = pixelship("replay", "--json", "--format", "edge.toml", env=BOTH).json
    assert (told["accepted"], told["resolved"], told["maps"]) == (1, {"tampered": 1}, {})
    assert told["rejected"] == {"bad-time": 1, "malformed": 2}
    assert rows("SELECT key FROM news.pageviews ORDER BY key") == [("story-1",), ("story-2",)]


def test_a_map_that_was_mended_reads_what_was_malformed(pixelship: Pixelship) -> None:
    text = "name = 'odd'\nkind = 'csv'\nheader = true\nfields = { timestamp = 'when', request = 'what', status = 'code', ip = 'who', user_agent = 'agent' }"
    Path("odd.toml").write_text(text.replace("'what'", "'request'"), "utf-8")
    line = b'"%s","GET /i.gif?%s HTTP/1.1",200,203.0.113.7,"%s"' % (clf(1763726400 * 10**6), signed(), FIREFOX)  # fmt: skip
    Path("odd.log").write_bytes(log(b"when,what,code,who,agent", line))
    assert pixelship("load", "odd.log", "--format", "odd.toml", "--json").json["rejected"] == {"malformed": 2}  # fmt: skip
    Path("odd.toml").write_text(text, "utf-8")
    told = pixelship("replay", "--format", "odd.toml", "--json").json
    assert (told["accepted"], told["header"], told["rejected"]) == (1, 1, {})


def test_the_map_goes_to_several_workers(pixelship: Pixelship, edge_log: Path) -> None:
    for number in range(3):
        Path(f"part{number}.log").write_bytes(log(edge(signed(k=f"story-{number}"))))
    sheet = pixelship("load", "part*.log", "--format", "edge.toml", "--workers", "2", "--json").json
    assert (sheet["objects"], sheet["accepted"]) == (3, 3)


def test_parse_takes_a_map(pixelship: Pixelship, edge_log: Path) -> None:
    done = pixelship("parse", edge_log, "--format", "edge.toml", "--json")
    assert done.status == 1
    assert done.stdout.count('"format": "map:edge"') == 3
