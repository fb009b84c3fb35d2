"""Tells people from machines by their user agent: the one place that decides.

Source: ua-parser's public patterns (uap-core), whose device family `Spider` marks a bot.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import ua_parser

from pipeline.columns import Mask

_MOST_CACHED = 100_000
_MOST_AGENT_BYTES = 2048
"""What follows in a longer user agent is not looked at: patterns take time."""


@dataclass(frozen=True)
class Agents:
    """What distinct user agents are, one row each; text columns are null where unknown.

    `rule` names the pattern family that made an agent a bot.
    """

    is_bot: Mask
    rule: pa.StringArray
    browser: pa.StringArray
    browser_version: pa.StringArray
    os: pa.StringArray
    os_version: pa.StringArray
    device: pa.StringArray


_Agent = tuple[bool, str | None, str | None, str | None, str | None, str | None, str | None]


class Classifier:
    """Classifies user agents, remembering those seen in earlier blocks."""

    def __init__(self) -> None:
        self._known: dict[str, _Agent] = {}

    def classify(self, agents: pa.StringArray) -> Agents:
        """What each of some distinct user agents is."""
        rows = [self._classify(agent) for agent in agents.to_pylist()]
        columns = list(zip(*rows, strict=True)) or [()] * 7
        texts = [pa.array(column, pa.string()) for column in columns[1:]]
        return Agents(np.array(columns[0], np.bool_), *texts)

    def _classify(self, agent: str) -> _Agent:
        known = self._known.get(agent)
        if known is None:
            if len(self._known) >= _MOST_CACHED:
                self._known.clear()
            known = self._known[agent] = _read(agent)
        return known


def _read(agent: str) -> _Agent:
    found = _parser().parse(agent[:_MOST_AGENT_BYTES])
    browser, system, device = found.user_agent, found.os, found.device
    is_bot = device is not None and device.family == "Spider"
    return (
        is_bot,
        f"ua-parser: {browser.family if browser else 'Spider'}" if is_bot else None,
        browser and browser.family,
        browser and _version(browser.major, browser.minor),
        system and system.family,
        system and _version(system.major, system.minor),
        device and device.family,
    )


@cache
def _parser() -> ua_parser.Parser:
    """The parser without a cache of its own: `Classifier` has one."""
    from ua_parser.loaders import load_lazy_builtins
    from ua_parser.regex import Resolver

    return ua_parser.Parser(Resolver(load_lazy_builtins()))


def _version(major: str | None, minor: str | None) -> str | None:
    return f"{major}.{minor}" if major and minor else major
