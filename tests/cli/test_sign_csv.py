from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.cli.conftest import Pixelship

ROWS = [
    {"key": "story-1", "canonical": "https://e.org/1?a=b&c", "to": "news.views", "author": 'A, "B"'},
    {"key": "story 2", "canonical": "https://e.org/é", "to": "mail.opens", "author": ""},
]  # fmt: skip


def save(text: str, path: str = "in.csv") -> str:
    Path(path).write_bytes(text.encode())
    return path


def as_csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_each_row_has_its_url(pixelship: Pixelship) -> None:
    done = pixelship("sign", "--csv", save("\ufeff" + as_csv(ROWS)), "--unsigned", "id={{id}}")
    assert (done.status, done.stderr) == (0, "")
    signed = read(done.stdout)
    assert [{**row, "url": ""} for row in signed] == [{**row, "url": ""} for row in ROWS]
    verdicts = pixelship("check", "--json", *(row["url"] for row in signed)).json
    assert [verdict["params"] for verdict in verdicts] == [
        {"k": "story-1", "c": "https://e.org/1?a=b&c", "d": "news.views", "author": 'A, "B"'},
        {"k": "story 2", "c": "https://e.org/é", "d": "mail.opens"},
    ]
    assert {verdict["counts"] for verdict in verdicts} == {True}
    assert verdicts[0]["extras"] == {"id": "{{id}}"}
    for row in ROWS:
        words = ("--key", row["key"], "--canonical", row["canonical"], "--to", row["to"])
        more = ("--param", f"author={row['author']}") if row["author"] else ()
        alone = pixelship("sign", *words, *more, "--unsigned", "id={{id}}").stdout.strip()
        assert alone in [each["url"] for each in signed]


def test_what_the_file_lacks_comes_from_the_options(pixelship: Pixelship) -> None:
    path = save("key,note\na,x\nb,y\n")
    words = (
        "--canonical",
        "https://e.org/",
        "--to",
        "a.b",
        "--param",
        "note=z",
        "--param",
        "all=1",
    )
    signed = read(pixelship("sign", "--csv", path, *words).stdout)
    verdicts = pixelship("check", "--json", *(row["url"] for row in signed)).json
    assert [verdict["params"] for verdict in verdicts] == [
        {"k": "a", "c": "https://e.org/", "d": "a.b", "note": "x", "all": "1"},
        {"k": "b", "c": "https://e.org/", "d": "a.b", "note": "y", "all": "1"},
    ]


def test_tags_and_version_1(pixelship: Pixelship) -> None:
    path = save(as_csv(ROWS))
    tags = read(pixelship("sign", "--csv", path, "--html").stdout)
    assert all(row["html"].startswith('<img src="https://px.example.org/') for row in tags)
    urls = [row["url"] for row in read(pixelship("sign", "--csv", path, "--v1").stdout)]
    assert {verdict["version"] for verdict in pixelship("check", "--json", *urls).json} == {1}


def test_many_rows_are_signed_in_turns(
    pixelship: Pixelship, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.cli.sign_csv._ROWS_AT_ONCE", 7)
    keys = [f"k{number}" for number in range(23)]
    path = save("key\n" + "\n".join(keys) + "\n")
    words = ("--canonical", "https://e.org/", "--to", "a.b")
    signed = read(pixelship("sign", "--csv", path, *words).stdout)
    assert [row["key"] for row in signed] == keys
    assert len({row["url"] for row in signed}) == len(keys)


def test_an_empty_table_stays_one(pixelship: Pixelship) -> None:
    assert pixelship("sign", "--csv", save("key,canonical,to\n")).stdout == "key,canonical,to,url\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("key,canonical,to\na,b,nowhere\n", "Line 2 of in.csv: 'nowhere' is no permitted"),
        ("key,canonical,to\na,b,c.d\n,b,c.d\n", "Line 3 of in.csv: --key and --canonical may not"),
        ("key,canonical,to\n\"a\nb\",b,c.d\nx,,c.d\n", "Line 4 of in.csv"),
        ("key,to\na,b.c\n", "--key, --canonical and --to are needed"),
        ("key,canonical,to,x y\na,b,c.d,e\n", "No parameter named 'x y' can be signed"),
        ("key,canonical,to,k\na,b,c.d,e\n", "The column 'k' of in.csv"),
        ("key,canonical,to,exp\na,b,c.d,1\n", "The column 'exp' of in.csv"),
        ("key,canonical,to,url\na,b,c.d,1\n", "The column 'url' of in.csv"),
        ("key,key\na,b\n", "The column 'key' of in.csv stands there twice"),
        ("key,canonical,to\na,b\n", "Line 2 of in.csv has more or fewer cells"),
        ("key,canonical,to\na,b,c.d,e\n", "Line 2 of in.csv has more or fewer cells"),
        ('key,canonical,to\n"a,b,c.d\n', "is no CSV file"),
        ("key,canonical,to\na,b\0,c.d\n", ""),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_signed_is_named(pixelship: Pixelship, text: str, told: str) -> None:
    done = pixelship("sign", "--csv", save(text))
    assert done.status == 2
    assert told in done.stderr
    assert "url" not in done.stdout.partition("\n")[2]


def test_a_file_that_cannot_be_read_is_named(pixelship: Pixelship) -> None:
    done = pixelship("sign", "--csv", "none.csv")
    assert (done.status, done.stderr) == (2, "Error: none.csv cannot be read: No such file or directory.\n")  # fmt: skip
    Path("latin.csv").write_bytes(b"key,canonical,to\ncaf\xe9,b,c.d\n")
    assert "latin.csv is not UTF-8" in pixelship("sign", "--csv", "latin.csv").stderr
