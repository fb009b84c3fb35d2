"""docs/signatures.md: its worked examples come true, by the standard library and by the package."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from pathlib import Path

import pyarrow as pa

from pipeline.check import check_urls
from pipeline.model import Reason
from pipeline.options import Rules
from pipeline.query import parse_queries
from pipeline.signing import Key, key_ring, messages, sign_query, sign_query_v2

TEXT = (Path(__file__).parents[1] / "docs/signatures.md").read_text(encoding="utf-8")
SECRET = "example secret"
VIEW = {"k": "café 1", "d": "news.pageviews", "c": "https://example.org/a"}


def digest(text: str) -> bytes:
    return hmac.digest(SECRET.encode(), text.encode(), hashlib.sha256)


def in_base64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def test_the_example_of_version_2_comes_true() -> None:
    (message,) = re.findall(r"^(pixelship-2\..*)$", TEXT, re.M)
    octets = "".join(re.findall(r"^((?:[0-9a-f]{2} ?){6,16})$", TEXT, re.M))
    assert bytes.fromhex(octets) == message.encode()
    assert f"has {len(message.encode())} bytes" in TEXT
    assert digest("pixelship key id").hex()[:8] == message.split(".")[1]
    assert f"\n{digest(message).hex()}\n" in TEXT
    assert TEXT.count(in_base64(digest(message))) == 3
    assert f"\n{sign_query_v2(VIEW, Key(SECRET.encode()))}\n" in TEXT
    assert f"printf '%s' '{message}' |" in TEXT


def test_the_example_of_version_1_comes_true() -> None:
    query = sign_query(VIEW, Key(SECRET.encode()))
    message = messages(parse_queries(pa.array([query.encode()])))[0].as_py()
    assert f"\n{message}\n{query}\n" in TEXT
    assert query.startswith(f"s={in_base64(digest(message))}&")


def test_the_query_strings_count() -> None:
    queries = re.findall(r"^s=.*&.*$", TEXT, re.M)
    verdicts = check_urls([f"/i.gif?{query}" for query in queries], Rules(key_ring([SECRET])), 0)
    assert [(verdict.counts, verdict.facts.version) for verdict in verdicts] == [
        (True, 2),
        (True, 1),
    ]


def test_the_order_of_verification_is_that_of_the_reasons() -> None:
    steps = TEXT.partition("### Verification")[2].partition("A verifier may say")[0]
    named = re.findall(r"^\d+\. .*?(?=^\d+\. |\Z)", steps, re.M | re.S)
    labels = {reason.label for reason in Reason}
    told = [label for step in named for label in re.findall(r": `([a-z-]+)`", step)]
    assert set(told) <= labels
    order = dict.fromkeys(reason.label for reason in sorted(Reason) if reason >= Reason.UNKNOWN_KEY)
    assert told[:3] == ["malformed"] * 3
    assert told[3:] == [
        label for label in order if label not in {"no-agent", "no-ip", "unknown-token"}
    ]
