"""A request as a line of the log formats that are JSON, as their vendors' documents say."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, quote_plus

from benchmarks.format_traffic import COOKIE, HOST, Request
from benchmarks.lines_of_text import cloudfront_values

_OF_GO: Final = (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e"))
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def nginx_json(r: Request) -> str:
    """Pixelship's own, `px1_json`."""
    values = {
        "format": "px1",
        "request_id": r.id,
        "remote_addr": r.address,
        "http_x_forwarded_for": "",
        "request_method": "GET",
        "host": HOST,
        "request_uri": r.uri,
        "http_user_agent": r.agent,
        "http_referer": r.referrer,
        "cookie__pxid": r.cookie,
    }
    numbers = f'"msec":{r.msec // 1000}.{r.msec % 1000:03d},"status":{r.status}}}'
    return f"{_encode(values)[:-1]},{numbers}"


def cloudfront_json(r: Request) -> str:
    """CloudFront's standard log, version 2, as JSON."""
    return _encode(cloudfront_values(r))


def google_lb(r: Request) -> str:
    """Google's external load balancer, through a log sink."""
    time = f"{r.time:%Y-%m-%dT%H:%M:%S}.{r.msec % 1000:03d}"
    asked = {
        "requestMethod": "GET",
        "requestUrl": f"https://{HOST}{r.uri}",
        "requestSize": "523",
        "status": int(r.status),
        "responseSize": "43",
        "userAgent": r.agent,
        "remoteIp": r.address,
        **({"referer": r.referrer} if r.referrer else {}),
        "cacheHit": True,
        "cacheLookup": True,
    }
    told = {
        "@type": "type.googleapis.com/google.cloud.loadbalancing.type.LoadBalancerLogEntry",
        "cacheId": "SFO-fbae48ad",
        "statusDetails": "response_from_cache",
        "remoteIp": r.address,
    }
    labels = {"forwarding_rule_name": "px", "project_id": "acme", "url_map_name": "px"}
    return _encode({
        "insertId": r.id[16:],
        "jsonPayload": told,
        "httpRequest": asked,
        "resource": {"type": "http_load_balancer", "labels": labels},
        "timestamp": f"{time}651Z",
        "severity": "INFO",
        "logName": "projects/acme/logs/requests",
        "trace": f"projects/acme/traces/{r.id}",
        "receiveTimestamp": f"{time}900510Z",
        "spanId": r.id[:16],
    })  # fmt: skip


def cloudflare(r: Request) -> str:
    """Cloudflare's Logpush of HTTP requests."""
    return _encode({
        "BotScore": 90,
        "CacheCacheStatus": "hit",
        "ClientASN": 8075,
        "ClientCountry": "nl",
        "ClientIP": r.address,
        "ClientRequestHost": HOST,
        "ClientRequestMethod": "GET",
        "ClientRequestPath": r.path,
        "ClientRequestReferer": r.referrer,
        "ClientRequestURI": r.uri,
        "ClientRequestUserAgent": r.agent,
        "ClientSSLProtocol": "TLSv1.3",
        "Cookies": {COOKIE: r.cookie} if r.cookie else {},
        "EdgeColoCode": "AMS",
        "EdgeResponseStatus": int(r.status),
        "EdgeStartTimestamp": r.msec * 1_000_000,
        "RayID": r.id[16:],
        "RequestHeaders": {},
        "WorkerSubrequest": False,
    })  # fmt: skip


def akamai(r: Request) -> str:
    """Akamai's DataStream 2, JSON."""
    values = {
        "version": 2,
        "cp": "123456",
        "reqId": r.id[16:],
        "reqTimeSec": f"{r.msec // 1000}.{r.msec % 1000:03d}",
        "cliIP": r.address,
        "statusCode": r.status,
        "proto": "HTTPS",
        "reqHost": HOST,
        "reqMethod": "GET",
        "reqPath": quote(r.path, safe="/%"),
        "queryStr": quote(r.query, safe="%&=+:/!'()*"),
        "UA": _akamai(r.agent),
        "referer": _akamai(r.referrer),
        "cookie": f"{COOKIE}={r.cookie}" if r.cookie else "-",
        "tlsVersion": "TLSv1.3",
        "cacheStatus": "1",
        "country": "NL",
        "asn": "8075",
    }
    return _encode({name: value for name, value in values.items() if value not in ("-", "")})


@lru_cache(maxsize=1 << 13)
def _akamai(value: str) -> str:
    return quote_plus(value)


