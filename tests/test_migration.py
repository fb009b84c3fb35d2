"""docs/migration.md followed section by section: its files are made, its commands run and their output compared."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import main

PAGE = Path(__file__).parents[1] / "docs" / "migration.md"
_BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.M | re.S)
_CHANGING = (
    (re.compile(r" in \d+\.\d s"), " in N s"),
    (re.compile(r"\b[0-9a-f]{40}\b"), "ID"),
    (re.compile(r"^Key [0-9a-f]{8} "), "Key ID "),
)
"""What is never the same twice: how long it took, ids."""


def sections() -> dict[str, str]:
    """The page's sections with commands, by title."""
    parts = re.split(r"^## (.*)\n", PAGE.read_text(encoding="utf-8"), flags=re.M)
    return {
        title: text for title, text in zip(parts[1::2], parts[2::2], strict=True) if "$ " in text
    }


def blocks(section: str) -> Iterator[tuple[str, str, str]]:
    """Each block's language, the file that it is, and its text."""
    for block in _BLOCK.finditer(section):
        yield block[1], block[2], block[3]


def commands(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output that is shown below it."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.M)
    assert parts[0] == ""
    return list(zip(parts[1::2], parts[2::2], strict=True))


def unchanging(text: str) -> str:
    """A text without what is never the same twice."""
    for pattern, replacement in _CHANGING:
        text = pattern.sub(replacement, text)
    return text


def run(command: str, environment: dict[str, str | None]) -> str:
    """Runs a command of the page; an export changes the environment of those that follow."""
    words = shlex.split(command)
    if words[0] == "export":
        name, _, value = words[1].partition("=")
        environment[name] = value
        return ""
    assert words[0] == "pixelship", command
    done = CliRunner(env=environment).invoke(main, words[1:])
    assert done.stderr == "", done.stderr
    return done.stdout


def follow(section: str) -> list[tuple[str, str, str]]:
    """Each command of a section, with the output that is shown and the one that there was."""
    environment: dict[str, str | None] = dict.fromkeys(
        ("SIGNER_SECRET", "PIXELSHIP_KEYS", "PIXELSHIP_CONFIG", "PIXELSHIP_BASE")
    )
    environment["COLUMNS"] = "110"
    ran = []
    for language, file, text in blocks(section):
        if language == "console":
            ran += [(line, shown, run(line, environment)) for line, shown in commands(text)]
        else:
            assert file, f"a block of {language} names no file"
            Path(file).write_text(text, encoding="utf-8")
    return ran


@pytest.mark.parametrize("title", sections())
def test_a_section_can_be_followed(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = follow(sections()[title])
    assert len(ran) >= 3
    for command, shown, printed in ran:
        assert unchanging(printed) == unchanging(shown), command


def test_every_system_has_its_section() -> None:
    assert list(sections()) == [
        "PRX's pixel tracker",
        "Mixpanel's pixel",
        "pixel-ping",
        "sha1-ip-pixel-tracker",
    ]
