"""Pixel URLs, log lines as servers write them, and logs read as the job reads them.

The escaping here is written from the servers' documents, apart from the code under test.
"""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any
from unittest.mock import patch

from pipeline import blocks, engine, inflate
from pipeline.blocks import Block, Lines, read_blocks
from pipeline.engine import Engine, sniff
from pipeline.formats import FORMATS, Format
from pipeline.inflate import Damage
from pipeline.model import EDGE_NUMBERS, EDGE_TEXTS, Tally
from pipeline.options import Rules
from pipeline.shape import Origin
from pipeline.signing import Key, key_ring, sign_query, sign_query_v2
from tests import edge_logs, text_logs, vendor_logs

SECRET = "the tests' secret"
RULES = Rules(key_ring([SECRET]))
FIREFOX = b"Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
GOOGLEBOT = b"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
SECOND_US = 1_000_000
NOON_US = 1_763_726_400 * SECOND_US
"""2025-11-21 12:00:00 UTC."""


def signed(secret: str = SECRET, **parameters: str) -> bytes:
    """A signed query string: `signed(k="other-story")`."""
    view = {"k": "story-1", "c": "https://news.example.org/a", "d": "news.pageviews"}
    return sign_query({**view, **parameters}, Key(secret.encode())).encode()


def signed_v2(secret: str = SECRET, **parameters: str) -> bytes:
    """The same, signed in version 2; further parameters may be put behind it."""
    view = {"k": "story-1", "d": "news.pageviews", **parameters}
    whole = {**view, "c": parameters.get("c", "https://news.example.org/a")}
    return sign_query_v2(whole, Key(secret.encode())).encode()


@dataclass(frozen=True)
class Hit:
    """A request as the client sent it; None where it sent nothing."""

    time_us: int = NOON_US
    request_id: bytes = b"5f0c3a9be1"
    ip: bytes = b"203.0.113.7"
    forwarded_for: bytes | None = None
    method: bytes = b"GET"
    host: bytes = b"px.example.org"
    uri: bytes = field(default_factory=lambda: b"/i.gif?" + signed())
    status: bytes = b"200"
    user_agent: bytes | None = FIREFOX
    referrer: bytes | None = None
    cookie_pxid: bytes | None = None


def tsv(hit: Hit) -> bytes:
    """The hit as nginx's `px1` has it, without a newline."""
    fields = (
        hit.request_id, hit.ip, hit.forwarded_for, hit.method, hit.host, hit.uri, hit.status,
        hit.user_agent, hit.referrer, hit.cookie_pxid,
    )  # fmt: skip
    return b"\t".join([b"px1", _msec(hit), *map(escape_default, fields), b"."])


def json_line(hit: Hit) -> bytes:
    """The hit as nginx's `px1_json` has it (`escape=json`)."""
    return _json(hit, escape_json)


def json_default_line(hit: Hit) -> bytes:
    """The hit as JSON without `escape=json`: `\\xXX` within, `-` for nothing."""
    return _json(hit, escape_default)


def combined(hit: Hit) -> bytes:
    """The hit as nginx's `combined` has it."""
    request = b"%s %s HTTP/1.1" % (escape_default(hit.method), escape_default(hit.uri))
    return b'%s - - [%s] "%s" %s 43 "%s" "%s"' % (
        hit.ip, clf(hit.time_us), request, hit.status,
        escape_default(hit.referrer), escape_default(hit.user_agent),
    )  # fmt: skip


def main(hit: Hit) -> bytes:
    """The hit as nginx's `main` has it: combined, with X-Forwarded-For."""
    return b'%s "%s"' % (combined(hit), escape_default(hit.forwarded_for))


def apache(hit: Hit) -> bytes:
    """The hit as Apache's `combined` has it."""
    request = escape_apache(b"%s %s HTTP/1.1" % (hit.method, hit.uri))
    return b'%s - - [%s] "%s" %s 43 "%s" "%s"' % (
        hit.ip, clf(hit.time_us, timedelta(hours=-5)), request, hit.status,
        escape_apache(hit.referrer), escape_apache(hit.user_agent),
    )  # fmt: skip


