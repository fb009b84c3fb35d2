from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
from pathlib import Path

import pytest

from pipeline.blocks import BLOCK_BYTES, MOST_LINE_BYTES, READ_BYTES
from pipeline.hits import KEYS, Hits
from tests.cli.conftest import Pixelship
from tests.cli.test_start import COMMAND, imported
from tests.cloud import Cloud
from tests.hostile.cases import corrupt, frame
from tests.logs import FIREFOX, Hit, combined, log, tsv

HIT = Hit(
    request_id=b"5f0c",
    forwarded_for=b"198.51.100.9, 10.0.0.1",
    uri=b"/i.gif?k=a%20b&x=",
    referrer=b"https://news.example.org/a",
    cookie_pxid=b"816fe127",
)
ROW = {
    "format": "nginx-tsv",
    "timestamp": "2025-11-21T12:00:00.000000Z",
    "method": "GET",
    "host": "px.example.org",
    "path": "/i.gif",
    "query": "k=a%20b&x=",
    "status": "200",
    "ip": "203.0.113.7",
    "forwarded_for": "198.51.100.9, 10.0.0.1",
    "user_agent": FIREFOX.decode(),
    "referrer": "https://news.example.org/a",
    "cookie_pxid": "816fe127",
    "request_id": "5f0c",
}
MALFORMED = "the line is not in its log's format"


def save(*lines: bytes, name: str = "access.log") -> Path:
    Path(name).write_bytes(log(*lines))
    return Path(name).resolve()


def numbered(count: int) -> list[bytes]:
    return [tsv(Hit(request_id=b"%d" % number)) for number in range(count)]


def ids(stdout: str) -> list[str]:
    return [json.loads(line)["request_id"] for line in stdout.splitlines()]


def test_a_hit_has_all_its_keys_in_order(bare: Pixelship) -> None:
    done = bare("parse", save(tsv(HIT)), "--json")
    assert (done.status, done.stderr) == (0, "")
    assert done.json == ROW
    assert list(done.json) == list(ROW) == list(KEYS)


def test_what_the_log_lacks_is_null(bare: Pixelship) -> None:
    done = bare("parse", save(combined(Hit(uri=b"/other", user_agent=None))), "--json")
    assert done.json == dict.fromkeys(KEYS) | {
        "format": "combined",
        "timestamp": "2025-11-21T12:00:00.000000Z",
        "method": "GET",
        "path": "/other",
        "status": "200",
        "ip": "203.0.113.7",
    }


def test_hits_come_in_the_order_of_the_log_with_any_path_and_status(bare: Pixelship) -> None:
    lines = [
        combined(Hit(uri=b"/%d" % number, status=b"404", user_agent=b'"' if number % 3 else None))
        for number in range(9)
    ]
    shown = bare("parse", save(*lines), "--json").stdout.splitlines()
    assert [json.loads(line)["path"] for line in shown] == [f"/{number}" for number in range(9)]
    assert {json.loads(line)["status"] for line in shown} == {"404"}


def test_people_get_a_record_for_each_hit(bare: Pixelship) -> None:
    done = bare("parse", save(tsv(HIT), tsv(Hit(request_id=b"next", referrer=None))))
    first, second, end = done.stdout.split("\n\n")
    assert [line.split(maxsplit=1) for line in first.splitlines()] == [list(each) for each in ROW.items()]  # fmt: skip
    assert "request_id     next" in second
    assert "referrer" not in second
    assert end == ""


def test_a_time_that_cannot_be_read_is_null(bare: Pixelship) -> None:
    done = bare("parse", save(tsv(HIT).replace(b"1763726400.000", b"-")), "--json")
    assert (done.status, done.json) == (0, ROW | {"timestamp": None})


def test_what_is_no_hit_is_told_on_standard_error(bare: Pixelship) -> None:
    path = save(tsv(HIT), b"", b"junk", b"x" * (MOST_LINE_BYTES + 1), tsv(HIT))
    first = len(tsv(HIT)) + 2
    done = bare("parse", path, "--json")
    assert done.status == 1
    assert [json.loads(line) for line in done.stdout.splitlines()] == [ROW, ROW]
    assert done.stderr.splitlines() == [
        f"{path} (nginx-tsv): 5 lines, 2 hits, 1 blank or header, 1 too-long, 1 malformed.",
        f"{path}: line 3, at byte {first}: {MALFORMED}.",
        f"{path}: line 4, at byte {first + 5}: the line is longer than 64 KiB.",
    ]


