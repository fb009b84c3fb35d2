from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from rich.console import Console

from pipeline import formats
from pipeline.cli.balance import LoadProgress, print_balance
from pipeline.errors import BalanceError
from pipeline.model import Fault
from pipeline.sources import LocalFiles
from pipeline.warehouses.contract import Report
from pipeline.warehouses.duckdb import connect
from tests.cli.conftest import Pixelship, rows
from tests.logs import GOOGLEBOT, Hit, combined, log, signed, tsv

KEYS_OF_THE_BALANCE_SHEET = [
    "batches", "objects", "unchanged", "waiting", "quarantined", "lines", "extra_events", "header", "not_pixel", "accepted", "bot",
    "duplicate", "rejected", "destinations", "parked", "unparked", "faults", "seconds", "bytes",
    "launched", "left", "held_until",
]  # fmt: skip
LOG = log(
    tsv(Hit(request_id=b"1")),
    tsv(Hit(request_id=b"1")),
    tsv(Hit(request_id=b"2", uri=b"/i.gif?" + signed(d="mail.opens"))),
    tsv(Hit(request_id=b"3", user_agent=GOOGLEBOT)),
    tsv(Hit(uri=b"/other")),
    tsv(Hit(uri=b"/i.gif")),
    b"",
)


def save(name: str = "access.log", data: bytes = LOG) -> Path:
    Path(name).write_bytes(data)
    return Path(name)


def test_json_is_all_there_is_on_standard_output(pixelship: Pixelship) -> None:
    done = pixelship("load", save(), "--json")
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    sheet = done.json
    assert list(sheet) == KEYS_OF_THE_BALANCE_SHEET
    assert sheet["seconds"] > 0
    assert sheet | {"seconds": 0} == {
        "batches": ["00000001"], "objects": 1, "unchanged": 0, "waiting": 0, "quarantined": [], "lines": 7, "extra_events": 0, "header": 1,
        "not_pixel": 1, "accepted": 2, "bot": 1, "duplicate": 1, "rejected": {"unsigned": 1},
        "destinations": {"mail.opens": 1, "news.pageviews": 1}, "parked": {}, "unparked": {},
        "faults": [], "seconds": 0, "bytes": len(LOG), "launched": [], "left": 0, "held_until": None,
    }  # fmt: skip


def test_lines_equal_the_sum_of_their_fates(pixelship: Pixelship) -> None:
    save("a.log")
    save("b.log", LOG[:-200] + b"junk\n\n\xff\n")
    save("c.gz", gzip.compress(LOG + b"x" * 1000)[:-40])
    sheet = pixelship("load", ".", "--json").json
    fates = ("header", "not_pixel", "accepted", "bot", "duplicate")
    assert sheet["lines"] == sum(sheet[name] for name in fates) + sum(sheet["rejected"].values())
    assert sheet["accepted"] == sum(sheet["destinations"].values()) + sum(sheet["parked"].values())
    assert sheet["objects"] == 3
    assert [Path(fault["object"]).name for fault in sheet["faults"]] == ["c.gz"]


def test_people_get_a_balance_sheet(pixelship: Pixelship) -> None:
    done = pixelship("load", save())
    assert (done.status, done.stderr) == (0, "")
    lines = {
        " ".join(line.strip("│ ").replace("│", " ").split()) for line in done.stdout.splitlines()
    }
    assert {"accepted 2 views, loaded", "mail.opens 1", "news.pageviews 1", "unsigned 1"} <= lines
    assert {"bot 1 verified views by machines: counted, not loaded", "lines 7 the sum"} <= lines
    assert pixelship("load", "access.log").stdout == "Nothing new: 1 file loaded before.\n"


def test_loading_again_and_adding(pixelship: Pixelship) -> None:
    save()
    assert pixelship("load", "access.log", "--json").json["accepted"] == 2
    again = pixelship("load", "access.log", "--json")
    assert (again.status, again.json["batches"], again.json["unchanged"]) == (0, [], 1)
    save("b.log", log(tsv(Hit(request_id=b"9"))))
    assert pixelship("load", "*.log", "--json").json["accepted"] == 1
    assert rows("SELECT event_id FROM news.pageviews ORDER BY ALL") == [("1",), ("9",)]


