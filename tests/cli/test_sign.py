from __future__ import annotations

import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from pipeline.keyfile import write_key_file
from pipeline.signing import Key, KeyRing
from tests.cli.conftest import Pixelship, rows
from tests.logs import SECRET, Hit, log, tsv

STORY = ("--key", "story-1", "--canonical", "https://example.org/a?b=c&d=é", "--to", "news.views")


def test_the_url_that_is_printed_verifies(pixelship: Pixelship) -> None:
    done = pixelship("sign", *STORY)
    assert (done.status, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    url = urlsplit(done.stdout.strip())
    assert (url.scheme, url.netloc, url.path) == ("https", "px.example.org", "/pixel.gif")
    parameters = parse_qsl(url.query)
    assert parameters[0][0] == "s"
    assert parameters[0][1].startswith(f"2.{Key(SECRET.encode()).id}.c~d~k.")
    assert dict(parameters[1:]) == {
        "k": "story-1",
        "d": "news.views",
        "c": "https://example.org/a?b=c&d=é",
    }
    (verdict,) = pixelship("check", "--json", done.stdout.strip()).json
    assert (verdict["counts"], verdict["destination"]) == (True, "news.views")


def test_version_1_is_the_form_of_prx(pixelship: Pixelship) -> None:
    url = pixelship("sign", *STORY, "--v1", "--param", "exp=x", "--param", "é=1").stdout.strip()
    signature, *_, canonical = parse_qsl(urlsplit(url).query)
    assert (len(signature[1]), canonical[0]) == (43, "c")
    (verdict,) = pixelship("check", "--json", url).json
    assert (verdict["counts"], verdict["version"]) == (True, 1)
    assert verdict["params"]["exp"] == "x"


def test_what_is_unsigned_stands_behind_and_merge_tags_as_they_are(pixelship: Pixelship) -> None:
    words = ("cb=a b&c", "id=*|UNIQID|*", "who=x-{{ contact.id }}/%%email%%", "é=ü")
    url = pixelship("sign", *STORY, *(f"--unsigned={word}" for word in words)).stdout.strip()
    behind = "&cb=a%20b%26c&id=*|UNIQID|*&who=x-{{ contact.id }}%2F%%email%%&%C3%A9=%C3%BC"
    assert url.endswith(f"d%3D%C3%A9{behind}")
    filled = url.replace("*|UNIQID|*", "r 1").replace("{{ contact.id }}", "7")
    (verdict,) = pixelship("check", "--json", filled).json
    assert verdict["counts"]
    assert verdict["extras"] == {"cb": "a b&c", "id": "r 1", "who": "x-7/%%email%%", "é": "ü"}


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("30d", 2_592_000), ("2h", 7200), ("90s", 90), ("5m", 300), ("1w", 604_800)],
)
def test_times_may_be_given_from_now(pixelship: Pixelship, given: str, seconds: int) -> None:
    before = int(time.time())
    url = pixelship("sign", *STORY, "--expires", given, "--not-before", "0s").stdout.strip()
    after = int(time.time())
    parameters = dict(parse_qsl(urlsplit(url).query))
    assert before + seconds <= int(parameters["exp"]) <= after + seconds
    assert before <= int(parameters["nbf"]) <= after
    assert pixelship("check", url).status == 0


@pytest.mark.parametrize(
    "given", ["2030-01-01", "2030-01-01T00:00:00Z", "2030-01-01T01:00:00+01:00", "2030-01-01T00:00:00.900"]
)  # fmt: skip
def test_times_may_be_absolute(pixelship: Pixelship, given: str) -> None:
    url = pixelship("sign", *STORY, "--not-before", given).stdout.strip()
    assert dict(parse_qsl(urlsplit(url).query))["nbf"] == "1893456000"
    (verdict,) = pixelship("check", "--json", url).json
    assert (verdict["reason"], verdict["not_before"]) == ("not-yet", "2030-01-01T00:00:00Z")


def test_what_is_viewed_must_be_named(pixelship: Pixelship) -> None:
    for left_out in (0, 2, 4):
        done = pixelship("sign", *STORY[:left_out], *STORY[left_out + 2 :])
        assert (done.status, done.stdout) == (2, "")
        assert "--key, --canonical and --to are needed" in done.stderr


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
        ("--param", "exp=1"),
        ("--param", "a.b=1"),
        ("--param", "é=1"),
        (*(word for number in range(30) for word in ("--param", f"p{number}=")),),
        ("--unsigned", "plain"),
        ("--unsigned", "k=again"),
        ("--unsigned", "s=mine"),
        ("--param", "a=1", "--unsigned", "a=2"),
        ("--unsigned", "a=1", "--unsigned", "a=2"),
        ("--expires", "1d", "--unsigned", "exp=2"),
        ("--expires", "soon"),
        ("--expires", "30"),
        ("--expires", "1969-12-31"),
        ("--expires", "1h", "--not-before", "1h"),
        ("--expires", "2026-01-01", "--not-before", "2026-01-02"),
        ("--v1", "--unsigned", "a=1"),
        ("--v1", "--expires", "1d"),
        ("--v1", "--not-before", "1d"),
        ("--v1", "--param", "k=again"),
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
