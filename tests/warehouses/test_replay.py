"""What every warehouse promises of a replay: rejects are judged anew, all or none, once."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from pipeline.formats import named
from pipeline.model import Tally
from pipeline.options import Rules
from pipeline.signing import Key, KeyRing
from pipeline.warehouses.maintenance import Choice
from tests.logs import (
    GOOGLEBOT,
    NOON_US,
    RULES,
    SECOND_US,
    SECRET,
    Hit,
    combined,
    json_line,
    log,
    signed,
    tsv,
)
from tests.warehouses.builders import (
    MIXED,
    assert_balanced,
    everything,
    ids,
    load_by,
    replay,
    save,
    status,
    view,
    views,
)
from tests.warehouses.conftest import MemoryPlace, Place
from tests.warehouses.deadly import BOTH

NOON = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)


def of_old_key(name: str, **changes: object) -> bytes:
    """A line that only the older key verifies."""
    uri = b"/i.gif?" + signed("an older secret", k=f"key of {name}")
    return tsv(Hit(**{"request_id": name.encode(), "uri": uri, **changes}))  # type: ignore[arg-type]


def without_time(place: Place) -> dict[str, object]:
    """All that is in the warehouse, less when it came there."""
    tables = everything(place)
    for row in tables["pixelship.batches"]:
        del row["loaded_at"]
    return dict(tables)


def test_after_a_key_was_added_what_it_signed_is_loaded(place: Place, tmp_path: Path) -> None:
    lines = (view("new"), of_old_key("old"), of_old_key("robot", user_agent=GOOGLEBOT), b"junk")
    path = save(tmp_path, "a.log", log(*lines))
    load_by(place, RULES, path)
    assert_balanced(place)
    assert ids(place) == ["new"]

    result = replay(place, rules=BOTH)
    assert_balanced(place)
    assert result.to_json() | {"seconds": 0} == {
        "batches": ["00000002"], "chosen": 3, "accepted": 1, "bot": 1, "duplicate": 0, "not_pixel": 0,
        "header": 0, "resolved": {"tampered": 2}, "rejected": {"malformed": 1},
        "destinations": {"news.pageviews": 1}, "parked": {}, "maps": {}, "seconds": 0,
    }  # fmt: skip
    assert ids(place) == ["new", "old"]
    (row,) = (row for row in place.rows("news.pageviews") if row["event_id"] == "old")
    assert (row["batch"], row["source_object"]) == ("00000002", str(path))
    assert row["source_position"] == len(lines[0]) + 1
    assert (row["timestamp"], row["key_id"]) == (NOON, BOTH.keys.keys[1].id)
    (hit,) = place.rows("pixelship.bot_hits")
    assert (hit["batch"], hit["source_object"], hit["hits"]) == ("00000002", str(path), 1)
    (reject,) = place.rows("pixelship.rejects")
    assert (reject["raw"], reject["batch"]) == (b"junk", "00000001")


def test_the_ledger_gets_rows_of_changes(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", log(view("new"), of_old_key("old"), b"junk"))
    load_by(place, RULES, path)
    (before,) = place.rows("pixelship.objects")
    replay(place, rules=BOTH)
    first, second = sorted(place.rows("pixelship.objects"), key=lambda row: row["batch"])
    assert first == before
    assert second == {
        **before, "batch": "00000002", "lines": 0, "accepted": 1, "rejected": json.dumps({"tampered": -1}),
    }  # fmt: skip
    (batch,) = (row for row in place.rows("pixelship.batches") if row["batch"] == "00000002")
    assert batch["loaded_at"] <= datetime.now(timezone.utc)
    assert (batch["kind"], batch["objects"], batch["lines"]) == ("replay", 1, 0)
    assert (batch["accepted"], batch["rejected"]) == (1, json.dumps({"tampered": -1}))
    assert json.loads(batch["destinations"]) == {"news.pageviews": 1}


def test_a_replay_gives_what_a_first_load_would_have_given(place: Place, tmp_path: Path) -> None:
    """Ids too, also of logs that have no request ids."""
    lines = [
        line(Hit(uri=b"/i.gif?" + signed(secret, k=str(number))))
        for number, secret in enumerate([SECRET, "an older secret"] * 3)
        for line in (combined,)
    ]
    path = save(tmp_path, "a.log", log(*lines))
    load_by(place, RULES, path)
    assert replay(place, rules=BOTH).changes.accepted == 3
    found = {row["key"]: row["event_id"] for row in place.rows("news.pageviews")}
    assert_balanced(place)

    plain = MemoryPlace(tmp_path)
    load_by(plain, BOTH, path)
    assert found == {row["key"]: row["event_id"] for row in plain.rows("news.pageviews")}
    assert len(found) == 6


def test_a_broken_url_is_mended_in_a_replay_as_in_a_load(place: Place, tmp_path: Path) -> None:
    uri = b"/i.gif?" + signed("an older secret").replace(b"&", b"&amp;") + b"&amp;utm_source=mail"
    load_by(place, RULES, save(tmp_path, "a.log", log(tsv(Hit(uri=uri, request_id=b"old")))))
    assert ids(place) == []
    assert replay(place, rules=BOTH).changes.rejected == Counter(tampered=-1)
    assert_balanced(place)
    (row,) = place.rows("news.pageviews")
    assert (row["event_id"], row["key"]) == ("old", "story-1")
    assert (row["repair"], row["extras"]) == ("html-entities+trackers", '{"utm_source":"mail"}')


def test_a_second_replay_changes_nothing(place: Place, tmp_path: Path) -> None:
    load_by(place, RULES, save(tmp_path, "a.log", MIXED + log(of_old_key("old"))))
    replay(place, rules=BOTH)
    before = everything(place)
    again = replay(place, rules=BOTH)
    assert (again.batches, again.chosen, again.changes) == ([], 3, Tally())
    assert again.kept == Counter(malformed=1, tampered=1, unsigned=1)
    assert everything(place) == before


def test_a_plan_says_what_would_become_of_them_and_changes_nothing(
    place: Place, tmp_path: Path
) -> None:
    load_by(place, RULES, save(tmp_path, "a.log", MIXED + log(of_old_key("old"))))
    before = everything(place)
    planned = replay(place, rules=BOTH, is_plan=True)
    assert everything(place) == before
    done = replay(place, rules=BOTH)
    assert planned.to_json() | {"seconds": 0} == done.to_json() | {"seconds": 0, "batches": []}


def test_nothing_chosen_is_nothing_done(place: Place, tmp_path: Path) -> None:
    assert replay(place).to_json()["chosen"] == 0
    load_by(place, RULES, save(tmp_path, "a.log", MIXED))
    before = everything(place)
    assert replay(place, Choice(reasons=("no-ip",))).batches == []
    assert replay(place, Choice(batches=("00000009",))).chosen == 0
    assert everything(place) == before


def test_views_that_are_there_already_are_duplicates(place: Place, tmp_path: Path) -> None:
    load_by(place, RULES, save(tmp_path, "a.log", log(of_old_key("one"), of_old_key("one"))))
    load_by(place, BOTH, save(tmp_path, "b.log", log(of_old_key("two"), of_old_key("three"))))
    load_by(place, RULES, save(tmp_path, "c.log", log(of_old_key("two"))))
    result = replay(place, rules=BOTH)
    assert (result.changes.accepted, result.changes.duplicate) == (1, 2)
    assert result.changes.rejected == Counter({"tampered": -3})
    assert result.destinations == {"news.pageviews": 1}
    assert ids(place) == ["one", "three", "two"]
    assert place.rows("pixelship.rejects") == []
    assert_balanced(place)


def test_a_key_that_is_retired_or_out_of_scope_is_judged_as_it_is_now(
    place: Place, tmp_path: Path
) -> None:
    hits = [of_old_key(f"{at}", time_us=NOON_US + at * SECOND_US) for at in range(4)]
    load_by(place, RULES, save(tmp_path, "a.log", log(*hits)))
    retired = Key(b"an older secret", retired_at_us=NOON_US + 2 * SECOND_US)
    scoped = replace(retired, scopes=("mail.*",))
    present = RULES.keys.keys[0]

    result = replay(place, rules=Rules(KeyRing((present, scoped))))
    assert (result.batches, result.kept) == ([], Counter({"retired-key": 2, "bad-destination": 2}))
    result = replay(place, rules=Rules(KeyRing((present, retired))))
    assert (result.changes.accepted, result.kept) == (2, Counter({"retired-key": 2}))
    assert ids(place) == ["0", "1"]
    kept = {row["reason"] for row in place.rows("pixelship.rejects")}
    assert kept == {"tampered"}, "what stays stays as it is"
    assert replay(place, rules=Rules(BOTH.keys, allow=("mail.*",))).changes == Tally()
    assert replay(place, rules=BOTH).changes.accepted == 2
    assert_balanced(place)


def test_rows_that_their_table_refuses_are_parked(place: Place, tmp_path: Path) -> None:
    place.refuse("news.pageviews")
    path = save(tmp_path, "a.log", log(of_old_key("one"), of_old_key("two")))
    load_by(place, RULES, path)
    result = replay(place, rules=BOTH)
    assert (result.parked, result.destinations) == ({"news.pageviews": 2}, {})
    assert result.parked_why == {"news.pageviews": "a view has its name"}
    assert result.changes.accepted == 2
    assert place.rows("pixelship.rejects") == []
    place.mend("news.pageviews")
    report = load_by(place, BOTH, path)
    assert (report.unparked, report.parked) == ({"news.pageviews": 2}, {})
    assert ids(place) == ["one", "two"]
    assert_balanced(place)


# Which rejects


def test_rejects_are_chosen_by_time_reason_batch_and_object(place: Place, tmp_path: Path) -> None:
    times = [NOON_US + hours * 3600 * SECOND_US for hours in range(3)]
    early, late = (
        log(*(of_old_key(f"{name}{at}", time_us=time) for at, time in enumerate(times)))
        for name in "ab"
    )
    first = save(tmp_path, "a.log", early + log(tsv(Hit(uri=b"/i.gif")), b"junk"))
    second = save(tmp_path, "b.log", late)
    for path in (first, second):
        load_by(place, RULES, path)
    hour = timedelta(hours=1)
    for choice, chosen in (
        (Choice(), 8),
        (Choice(since=NOON), 7),
        (Choice(since=NOON + hour), 4),
        (Choice(until=NOON + hour), 3),
        (Choice(since=NOON + hour, until=NOON + 2 * hour), 2),
        (Choice(since=(NOON + hour).astimezone(timezone(timedelta(hours=5)))), 4),
        (Choice(reasons=("unsigned", "malformed")), 2),
        (Choice(batches=("00000002",)), 3),
        (Choice(objects=(str(first),)), 5),
        (Choice(objects=(str(first),), batches=("00000002",)), 0),
        (Choice(objects=(str(first), "nowhere"), reasons=("tampered",)), 3),
    ):
        assert replay(place, choice, BOTH, is_plan=True).chosen == chosen, choice
    result = replay(place, Choice(until=NOON + hour, objects=(str(second),)), BOTH)
    assert result.changes.accepted == 1
    assert ids(place) == ["b0"]
    assert_balanced(place)


def test_lines_that_were_cut_are_never_judged_again(place: Place, tmp_path: Path) -> None:
    long = of_old_key("long", referrer=b"x" * 70_000)
    load_by(place, RULES, save(tmp_path, "a.log", log(long, of_old_key("short"))))
    result = replay(place, rules=BOTH)
    assert (result.chosen, ids(place)) == (1, ["short"])
    (left,) = place.rows("pixelship.rejects")
    assert (left["reason"], len(left["raw"])) == ("too-long", 1 << 16)
    assert replay(place, Choice(reasons=("too-long",)), BOTH).chosen == 0
    assert_balanced(place)


# How they are read


def test_rejects_in_several_formats_are_each_read_in_their_own(
    place: Place, tmp_path: Path
) -> None:
    for number, line in enumerate((tsv, json_line, combined)):
        uri = b"/i.gif?" + signed("an older secret", k=f"key {number}")
        save(tmp_path, f"{number}.log", log(line(Hit(uri=uri, request_id=b"%d" % number)), b"junk"))
    load_by(place, RULES, tmp_path / "logs")
    result = replay(place, rules=BOTH)
    assert (result.batches, result.changes.accepted) == (["00000002"], 3)
    assert result.kept == Counter(malformed=3)
    assert {row["key"] for row in place.rows("news.pageviews")} == {"key 0", "key 1", "key 2"}
    assert_balanced(place)


def test_lines_in_no_known_format_are_sniffed_anew(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a later version knows a format that this one didn't."""
    from pipeline import formats, staging

    lines = log(view("one"), tsv(Hit(uri=b"/robots.txt")), b"junk", of_old_key("old"))
    path = save(tmp_path, "a.log", lines)
    with monkeypatch.context() as patch:
        patch.setattr(staging, "sniff", lambda *_: None)
        report = load_by(place, RULES, path)
    assert report.total.rejected == Counter(malformed=4)
    assert {row["format"] for row in place.rows("pixelship.rejects")} == {None}
    assert formats.detect([b"junk"]) is None

    result = replay(place)
    assert result.kept == Counter(malformed=1, tampered=1)
    assert (result.changes.accepted, result.changes.not_pixel) == (1, 1)
    assert result.changes.rejected == Counter(malformed=-2)
    left = {(row["reason"], row["format"]) for row in place.rows("pixelship.rejects")}
    assert left == {("malformed", None)}, "those that stay stay as they are"
    assert_balanced(place)
    assert replay(place, rules=BOTH).changes.accepted == 1
    assert_balanced(place)