def test_of_many_malformed_lines_the_first_are_named(bare: Pixelship) -> None:
    done = bare("parse", save(tsv(HIT), *[b"junk"] * 1200), "--json")
    summary, *named, more = done.stderr.splitlines()
    assert "1,201 lines, 1 hit, 1,200 malformed." in summary
    assert [line.split(": ")[1].split(",")[0] for line in named] == [
        f"line {number}" for number in range(2, 12)
    ]
    assert more.endswith(": 1,190 more such lines.")


def test_a_log_in_no_format_says_so(bare: Pixelship) -> None:
    done = bare("parse", save(b"hello", b"world"))
    assert (done.status, done.stdout) == (1, "")
    assert "0 hits, 2 malformed." in done.stderr
    assert "its lines are in no known log format; --format names one." in done.stderr


def test_an_empty_log_is_nothing_to_complain_of(bare: Pixelship) -> None:
    done = bare("parse", save(), "--json")
    assert (done.status, done.stdout, done.stderr) == (0, "", "")


def test_a_format_may_be_named(bare: Pixelship) -> None:
    path = save(b"junk", b"junk", b"junk", combined(Hit()))
    assert bare("parse", path, "--format", "combined", "--json").json["format"] == "combined"
    done = bare("parse", path, "--format", "nginx-tsv", "--json")
    assert (done.status, done.stdout) == (1, "")
    done = bare("parse", path, "--format", "iis")
    assert (done.status, done.stdout) == (2, "")
    assert "--format iis is not known: choose one of nginx-tsv," in done.stderr


@pytest.mark.parametrize("compress", [gzip.compress, frame], ids=["gzip", "zstd"])
def test_compressed_logs_and_what_is_damaged_of_them(bare: Pixelship, compress: object) -> None:
    assert callable(compress)
    data = log(*numbered(3))
    Path("a").write_bytes(compress(data))
    assert ids(bare("parse", "a", "--json").stdout) == ["0", "1", "2"]
    Path("a").write_bytes(compress(data) + corrupt(compress(data)) + compress(data))
    done = bare("parse", "a", "--json")
    assert done.status == 1
    assert ids(done.stdout) == ["0", "1", "2"] * 2
    assert "damaged at stored byte" in done.stderr


def test_standard_input_and_several_logs_in_their_order(bare: Pixelship) -> None:
    save(tsv(Hit(request_id=b"first")), name="a")
    save(tsv(Hit(request_id=b"third")), name="c")
    done = bare("parse", "a", "-", "c", "--json", stdin=log(tsv(Hit(request_id=b"second"))))
    assert (done.status, ids(done.stdout)) == (0, ["first", "second", "third"])


def test_globs_and_folders_leave_the_key_ring_out(bare: Pixelship) -> None:
    save(*numbered(1), name="a.log")
    bare("keys", "new")
    for name in ("*", "."):
        done = bare("parse", name, "--json")
        assert (done.status, done.stderr, ids(done.stdout)) == (0, "", ["0"])


def test_logs_in_cloud_storage(bare: Pixelship, cloud: Cloud) -> None:
    cloud.put("a.log", log(*numbered(2)))
    name = cloud.put("b.log.gz", gzip.compress(log(*numbered(1), b"junk")))
    done = bare("parse", f"{cloud.folder}/logs/", "--json")
    assert (done.status, ids(done.stdout)) == (1, ["0", "1", "0"])
    assert f"{name} (nginx-tsv): 2 lines, 1 hit, 1 malformed." in done.stderr
    done = bare("parse", f"{cloud.folder}/logs/none.log")
    assert (done.status, done.stdout) == (2, "")
    assert "No log object is there" in done.stderr


def test_a_log_may_be_read_by_a_map_which_is_no_log(bare: Pixelship) -> None:
    Path("logs").mkdir()
    Path("logs/odd.toml").write_text('name = "odd"\nkind = "csv"\ncolumns = ["timestamp", "url", "method", "status"]\n')  # fmt: skip
    Path("logs/a.log").write_bytes(b"1763726400,https://px.example.org/i.gif?k=a,GET,200\n")
    done = bare("parse", "logs", "--format", "logs/odd.toml", "--json")
    assert (done.status, done.stderr) == (0, "")
    assert done.json == dict.fromkeys(KEYS) | {
        "format": "map:odd",
        "timestamp": "2025-11-21T12:00:00.000000Z",
        "method": "GET",
        "host": "px.example.org",
        "path": "/i.gif",
        "query": "k=a",
        "status": "200",
    }


def test_what_an_edge_found_out_stands_behind(bare: Pixelship) -> None:
    entry = {
        "EdgeStartTimestamp": 1763726400000000000, "ClientRequestMethod": "GET", "ClientASN": 64500,
        "ClientRequestURI": "/i.gif", "EdgeResponseStatus": 200, "ClientCountry": "de",
    }  # fmt: skip
    (row,) = bare("parse", "-", "--json", stdin=json.dumps(entry)).stdout.splitlines()
    assert list(json.loads(row)) == [*KEYS, "country", "asn"]
    assert json.loads(row)["asn"] == "64500"


