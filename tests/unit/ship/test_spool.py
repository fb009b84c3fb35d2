"""The folder in which logs wait."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SetupError
from pipeline.ship import shipping
from pipeline.ship.spool import FOLDER, Spool
from pipeline.ship.stores import Folder
from tests.shipping import Place, lines


def test_one_shipper_at_a_time(place: Place) -> None:
    code = (
        "import sys; from pathlib import Path; from pipeline.ship.spool import Spool\n"
        "with Spool(Path(sys.argv[1])).locked(): print('locked', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, place.logs],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(SetupError, match="Another `pixelship ship` is at work in"):
            place.ship()
        other.kill()
    assert place.ship().is_clean, "the lock outlived its holder"


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="is no folder"), Spool(tmp_path / "typo").locked():
        pass
    assert not (tmp_path / "typo").exists()


def test_a_folder_that_may_not_be_written_is_named(place: Place) -> None:
    (place.logs / FOLDER).write_text("not a folder")
    with pytest.raises(SetupError, match=f"Nothing can be written to .*{FOLDER}"):
        place.ship()


def test_two_logs_of_one_name_are_both_taken(place: Place) -> None:
    with place.spool.locked():
        for data in (b"one", b"two"):
            place.spool.take(place.put("pixelship.log.1", data))
    taken = place.spool.taken()
    assert [log.name for log in taken] == ["pixelship.log.1"] * 2
    assert {log.path.read_bytes() for log in taken} == {b"one", b"two"}


def test_a_log_that_went_away_is_not_taken(place: Place) -> None:
    with place.spool.locked():
        assert place.spool.take(place.logs / "gone") is None


def test_the_longest_name_that_a_file_can_have_is_taken(place: Place) -> None:
    log = place.put("pixelship.log-" + "x" * 241, b"")
    with place.spool.locked():
        assert place.spool.take(log) is not None


def test_what_was_being_written_by_a_run_that_was_killed_is_cleared_away(place: Place) -> None:
    with place.spool.locked():
        (place.logs / FOLDER / "packing" / "left").write_text("half")
    with place.spool.locked():
        assert place.parts()["packing"] == 0


def test_the_spool_is_for_its_owner_alone(place: Place) -> None:
    with place.spool.locked():
        pass
    for part in ("taken", "ready", "shipped"):
        assert (place.logs / FOLDER / part).stat().st_mode & 0o077 == 0


def test_what_is_relied_on_is_on_the_disk_before_anything_is_removed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that loses its power may forget what was not synced, in any order."""
    steps: list[str] = []
    part = re.compile(r"taken|packing|ready|shipped|out|logs(?=/pixelship)")

    def noted(word: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def take(what: int | Path, *words: Any, **others: Any) -> Any:
            path = Path(f"/proc/self/fd/{what}").readlink() if isinstance(what, int) else what
            found = part.findall(str(path.relative_to(place.root)))
            result = step(what, *words, **others)
            steps.append(f"{word} {found[0]}")
            return result

        return take

    log = place.put("pixelship.log.1", lines(0))
    with place.spool.locked():
        monkeypatch.setattr(os, "fsync", noted("sync", os.fsync))
        for name in ("rename", "unlink"):
            monkeypatch.setattr(Path, name, noted(name, getattr(Path, name)))
        assert log.exists()
        shipping.ship(replace(place.order, keep_s=0), Folder(place.out), place.spool)
    assert steps == [
        "rename logs",
        *("sync packing", "rename packing", "sync ready", "unlink packing", "unlink taken"),
        *(
            "sync out",
            "unlink out",
            *["sync out"] * 5,
            "rename ready",
            "sync shipped",
            "unlink shipped",
        ),
    ]


def test_a_spool_that_leads_elsewhere_is_refused(place: Place) -> None:
    """Who may write to the folder of the logs may not have other files shipped."""
    (place.root / "elsewhere").mkdir()
    (place.logs / FOLDER).symlink_to(place.root / "elsewhere")
    with pytest.raises(SetupError, match="belongs to another user, or is a link"):
        place.ship()


def test_a_spool_of_another_user_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.ship()
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    with pytest.raises(SetupError, match="ship as that user"):
        place.ship()


def test_a_link_that_took_a_logs_place_is_not_followed(place: Place) -> None:
    secret = place.root / "secret"
    secret.write_text("secret")
    place.ship()
    (place.logs / FOLDER / "taken" / "0-pixelship.log.1").symlink_to(secret)
    assert place.ship().shipped == 0
    assert not place.out.exists()
