from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from pipeline.errors import SetupError
from pipeline.model import LogObject
from pipeline.sources import LocalFiles

TREE = (
    "access.log", "access.log.1", "error.txt", "[1].log", "old/2025.log.gz", "old/deep/x.log",
    ".hidden.log", ".cache/y.log", "old/.git/z.log",
)  # fmt: skip


def checksum(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in TREE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.log")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*patterns: str, leave_out: tuple[Path, ...] = ()) -> list[str]:
    """What is found, relative to the present folder."""
    return [
        str(Path(name).relative_to(Path.cwd())) for name in LocalFiles().find(patterns, leave_out)
    ]


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("access.log", ["access.log"]),
        ("./access.log", ["access.log"]),
        ("access.log*", ["access.log", "access.log.1"]),
        ("old", ["old/2025.log.gz", "old/deep/x.log"]),
        ("old/*", ["old/2025.log.gz"]),
        ("**/*.log", ["[1].log", "access.log", "old/deep/x.log"]),
        (".hidden.log", [".hidden.log"]),
        (".cache", [".cache/y.log"]),
        ("[1].log", ["[1].log"]),
        ("?ccess.log", ["access.log"]),
    ],
)
def test_files_globs_and_folders_are_found_in_order(pattern: str, names: list[str]) -> None:
    assert found(pattern) == names


def test_hidden_files_and_folders_are_left_out_of_a_folder(tree: Path) -> None:
    assert sorted(found(str(tree))) == sorted(name for name in TREE if "/." not in f"/{name}")


@pytest.mark.usefixtures("tree")
def test_a_folder_inside_a_hidden_one_may_be_named() -> None:
    assert found("old/.git") == ["old/.git/z.log"]


@pytest.mark.usefixtures("tree")
def test_a_file_is_found_once_in_the_order_of_the_patterns() -> None:
    Path("link.log").symlink_to("access.log.1")
    assert found("access.log.1", "access.log", "link.log", "acc*") == ["access.log.1", "access.log"]


@pytest.mark.usefixtures("tree")
def test_what_is_left_out_is_left_out_of_all_patterns() -> None:
    ours = (Path("access.log.1"), Path("old"), Path("never made"))
    assert found("access.log*", ".", leave_out=ours) == ["access.log", "[1].log", "error.txt"]
    with pytest.raises(SetupError):
        found("old", leave_out=ours)


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    "pattern", ["none.log", "*.none", "empty", "no/such/folder", "pipe.log", ""]
)
def test_a_pattern_that_names_nothing_is_wrong_set_up(pattern: str) -> None:
    with pytest.raises(SetupError, match="check the path") as raised:
        found("access.log", pattern)
    assert repr(pattern) in str(raised.value)


def test_a_file_is_pinned_by_its_size_and_content(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    path = tmp_path / "a.log"
    path.write_bytes(data)
    files = LocalFiles()
    assert files.pin(str(path)) == LogObject(str(path), len(data), checksum(data))
    assert files.checksum(str(path), 1_500_000) == checksum(data[:1_500_000])
    assert files.checksum(str(path), 0) == checksum(b"")


def test_a_file_that_grows_while_it_is_pinned_is_pinned_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"old")

    class Growing(LocalFiles):
        def checksum(self, name: str, size: int) -> str:
            path.write_bytes(b"old and new")
            return super().checksum(name, size)

    assert Growing().pin(str(path)) == LogObject(str(path), 3, checksum(b"old"))


def test_what_cannot_be_read_raises_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LocalFiles().pin(str(tmp_path / "gone"))
    with pytest.raises(IsADirectoryError):
        LocalFiles().pin(str(tmp_path))
