"""Hostile logs, each with what must come of it: the views that survive, reasons, and faults.

Nothing here is taken from the code's output: views are named by their `k`, and every other line is
accounted for by hand.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from backports import zstd

from pipeline.model import Reason
from tests.logs import FIREFOX, Hit, combined, json_line, log, signed, tsv

MALFORMED = "the line is not in its log's format"


@dataclass(frozen=True)
class Case:
    """A log object and what must come of it.

    `views` are the keys of the views, `rejects` the lines refused by their numbers (from 1) and
    reasons, `blank` and `others` count blank lines and requests for other things. `faults` are
    pieces of the faults' texts.
    """

    name: str
    data: bytes
    views: str = ""
    rejects: Sequence[tuple[int, Reason]] = ()
    blank: int = 0
    others: int = 0
    faults: Sequence[str] = ()
    details: Sequence[str] = field(default=())


def view(key: str, query: bytes = b"", agent: bytes = FIREFOX) -> bytes:
    """A px1 line of a view that counts, unless `query` appends a fault."""
    return tsv(Hit(uri=b"/i.gif?" + signed(k=key) + query, user_agent=agent))


def raw(key: str, old: bytes, new: bytes) -> bytes:
    """A px1 line of a view with bytes changed as no nginx would write them."""
    line = view(key)
    assert old in line
    return line.replace(old, new)


def frame(data: bytes) -> bytes:
    """zstd as its command line writes it: with a checksum."""
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


def corrupt(data: bytes) -> bytes:
    """Compressed data with a stretch in its middle overwritten."""
    middle = len(data) // 2
    return data[:middle] + b"\xff" * 40 + data[middle + 40 :]


A, B, C = view("a"), view("b"), view("c")
FEW = log(A, B, C)
MANY = log(*(view(f"many-{number}", agent=b"agent %d" % (number * 7919)) for number in range(300)))
TOO_LONG, LINE, TIME = Reason.TOO_LONG, Reason.MALFORMED_LINE, Reason.BAD_TIME
JUNK = random.Random(1).randbytes(20_000).replace(b"\n", b"")  # noqa: S311 - the same junk each time
DEEP = b"[" * 10_000 + b"]" * 10_000
JSON = json_line(Hit(uri=b"/i.gif?" + signed(k="a")))
MANY_CORRUPT = gzip.compress(MANY)[:20] + b"\xff" * 40 + gzip.compress(MANY)[60:]
"""Nothing of it can be read."""
COMBINED = combined(Hit(uri=b"/i.gif?" + signed(k="a")))
PADDED = b"&".join([signed(k="b"), *(b"p%d" % number for number in range(196))])


def queries() -> list[Case]:
    """Query strings, the line between two sound ones."""

    def of(name: str, key: str, query: bytes, *reasons: Reason) -> Case:
        rejects = [(2, reason) for reason in reasons]
        views = "ac" if reasons else f"a{key}c"
        return Case(name, log(A, tsv(Hit(uri=b"/i.gif?" + query)), C), views, rejects)

    sign = signed(k="b")
    most = {f"p{number:03}": "" for number in range(196)}
    return [
        of("200 parameters", "b", signed(k="b", **most)),
        of("201 parameters", "b", signed(k="b", **most) + b"&x", Reason.TOO_MANY_PARAMETERS),
        of("a thousand parameters", "b", sign + b"&x" * 1000, Reason.TOO_MANY_PARAMETERS),
        of("200 parameters, not all signed", "b", PADDED, Reason.TAMPERED),
        of("%00", "b", sign + b"&x=%00", Reason.NUL_BYTE),
        of("%00 in a name", "b", sign + b"&%00", Reason.NUL_BYTE),
        of("overlong UTF-8", "b", sign.replace(b"&c=", b"%C0%AF&c="), Reason.NOT_UTF8),
        of("half a surrogate pair", "b", sign.replace(b"&c=", b"%ED%A0%80&c="), Reason.NOT_UTF8),
        of("a lone continuation byte", "b", sign + b"&x=%80", Reason.NOT_UTF8),
        of("raw bytes that are no UTF-8", "b", sign + b"&x=\xff", Reason.NOT_UTF8),
        of("k twice", "b", sign + b"&k=b", Reason.DUPLICATE_PARAMETER),
        of("k twice, once escaped", "b", sign + b"&%6b=b", Reason.DUPLICATE_PARAMETER),
        of("s twice", "b", sign + b"&s=x", Reason.DUPLICATE_PARAMETER),
        of("a semicolon is no separator", "b;x", signed(k="b;x").replace(b"%3B", b";")),
        of("a bare % stands for itself", "100%", signed(k="100%").replace(b"%25&", b"%&")),
        of("%zz stands for itself", "%zz", signed(k="%zz").replace(b"%25", b"%")),
        of("a blank value is kept", "b", signed(k="b", blank="")),
        of("a value without =", "b", signed(k="b", blank="").replace(b"blank=", b"blank")),
        of("+ is a space", "b b", signed(k="b b").replace(b"%20", b"+")),
        of("empty pieces", "b", b"&&" + sign.replace(b"&", b"&&&") + b"&"),
        of("a blank key", "", signed(k=""), Reason.NO_DATA),
        of("no value at all", "", b"=&", Reason.UNSIGNED),
        of("nothing but separators", "", b"&&&&", Reason.UNSIGNED),
        of("a signature of 100 KB", "b", b"s=" + b"A" * 60_000 + sign[45:], Reason.TAMPERED),
    ]  # fmt: skip


def lines() -> list[Case]:
    """Plain objects with lines that no nginx would write."""
    mac = FEW.replace(b"\n", b"\r")
    return [
        Case("empty", b""),
        Case("one newline", b"\n", blank=1),
        Case("blank lines", b"\n\n" + FEW + b"\r\n\n", "abc", blank=4),
        Case("a byte order mark", b"\xef\xbb\xbf" + FEW, "abc"),
        Case("a byte order mark alone", b"\xef\xbb\xbf", blank=1),
        Case("a byte order mark, then a newline", b"\xef\xbb\xbf\n", blank=1),
        Case("a byte order mark in the middle", log(A) + b"\xef\xbb\xbf" + log(B, C), "ac", [(2, LINE)]),
        Case("CRLF", FEW.replace(b"\n", b"\r\n"), "abc"),
        Case("some CRLF", log(A, B + b"\r", C), "abc"),
        Case("CR alone", mac, "", [(1, LINE)], faults=["no known log format"]),
        Case("a CR alone inside", log(A, raw("b", b"Mozilla", b"Mo\rzilla"), C), "ac", [(2, LINE)]),
        Case("two CRs at the end", log(A, B + b"\r\r", C), "ac", [(2, LINE)]),
        Case("no newline at the end", FEW[:-1], "abc"),
        Case("cut at the end", FEW[:-20], "ab", [(3, LINE)]),
        Case("cut at its last byte", FEW[:-2], "ab", [(3, LINE)]),
        Case("a NUL inside", log(A, raw("b", b"Mozilla", b"Mo\0zilla"), C), "ac", [(2, LINE)]),
        Case("NULs before a line", log(A) + b"\0" * 4096 + log(B, C), "ac", [(2, LINE)]),
        Case("many NULs before a line", log(A) + b"\0" * 100_000 + log(B, C), "ac", [(2, TOO_LONG)]),
        Case("NULs at the end", FEW + b"\0" * 4096, "abc", [(4, LINE)]),
        Case("nothing but NULs", b"\0" * 4096, "", [(1, LINE)], faults=["no known log format"]),
        Case("no UTF-8 in the agent", log(A, raw("b", b"Mozilla", b"Mo\xff\xc0zilla"), C), "abc"),
        Case("no UTF-8 in the agent, escaped", log(A, view("b", agent=b"Mo\xff\xfe"), C), "abc"),
        Case("no UTF-8 in the query", log(A, view("b", b"&x=\xc3"), C), "ac", [(2, Reason.NOT_UTF8)]),
        Case("binary junk", log(A, JUNK[:9999], B, JUNK[9999:], C), "abc", [(2, LINE), (4, LINE)]),
        Case("only binary junk", JUNK, "", [(1, LINE)], faults=["no known log format"]),
        Case("64 KiB", log(A, b"x" * 65_536, C), "ac", [(2, LINE)]),
        Case("over 64 KiB", log(A, b"x" * 65_537, C), "ac", [(2, TOO_LONG)]),
        Case("three long lines", log(A, b"x" * 99_999, b"x" * 99_999, B, b"x" * 99_999), "ab",
             [(2, TOO_LONG), (3, TOO_LONG), (5, TOO_LONG)]),
        Case("a long view", log(A, view("b", agent=b"x" * 70_000), C), "ac", [(2, TOO_LONG)]),
        Case("a torn line", log(A, B[:60] + C, C), "ac", [(2, LINE)]),
        Case("a doubled line", log(A, B + B, C), "ac", [(2, LINE)]),
        Case("a field too many", log(A, B[:-1] + b"-\t.", C), "ac", [(2, LINE)]),
        Case("a field too few", log(A, B.replace(b"\t-\t", b"\t", 1), C), "ac", [(2, LINE)]),
        Case("spaces for tabs", log(A, B.replace(b"\t", b" "), C), "ac", [(2, LINE)]),
        Case("no time", log(A, raw("b", b"1763726400.000", b"-"), C), "ac", [(2, TIME)]),
        Case("a time long ago", log(A, raw("b", b"1763726400.000", b"0.000"), C), "ac", [(2, TIME)]),
        Case("a time far ahead", log(A, raw("b", b"1763726400.000", b"9" * 300), C), "ac", [(2, TIME)]),
        Case("no agent", log(A, view("b", agent=b""), C), "ac", [(2, Reason.NO_AGENT)]),
        Case("an address of nonsense", log(A, raw("b", b"203.0.113.7", b"999.1.1.1"), C), "ac",
             [(2, Reason.NO_IP)]),
        Case("a status of nonsense", log(A, raw("b", b"\t200\t", b"\t2000\t"), C), "ac", others=1),
        Case("a path of 60 KB", log(A, raw("b", b"/i.gif", b"/" + b"i" * 60_000), C), "ac", others=1),
    ]  # fmt: skip


def json_lines() -> list[Case]:
    """JSON logs."""

    def of(name: str, line: bytes, others: int = 0, rejects: int = 0, views: str = "aa") -> Case:
        return Case(
            f"JSON: {name}", log(JSON, line, JSON), views, [(2, LINE)] * rejects, others=others
        )

    return [
        of("a status twice, the last counts", JSON.replace(b'"status":200', b'"status":404,"status":200'), views="aaa"),
        of("a status twice, the last is none", JSON.replace(b'"status":200', b'"status":200,"status":null'), others=1),
        of("NaN", JSON.replace(b'"status":200', b'"status":NaN'), rejects=1),
        of("Infinity", JSON.replace(b'"status":200', b'"status":-Infinity'), rejects=1),
        of("a huge integer", JSON.replace(b'"status":200', b'"status":' + b"9" * 10_000), others=1),
        of("another huge integer", JSON.replace(b'{"msec"', b'{"bytes":' + b"9" * 10_000 + b',"msec"'), views="aaa"),
        of("10,000 arrays", JSON.replace(b'"status":200', b'"status":' + DEEP), rejects=1),
        of("10,000 objects", b'{"a":' * 10_000 + b"1" + b"}" * 10_000, rejects=1),
        of("10,000 arrays, open", b'{"a":' + b"[" * 10_000, rejects=1),
        of("an object for a text", JSON.replace(b'"request_uri":"', b'"request_uri":{"a":"b"},"x":"'), others=1),
        of("an array for a text", JSON.replace(b'"status":200', b'"status":[200]'), others=1),
        of("true for a number", JSON.replace(b'"status":200', b'"status":true'), others=1),
        of("a text for a number", JSON.replace(b'"status":200', b'"status":"200"'), views="aaa"),
        of("no object", b"[" + JSON + b"]", rejects=1),
        of("two objects", JSON + JSON, rejects=1),
        of("a text", b'"' + b"x" * 1000 + b'"', rejects=1),
        of("an unbalanced quote", JSON.replace(b"Mozilla", b'Mo"zilla'), rejects=1),
        of("an unbalanced escape", JSON.replace(b"Mozilla", b"Mo\\zilla"), rejects=1),
        of("half a surrogate pair", JSON.replace(b"Mozilla", b"\\ud83d"), rejects=1),
        of("nothing but backslashes", b"{" + b"\\" * 50_000, rejects=1),
        of("nothing but quotes", b"{" + b'"' * 50_001, rejects=1),
        of("nothing but escaped quotes", b'{"' + b'\\"' * 30_000, rejects=1),
        of("spaces without end", b'{"a"' + b" " * 30_000 + b":" + b" " * 30_000, rejects=1),
        of("nothing but braces", b"{" * 50_000, rejects=1),
        of("another program's line", b'{"level":"info","message":"hello"}', others=1),
        of("cut", JSON[:-1], rejects=1),
    ]  # fmt: skip


def combined_lines() -> list[Case]:
    """Combined logs."""

    def of(name: str, line: bytes, others: int = 0, rejects: int = 0, views: str = "aa") -> Case:
        return Case(
            f"combined: {name}", log(COMBINED, line, COMBINED), views, [(2, LINE)] * rejects, others=others
        )  # fmt: skip

    return [
        of(
            "an unbalanced quote in the agent", COMBINED.replace(b"Mozilla", b'Mo"zilla'), rejects=1
        ),
        of("a quote missing", COMBINED[:-1], rejects=1),
        of("a quote too many", COMBINED + b'"', rejects=1),
        of("an escaped quote at the end", COMBINED[:-1] + b'\\"', rejects=1),
        of("nothing but quotes", b'"' * 60_000, rejects=1),
        of("nothing but escaped quotes", b'"' + b'\\"' * 30_000, rejects=1),
        of("six quotes and no more", b'""""""', rejects=1),
        of("nothing but brackets", b"[" * 60_000, rejects=1),
        of("a TLS greeting", COMBINED.replace(b"GET /i.gif", b"\\x16\\x03\\x01"), others=1),
        of(
            "an empty request",
            b'1.2.3.4 - - [21/Nov/2025:12:00:00 +0000] "" 400 0 "-" "-"',
            others=1,
        ),
        of("a user with brackets", COMBINED.replace(b" - - ", b" - [a] [b] "), views="aaa"),
        of("a NUL", COMBINED.replace(b"Mozilla", b"\0"), rejects=1),
    ]


def compressed() -> list[Case]:
    """Compressed objects, sound and damaged."""
    gz, first, last = gzip.compress, gzip.compress(log(A)), gzip.compress(log(C))
    header_changed = bytearray(gzip.compress(log(B)))
    header_changed[3] |= 0x04
    return [
        Case("gzip", gz(FEW), "abc"),
        Case("zstd", frame(FEW), "abc"),
        Case("zstd without a checksum", zstd.compress(FEW), "abc"),
        Case("gzip of nothing", gz(b"")),
        Case("zstd of nothing", frame(b"")),
        Case("gzip: three members", first + gz(log(B)) + last, "abc"),
        Case("gzip: members that cut lines", gz(FEW[:50]) + gz(FEW[50:200]) + gz(b"") + gz(FEW[200:]), "abc"),
        Case("gzip: padded with zeros", first + b"\0" * 700 + gz(log(B)) + last + b"\0" * 1500, "abc"),
        Case("gzip: rubbish at the end", gz(FEW) + b"rubbish", "abc", faults=["bytes after the end of the gzip data"]),
        Case("zstd: rubbish at the end", frame(FEW) + b"rubbish", "abc", faults=["bytes after the end of the zstd data"]),
        Case("gzip: rubbish between", first + b"rubbish" + last, "ac", faults=["bytes after the end of the gzip data"]),
        Case("gzip: cut in its trailer", gz(FEW)[:-3], "abc", faults=["gzip data ends early"]),
        Case("zstd: cut in its trailer", frame(FEW)[:-3], "abc", faults=["zstd data ends early"]),
        Case("gzip: cut in its header", gz(FEW)[:7], "", faults=["gzip data ends early"]),
        Case("gzip: cut in the second member", first + gz(log(B))[:20], "a", faults=["gzip data ends early"]),
        Case("gzip: only its first bytes", b"\x1f\x8b", "", [(1, LINE)], faults=["no known log format"]),
        Case("gzip: its first bytes, then lines", b"\x1f\x8b\x08" + FEW, "", faults=["gzip data "]),
        Case("gzip: the middle member corrupt", first + corrupt(gz(log(B))) + last, "ac", faults=["gzip data is corrupt"]),
        Case("zstd: the middle frame corrupt", frame(log(A)) + corrupt(frame(log(B))) + frame(log(C)), "ac",
             faults=["zstd data is corrupt"]),
        Case("gzip: the middle member's header corrupt", first + bytes(header_changed) + last, "ac",
             faults=["gzip data ends early"]),
        Case("gzip: the first member corrupt", MANY_CORRUPT + last, "c", faults=["gzip data is corrupt"]),
        Case("gzip: two small members corrupt", first + corrupt(gz(log(B))) * 2 + last, "ac", faults=["gzip data is corrupt"]),
        Case("gzip: two members corrupt", first + MANY_CORRUPT + corrupt(gz(log(B))) + MANY_CORRUPT + last, "ac",
             faults=["gzip data is corrupt"]),
        Case("gzip: corrupt, then cut", first + corrupt(gz(log(B))) + gz(log(C, B))[:-30], "ac",
             faults=["gzip data is corrupt", "gzip data ends early"]),
        Case("zstd corrupt", corrupt(frame(FEW)), "", faults=["zstd data is corrupt"]),
        Case("zstd: frames that say nothing", b"\x50\x2a\x4d\x18\x04\0\0\0zstd" + frame(FEW) + b"\x5f\x2a\x4d\x18\0\0\0\0", "abc"),
        Case("gzip in gzip", gz(gz(FEW)), "", details=[MALFORMED], faults=["no known log format"]),
        Case("gzip: CRLF and a byte order mark", gz(b"\xef\xbb\xbf" + FEW.replace(b"\n", b"\r\n")), "abc"),
        Case("gzip: a long line", gz(log(A, b"x" * 5_000_000, C)), "ac", [(2, TOO_LONG)]),
    ]  # fmt: skip


CASES = [*lines(), *queries(), *json_lines(), *combined_lines(), *compressed()]
