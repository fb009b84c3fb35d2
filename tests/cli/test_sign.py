from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from pipeline.keyfile import write_key_file
from pipeline.signing import Key, KeyRing
from tests.cli.conftest import Pixelship, rows
from tests.logs import Hit, log, tsv

STORY = ("--key", "story-1", "--canonical", "https://example.org/a?b=c&d=é", "--to", "news.views")


def test_the_url_that_is_printed_verifies(pixelship: Pixelship) -> None:
    done = pixelship("sign", *STORY)
    assert (done.status, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    url = urlsplit(done.stdout.strip())
    assert (url.scheme, url.netloc, url.path) == ("https", "px.example.org", "/pixel.gif")
    parameters = parse_qsl(url.query)
    assert parameters[0][0] == "s"
    assert dict(parameters[1:]) == {
        "k": "story-1",
        "d": "news.views",
        "c": "https://example.org/a?b=c&d=é",
    }
    (verdict,) = pixelship("check", "--json", done.stdout.strip()).json
    assert (verdict["counts"], verdict["destination"]) == (True, "news.views")


def test_a_view_of_the_url_counts(pixelship: Pixelship) -> None:
    words = ("--key", 'a "b" \\ +&=%20 \t 日', "--param", "issue=12 & 13", "--param", "empty=")
    url = pixelship("sign", *words, "--canonical", "https://e.org/", "--to", "a.b").stdout.strip()
    Path("a.log").write_bytes(
        log(tsv(Hit(uri=url.removeprefix("https://px.example.org").encode())))
    )
    assert pixelship("load", "a.log").status == 0
    assert rows("SELECT key, canonical, params FROM a.b") == [
        (words[1], "https://e.org/", '{"empty":"","issue":"12 & 13"}')
    ]


@pytest.mark.parametrize(
    ("base", "start"),
    [
        ("https://t.example.com", "https://t.example.com/pixel.gif?"),
        ("https://t.example.com/", "https://t.example.com/pixel.gif?"),
        ("https://t.example.com/i.gif", "https://t.example.com/i.gif?"),
        ("https://cdn.example.com/px/i.gif", "https://cdn.example.com/px/i.gif?"),
        ("http://localhost:8080", "http://localhost:8080/pixel.gif?"),
        ("t.example.com", "t.example.com/pixel.gif?"),
        ("//t.example.com/r.gif", "//t.example.com/r.gif?"),
    ],
)
def test_the_base_may_name_a_path(pixelship: Pixelship, base: str, start: str) -> None:
    assert pixelship("sign", *STORY, "--base", base).stdout.startswith(start + "s=")
    assert pixelship("sign", *STORY, env={"PIXELSHIP_BASE": base}).stdout.startswith(start)


def test_html_is_a_tag_with_everything_escaped(pixelship: Pixelship) -> None:
    base = "https://px.example.org/\"><script>'/i.gif"
    done = pixelship("sign", *STORY, "--html", "--base", base)
    assert done.stdout.count("<") == done.stdout.count(">") == 1

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append((tag, dict(attrs)))

    seen: list[tuple[str, dict[str, str | None]]] = []
    Tags().feed(done.stdout)
    url = pixelship("sign", *STORY, "--base", base).stdout.strip()
    assert seen == [("img", {"src": url, "alt": "", "width": "1", "height": "1"})]


def test_the_newest_key_that_is_not_retired_signs(bare: Pixelship) -> None:
    keys = [Key(b"retired", retired_at_us=1), Key(b"first"), Key(b"second")]
    write_key_file(Path("ring.json"), KeyRing(tuple(keys)))
    for env, secret in (({}, b"first"), ({"SIGNER_SECRET": "listed"}, b"first")):
        url = bare("sign", *STORY, "--keys", "ring.json", env=env).stdout.strip()
        write_key_file(Path("one.json"), KeyRing((Key(secret),)))
        assert bare("check", url, "--keys", "one.json").status == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--param", "plain"),
        ("--param", "=value"),
        ("--param", "k=again"),
        ("--param", "s=mine"),
        ("--param", "a=1", "--param", "a=2"),
        ("--to", "nowhere"),
        ("--to", "pixelship.objects"),
        ("--to", "news.views; DROP TABLE x"),
        ("--to", "_hidden.views"),
        ("--key", ""),
        ("--canonical", ""),
        ("--base", "https://px.example.org/i.gif?x=1"),
        ("--base", "https://px.example.org/#here"),
    ],
)
def test_a_url_that_would_not_count_is_not_made(
    pixelship: Pixelship, words: tuple[str, ...]
) -> None:
    done = pixelship("sign", *STORY, *words)
    assert (done.status, done.stdout) == (2, "")
    assert "Error: " in done.stderr


def test_a_destination_outside_the_keys_scope_is_refused(bare: Pixelship) -> None:
    bare("keys", "new", "--scope", "mail.*", "--scope", "news.views_?")
    assert bare("sign", *STORY).status == 2
    assert bare("sign", *STORY, "--to", "news.views_1").status == 0
    assert bare("sign", *STORY, "--to", "mail.opens").status == 0


def test_with_all_keys_retired_nothing_is_signed(bare: Pixelship) -> None:
    write_key_file(Path("pixelship-keys.json"), KeyRing((Key(b"x", retired_at_us=1),)))
    done = bare("sign", *STORY)
    assert (done.status, done.stdout) == (2, "")
    assert "All keys are retired" in done.stderr
