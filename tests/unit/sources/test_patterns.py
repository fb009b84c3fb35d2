from __future__ import annotations

import pytest

from pipeline.errors import SetupError
from pipeline.sources.patterns import Pattern

TREE = (
    "access.log", "access.log.1", "[1].log", "logs/a.log", "logs/b.gz", "logs/2026/c.log",
    "logs/2026/01/d.log", "logs/2026/", "logs/.tmp/e.log", "logs/.f.log", "logs-old/g.log",
)  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("access.log", ["access.log"]),
        ("access.log*", ["access.log", "access.log.1"]),
        ("[1].log", ["[1].log"]),
        ("[12].log", []),
        ("logs", ["logs/a.log", "logs/b.gz", "logs/2026/c.log", "logs/2026/01/d.log"]),
        ("logs/", ["logs/a.log", "logs/b.gz", "logs/2026/c.log", "logs/2026/01/d.log"]),
        ("logs/.tmp/", ["logs/.tmp/e.log"]),
        ("logs/*", ["logs/a.log", "logs/b.gz"]),
        ("logs/?.log", ["logs/a.log"]),
        ("logs/[!a].*", ["logs/b.gz"]),
        ("logs/[^a].*", ["logs/b.gz"]),
        ("logs/[a-b].*", ["logs/a.log", "logs/b.gz"]),
        ("logs/.*.log", ["logs/.f.log"]),
        ("logs/*/*.log", ["logs/2026/c.log"]),
        ("logs/**/*.log", ["logs/a.log", "logs/2026/c.log", "logs/2026/01/d.log"]),
        ("logs/**.log", ["logs/a.log", "logs/2026/c.log", "logs/2026/01/d.log"]),
        ("logs/**", ["logs/a.log", "logs/b.gz", "logs/2026/c.log", "logs/2026/01/d.log"]),
        ("logs*/*.log", ["logs/a.log", "logs-old/g.log"]),
        ("**/g.log", ["logs-old/g.log"]),
        ("LOGS/", []),
        ("logs/2026/", ["logs/2026/c.log", "logs/2026/01/d.log"]),
        ("*", ["access.log", "access.log.1", "[1].log"]),
        ("", [name for name in TREE if "/." not in name and name != "logs/2026/"]),
    ],
)
def test_objects_folders_and_globs(pattern: str, names: list[str]) -> None:
    found = Pattern(f"gs://bucket/{pattern}")
    assert [name for name in TREE if found.fits(name)] == names
    assert all(name.startswith(found.start) for name in names)


@pytest.mark.parametrize(
    ("glob", "fits", "does_not"),
    [
        ("[]a]", "]", "b"),
        ("[!]a]", "b", "]"),
        ("[[]", "[", "]"),
        ("[a&&b]", "&", "c"),
        ("[\\d]", "d", "1"),
        ("[!]", "!", "a"),
        ("[]", "[]", "a"),
        ("a[", "a[", "a"),
        ("a[.-0]b", "a.b", "a/b"),
        ("a.b", "a.b", "axb"),
        ("a**/b", "ax/b", "a.x"),
    ],
)
def test_brackets_and_what_else_means_something_to_regular_expressions(
    glob: str, fits: str, does_not: str
) -> None:
    assert Pattern(f"gs://bucket/{glob}").fits(fits)
    assert not Pattern(f"gs://bucket/{glob}").fits(does_not)


def test_a_bucket_is_a_folder() -> None:
    for text in ("gs://bucket", "gs://bucket/"):
        assert Pattern(text).fits("a/b.log")
        assert not Pattern(text).is_name


@pytest.mark.parametrize(
    "text",
    ["gs://", "gs:///name", "gs://Bucket/a", "gs://b*/a", "gs:/bucket/a", "bucket/a", "gs://b_/a"],
)
def test_what_names_no_object_says_how_to_write_it(text: str) -> None:
    with pytest.raises(SetupError, match="write it as gs://BUCKET/NAME") as raised:
        Pattern(text)
    assert repr(text) in str(raised.value)


def test_a_set_that_is_none_is_wrong_set_up() -> None:
    with pytest.raises(SetupError, match="is no glob: correct what is in brackets"):
        Pattern("gs://bucket/[z-a].log")