def vhost(hit: Hit) -> bytes:
    """The hit as Apache's `vhost_combined` has it."""
    return b"%s:443 %s" % (hit.host, apache(hit))


LINE_OF = {
    "nginx-tsv": (tsv,),
    "nginx-json": (json_line, json_default_line),
    "combined": (combined, main, apache, vhost),
    "cloudfront": (text_logs.cloudfront,),
    "cloudfront-json": (edge_logs.cloudfront_json,),
    "cloudflare": (edge_logs.cloudflare, edge_logs.cloudflare_rfc3339),
    "gcs-usage": (text_logs.gcs_usage,),
    "s3": (text_logs.s3,),
    "alb": (text_logs.alb,),
    "google-lb": (vendor_logs.google_lb,),
    "azure-front-door": (vendor_logs.azure_front_door, vendor_logs.azure_front_door_classic),
    "akamai": (vendor_logs.akamai,),
    "fastly": (vendor_logs.fastly, vendor_logs.fastly_classic),
    "caddy": (vendor_logs.caddy,),
    "traefik": (vendor_logs.traefik,),
}
"""For each format the writers of its lines."""
BOUND = tuple(each.bound([text_logs.HEADERS.get(each.name, b"")]) for each in FORMATS)
"""Every format, those with headers as they read the writers' lines."""


