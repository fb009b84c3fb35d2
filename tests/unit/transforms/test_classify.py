from __future__ import annotations

from unittest.mock import patch

import pyarrow as pa
import pytest

from pipeline.transforms import classify as module
from pipeline.transforms.classify import Agents, Classifier

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
KNOWN = Classifier()


def classify(*agents: str) -> Agents:
    return KNOWN.classify(pa.array(agents, pa.string()))


def test_a_browser_is_no_bot_and_is_known() -> None:
    found = classify(IPHONE, FIREFOX)
    assert found.is_bot.tolist() == [False, False]
    assert found.rule.to_pylist() == [None, None]
    assert found.browser.to_pylist() == ["Mobile Safari", "Firefox"]
    assert found.browser_version.to_pylist() == ["17.5", "130.0"]
    assert found.os.to_pylist() == ["iOS", "Linux"]
    assert found.os_version.to_pylist() == ["17.5", None]
    assert found.device.to_pylist() == ["iPhone", None]


@pytest.mark.parametrize(
    ("agent", "rule"),
    [
        (GOOGLEBOT, "ua-parser: Googlebot"),
        (
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            "ua-parser: bingbot",
        ),
    ],
)
def test_a_bot_is_one_by_a_rule(agent: str, rule: str) -> None:
    found = classify(agent)
    assert found.is_bot.tolist() == [True]
    assert found.rule.to_pylist() == [rule]


@pytest.mark.parametrize("agent", ["", " ", "-", "x", "\ufffd", "é" * 3000, "(" * 5000, "\0", "\n"])
def test_odd_agents_are_unknown_and_no_bots(agent: str) -> None:
    found = classify(agent)
    assert found.is_bot.tolist() == [False]
    assert found.browser.to_pylist() == [None]


def test_what_follows_in_a_long_agent_is_not_looked_at() -> None:
    assert classify(FIREFOX + "x" * 3000 + GOOGLEBOT).is_bot.tolist() == [False]


def test_no_agents() -> None:
    found = classify()
    assert found.is_bot.tolist() == []
    assert found.browser.to_pylist() == []
    assert found.browser.type == pa.string()


def test_an_agent_is_classified_the_same_again() -> None:
    assert classify(GOOGLEBOT, FIREFOX).rule.equals(classify(GOOGLEBOT, FIREFOX).rule)


def test_what_is_remembered_is_limited() -> None:
    classifier = Classifier()
    with patch.object(module, "_MOST_CACHED", 2):
        for _ in range(2):
            found = classifier.classify(pa.array([IPHONE, GOOGLEBOT, FIREFOX, "x"]))
            assert found.is_bot.tolist() == [False, True, False, False]
            assert found.browser.to_pylist() == ["Mobile Safari", "Googlebot", "Firefox", None]