def azure_front_door(r: Request) -> str:
    """Azure Front Door, standard."""
    time = f"{r.time:%Y-%m-%dT%H:%M:%S}.{r.msec % 1000:03d}6479Z"
    told = {
        "trackingReference": r.id,
        "httpMethod": "GET",
        "httpVersion": "2.0.0.0",
        "requestUri": f"https://{HOST}:443{r.uri}",
        "sni": HOST,
        "requestBytes": "523",
        "responseBytes": "43",
        "userAgent": r.agent,
        "clientIp": r.address,
        "clientPort": str(r.msec % 64512),
        "socketIp": r.address,
        "timeToFirstByte": "0.001",
        "timeTaken": "0.001",
        "requestProtocol": "HTTPS",
        "securityProtocol": "TLS 1.3",
        "httpStatusCode": r.status,
        "pop": "AMS",
        "cacheStatus": "HIT",
        "errorInfo": "NoError",
        "result": "N/A",
        "endpoint": "px.z01.azurefd.net",
        "hostName": HOST,
        "referrer": r.referrer,
    }
    return _encode({
        "time": time,
        "resourceId": "/SUBSCRIPTIONS/0/RESOURCEGROUPS/PX/PROVIDERS/MICROSOFT.CDN/PROFILES/PX",
        "category": "FrontDoorAccessLog",
        "operationName": "Microsoft.Cdn/Profiles/AccessLog/Write",
        "properties": told,
    })  # fmt: skip


def caddy(r: Request) -> str:
    """Caddy's access log."""
    headers = {"User-Agent": [r.agent], "Accept": ["image/avif,image/webp,*/*"]}
    if r.referrer:
        headers["Referer"] = [r.referrer]
    if r.cookie:
        headers["Cookie"] = [f"{COOKIE}={r.cookie}"]
    request = {
        "remote_ip": r.address,
        "remote_port": str(r.msec % 64512),
        "client_ip": r.address,
        "proto": "HTTP/2.0",
        "method": "GET",
        "host": HOST,
        "uri": r.uri,
        "headers": headers,
        "tls": {"resumed": False, "version": 772, "cipher_suite": 4865, "server_name": HOST},
    }
    return _encode({
        "level": "info",
        "ts": r.msec / 1000,
        "logger": "http.log.access.log0",
        "msg": "handled request",
        "request": request,
        "bytes_read": 0,
        "user_id": "",
        "duration": 0.000929675,
        "size": 43,
        "status": int(r.status),
        "resp_headers": {"Server": ["Caddy"], "Content-Type": ["image/gif"]},
    })  # fmt: skip


def traefik(r: Request) -> str:
    """Traefik's access log as JSON, with the request's headers kept: Go escapes `&`, `<`, `>`."""
    time = f"{r.time:%Y-%m-%dT%H:%M:%S}"
    values: dict[str, Any] = {
        "ClientAddr": f"{r.address}:{r.msec % 64512}",
        "ClientHost": r.address,
        "DownstreamContentSize": 43,
        "DownstreamStatus": int(r.status),
        "Duration": 1013123,
        "RequestAddr": HOST,
        "RequestContentSize": 0,
        "RequestHost": HOST,
        "RequestMethod": "GET",
        "RequestPath": r.uri,
        "RequestPort": "-",
        "RequestProtocol": "HTTP/2.0",
        "RouterName": "px@docker",
        "StartUTC": f"{time}.{r.msec % 1000:03d}105216Z",
        "level": "info",
        "msg": "",
        "request_User-Agent": r.agent,
        "time": f"{time}Z",
    }
    if r.referrer:
        values["request_Referer"] = r.referrer
    if r.cookie:
        values["request_Cookie"] = f"{COOKIE}={r.cookie}"
    line = _encode(dict(sorted(values.items())))
    for mark, escape in _OF_GO:
        line = line.replace(mark, escape)
    return line


def fastly(r: Request) -> str:
    """Fastly, in the log format that Pixelship ships."""
    return _encode({
        "format": "px1-fastly",
        "visits": "0",
        "request_id": r.id,
        "time_start_us": f"{r.msec}000",
        "client_ip": r.address,
        "forwarded_for": r.address,
        "request_method": "GET",
        "request_host": HOST,
        "request_url": r.uri,
        "response_status": r.status,
        "user_agent": r.agent,
        "referrer": r.referrer,
        "cookie_pxid": r.cookie,
        "country": "NL",
        "asn": "8075",
        "cache_state": "HIT",
        "tls_version": "TLSv1.3",
        "pop": "AMS",
    })  # fmt: skip
