"""Requests as Cloudflare's and CloudFront's JSON logs have them, written from their documents."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from tests.text_logs import escape_cloudfront

if TYPE_CHECKING:
    from tests.logs import Hit

_SHORT = {34: b'\\"', 92: b"\\\\", 10: b"\\n", 13: b"\\r", 9: b"\\t"}


def cloudflare(hit: Hit) -> bytes:
    """The hit as Logpush writes it by default: nanoseconds."""
    return _cloudflare(hit, b"%d" % (hit.time_us * 1000 + 789))


def cloudflare_rfc3339(hit: Hit) -> bytes:
    """The hit as a job made in the dashboard writes it: RFC 3339, whole seconds."""
    return _cloudflare(hit, _time(hit).strftime('"%Y-%m-%dT%H:%M:%SZ"').encode())


def cloudfront_json(hit: Hit) -> bytes:
    """The hit as CloudFront's standard log, version 2, has it in JSON."""
    path, question, query = hit.uri.partition(b"?")
    fields = {
        b"date": _time(hit).strftime("%Y-%m-%d").encode(),
        b"time": _time(hit).strftime("%H:%M:%S").encode(),
        b"x-edge-location": b"SFO53-P7",
        b"sc-bytes": b"1068",
        b"c-ip": hit.ip,
        b"cs-method": hit.method,
        b"cs(Host)": b"d111111abcdef8.cloudfront.net",
        b"cs-uri-stem": escape_cloudfront(path),
        b"sc-status": hit.status,
        b"cs(Referer)": escape_cloudfront(hit.referrer),
        b"cs(User-Agent)": escape_cloudfront(hit.user_agent),
        b"cs-uri-query": escape_cloudfront(query if question else None),
        b"cs(Cookie)": escape_cloudfront(hit.cookie_pxid and b"_pxid=" + hit.cookie_pxid),
        b"x-edge-result-type": b"Hit",
        b"x-edge-request-id": hit.request_id,
        b"x-host-header": hit.host,
        b"x-forwarded-for": escape_cloudfront(hit.forwarded_for),
        b"ssl-protocol": b"TLSv1.3",
        b"c-country": b"US",
    }
    return b"{%s}" % b",".join(b"%s:%s" % (_string(key), _string(fields[key])) for key in fields)


def _cloudflare(hit: Hit, time: bytes) -> bytes:
    cookies = b'"_pxid":%s' % _string(hit.cookie_pxid) if hit.cookie_pxid else b""
    fields = {
        b"BotScore": b"87",
        b"CacheCacheStatus": b'"hit"',
        b"ClientASN": b"8075",
        b"ClientCountry": b'"nl"',
        b"ClientIP": _string(hit.ip),
        b"ClientRequestHost": _string(hit.host),
        b"ClientRequestMethod": _string(hit.method),
        b"ClientRequestPath": _string(hit.uri.partition(b"?")[0]),
        b"ClientRequestReferer": _string(hit.referrer),
        b"ClientRequestSource": b'"eyeball"',
        b"ClientRequestURI": _string(hit.uri),
        b"ClientRequestUserAgent": _string(hit.user_agent),
        b"ClientSSLProtocol": b'"TLSv1.3"',
        b"Cookies": b"{%s}" % cookies,
        b"EdgeColoCode": b'"AMS"',
        b"EdgeEndTimestamp": time,
        b"EdgeResponseStatus": hit.status,
        b"EdgeStartTimestamp": time,
        b"RayID": _string(hit.request_id),
        b"RequestHeaders": b'{"x-forwarded-for":%s}' % _string(hit.forwarded_for),
        b"WorkerSubrequest": b"false",
    }
    return b"{%s}" % b",".join(b"%s:%s" % (_string(key), fields[key]) for key in fields)


def _string(text: bytes | None) -> bytes:
    """A JSON string as Go writes it: `<`, `>` and `&` escaped too."""
    return b'"%s"' % b"".join(
        _SHORT.get(byte, b"\\u%04x" % byte if byte < 32 or byte in b"<>&" else bytes([byte]))
        for byte in text or b""
    )


def _time(hit: Hit) -> datetime:
    return datetime.fromtimestamp(hit.time_us // 1_000_000, timezone.utc)