def test_a_wrong_format_can_be_corrected(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", log(combined(Hit()), combined(Hit(uri=b"/other"))))
    load_by(place, RULES, path, format_=named("nginx-tsv"))
    other = save(tmp_path, "b.log", log(of_old_key("old")))
    load_by(place, RULES, other)
    assert replay(place).batches == []
    result = replay(place, rules=BOTH, format_=named("combined"))
    assert result.changes == Tally(
        not_pixel=1, accepted=2, rejected=Counter(malformed=-2, tampered=-1)
    )
    assert place.rows("pixelship.rejects") == []
    assert_balanced(place)


def test_a_forgotten_path_costs_no_rejects(place: Place, tmp_path: Path) -> None:
    uri = b"/px.gif?" + signed("an older secret")
    ours = replace(RULES, paths=("/px.gif",))
    load_by(place, ours, save(tmp_path, "a.log", log(tsv(Hit(uri=uri)), tsv(Hit(uri=b"/px.gif")))))
    before = everything(place)
    result = replay(place, rules=BOTH)
    assert (result.batches, result.kept) == ([], Counter({"not-pixel": 2}))
    assert everything(place) == before
    assert replay(place, rules=replace(BOTH, paths=("/px.gif",))).changes.accepted == 1
    assert_balanced(place)


def test_odd_bytes_come_back_as_they_were(place: Place, tmp_path: Path) -> None:
    """Carriage returns within, a byte order mark, quotes, control characters, names alike."""
    agent = (
        b"Mozilla/5.0 \xff\xfe\"'\\ \x01 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
    )
    lines = b"\xef\xbb\xbf" + of_old_key("first") + b"\r\n" + of_old_key("two", user_agent=agent)
    lines += b"\n\r\r\n" + of_old_key("bare\r") + b"\n\xef\xbb\xbf" + of_old_key("marked") + b"\n"
    path = save(tmp_path, "é 'quoted\" [1] \x1b[2J\n日.log", lines)
    load_by(place, RULES, path)
    before = {row["source_position"]: row["raw"] for row in place.rows("pixelship.rejects")}
    result = replay(place, Choice(objects=(str(path),)), BOTH)
    rows = {row["source_position"]: row for row in place.rows("news.pageviews")}
    left = {row["source_position"]: row["raw"] for row in place.rows("pixelship.rejects")}
    assert rows.keys() | left.keys() == before.keys()
    assert len(rows) == result.changes.accepted >= 2
    assert {row["source_object"] for row in rows.values()} == {str(path)}
    assert_balanced(place)

    plain = MemoryPlace(tmp_path)
    load_by(plain, BOTH, path)
    events = {row["source_position"]: row | {"batch": ""} for row in plain.rows("news.pageviews")}
    assert events == {position: row | {"batch": ""} for position, row in rows.items()}


# Whose they are


def test_parts_of_a_grown_file_are_replayed_in_one_batch(place: Place, tmp_path: Path) -> None:
    data = b""
    for name in ("one", "two", "three"):
        data += log(of_old_key(name), combined(Hit()))
        load_by(place, RULES, save(tmp_path, "a.log", data))
    result = replay(place, rules=BOTH)
    assert (result.batches, result.changes.accepted) == (["00000004"], 3)
    (row,) = (row for row in place.rows("pixelship.objects") if row["batch"] == "00000004")
    assert (row["size"], row["accepted"], row["lines"]) == (len(data), 3, 0)
    assert json.loads(row["rejected"]) == {"tampered": -3}
    assert_balanced(place)
    more = load_by(place, BOTH, save(tmp_path, "a.log", data + views("four")))
    assert (more.total.lines, more.batches) == (1, ["00000005"])
    assert load_by(place, BOTH, tmp_path / "logs").unchanged == 1


def test_contents_that_rotation_gave_one_name_are_replayed_apart(
    place: Place, tmp_path: Path
) -> None:
    """Else nothing would tell whose rows are whose, and none could be unloaded alone."""
    for name in ("one", "two"):
        load_by(place, RULES, save(tmp_path, "a.log", log(of_old_key(name), of_old_key(name * 2))))
    load_by(place, RULES, save(tmp_path, "b.log", log(of_old_key("three"))))
    result = replay(place, rules=BOTH)
    assert result.batches == ["00000004", "00000005"]
    batches = {row["event_id"]: row["batch"] for row in place.rows("news.pageviews")}
    assert batches["one"] == batches["oneone"] == batches["three"] == "00000004"
    assert batches["two"] == batches["twotwo"] == "00000005"
    assert_balanced(place)


def test_status_and_loading_go_on_after_a_replay(place: Place, tmp_path: Path) -> None:
    path = save(tmp_path, "a.log", MIXED + log(of_old_key("old")))
    load_by(place, RULES, path)
    replay(place, rules=BOTH)
    told = status(place)
    assert (told.adds_up, told.batches) == (True, {"load": 1, "replay": 1})
    again = load_by(place, BOTH, path)
    assert (again.batches, again.unchanged) == ([], 1)
    assert load_by(place, BOTH, save(tmp_path, "c.log", views("c"))).batches == ["00000003"]
