"""Log lines as CDNs, object stores and load balancers write them: plain text, no JSON.

The escaping here is written from the vendors' documents, apart from the code under test.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.logs import Hit

CLOUDFRONT_HEADER = (
    b"#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status "
    b"cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id "
    b"x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher "
    b"x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port "
    b"time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len "
    b"sc-range-start sc-range-end"
)
GCS_HEADER = (
    b'"time_micros","c_ip","c_ip_type","c_ip_region","cs_method","cs_uri","sc_status","cs_bytes",'
    b'"sc_bytes","time_taken_micros","cs_host","cs_referer","cs_user_agent","s_request_id",'
    b'"cs_operation","cs_bucket","cs_object"'
)


def cloudfront(hit: Hit) -> bytes:
    """The hit as CloudFront's standard log of 33 fields has it."""
    path, question, query = hit.uri.partition(b"?")
    cookie = hit.cookie_pxid and b"theme=dark; _pxid=" + hit.cookie_pxid + b"; a=%41"
    return b"\t".join(
        [
            _time(hit).strftime("%Y-%m-%d").encode(), _time(hit).strftime("%H:%M:%S").encode(),
            b"LAX1", b"392", hit.ip, hit.method, b"d111111abcdef8.cloudfront.net",
            escape_cloudfront(path), hit.status, escape_cloudfront(hit.referrer),
            escape_cloudfront(hit.user_agent), escape_cloudfront(query if question else None),
            escape_cloudfront(cookie), b"Hit", hit.request_id, hit.host, b"https", b"23", b"0.001",
            escape_cloudfront(hit.forwarded_for), b"TLSv1.2", b"ECDHE-RSA-AES128-GCM-SHA256",
            b"Hit", b"HTTP/2.0", b"-", b"-", b"11040", b"0.001", b"Hit", b"image/gif", b"43",
            b"-", b"-",
        ]
    )  # fmt: skip


def gcs_usage(hit: Hit) -> bytes:
    """The hit as Cloud Storage's usage log has it."""
    fields = (
        b"%d" % hit.time_us, hit.ip, b"1", b"", hit.method, hit.uri, hit.status, b"0", b"43",
        b"12000", hit.host, hit.referrer, hit.user_agent, hit.request_id, b"GET_Object",
        b"px.example.org", b"i.gif",
    )  # fmt: skip
    return b",".join(b'"%s"' % escape_csv(field) for field in fields)


def escape_cloudfront(text: bytes | None) -> bytes:
    """CloudFront's escaping of field values."""
    if not text:
        return b"-"
    return b"".join(
        b"%%%02X" % byte if byte <= 32 or byte >= 127 or byte in b"<>\"#%{}|\\^~[]`'" else
        bytes([byte])
        for byte in text
    )  # fmt: skip


def escape_csv(text: bytes | None) -> bytes:
    """Quotes doubled; no server writes a line break, a carriage return or a NUL."""
    return (text or b"").translate(None, b"\r\n\0").replace(b'"', b'""')


def _time(hit: Hit) -> datetime:
    return datetime.fromtimestamp(hit.time_us / 1_000_000, timezone.utc)


def s3(hit: Hit) -> bytes:
    """The hit as S3's server access log has it: nothing of the client's is escaped."""
    return (
        b"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be px.example.org [%s] %s - %s "
        b'REST.GET.OBJECT i.gif "%s %s HTTP/1.1" %s - 43 43 7 6 "%s" "%s" - s9lzHYrFp76ZVxRcpX9+5cjA= '
        b"SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader %s TLSv1.2 - - us-east-1"
    ) % (
        _time(hit).strftime("%d/%b/%Y:%H:%M:%S %z").encode(), hit.ip, hit.request_id, hit.method,
        hit.uri, hit.status, hit.referrer or b"-", hit.user_agent or b"-", hit.host,
    )  # fmt: skip


def alb(hit: Hit) -> bytes:
    """The hit as an Application Load Balancer's log has it."""
    trace = b"1-58337281-%024x" % int.from_bytes(hit.request_id, "big")
    return (
        b"https %s app/my-lb/50dc6c495c0c9188 %s:2817 10.0.0.1:80 0.086 0.048 0.037 %s 200 0 57 "
        b'"%s https://%s:443%s HTTP/1.1" "%s" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:tg/73e2 '
        b'"Root=%s" "px.example.org" "arn:aws:acm:cert" 1 2018-07-02T22:22:48.364000Z "forward" "-" '
        b'"-" "10.0.0.1:80" "200" "-" "-" TID_123456'
    ) % (
        _time(hit).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode(), hit.ip, hit.status, hit.method,
        hit.host, escape_alb(hit.uri), escape_alb(hit.user_agent), trace,
    )  # fmt: skip


def escape_alb(text: bytes | None) -> bytes:
    """A load balancer's escaping of what the client sent."""
    if not text:
        return b"-"
    return b"".join(
        b"\\x%02X" % byte if byte < 32 or byte > 126 or byte in b'"\\' else bytes([byte])
        for byte in text
    )


HEADERS = {"cloudfront": CLOUDFRONT_HEADER, "gcs-usage": GCS_HEADER}
"""For formats with headers, the header of the lines that are written here."""
UNCARRIED = {"gcs-usage": b"\r\n\0", "s3": b'\r\n\0"'}
"""Bytes that a log cannot hold in what the client sent, or not so that they can be told."""
