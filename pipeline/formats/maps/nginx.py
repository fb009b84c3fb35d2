"""An nginx `log_format`, as it stands in the configuration, as a way to read its lines.

Source: https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format and
https://nginx.org/en/docs/varindex.html (checked 2026-11-21).

A variable ends where the text behind it begins. Escaping keeps quotes and control characters out of
values, so between those a value is told apart for certain; a value that may hold spaces and is followed
by one ends as early as the rest of the line allows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.formats.maps.readers import Delimited, Pattern

ESCAPES = {"default": "nginx", "json": "json", "none": "none"}
"""What of `UNESCAPES` undoes each of nginx's escapings."""
VARIABLES = {
    "timestamp": ("msec", "time_iso8601", "time_local"),
    "method": ("request_method",),
    "uri": ("request_uri",),
    "request": ("request",),
    "path": ("uri", "document_uri"),
    "query": ("args", "query_string"),
    "host": ("host", "http_host", "server_name"),
    "status": ("status",),
    "ip": ("remote_addr",),
    "forwarded_for": ("http_x_forwarded_for", "proxy_add_x_forwarded_for"),
    "user_agent": ("http_user_agent",),
    "referrer": ("http_referer",),
    "cookie": ("http_cookie",),
    "cookie_pxid": ("cookie__pxid",),
    "request_id": ("request_id",),
    "country": ("geoip_country_code", "geoip2_data_country_code"),
    "cache_status": ("upstream_cache_status",),
    "tls_version": ("ssl_protocol",),
}
"""For each column the variables that hold it, the best first."""

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<end>;)|'(?P<single>(?:[^'\\]|\\.)*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s'";]+)""",
    re.DOTALL,
)
_BACKSLASHES = {"t": "\t", "r": "\r", "n": "\n"}
_NUMBER = "[0-9.]*|-"
_EXACT = {
    "msec": r"[0-9]+\.[0-9]+",
    "time_local": r"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:]{8} [+-][0-9]{4}",
    "time_iso8601": r"[0-9-]{10}T[0-9:]{8}[+-][0-9:]{5}",
    "status": "[0-9]{3}",
    "remote_addr": "[0-9A-Fa-f:.]+|unix:",
    "scheme": "https?",
    "is_args": r"\??",
    **dict.fromkeys(
        ("body_bytes_sent", "bytes_sent", "request_length", "request_time", "connection",
         "connection_requests", "pid", "server_port", "remote_port", "gzip_ratio"), _NUMBER,
    ),
}  # fmt: skip
"""Variables whose values look one way."""
_NO_SPACES = {
    "remote_addr", "realip_remote_addr", "request_method", "request_uri", "uri", "document_uri",
    "args", "query_string", "host", "http_host", "server_name", "server_addr", "server_protocol",
    "request_id", "ssl_protocol", "ssl_cipher", "cookie__pxid", "upstream_cache_status", "hostname",
}  # fmt: skip
_INNER = {"default": '[^"]', "json": r'(?:[^"\\]|\\.)', "none": "(?s:.)"}
"""One byte of a value, or one escape, by nginx's escaping."""
_BEFORE_ANOTHER = {
    "host": r'[^\s/"]*', "http_host": r'[^\s/"]*', "server_name": r'[^\s/"]*',
    "uri": r'[^?"\s]*', "document_uri": r'[^?"\s]*',
}  # fmt: skip
"""How a value ends where another follows at once, as in `$host$request_uri`."""


@dataclass(frozen=True)
class Layout:
    """What a `log_format` says: a reader, its variables, and the escaping of their values."""

    reader: Delimited | Pattern
    variables: tuple[str, ...]
    escape: str


def layout_of(text: str, escape: str | None) -> Layout:
    """A `log_format`: the whole directive, its quoted pieces, or the text within them.

    Raises ValueError, which says what is wrong.
    """
    text = text.strip()
    if text.startswith(("log_format", "'")):
        text, written = _from_directive(text)
        escape = escape or written
    escape = escape or "default"
    if escape not in ESCAPES:
        raise ValueError(f"nginx knows no escape={escape}: it is default, json or none")
    if "\n" in text:
        raise ValueError(
            "it has several lines: paste it with its quotes, as it stands in nginx.conf"
        )
    parts = _VARIABLE.split(text)
    texts = parts[::3]
    names = [braced or bare for braced, bare in zip(parts[1::3], parts[2::3], strict=True)]
    if not names:
        raise ValueError("it names no $variable")
    delimiter = _delimiter(texts)
    if delimiter and len(set(names)) == len(names):
        return Layout(Delimited(tuple(names), delimiter.encode()), tuple(names), escape)
    labels = (repr(texts[0]), *(f"${name}" for name in names))
    reader = Pattern(_expression(texts, names, escape), labels)
    return Layout(reader, tuple(dict.fromkeys(names)), escape)


def _delimiter(texts: list[str]) -> str | None:
    """The one character that stands between all variables and nowhere else, where one does."""
    inner = set(texts[1:-1])
    only = inner.pop() if len(inner) == 1 and not texts[0] + texts[-1] else ""
    return only if len(only) == 1 and only.isascii() and only not in ' "' else None


def _from_directive(text: str) -> tuple[str, str | None]:
    """The format that a directive puts together from its pieces, and its `escape=`."""
    pieces: list[str] = []
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if not found:
            raise ValueError(f"a quote is not closed: {text[place : place + 20]!r}")
        place = found.end()
        if found["end"]:
            break
        for kind in ("single", "double", "bare"):
            if found[kind] is not None:
                pieces.append(re.sub(r"\\(['\"\\trn])", _unquoted, found[kind]))
    if pieces[0] == "log_format":
        pieces = pieces[2:]
    escape = None
    if pieces and pieces[0].startswith("escape="):
        escape = pieces.pop(0).removeprefix("escape=")
    return "".join(pieces), escape


def _unquoted(match: re.Match[str]) -> str:
    return _BACKSLASHES.get(match[1], match[1])


def _expression(texts: list[str], names: list[str], escape: str) -> tuple[str, ...]:
    """The regular expression of a line, in parts: the text in front, then each variable with the text behind it.

    A variable that stands there twice has a group where it stands first.
    """
    made = [re.escape(texts[0])]
    seen: set[str] = set()
    following = [*names[1:], None]
    for name, text, after in zip(names, texts[1:], following, strict=True):
        value = _value(name, text, after, escape)
        group = f"(?:{value})" if name in seen else f"(?P<{name}>{value})"
        made.append(group + re.escape(text))
        seen.add(name)
    return tuple(made)


def _value(name: str, text: str, after: str | None, escape: str) -> str:
    """What a variable's value may be, given the text behind it and the variable behind that.

    A value holds no bare quote, unless nothing is escaped.
    """
    if name in _EXACT:
        return _EXACT[name]
    inner = _INNER[escape]
    if not text:
        return _value_before(name, after, inner)
    end = text[0]
    if escape == "default" and not end.isprintable():
        return f'[^"{re.escape(end)}]*'
    if end == " " and name in _NO_SPACES:
        return '[^ "]*'
    return f"{inner}*?"


def _value_before(name: str, after: str | None, inner: str) -> str:
    """What a value may be that another follows at once, or the line's end."""
    if after is None:
        return '[^ "]*' if name in _NO_SPACES else f"{inner}*"
    if name not in _BEFORE_ANOTHER:
        raise ValueError(
            f"nothing tells where ${name} ends and ${after} begins: put a mark between"
        )
    return _BEFORE_ANOTHER[name]
