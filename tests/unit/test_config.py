from __future__ import annotations

import pytest

from pipeline.config import TOP_KEYS, Config, keys_of, read_config
from pipeline.dialects import UNSIGNED
from pipeline.errors import SetupError
from pipeline.options import Rules

FULL = """
addresses = "drop"
trusted_proxies = ["10.0.0.0/8", "2001:db8::/32"]
allow = ["news.*", "web.*", "mail.*", "counts.*"]
signed_only = ["news.*"]

[prx]
paths = ["/i.gif", "/p/*"]
default_dataset = "news"

[mixpanel]
tokens = { abc = "web.events", "d e" = "web.others" }

[segment]
paths = ["/seg/*"]
write_keys = { key = "web.events" }

[email]
destination = "mail.opens"

[ping]
paths = ["/ping.gif"]
destination = "counts.hits"
"""


def config(text: str) -> Config:
    return read_config(text.encode(), "pixelship.toml")


def test_a_full_file_is_read_whole() -> None:
    rules = config(FULL).rules
    assert rules.addresses == "drop"
    assert rules.trusted_proxies == ("10.0.0.0/8", "2001:db8::/32")
    assert rules.allow == ("news.*", "web.*", "mail.*", "counts.*")
    assert rules.signed_only == ("news.*",)
    assert (rules.paths, rules.default_dataset) == (("/i.gif", "/p/*"), "news")
    told = {each.name: (each.paths, dict(each.destinations)) for each in rules.unsigned}
    assert told == {
        "mixpanel": (("/track", "/track/"), {"abc": "web.events", "d e": "web.others"}),
        "segment": (("/seg/*",), {"key": "web.events"}),
        "email": (("/pixel.gif",), {"": "mail.opens"}),
        "ping": (("/ping.gif",), {"": "counts.hits"}),
    }


def test_an_empty_file_is_the_defaults() -> None:
    assert config("").rules == Rules()


def test_dialects_come_in_the_order_of_their_marks_however_they_are_written() -> None:
    text = '[ping]\ndestination = "a.b"\n[email]\ndestination = "a.c"\n'
    assert [each.name for each in config(text).rules.unsigned] == ["email", "ping"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = ", "is no TOML: Invalid value (at end of document)"),
        ("path = 1", "path is not known: choose of addresses, trusted_proxies, allow, signed_only, prx, mixpanel, segment, email, ping"),
        ("alow = []", "alow is not known: perhaps allow is meant"),
        ('addresses = "hash"', "addresses 'hash' is not known: write one of mask, keep, drop"),
        ('trusted_proxies = ["ten"]', "trusted_proxies has 'ten', which is no network: write it as 10.0.0.0/8"),
        ('allow = "news.*"', 'allow is a list of texts: write it as ["…", "…"]'),
        ("signed_only = [1]", 'signed_only is a list of texts: write it as ["…", "…"]'),
        ("prx = 1", "prx is a table: write [prx] on a line of its own, its keys below"),
        ('[prx]\npaths = ["i.gif"]', "prx.paths has 'i.gif', which is no path: write it as /pixel.gif, or /v1/*"),
        ('[prx]\npaths = ["/a?b"]', "prx.paths has '/a?b', which is no path: write it as /pixel.gif, or /v1/*"),
        ('[prx]\npaths = ["/*/a"]', "prx.paths has '/*/a', which is no path: write it as /pixel.gif, or /v1/*"),
        ("[prx]\npaths = []", "prx.paths is empty: name a path, or leave it out"),
        ('[prx]\ndefault_dataset = "a.b"', "prx.default_dataset 'a.b' is no dataset: use letters, digits and _"),
        ('[prx]\ndefault_dataset = "pixelship"', "prx.default_dataset 'pixelship' is no dataset: use letters, digits and _"),
        ("[ping]", 'ping.destination is missing: say where its views go, as in destination = "web.views"'),
        ('[ping]\ndestination = "hits"', "ping.destination names 'hits', which is no DATASET.TABLE: write it as \"web.views\""),
        ('[ping]\nkey = "hits"', "ping.key is not known: choose of paths, destination"),
        ('allow = ["news.*"]\n[ping]\ndestination = "a.b"', "ping.destination names 'a.b', which is not among `allow`: write it as \"web.views\""),
        ('signed_only = ["a.*"]\n[ping]\ndestination = "a.b"', "ping.destination names 'a.b', which is among `signed_only`: ping's views carry no signature"),
        ("[mixpanel]", 'mixpanel.tokens is missing: write tokens = { "TOKEN" = "DATASET.TABLE" }'),
        ("[mixpanel]\ntokens = 1", "mixpanel.tokens is a table: write [tokens] on a line of its own, its keys below"),
        ("[mixpanel]\ntokens = { a = 1 }", 'mixpanel.tokens is a table of texts: write tokens = { "TOKEN" = "DATASET.TABLE" }'),
        ('[mixpanel]\ntokens = { a = "A.b", c = "a.B" }', "'A.b' and 'a.B' differ in case alone: write one of them"),
    ],
    ids=range(23),
)  # fmt: skip
def test_a_mistake_is_one_sentence_that_says_what_to_write(text: str, why: str) -> None:
    with pytest.raises(SetupError) as raised:
        config(text)
    assert str(raised.value) in (f"pixelship.toml: {why}.", f"pixelship.toml {why}.")


def test_every_section_has_its_keys() -> None:
    assert keys_of("") == TOP_KEYS
    assert {name: keys_of(name)[1] for name in UNSIGNED} == {
        "mixpanel": "tokens",
        "segment": "write_keys",
        "email": "destination",
        "ping": "destination",
    }
