"""A pool of user agents as pixels see them: browsers, in-app browsers, podcast apps, mail, bots."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final

AGENT_COUNT: Final = 1900

_WEBKIT: Final = "AppleWebKit/537.36 (KHTML, like Gecko)"
_DESKTOPS: Final = (
    "Windows NT 10.0; Win64; x64",
    "Macintosh; Intel Mac OS X 10_15_7",
    "X11; Linux x86_64",
    "X11; CrOS x86_64 14541.0.0",
)
_ANDROIDS: Final = (
    "K",
    "SM-S918B",
    "SM-A546B",
    "SM-G991U",
    "Pixel 7",
    "Pixel 8 Pro",
    "M2101K6G",
    "CPH2487",
    "moto g power (2022)",
    "ONEPLUS A6013",
)
_IOS_VERSIONS: Final = tuple(
    f"{major}_{minor}" for major in (15, 16, 17, 18) for minor in range(0, 7)
)
_BOTS: Final = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like "
    "Gecko) Chrome/131.0.6778.69 Mobile Safari/537.36 (compatible; Googlebot/2.1; "
    "+http://www.google.com/bot.html)",
    "Googlebot-Image/1.0",
    "Mozilla/5.0 (compatible; SeznamBot/4.0; +http://napoveda.seznam.cz/seznambot-intro/)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Twitterbot/1.0",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Mozilla/5.0 (compatible; DotBot/1.2; +https://opensiteexplorer.org/dotbot)",
    "Mozilla/5.0 (compatible; PetalBot;+https://webmaster.petalsearch.com/site/petalbot)",
    "CCBot/2.0 (https://commoncrawl.org/faq/)",
    "Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm#07)",
    *(
        f"Mozilla/5.0 (compatible; AhrefsBot/{v}; +http://ahrefs.com/robot/)"
        for v in ("6.1", "7.0")
    ),
    *(
        f"Mozilla/5.0 (compatible; SemrushBot/{v}; +http://www.semrush.com/bot.html)"
        for v in ("3~bl", "6~bl", "7~bl")
    ),
    *(f"Mozilla/5.0 (compatible; MJ12bot/v1.4.{v}; http://mj12bot.com/)" for v in range(1, 9)),
)


def _desktop_browsers() -> Iterator[str]:
    for system, major in product(_DESKTOPS, range(96, 144)):
        yield f"Mozilla/5.0 ({system}) {_WEBKIT} Chrome/{major}.0.0.0 Safari/537.36"
    for system, major in product(_DESKTOPS[:3], range(100, 144)):
        yield (
            f"Mozilla/5.0 ({system}) {_WEBKIT} Chrome/{major}.0.0.0 Safari/537.36 Edg/{major}.0.0.0"
        )
    for system, major in product(_DESKTOPS[:3], range(91, 146)):
        yield f"Mozilla/5.0 ({system}; rv:{major}.0) Gecko/20100101 Firefox/{major}.0"
    for major, minor in product((14, 15, 16, 17, 18), range(0, 7)):
        yield (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
            f"(KHTML, like Gecko) Version/{major}.{minor} Safari/605.1.15"
        )


def _phone_browsers() -> Iterator[str]:
    for ios, device in product(_IOS_VERSIONS, ("iPhone; CPU iPhone OS", "iPad; CPU OS")):
        dotted = ios.replace("_", ".")
        head = (
            f"Mozilla/5.0 ({device} {ios} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
        )
        yield f"{head} Version/{dotted} Mobile/15E148 Safari/604.1"
        yield f"{head} CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1"
        yield f"{head} GSA/391.0.828 Mobile/15E148 Safari/604.1"
        yield (
            f"{head} Mobile/21A329 [FBAN/FBIOS;FBAV/442.0.0.43.104;FBDV/iPhone14,5;"
            f"FBMD/iPhone;FBSN/iOS;FBSV/{dotted};FBSS/3;FBLC/en_US]"
        )
    for model, android, major in product(_ANDROIDS, (10, 12, 13, 14), range(110, 143)):
        yield (
            f"Mozilla/5.0 (Linux; Android {android}; {model}) {_WEBKIT} "
            f"Chrome/{major}.0.0.0 Mobile Safari/537.36"
        )
    for model, major in product(_ANDROIDS[1:4], range(18, 29)):
        yield (
            f"Mozilla/5.0 (Linux; Android 13; {model}) {_WEBKIT} "
            f"SamsungBrowser/{major}.0 Chrome/115.0.0.0 Mobile Safari/537.36"
        )


def _apps() -> Iterator[str]:
    yield "Overcast/3.0 (+http://overcast.fm/; iOS podcast app)"
    for version in range(1, 31):
        yield (
            f"AppleCoreMedia/1.0.0.{20 + version % 3}A{300 + version} "
            f"(iPhone; U; CPU OS 17_{version % 7} like Mac OS X; en_us)"
        )
        yield f"Podcasts/{1500 + version}.1 CFNetwork/1410.0.3 Darwin/22.{version % 7}.0"
        yield f"Spotify/8.{version}.0 Android/33 (SM-S918B)"
        yield f"Pocket Casts/7.{version} (Android 13)"
        yield f"AntennaPod/3.{version}.1"
        yield f"PodcastAddict/v5 - Dalvik/2.1.0 (Linux; U; Android 13; Pixel 7 Build/TQ{version}A)"
    for version in range(60, 145):
        yield (
            f"Mozilla/5.0 (X11; Linux x86_64; rv:{version}.0) Gecko/20100101 "
            f"Thunderbird/{version}.4.0"
        )
    yield (
        'Mozilla/5.0 (Linux; Android 12; TAB-9"HD Build/SP1A) '
        + _WEBKIT
        + " Chrome/119.0.0.0 Safari/537.36"
    )
    yield "Lecteur de balados de Québec/2.1 (iOS 17.4)"


def bots() -> list[str]:
    """Agents that every contender must take for bots."""
    return list(_BOTS)


def people() -> list[str]:
    """Agents of browsers and apps; with `bots()` they make `AGENT_COUNT` distinct agents."""
    wanted = AGENT_COUNT - len(_BOTS)
    apps = list(dict.fromkeys(_apps()))
    browsers = list(dict.fromkeys((*_desktop_browsers(), *_phone_browsers())))
    count = wanted - len(apps)
    return [*apps, *(browsers[i * len(browsers) // count] for i in range(count))]
