"""Requests as vendors' JSON logs have them, written from their documents, apart from the code."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

if TYPE_CHECKING:
    from tests.logs import Hit

FASTLY_FORMAT = (Path(__file__).parent.parent / "fastly" / "log-format.txt").read_text()
"""The format string that users paste into Fastly."""


def google_lb(hit: Hit) -> bytes:
    """The hit as Cloud Logging exports a load balancer's entry."""
    request = {
        "requestMethod": hit.method,
        "requestUrl": b"https://" + hit.host + hit.uri,
        "requestSize": "577",
        "status": int(hit.status),
        "responseSize": "43",
        "userAgent": hit.user_agent,
        "referer": hit.referrer,
        "remoteIp": _with_port(hit.ip),
        "cacheHit": True,
        "cacheLookup": True,
        "latency": "0.000812s",
    }
    return _line(
        {
            "insertId": hit.request_id,
            "jsonPayload": {"cacheId": "FRA-fbae48ad", "statusDetails": "response_from_cache"},
            "httpRequest": request,
            "resource": {"type": "http_load_balancer", "labels": {"zone": "global"}},
            "timestamp": _iso(hit.time_us, ""),
            "severity": "INFO",
            "logName": "projects/acme/logs/requests",
            "receiveTimestamp": _iso(hit.time_us + 510_000, "123"),
        }
    )


def azure_front_door(hit: Hit) -> bytes:
    """The hit as Front Door standard writes it."""
    properties = {
        "trackingReference": hit.request_id,
        "httpMethod": hit.method,
        "httpVersion": "2.0.0.0",
        "requestUri": b"https://" + hit.host + b":443" + hit.uri,
        "userAgent": hit.user_agent,
        "clientIp": hit.ip,
        "clientPort": "53412",
        "socketIp": hit.ip,
        "securityProtocol": "TLS 1.3",
        "httpStatusCode": hit.status,
        "pop": "FRA",
        "cacheStatus": "HIT",
        "referer": hit.referrer,
    }
    return _azure(hit, "FrontDoorAccessLog", properties)


def azure_front_door_classic(hit: Hit) -> bytes:
    """The hit as Front Door classic writes it."""
    properties = {
        "httpMethod": hit.method,
        "requestUri": b"https://" + hit.host + b":443" + hit.uri,
        "httpStatusCode": hit.status,
        "isReceivedFromClient": True,
        "pop": "SIN",
        "rulesEngineMatchNames": [],
        "socketIp": hit.ip,
        "clientIp": hit.ip,
        "trackingReference": hit.request_id,
        "userAgent": hit.user_agent,
        "referrer": hit.referrer,
    }
    return _azure(hit, "FrontdoorAccessLog", properties)


