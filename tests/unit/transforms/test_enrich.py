from __future__ import annotations

from hashlib import md5

import pyarrow as pa
import pytest

from pipeline.transforms.enrich import referrer_hosts, user_ids


def texts(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string())


def hashed(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def test_the_cookie_is_the_user_id() -> None:
    ids = user_ids(texts("816fe127"), texts("agent"), texts("1.2.3.4"), texts("ref"))
    assert ids.to_pylist() == ["816fe127"]


def test_without_a_cookie_it_is_a_hash_as_prx_has_it() -> None:
    ids = user_ids(
        texts(None, "816fe127", None, None),
        texts("Mozilla é", "agent", None, "Mozilla é"),
        texts("1.2.3.4", "1.2.3.4", "::1", "1.2.3.4"),
        texts("https://e.org/", None, None, None),
    )
    assert ids.to_pylist() == [
        hashed("Mozilla é-1.2.3.4-https://e.org/"),
        "816fe127",
        hashed("-::1-"),
        hashed("Mozilla é-1.2.3.4-"),
    ]


def test_no_visitors_have_no_ids() -> None:
    assert user_ids(texts(), texts(), texts(), texts()).to_pylist() == []


@pytest.mark.parametrize(
    ("referrer", "host"),
    [
        ("https://news.example.org/a?b=c", "news.example.org"),
        ("https://news.example.org", "news.example.org"),
        ("http://NEWS.Example.ORG:8443/a", "news.example.org"),
        ("https://user:secret@news.example.org/a", "news.example.org"),
        ("https://news.example.org?x=@other.example", "news.example.org"),
        ("https://news.example.org#x", "news.example.org"),
        ("http://[2001:DB8::1]:8080/a", "[2001:db8::1]"),
        ("android-app://com.example.mail/", "com.example.mail"),
        ("https://ünï.example/", "ünï.example"),
        ("/a/path", None),
        ("news.example.org", None),
        ("about:blank", None),
        ("https://", None),
        ("https:///a", None),
        ("", None),
        ("-", None),
        (None, None),
    ],
)
def test_a_referrers_host(referrer: str | None, host: str | None) -> None:
    assert referrer_hosts(texts(referrer)).to_pylist() == [host]


def test_no_referrers_have_no_hosts() -> None:
    assert referrer_hosts(texts()).to_pylist() == []
