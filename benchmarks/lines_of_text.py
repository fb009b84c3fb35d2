"""A request as a line of the log formats that are no JSON, as their vendors' documents say."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from benchmarks.format_traffic import COOKIE, HOST, Request
from benchmarks.generate import escape_tsv

_TO_QUOTE: Final = re.compile(r"[^!$&(-+,-;=?-Z_a-z]")
_QUOTING: Final = '"'
_STATUS_BYTES: Final = {"200": 43, "304": 0}
_ARN: Final = "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/px/73e2d6bc24d8a067"
_CERTIFICATE: Final = "arn:aws:acm:us-east-2:123456789012:certificate/12345678-1234-1234-1234-1234"
CLOUDFRONT_FIELDS: Final = (
    "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) "
    "cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header "
    "cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher "
    "x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port "
    "time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len "
    "sc-range-start sc-range-end"
)
_GCS_FIELDS: Final = (
    "time_micros c_ip c_ip_type c_ip_region cs_method cs_uri sc_status cs_bytes sc_bytes "
    "time_taken_micros cs_host cs_referer cs_user_agent s_request_id cs_operation cs_bucket "
    "cs_object"
)
CLOUDFRONT_HEADER: Final = ("#Version: 1.0", f"#Fields: {CLOUDFRONT_FIELDS}")
GCS_HEADER: Final = (",".join(f'"{name}"' for name in _GCS_FIELDS.split()),)


@lru_cache(maxsize=1 << 13)
def _nginx(value: str) -> str:
    return escape_tsv(value)


@lru_cache(maxsize=1 << 13)
def quoted_once_more(value: str) -> str:
    """As CloudFront writes a value: percent signs and odd bytes escaped; `-` for nothing."""
    return _TO_QUOTE.sub(lambda match: quote(match[0], safe=""), value) or "-"


def nginx_tsv(r: Request) -> str:
    """Pixelship's own, `px1`."""
    return (
        f"px1\t{r.msec // 1000}.{r.msec % 1000:03d}\t{r.id}\t{r.address}\t-\tGET\t{HOST}\t"
        f"{_nginx(r.uri)}\t{r.status}\t{_nginx(r.agent)}\t{_nginx(r.referrer)}\t{r.cookie or '-'}\t."
    )


def combined(r: Request) -> str:
    """The combined log, as nginx writes it."""
    return (
        f"{r.address} - - [{r.time:%d/%b/%Y:%H:%M:%S} +0000] "
        f'"GET {_nginx(r.uri)} HTTP/1.1" {r.status} {_STATUS_BYTES[r.status]} '
        f'"{_nginx(r.referrer)}" "{_nginx(r.agent)}"'
    )


def cloudfront(r: Request) -> str:
    """CloudFront's standard log, 33 fields."""
    return "\t".join(cloudfront_values(r).values())


def cloudfront_values(r: Request) -> dict[str, str]:
    """What CloudFront logs of a request, by field."""
    cookie = f"{COOKIE}={r.cookie}" if r.cookie else "-"
    values = (
        *(f"{r.time:%Y-%m-%d}", f"{r.time:%H:%M:%S}", f"IAD{r.msec % 90}-P1", "451", r.address),
        *("GET", "d111111abcdef8.cloudfront.net", quoted_once_more(r.path), r.status),
        *(quoted_once_more(r.referrer), quoted_once_more(r.agent), quoted_once_more(r.query)),
        *(cookie, "Hit", f"{r.id}cXiVGOHms_BGlTAC4KyHg==", HOST, "https", "523", "0.001", "-"),
        *("TLSv1.3", "TLS_AES_128_GCM_SHA256", "Hit", "HTTP/2.0", "-", "-", f"{r.msec % 64512}"),
        *("0.001", "Hit", "image/gif", "43", "-", "-"),
    )
    return dict(zip(CLOUDFRONT_FIELDS.split(), values, strict=True))


def gcs_usage(r: Request) -> str:
    """Cloud Storage's usage log: CSV, all values quoted."""
    kind = "2" if ":" in r.address else "1"
    values = (
        *(f"{r.msec}000", r.address, kind, "", "GET", r.uri, r.status, "0", "43", "28000", HOST),
        *(r.referrer, r.agent, f"ABPtcPr{r.id}", "GET_Object", HOST, r.path.lstrip("/")),
    )
    return ",".join(f'"{value.replace(_QUOTING, _QUOTING * 2)}"' for value in values)


def s3(r: Request) -> str:
    """S3's server access log, 26 fields."""
    return (
        "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be px-example "
        f"[{r.time:%d/%b/%Y:%H:%M:%S} +0000] {r.address} - {r.id[16:].upper()} WEBSITE.GET.OBJECT "
        f'{r.path.lstrip("/") or "-"} "GET {_s3(r.uri)} HTTP/1.1" {r.status} - 43 43 9 8 '
        f'"{_s3(r.referrer) or "-"}" "{_s3(r.agent) or "-"}" - {r.id}9gzWHSYDPzJEk3dH1i0= SigV4 '
        f"ECDHE-RSA-AES128-GCM-SHA256 - {HOST} TLSv1.2 - -"
    )


@lru_cache(maxsize=1 << 13)
def _s3(value: str) -> str:
    return quote(value, safe="!#$%&'()*+,-./:;<=>?@[]^_`{|}~\\ ")


def alb(r: Request) -> str:
    """An Application Load Balancer's access log."""
    time = f"{r.time:%Y-%m-%dT%H:%M:%S}.{r.msec % 1000:03d}"
    client = f"[{r.address}]" if ":" in r.address else r.address
    trace = f"Root=1-{r.id[8:16]}-{r.id[:24]}"
    return (
        f"https {time}127Z app/px/50dc6c495c0c9188 {client}:{r.msec % 64512} 10.0.0.1:80 0.000 "
        f'0.001 0.000 {r.status} {r.status} 523 43 "GET https://{HOST}:443{_alb(r.uri)} HTTP/1.1" '
        f'"{_alb(r.agent)}" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 {_ARN} "{trace}" "{HOST}" '
        f'"{_CERTIFICATE}" 0 {time}100Z "forward" "-" "-" "10.0.0.1:80" "{r.status}" "-" "-"'
    )


@lru_cache(maxsize=1 << 13)
def _alb(value: str) -> str:
    return escape_tsv(value)
