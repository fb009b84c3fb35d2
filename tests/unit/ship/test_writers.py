"""Who holds files open for writing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.ship.writers import FileId, find_writers


def identity(path: Path) -> FileId:
    status = path.stat()
    return status.st_dev, status.st_ino


@pytest.mark.parametrize("mode", ["w", "a", "r+", "x"])
def test_a_file_that_is_open_for_writing_is_found(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "log"
    if mode != "x":
        path.touch()
    with path.open(mode):
        assert identity(path) in find_writers().files
    assert identity(path) not in find_writers().files


def test_a_file_that_is_only_read_is_not(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch()
    with path.open():
        assert identity(path) not in find_writers().files


def test_it_is_found_under_any_name_and_in_any_process(tmp_path: Path) -> None:
    path = tmp_path / "log"
    code = f"file = open({str(path)!r}, 'w'); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        renamed = path.rename(tmp_path / "log.1")
        assert identity(renamed) in find_writers().files
        writer.communicate("\n")
    assert identity(renamed) not in find_writers().files


def proc(folder: Path, *processes: str) -> Path:
    for name in processes:
        (folder / name / "fd").mkdir(parents=True)
    return folder


def test_hidden_processes_are_noticed(tmp_path: Path) -> None:
    assert find_writers(proc(tmp_path / "a", "1", "7")).sees_all
    assert not find_writers(proc(tmp_path / "b", "7", "8")).sees_all
    assert not find_writers(tmp_path / "missing").sees_all


def test_a_process_that_may_not_be_looked_into_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_ever = Path.iterdir

    def iterdir(path: Path) -> object:
        if path == tmp_path / "7" / "fd":
            raise PermissionError
        return as_ever(path)

    proc(tmp_path, "1", "7", "9")
    with (tmp_path / "log").open("w"):
        (tmp_path / "9/fd/3").symlink_to(tmp_path / "log")
        monkeypatch.setattr(Path, "iterdir", iterdir)
        found = find_writers(tmp_path)
    assert not found.sees_all
    assert found.files == {identity(tmp_path / "log")}