def _msec(hit: Hit) -> bytes:
    return b"%d.%03d" % divmod(hit.time_us // 1000, 1000)


def _json(hit: Hit, escape: Any) -> bytes:
    texts = {
        b"request_id": hit.request_id,
        b"remote_addr": hit.ip,
        b"http_x_forwarded_for": hit.forwarded_for,
        b"request_method": hit.method,
        b"host": hit.host,
        b"request_uri": hit.uri,
        b"http_user_agent": hit.user_agent,
        b"http_referer": hit.referrer,
        b"cookie__pxid": hit.cookie_pxid,
    }
    pairs = b",".join(b'"%s":"%s"' % (name, escape(text)) for name, text in texts.items())
    return b'{"msec":%s,"status":%s,%s}' % (_msec(hit), hit.status, pairs)


def escape_default(text: bytes | None) -> bytes:
    """nginx's default escaping."""
    if not text:
        return b"-"
    return b"".join(
        b"\\x%02X" % byte if byte < 32 or byte > 126 or byte in b'"\\' else bytes([byte])
        for byte in text
    )


def escape_json(text: bytes | None) -> bytes:
    """nginx's `escape=json`: bytes past ASCII stay as they are."""
    short = {34: b'\\"', 92: b"\\\\", 8: b"\\b", 9: b"\\t", 10: b"\\n", 12: b"\\f", 13: b"\\r"}
    return b"".join(
        short.get(byte, b"\\u%04X" % byte if byte < 32 else bytes([byte])) for byte in text or b""
    )


def escape_apache(text: bytes | None) -> bytes:
    """Apache's escaping of `%r` and `%{…}i`."""
    if not text:
        return b"-"
    short = {34: b'\\"', 92: b"\\\\", 8: b"\\b", 9: b"\\t", 10: b"\\n", 11: b"\\v", 13: b"\\r"}
    return b"".join(
        short.get(byte, b"\\x%02x" % byte if byte < 32 or byte > 126 else bytes([byte]))
        for byte in text
    )


def clf(time_us: int, offset: timedelta = timedelta(0)) -> bytes:
    """The Common Log Format's time, whole seconds."""
    time = datetime.fromtimestamp(time_us // SECOND_US, timezone(offset))
    return time.strftime("%d/%b/%Y:%H:%M:%S %z").encode()


def log(*lines: bytes) -> bytes:
    """Lines as a log, each with its newline."""
    return b"".join(line + b"\n" for line in lines)


def log_in(name: str, *lines: bytes) -> bytes:
    """A log of a format: its header first, where it has one."""
    return log(*filter(None, [text_logs.HEADERS.get(name)]), *lines)


def lines_of(data: bytes, position: int = 1) -> Lines:
    """Log bytes as lines; `position` 1 keeps a byte order mark where it stands."""
    return Block(position, data).lines()


@dataclass
class Reading:
    """What became of a log: rows as dictionaries, in the order of the log."""

    events: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    bot_hits: Counter[tuple[datetime, str, str]] = field(default_factory=Counter)
    tally: Tally = field(default_factory=Tally)
    faults: list[Damage] = field(default_factory=list)

    @property
    def reasons(self) -> list[str]:
        """The reasons of the rejected lines, in the order of the log."""
        return [row["reason"] for row in self.rejects]

    @property
    def keys(self) -> list[str]:
        """The `key` of each view, in the order of the log."""
        return [row["key"] for row in self.events]


def read(
    data: bytes,
    rules: Rules = RULES,
    format_: Format | None = None,
    cuts: Sequence[int] = (),
    block_bytes: int = blocks.BLOCK_BYTES,
) -> Reading:
    """Reads a log object as the job does: detects its format, reads byte ranges, judges blocks."""
    reading = Reading()
    judge = Engine(rules)
    stream = io.BytesIO(data)
    format_ = sniff(stream, len(data), format_)
    known = (format_.name, format_.header) if format_ else (None, None)
    origin = Origin("b1", "access.log", "prefix", *known)
    edges = [0, *sorted(cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        for block in read_blocks(stream, start, end, len(data), block_bytes):
            if isinstance(block, Block):
                outcome = judge.process(block, format_, origin)
                if outcome.format is not format_:
                    format_ = outcome.format
                    origin = replace(origin, header=format_ and format_.header)
                events = outcome.events.to_pylist()
                for destination, rows in outcome.destinations.items():
                    assert {row["source_object"] for row in events[rows]} == {"access.log"}
                    reading.events += [{**row, "destination": destination} for row in events[rows]]
                assert len(events) == outcome.tally.accepted
                reading.rejects += [row for batch in outcome.rejects for row in batch.to_pylist()]
                for row in outcome.bot_hits.to_pylist():
                    reading.bot_hits[row["hour"], row["destination"], row["rule"]] += row["hits"]
                reading.tally.add(outcome.tally)
            else:
                reading.faults.append(block)
    reading.events.sort(key=lambda row: row["source_position"])
    reading.rejects.sort(key=lambda row: row["source_position"])
    assert reading.tally.adds_up
    assert reading.tally.accepted == len(reading.events)
    assert reading.tally.bot == reading.bot_hits.total()
    assert reading.tally.rejected == Counter(reading.reasons)
    return reading


@contextmanager
def small_steps(read_bytes: int, line_bytes: int = blocks.MOST_LINE_BYTES) -> Iterator[None]:
    """Files read in small pieces, and a lower cap on lines: what else takes megabytes to reach."""
    with (
        patch.object(blocks, "READ_BYTES", read_bytes),
        patch.object(inflate, "READ_BYTES", read_bytes),
        patch.object(inflate, "PIECE_BYTES", read_bytes),
        patch.object(blocks, "MOST_LINE_BYTES", line_bytes),
        patch.object(engine, "MOST_LINE_BYTES", line_bytes),
    ):
        yield


def requests_of(format_: Format, *lines: bytes) -> list[dict[str, Any]]:
    """What a format makes of lines, none of which is malformed."""
    parsed = format_.parse(lines_of(log(*lines)))
    assert parsed.malformed.tolist() == []
    return sorted(map(told, parsed.requests.to_pylist()), key=lambda row: row["line"])


def told(request: dict[str, Any]) -> dict[str, Any]:
    """A request less what the edge did not tell."""
    silent = {name for name in (*EDGE_TEXTS, *EDGE_NUMBERS) if request[name] is None}
    return {name: value for name, value in request.items() if name not in silent}


def format_named(name: str) -> Format:
    """A registered format, as it reads the writers' lines."""
    return next(each for each in BOUND if each.name == name)