def akamai(hit: Hit) -> bytes:
    """The hit as DataStream 2 writes it by its document's sample: all escaped, `+` for a space."""
    path, question, query = hit.uri.partition(b"?")
    cookie = hit.cookie_pxid and b"a=b; _pxid=" + hit.cookie_pxid
    fields = {
        "version": 2,
        "cp": "123456",
        "reqId": hit.request_id,
        "reqTimeSec": b"%d.%03d" % divmod(hit.time_us // 1000, 1000),
        "bytes": "43",
        "cliIP": hit.ip,
        "statusCode": hit.status,
        "proto": "HTTPS",
        "reqHost": hit.host,
        "reqMethod": hit.method,
        "reqPath": path,
        "queryStr": query if question else b"-",
        "UA": hit.user_agent and quote_plus(hit.user_agent),
        "referer": hit.referrer and quote_plus(hit.referrer),
        "cookie": cookie and quote_plus(cookie),
        "xForwardedFor": hit.forwarded_for and quote_plus(hit.forwarded_for),
        "country": "DE",
        "asn": "64500",
        "cacheStatus": "1",
        "tlsVersion": "TLSv1.3",
    }
    return _line(fields)


def fastly(hit: Hit) -> bytes:
    """The hit as Fastly fills in the format string."""
    return fill_in_fastly(fastly_variables(hit))


def fastly_classic(hit: Hit) -> bytes:
    """The same with the prefix of the line format `classic`."""
    return b"<134>2026-11-21T12:00:00Z cache-fra12345 pixel[4242]: " + fastly(hit)


def caddy(hit: Hit) -> bytes:
    """The hit as Caddy's JSON encoder writes it."""
    headers = {
        "User-Agent": hit.user_agent,
        "Referer": hit.referrer,
        "X-Forwarded-For": hit.forwarded_for,
        "Cookie": hit.cookie_pxid and b"a=b; _pxid=" + hit.cookie_pxid,
    }
    request = {
        "remote_ip": hit.ip,
        "remote_port": "53412",
        "client_ip": hit.ip,
        "proto": "HTTP/2.0",
        "method": hit.method,
        "host": hit.host,
        "uri": hit.uri,
        "headers": {name: [value] for name, value in headers.items() if value is not None},
        "tls": {"resumed": False, "version": 772, "cipher_suite": 4865, "proto": "h2"},
    }
    return _line(
        {
            "level": "info",
            "ts": hit.time_us / 1e6,
            "logger": "http.log.access.log0",
            "msg": "handled request",
            "request": request,
            "duration": 0.000123,
            "size": 43,
            "status": int(hit.status),
            "resp_headers": {"Server": ["Caddy"]},
            "uuid": hit.request_id,
        }
    )


def traefik(hit: Hit) -> bytes:
    """The hit as Traefik writes it, its headers kept; Go escapes `&`, `<` and `>`."""
    fields = {
        "ClientAddr": _with_port(hit.ip),
        "ClientHost": hit.forwarded_for or hit.ip,
        "ClientUsername": "-",
        "DownstreamStatus": int(hit.status),
        "Duration": 4217,
        "RequestHost": hit.host,
        "RequestMethod": hit.method,
        "RequestPath": hit.uri,
        "StartLocal": _iso(hit.time_us, "789", "+00:00"),
        "StartUTC": _iso(hit.time_us, "789"),
        "TLSVersion": "1.3",
        "level": "info",
        "msg": "",
        "request_Cookie": hit.cookie_pxid and b"_pxid=" + hit.cookie_pxid,
        "request_Referer": hit.referrer,
        "request_User-Agent": hit.user_agent,
        "request_X-Forwarded-For": hit.forwarded_for,
        "time": _iso(hit.time_us, "")[:19] + "Z",
    }
    line = _line(fields)
    for mark in b"&<>":
        line = line.replace(bytes([mark]), b"\\u%04x" % mark)
    return line


def fastly_variables(hit: Hit) -> dict[str, bytes]:
    """What the variables of Fastly's format string hold for the hit."""
    return {
        "fastly.ff.visits_this_service": b"0",
        "uuid.version4()": hit.request_id,
        "time.start.usec": b"%d" % hit.time_us,
        "client.ip": hit.ip,
        "req.http.X-Forwarded-For": hit.forwarded_for or b"",
        "req.method": hit.method,
        "req.http.Host": hit.host,
        "req.url": hit.uri,
        "resp.status": hit.status,
        "req.http.User-Agent": hit.user_agent or b"",
        "req.http.Referer": hit.referrer or b"",
        "req.http.Cookie:_pxid": hit.cookie_pxid or b"",
        "client.geo.country_code": b"DE",
        "client.as.number": b"64500",
        "fastly_info.state": b"HIT-CLUSTER",
        "tls.client.protocol": b"TLSv1.3",
        "server.datacenter": b"FRA",
    }


def fill_in_fastly(variables: dict[str, bytes]) -> bytes:
    """The format string with its variables' values, escaped where it says so."""

    def value_of(expression: re.Match[bytes]) -> bytes:
        name = expression[1].decode()
        inner = name.removeprefix("json.escape(")
        if inner == name:
            return variables[name]
        return _quoted(variables[inner.removesuffix(")")])[1:-1]

    return re.sub(rb"%\{(.*?)\}V", value_of, FASTLY_FORMAT.strip().encode())


def _azure(hit: Hit, category: str, properties: dict[str, Any]) -> bytes:
    return _line(
        {
            "time": _iso(hit.time_us, "7"),
            "resourceId": "/SUBSCRIPTIONS/0/RESOURCEGROUPS/PX/PROVIDERS/MICROSOFT.CDN/PROFILES/PX",
            "category": category,
            "operationName": "Microsoft.Cdn/Profiles/AccessLog/Write",
            "properties": properties,
        }
    )


def _line(record: dict[str, Any]) -> bytes:
    """A record as JSON without what is None; bytes as they are but for what JSON must escape."""
    return json.dumps(_texts(record), ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogateescape"
    )


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _texts(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_texts(each) for each in value]
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _quoted(text: bytes) -> bytes:
    return json.dumps(text.decode("utf-8", "surrogateescape"), ensure_ascii=False).encode(
        "utf-8", "surrogateescape"
    )


def _with_port(ip: bytes) -> bytes:
    return b"[%s]:53412" % ip if b":" in ip else ip + b":53412"


def _iso(time_us: int, more: str, zone: str = "Z") -> str:
    """A time in RFC 3339 with six decimals and `more` of them."""
    time = datetime.fromtimestamp(time_us // 1_000_000, timezone.utc)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time_us % 1_000_000:06d}{more}{zone}"