def test_parsing_does_without_beam_and_duckdb() -> None:
    assert imported("parse", "/dev/null") == "['ua_parser']"


def test_a_log_that_is_not_there_is_said_before_anything_is_shown(bare: Pixelship) -> None:
    for name in ("none.log", "*.none", ""):
        done = bare("parse", save(tsv(HIT)), name)
        assert (done.status, done.stdout) == (2, "")
        assert f"No log file is there under {name!r}" in done.stderr


def test_a_log_that_cannot_be_read_is_said_and_the_others_are_shown(
    bare: Pixelship, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ = Path.open

    def refuse(path: Path, *args: str) -> object:
        if path.name == "a":
            raise PermissionError(13, "Permission denied")
        return open_(path, *args)

    save(name="a")
    path = save(tsv(HIT), name="b")
    monkeypatch.setattr(Path, "open", refuse)
    done = bare("parse", "a", path, "--json")
    assert (done.status, done.json) == (1, ROW)
    assert done.stderr.endswith("/a: cannot be read: Permission denied.\n")


def test_the_limit_holds_over_all_logs_and_nothing_behind_it_is_told(bare: Pixelship) -> None:
    save(*numbered(3), b"junk", name="a")
    save(b"", *numbered(3), b"junk", name="b")
    for limit, shown in (("1", "0"), ("3", "012"), ("4", "0120")):
        done = bare("parse", "a", "b", "--limit", limit, "--json")
        assert ids(done.stdout) == list(shown)
        assert done.status == (1 if limit == "4" else 0)
    assert "1 malformed" in done.stderr
    assert "b (nginx-tsv): 2 lines, 1 hit, 1 blank or header." in done.stderr
    assert bare("parse", "a", "--limit", "0").status == 2


def test_bytes_that_are_not_utf_8_are_replaced(bare: Pixelship) -> None:
    line = tsv(HIT).replace(FIREFOX, rb"\xFFcaf\xC3\xA9 \xED\xA0\x80" + b"\xc3\xa9\xc3")
    done = bare("parse", save(line), "--json")
    assert done.json["user_agent"] == "\ufffdcaf\u00e9 \ufffd\ufffd\ufffd\u00e9\ufffd"


@pytest.mark.parametrize("words", [(), ("--json",)], ids=["record", "json"])
def test_nothing_in_a_log_or_its_name_reaches_the_terminal(
    bare: Pixelship, words: tuple[str, ...]
) -> None:
    agent = "\x1b[2J\x1b]0;t\x07 \x9b31m \x7f \u202e \u2028 \U000e0041 [red]é日\r\n{}".encode()
    path = save(tsv(Hit(user_agent=agent)), b"junk", name="a\x1b[2J\nb.log")
    done = bare("parse", path, *words)
    assert done.status == 1
    assert r"a\x1b[2J\nb.log (nginx-tsv): 2 lines" in done.stderr
    printed = (done.stdout + done.stderr).replace("\n", "")
    assert printed.isprintable()
    if words:
        assert done.json["user_agent"] == agent.decode()
        assert "é日" in done.stdout
    else:
        assert r"\x1b[2J\x1b]0;t\x07 \x9b31m \x7f \u202e" in done.stdout
        assert r"[red]é日\r\n{}" in done.stdout


def test_a_pipe_is_read_to_its_end_and_one_that_closes_is_no_error(tmp_path: Path) -> None:
    """In processes of their own, as shells run them."""
    data = log(*numbered(2000))
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(data))
    shell = f'gzip -dc {path} | "$PIXELSHIP" parse - --json | tail -n 1; "$PIXELSHIP" parse <(cat {path}) | head -n 2'
    env = {**os.environ, "PIXELSHIP": str(COMMAND)}
    done = subprocess.run(
        ["bash", "-c", shell], env=env, capture_output=True, text=True, check=True
    )
    last, *record = done.stdout.splitlines()
    assert json.loads(last)["request_id"] == "1999"
    assert record == ["format         nginx-tsv", "timestamp      2025-11-21T12:00:00.000000Z"]
    assert done.stderr == ""


def test_a_log_is_read_no_further_than_asked_for() -> None:
    data = log(*[tsv(Hit(user_agent=b"x" * 30_000))] * 1400)
    stream = io.BytesIO(data)
    hits = Hits(stream, len(data))
    assert len(list(hits.rows(3))) == 3
    assert (hits.seen.lines, hits.seen.hits) == (3, 3)
    assert BLOCK_BYTES <= stream.tell() < BLOCK_BYTES + 2 * READ_BYTES < len(data)
