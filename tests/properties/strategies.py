"""What the property tests draw: requests, lines good and ugly, and logs of them."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from pipeline.formats import Format
from tests.logs import BOUND, FIREFOX, GOOGLEBOT, LINE_OF, NOON_US, SECOND_US, Hit, signed
from tests.text_logs import UNCARRIED

SAFARI = (
    b"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 "
    b"(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
QUERIES = (
    signed(),
    signed(k="story-2", d="mail.opens"),
    signed(k='caf\u00e9 "quoted" \\ &=+%', note=""),
    signed(d="no-such-name"),
    signed(secret="another"),
    signed()[:30],
    signed() + b"%00",
    signed() + b"&k=twice",
    b"k=\xe9&c=x&d=a.b",
    b"",
)
"""Views that count, and views with every kind of fault."""
TOKENS = (
    b'"', b'" "', b"\\", b"\\x22", b"\\xZZ", b"\\\\x41", b'\\"', b"\\u00e9", b"\t", b"\r", b"\0",
    b"-", b" ", b"  ", b"[", b"]", b"] ", b"{", b"}", b",", b":", b'":,', b'":-,', b".", b"\xef\xbb\xbf",
    b"\xff", b"\xc3\xa9", b"px1", b"\t.", b"null", b"200", b"01", b"1e5", b"NaN", b'" 200 43 "',
    b"?", b"://", b"%", b"+0000]", b"2025-11-21T12:00:00+01:00", b"1763726400.5", b'"status":304,',
)  # fmt: skip
"""Pieces that mean something to one format or another; no newline."""

formats = st.sampled_from(BOUND)
junk = st.one_of(
    st.binary(max_size=40),
    st.lists(st.sampled_from(TOKENS), max_size=8).map(b"".join),
).map(lambda line: line.replace(b"\n", b""))
"""Lines of no format."""
_texts = st.one_of(st.none(), st.binary(min_size=1, max_size=12), st.sampled_from(TOKENS))
"""What a client may put into a header."""


def hits(texts: st.SearchStrategy[bytes | None] = _texts) -> st.SearchStrategy[Hit]:
    """Requests of every kind, the pixel's first of all."""
    return st.builds(
        Hit,
        time_us=st.integers(0, 10**6).map(lambda second: NOON_US + second * SECOND_US),
        request_id=st.sampled_from((b"a1", b"b2", b"c3")),
        ip=st.sampled_from((b"203.0.113.7", b"2001:db8::1", b"10.1.2.3")),
        forwarded_for=st.one_of(st.none(), st.just(b"198.51.100.9, 10.0.0.1")),
        method=st.sampled_from((b"GET", b"GET", b"HEAD", b"POST")),
        uri=st.one_of(
            st.sampled_from(QUERIES).map(b"/i.gif?".__add__),
            st.sampled_from((b"/pixel.gif", b"/r.gif?", b"/favicon.ico", b"/a?b?c", b"//i.gif?")),
        ),
        status=st.sampled_from((b"200", b"200", b"204", b"304", b"302", b"404")),
        user_agent=st.one_of(st.sampled_from((FIREFOX, SAFARI, GOOGLEBOT)), texts),
        referrer=st.one_of(st.none(), st.just(b"https://Example.org:8443/a"), texts),
        cookie_pxid=st.one_of(st.none(), st.just(b"816fe127-2f5f")),
    )


def hits_in(name: str) -> st.SearchStrategy[Hit]:
    """Requests that a format's lines can hold."""
    uncarried = UNCARRIED.get(name, b"")
    return hits(_texts.map(lambda text: (text or b"").translate(None, uncarried) or None))


@st.composite
def mutated(draw: st.DrawFn, line: bytes) -> bytes:
    """The line with a piece of it replaced by something that means something."""
    start = draw(st.integers(0, len(line)))
    length = draw(st.sampled_from((0, 0, 1, 2, 7, 40)))
    middle = draw(st.sampled_from((b"", *TOKENS)))
    return line[:start] + middle + line[start + length :]


def lines(format_: Format) -> st.SearchStrategy[bytes]:
    """A line of the format, mostly sound, never with a newline inside."""
    writers: tuple[Callable[[Hit], bytes], ...] = LINE_OF[format_.name]
    sound = st.builds(
        lambda write, hit: write(hit), st.sampled_from(writers), hits_in(format_.name)
    )
    plain = st.builds(
        lambda write, hit: write(hit), st.just(writers[0]), hits(st.just(b"plain text"))
    )
    return st.one_of(plain, plain, sound, sound.flatmap(mutated), plain.flatmap(mutated))


@st.composite
def logs(draw: st.DrawFn, format_: Format) -> bytes:
    """A log in the format: sound lines first, ugly ones, blank ones and long ones among them."""
    ends = st.sampled_from((b"\n", b"\n", b"\n", b"\r\n"))
    line = st.one_of(
        lines(format_),
        lines(format_),
        junk,
        st.just(b""),
        st.just(b"x" * 1500),
        st.just(b"\0" * 40),
    )
    drawn = draw(st.lists(st.tuples(line, ends), max_size=12))
    writer = LINE_OF[format_.name][0]
    hit = hits_in(format_.name)
    head = b"".join(writer(hit) + b"\n" for hit in draw(st.lists(hit, min_size=1, max_size=3)))
    start = draw(st.sampled_from((b"", b"", b"\xef\xbb\xbf", b"\r\n")))
    tail = draw(st.sampled_from((b"", b"", b"cut o", b"\r")))
    return start + head + b"".join(text + end for text, end in drawn) + tail
