"""What happens to a URL on its way, one thing a step, and how it is undone: bytes in, bytes out.

Each step is a function of a query string alone, and gives it back as it was where it finds nothing
to undo. None of them knows a key: whether a step was right is for the signature to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.repair import trackers


class Form(NamedTuple):
    """A query string as it may have been signed: what was undone, and the pieces left out."""

    query: bytes
    repair: tuple[str, ...] = ()
    extras: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Step:
    """One thing undone. `undoes` says what broke the URL; `weight` is low for what is seen often.

    `traces` (RE2, without regard to case) finds every query string that the step may change.
    """

    name: str
    undoes: str
    weight: int
    traces: str
    mend: Callable[[bytes], tuple[bytes, tuple[bytes, ...]]]

    def text(self, query: bytes) -> bytes:
        """The query string with this undone."""
        return self.mend(query)[0]

    def on(self, form: Form) -> Form | None:
        """The form with this undone as well, or None where there is nothing to undo."""
        query, extras = self.mend(form.query)
        if query == form.query:
            return None
        return Form(query, (*form.repair, self.name), form.extras + extras)


def _plain(
    function: Callable[[bytes], bytes],
) -> Callable[[bytes], tuple[bytes, tuple[bytes, ...]]]:
    return lambda query: (function(query), ())


_SOFT_BREAK = re.compile(rb"(?i)=(?:%0D|%0A|%09|%20|[\r\n\t ])*(?:%0A|%0D|[\r\n])")
_LINE_END = re.compile(rb"(?i)%0[AD]|[\r\n]")
_IS_QUOTED = re.compile(rb"(?is)(?:^|[&;])[skcd]=3D.*[&;][skcd]=3D")


def _unquote_printable(query: bytes) -> bytes:
    """`=3D` for `=`, `=2E` for `.`, and lines that go on after a `=`.

    A browser takes the line's end out of a URL and leaves the `=`: within a value that was quoted,
    it stands for nothing.
    """
    if _LINE_END.search(query):
        query = b"&".join(map(_join_lines, query.split(b"&")))
    if b"=3" not in query or not _IS_QUOTED.search(query):
        return query
    return b"&".join(map(_unquote_piece, query.split(b"&")))


def _join_lines(piece: bytes) -> bytes:
    joined = _SOFT_BREAK.sub(b"", piece)
    if b"=" in joined:
        return joined
    name, equals, value = piece.partition(b"=")  # a value that begins with a line's end
    return name + equals + _SOFT_BREAK.sub(b"", value)


def _unquote_piece(piece: bytes) -> bytes:
    name, *values = re.split(rb"(?i)=3D", re.sub(rb"(?i)=2E", b".", piece))
    if not values:
        return piece
    return b"=".join(part.replace(b"=", b"") for part in (name, *values))


_AMPERSANDS = re.compile(rb"(?i)&(?:(?:amp|#0*38|#x0*26)(?:;|%3B))+|&;+")
_LEADING = re.compile(rb"(?i)^(?:&?(?:amp)?;)+")
_APOSTROPHES = re.compile(rb"(?i)&(?:apos|#0*39|#x0*27);")


def _unescape_html(query: bytes) -> bytes:
    """`&amp;` and its like for `&`, however often; names that still start with `amp;`."""
    if b";" not in query and b"%3" not in query:
        return query
    query = _APOSTROPHES.sub(b"'", _AMPERSANDS.sub(b"&", query))
    return _LEADING.sub(b"", query)


_SEPARATOR = re.compile(rb"&[skcd]=")
_ESCAPED_NAME = re.compile(rb"(?i)(^|&|%26)(?:amp(?:;|%3B))*([skcd])(?:=|%3D)")
_ESCAPED_ESCAPE = re.compile(rb"%25([0-9A-Fa-f]{2})")
_EQUALS, _AMPERSAND, _PLUS = (re.compile(each) for each in (rb"(?i)%3D", rb"(?i)%26", rb"(?i)%2B"))


def _unescape_once(query: bytes) -> bytes:
    """One layer of percent-escapes less: in the values, and in the separators where none is left."""
    if not _SEPARATOR.search(query):
        if _ESCAPED_ESCAPE.search(query):
            query = _PLUS.sub(b"+", _AMPERSAND.sub(b"&", _EQUALS.sub(b"=", query)))
        else:
            query = _ESCAPED_NAME.sub(lambda at: (at[1] and b"&") + at[2] + b"=", query)
    return _ESCAPED_ESCAPE.sub(rb"%\1", query)


def _unescape_twice(query: bytes) -> bytes:
    """Two layers less; where there is one alone, nothing is undone."""
    once = _unescape_html(_unescape_once(query))
    twice = _unescape_once(once)
    return query if twice == once else twice


_MARKUP = rb"[\"<>]|%22|%3C|%3E|&(?:quot|lt|gt);|&(?:#0*34|#x0*22|#0*6[02]|#x0*3[ce]);"
_HARD = (
    rb"[\"'<>\\`\s+]|%(?:22|27|3C|3E|20|09|0A|0D|5C|60|C2%A0)|%E2%80%(?:8B|8E|9[89CD])"
    rb"|\xc2\xa0|\xe2\x80[\x8b\x8e\x98\x99\x9c\x9d]"
    rb"|&(?:quot|lt|gt|apos|nbsp|#0*3[49]|#x0*2[27]|#0*6[02]|#x0*3[ce]);"
)
_SOFT = rb"[)\]},.;:!?*/|=]|%(?:29|5D|7D|2C|2E|3B|3A|21|3F|2F|7C|3D)"
_CUT_AT_MARKUP = re.compile(rb"(?is)(?:%b).*$" % _MARKUP)
_HARD_MARK, _ANY_MARK = (
    re.compile(rb"(?i)(?:%b)\Z" % marks) for marks in (_HARD, _HARD + b"|" + _SOFT)
)
_MOST_MARKS, _LONGEST_MARK = 64, 16


def _strip(query: bytes) -> bytes:
    """Less the quotes, angle brackets and spaces at the end; else less one mark of a sentence."""
    stripped = _less_marks(query, _HARD_MARK, _MOST_MARKS)
    return _less_marks(query, _ANY_MARK, 1) if stripped == query else stripped


def _strip_all(query: bytes) -> bytes:
    """Less all from the first quote or angle bracket on, and all marks at the end."""
    return _less_marks(_CUT_AT_MARKUP.sub(b"", query), _ANY_MARK, _MOST_MARKS)


def _less_marks(query: bytes, mark: re.Pattern[bytes], most: int) -> bytes:
    for _ in range(most):
        found = mark.search(query, max(0, len(query) - _LONGEST_MARK))
        if not found:
            break
        query = query[: found.start()]
    return query


_UNESCAPED = re.compile(rb"(?s)(?:^|(?<=&))c=(https?:.*?)(?=&[skd]=|\Z)")


def _escape_canonical(query: bytes) -> bytes:
    """A canonical URL that stands there as it is, escaped: up to the next of `s`, `k`, `d`."""

    def escaped(at: re.Match[bytes]) -> bytes:
        url = at[1].replace(b"%", b"%25").replace(b"+", b"%2B").replace(b"&", b"%26")
        return b"c=" + url

    return _UNESCAPED.sub(escaped, query, count=1)


QUOTED_PRINTABLE = Step(
    "quoted-printable", "quoted-printable mail (=3D for =, lines joined with =)", 0,
    r"=3D|=(?:%20|%09|[ \t])*(?:%0[AD]|[\r\n])", _plain(_unquote_printable),
)  # fmt: skip
HTML_ENTITIES = Step(
    "html-entities", "HTML entities (&amp; for &)", 0,
    r"&(?:amp|apos|#|;)|^&?(?:amp)?;", _plain(_unescape_html),
)  # fmt: skip
MAIL = (QUOTED_PRINTABLE, HTML_ENTITIES)
"""Undone wherever they are found: no query string looks so by itself."""

_ESCAPES = r"%25[0-9A-F]{2}|(?:^|&|%26|;|%3B)[skcd]%3D|(?:%26|%3B)[skcd]="
_ENDS = "(?:" + "|".join(each.decode("latin-1") for each in (_HARD, _SOFT)) + r")\z"
CHOICES = (
    (
        Step("percent-encoding", "a layer of percent-encoding too many", 3, _ESCAPES, _plain(_unescape_once)),
        Step("percent-encoding-twice", "two layers of percent-encoding too many", 5, _ESCAPES, _plain(_unescape_twice)),
    ),
    (
        Step("trackers", "parameters that were appended", 1, trackers.TRACES, trackers.drop_around),
        Step("trackers-among", "parameters that were put in", 3, trackers.TRACES, trackers.drop_all),
    ),
    (
        Step("trailing", "a quote, bracket or other mark at its end", 2, _ENDS, _plain(_strip)),
        Step("trailing-markup", "HTML, or several marks, at its end", 4, f"{_ENDS}|{_MARKUP.decode()}", _plain(_strip_all)),
    ),
    (
        Step("literal-plus", "a + where %2B was signed", 4, r"\+", _plain(lambda query: query.replace(b"+", b"%2B"))),
        Step("space-plus", "%2B where a space was signed", 4, "%2B", _plain(lambda query: _PLUS.sub(b"+", query))),
        Step("unescaped", "a canonical URL that was unescaped", 4, "(?:^|&)c=https?:", _plain(_escape_canonical)),
    ),
)  # fmt: skip
"""Undone in this order, at most one of each group, as the ladder climbs."""

TRACES = "|".join(sorted({step.traces for step in (*MAIL, *sum(CHOICES, ()))}))


def undone(repair: str) -> str:
    """What broke a URL, in words, from what stands in the column `repair`."""
    undoes = {step.name: step.undoes for step in (*MAIL, *sum(CHOICES, ()))}
    return ", and ".join(undoes[name] for name in repair.split("+"))
