"""Who takes part in the demonstration: readers, listeners, subscribers, bots, and their pages.

Plain data. The user agents are of the kinds that real logs hold; versions are examples.
"""

from __future__ import annotations

from dataclasses import dataclass

_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64"
_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome"
_WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X)"

BROWSERS = (
    f"{_WINDOWS}) {_CHROME}/142.0.0.0 Safari/537.36",
    f"{_WINDOWS}) {_CHROME}/141.0.0.0 Safari/537.36",
    f"{_WINDOWS}) {_CHROME}/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
    f"{_WINDOWS}; rv:145.0) Gecko/20100101 Firefox/145.0",
    f"{_MAC} {_WEBKIT} Version/26.0 Safari/605.1.15",
    f"{_MAC} {_CHROME}/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    f"{_IPHONE} {_WEBKIT} Version/18.6 Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) {_WEBKIT} Version/17.7 Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (Linux; Android 10; K) {_CHROME}/142.0.0.0 Mobile Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {_CHROME}/139.0.0.0 Mobile Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 15; SM-S931B) {_CHROME}/130.0.0.0 Mobile Safari/537.36",
)

PODCAST_APPS = (
    "AppleCoreMedia/1.0.0.22G86 (iPhone; U; CPU OS 18_6 like Mac OS X; en_us)",
    "Podcasts/1650.20 CFNetwork/1490.0.4 Darwin/23.2.0",
    "Overcast/3.0 (+http://overcast.fm/; iOS podcast app)",
    "Pocket Casts/1.0 (Android; Mobile)",
    "AntennaPod/3.9.0",
    "Spotify/8.9.42 Android/34 (SM-S921B)",
    "Spotify/9.0.0 iOS/18.0 (iPhone15,3)",
)

MAIL_PROGRAMS = (
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    f"{_WINDOWS}; rv:140.0) Gecko/20100101 Thunderbird/140.2.0",
    f"{_MAC} {_WEBKIT}",
    f"{_IPHONE} {_WEBKIT} Mobile/15E148",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; .NET4.0C; .NET4.0E; "
    "Microsoft Outlook 16.0.17928; ms-office; MSOffice 16)",
)

BOTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; "
    "+http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) {_CHROME}/142.0.0.0 Mobile "
    "Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; "
    "+https://openai.com/gptbot)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
)


@dataclass(frozen=True)
class Scene:
    """A destination, the pages whose pixels name it, and those who look at them.

    `humps` shape its views over the time of the demonstration, which runs from 0 to 1: each is
    (weight, centre, width), a bell; a width below 0 is a sudden rise that dies away.
    """

    destination: str
    views: int
    path: str
    pages: tuple[tuple[str, str], ...]
    agents: tuple[str, ...]
    referrers: tuple[str, ...]
    humps: tuple[tuple[float, float, float], ...]


def _pages(prefix: str, address: str, slugs: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"{prefix}-{slug}", f"{address}{slug}") for slug in slugs.split())


SCENES = (
    Scene(
        destination="news.pageviews",
        views=1900,
        path="/pixel.gif",
        pages=_pages(
            "story",
            "https://news.example.org/2026/",
            "election-night harbour-fire budget-vote chess-final tram-line-9 école-libre "
            "heatwave-map orchard-prices bridge-reopens night-trains",
        ),
        agents=BROWSERS,
        referrers=(
            "",
            "https://news.example.org/",
            "https://www.google.com/",
            "https://duckduckgo.com/",
            "https://t.co/4dK2aV",
            "https://partner.example.net/daily?page=2",
        ),
        humps=((0.25, 0.5, 0.6), (1.0, 0.34, 0.13)),
    ),
    Scene(
        destination="podcast.plays",
        views=800,
        path="/i.gif",
        pages=_pages(
            "episode",
            "https://podcast.example.org/e/",
            "101-the-well 102-salt 103-a-long-walk 104-low-water 105-the-map-maker",
        ),
        agents=PODCAST_APPS,
        referrers=("",),
        humps=((0.6, 0.2, 0.25), (0.7, 0.9, 0.14)),
    ),
    Scene(
        destination="mail.opens",
        views=1100,
        path="/r.gif",
        pages=_pages(
            "issue", "https://mail.example.org/weekly/", "212 213 214 members-only corrections"
        ),
        agents=MAIL_PROGRAMS,
        referrers=("", "", "https://mail.example.com/"),
        humps=((0.08, 0.5, 0.6), (1.0, 0.6, -0.07)),
    ),
)

OTHER_PATHS = (
    "/",
    "/favicon.ico",
    "/robots.txt",
    "/wp-login.php",
    "/.env",
    "/pixel.png?k=a",
    "/pixel.gif/extra",
    "/index.html",
)