def test_damage_is_told_and_exits_with_1(pixelship: Pixelship) -> None:
    whole = gzip.compress(LOG * 50)
    save("cut.gz", whole[: len(whole) // 2])
    done = pixelship("load", "cut.gz", "--json")
    (fault,) = done.json["faults"]
    assert (done.status, list(fault)) == (1, ["object", "position", "fault"])
    assert done.json["accepted"] > 0
    save("junk.log", b"junk\n")
    done = pixelship("load", "junk.log")
    assert done.status == 1
    assert "junk.log at byte 0: its lines are in no known log format." in done.stdout.replace(
        "\n", ""
    )


def test_an_unreadable_file_is_told_and_exits_with_1(
    pixelship: Pixelship, monkeypatch: pytest.MonkeyPatch
) -> None:
    save()
    closed = str(save("closed.log", b"x").resolve())
    as_ever = LocalFiles.checksums

    def refuse(self: LocalFiles, name: str, sizes: Iterable[int]) -> object:
        if name == closed:
            raise PermissionError(13, "Permission denied")
        return as_ever(self, name, sizes)

    monkeypatch.setattr(LocalFiles, "checksums", refuse)
    done = pixelship("load", ".", "--json")
    assert (done.status, done.json["accepted"]) == (1, 2)
    assert done.json["faults"] == [
        {"object": closed, "position": 0, "fault": "cannot be read: Permission denied"}
    ]


def test_parked_rows_are_told_and_exit_with_1_until_mended(pixelship: Pixelship) -> None:
    with connect(Path("pixelship.duckdb")) as db:
        db.execute("CREATE SCHEMA mail")
        db.execute("CREATE VIEW mail.opens AS SELECT 1 AS one")
    save()
    for sheet in (pixelship("load", "access.log", "--json"), pixelship("load", ".", "--json")):
        assert (sheet.status, sheet.json["parked"]) == (1, {"mail.opens": 1})
    done = pixelship("load", "access.log")
    assert (done.status, done.stdout.splitlines()[1:]) == (
        1,
        ["Parked: 1 rows for mail.opens: a view has its name."],
    )
    with connect(Path("pixelship.duckdb")) as db:
        db.execute("DROP VIEW mail.opens")
    done = pixelship("load", "access.log")
    assert (done.status, done.stdout.splitlines()[1:]) == (
        0,
        ["Loaded from parking: 1 rows into mail.opens."],
    )


def test_a_folder_with_our_own_files_in_it_gives_its_logs_alone(bare: Pixelship) -> None:
    bare("keys", "new")
    url = bare("sign", "--key", "k", "--canonical", "c", "--to", "a.b").stdout.strip()
    save(data=log(tsv(Hit(uri=url.removeprefix("https://px.example.org").encode()))))
    sheet = bare("load", ".", "--json").json
    assert (sheet["objects"], sheet["lines"], sheet["accepted"]) == (1, 1, 1)
    again = bare("load", ".", "*", "--json").json
    assert (again["batches"], again["unchanged"], again["faults"]) == ([], 1, [])
    assert rows("SELECT count(*) FROM pixelship.rejects") == [(0,)]
    ring = "other-ring.json"
    Path("pixelship-keys.json").rename(ring)
    sheet = bare("load", ".", "--to", "duckdb:other.db", "--keys", ring, "--json").json
    assert "other-ring.json" not in str(rows("SELECT name FROM pixelship.objects", "other.db"))
    done = bare("load", ring, "--keys", ring)
    assert (done.status, "No log file" in done.stderr) == (2, True)


# The rules


def test_the_formats_on_offer_are_those_there_are(pixelship: Pixelship) -> None:
    for each in formats.FORMATS:
        assert pixelship("load", "none.log", "--format", each.name).status == 2
        assert "--format" not in pixelship("load", "none.log", "--format", each.name).stderr
    save(data=log(tsv(Hit(request_id=b"1")), combined(Hit(request_id=b"2"))))
    sheet = pixelship("load", "access.log", "--format", "combined", "--json").json
    assert (sheet["accepted"], sheet["rejected"]) == (1, {"malformed": 1})


def test_paths_addresses_proxies_and_allowed_destinations(pixelship: Pixelship) -> None:
    hit = Hit(ip=b"10.0.0.9", forwarded_for=b"198.51.100.7", uri=b"/px?" + signed())
    other = Hit(request_id=b"2", uri=b"/px?" + signed(d="mail.opens"))
    save(data=log(tsv(hit), tsv(other), tsv(Hit(request_id=b"3"))))
    done = pixelship(
        "load", "access.log", "--json", "--path", "/px", "--path", "/py", "--addresses", "keep",
        "--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "::1/128", "--allow", "news.*",
    )  # fmt: skip
    assert (done.status, done.json["accepted"], done.json["not_pixel"]) == (0, 1, 1)
    assert done.json["rejected"] == {"bad-destination": 1}
    assert rows("SELECT remote_ip FROM news.pageviews") == [("198.51.100.7",)]


@pytest.mark.parametrize(
    ("policy", "stored"), [("mask", "203.0.113.0"), ("keep", "203.0.113.7"), ("drop", None)]
)
def test_addresses_are_masked_unless_told_otherwise(
    pixelship: Pixelship, policy: str, stored: str | None
) -> None:
    pixelship("load", save(data=log(tsv(Hit()))), "--addresses", policy)
    assert rows("SELECT remote_ip FROM news.pageviews") == [(stored,)]


def test_beams_options_may_stand_anywhere_and_be_parted_by_a_blank(pixelship: Pixelship) -> None:
    save()
    done = pixelship("load", "--job_name", "nightly", "access.log", "--streaming", "--json")
    assert (done.status, done.json["accepted"]) == (0, 2)


def test_several_workers_load_the_same(pixelship: Pixelship) -> None:
    for name in "abc":
        save(f"{name}.log", log(*(tsv(Hit(request_id=b"%s%d" % (name.encode(), at))) for at in range(9))))  # fmt: skip
    done = pixelship("load", ".", "--workers", "2", "--json")
    assert (done.status, done.json["objects"], done.json["accepted"]) == (0, 3, 27)


def test_a_file_in_this_folder_is_made_where_no_warehouse_is_named(pixelship: Pixelship) -> None:
    assert pixelship("load", save()).status == 0
    assert sorted(path.name for path in Path().iterdir()) == ["access.log", "pixelship.duckdb"]


# Endings that nobody wants


def test_a_balance_that_does_not_add_up_exits_with_3(
    pixelship: Pixelship, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unbalanced(*_: object) -> None:
        raise BalanceError("The lines of a.log do not add up.")

    monkeypatch.setattr("pipeline.warehouses.duckdb.check_balance", unbalanced)
    done = pixelship("load", save(), "--json")
    assert (done.status, done.stdout) == (3, "")
    assert done.stderr == "Error: The lines of a.log do not add up. Nothing was loaded; please report this.\n"  # fmt: skip
    assert rows("SELECT count(*) FROM pixelship.objects") == [(0,)]


def test_what_nobody_foresaw_is_no_exit_status_1(
    pixelship: Pixelship, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.load.run", full)
    done = pixelship("load", save(), "--json")
    assert (done.status, done.stdout) == (3, "")
    assert "OSError: [Errno 28] No space left on device" in done.stderr
    assert done.stderr.endswith("Error: The run failed; running it again does no harm.\n")


def test_a_file_held_by_another_process_is_busy(pixelship: Pixelship) -> None:
    pixelship("load", save())
    hold = "import sys\nfrom pathlib import Path\nfrom pipeline.warehouses.duckdb import connect\nwith connect(Path('pixelship.duckdb')):\n    print('held', flush=True)\n    sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        for words in (("load", "access.log"), ("query", "SELECT 1")):
            done = pixelship(*words)
            assert (done.status, done.stdout) == (2, "")
            assert done.stderr == "Error: pixelship.duckdb is busy: another process has it open; try again when it is done.\n"  # fmt: skip
        holder.communicate()


# What people see


def test_of_many_faults_the_first_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    print_balance(Report("00000001", faults=[Fault("[red]a.log", at, "cut") for at in range(25)]))
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Damaged")]
    assert told[0] == "Damaged: [red]a.log at byte 0: cut."
    assert told[-1] == "Damaged: 5 places more; --json tells all."
    assert len(told) == 21


def test_progress_shows_bytes_and_speed_on_a_terminal_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with LoadProgress() as progress:
        progress.advance(5_000_000, 20_000, 10_000_000)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(Console, "is_terminal", property(lambda _: True))
    with LoadProgress() as progress:
        progress.advance(5_000_000, 20_000, 10_000_000)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "5.0/10.0 MB" in shown.err
    assert "lines/s" in shown.err


def test_the_balance_sheet_is_utf_8_json(pixelship: Pixelship) -> None:
    save("é.gz", gzip.compress(LOG)[:-20])
    done = pixelship("load", "é.gz", "--json")
    assert json.loads(done.stdout)["faults"][0]["object"].endswith("/é.gz")
