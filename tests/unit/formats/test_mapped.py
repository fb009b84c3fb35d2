"""Maps of every kind: what a line becomes, what is malformed, and that nothing beside a line matters."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.formats.maps import Mapped, map_of
from tests.logs import (  # fmt: skip
    Hit,
    combined,
    escape_default,
    escape_json,
    json_default_line,
    json_line,
    lines_of,
    log,
    main,
    tsv,
)
from tests.properties import strategies
from tests.test_golden import GOLDEN, hits_in, rows_in

NOON = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)
PX1 = """
name = "px1"
kind = "nginx"
log_format = '''
log_format px1 'px1\\t$msec\\t$request_id\\t$remote_addr\\t$http_x_forwarded_for\\t'  # a comment; with a mark
               '$request_method\\t$host\\t$request_uri\\t$status\\t$http_user_agent\\t'
               "$http_referer\\t$cookie__pxid\\t.";
'''
"""
MAIN = """
name = "main"
kind = "nginx"
log_format = '''log_format  main  '$remote_addr - $remote_user [$time_local] "$request" '
                      '$status $body_bytes_sent "$http_referer" '
                      '"$http_user_agent" "$http_x_forwarded_for"';'''
"""
JSON = """
name = "json"
kind = "json"
ESCAPE
[fields]
timestamp = "msec"
request_id = "request_id"
ip = "remote_addr"
forwarded_for = "http_x_forwarded_for"
method = "request_method"
host = "host"
uri = "request_uri"
status = "status"
user_agent = "http_user_agent"
referrer = "http_referer"
cookie_pxid = "cookie__pxid"
"""
TABS = """
name = "tabs"
kind = "tsv"
unescape = "nginx"
columns = ["tag", "timestamp", "request_id", "ip", "forwarded_for", "method", "host", "uri", "status", "user_agent", "referrer", "cookie_pxid", "end"]
"""
REGEX = r"""
name = "regex"
kind = "regex"
unescape = "nginx"
pattern = '''(?P<ip>\S+) - \S+ \[(?P<timestamp>[^\]]+)\] "(?P<request>[^"]*)" (?P<status>\d{3}) \d+ "(?P<referrer>[^"]*)" "(?P<user_agent>[^"]*)"'''
"""
CSV = """
name = "csv"
kind = "csv"
header = true
[fields]
timestamp = "when"
ip = "who"
method = "method"
url = "url"
status = "status"
user_agent = "agent"
request_id = "id"
"""


def mapped(text: str, header: bytes = b"") -> Mapped:
    return map_of(text.encode(), "a.toml").bound([header] if header else [])


def read(map_: Mapped, *lines: bytes) -> list[dict[str, Any] | str]:
    """What each line became: what is told of a request, or "malformed" or "header"."""
    found = map_.parse(lines_of(log(*lines)))
    became: dict[int, dict[str, Any] | str] = {}
    for name in ("malformed", "header", "other"):
        became |= dict.fromkeys(getattr(found, name).tolist(), name)
    for row in found.requests.to_pylist():
        line = row.pop("line")
        assert line not in became
        became[line] = {name: value for name, value in row.items() if value is not None}
    assert sorted(became) == list(range(len(lines)))
    return [became[at] for at in range(len(lines))]


def quoted(text: bytes | None) -> bytes:
    return b'"%s"' % (text or b"").replace(b'"', b'""')


def csv(hit: Hit) -> bytes:
    fields = (b"1763726400", hit.ip, hit.method, b"https://px.example.org" + hit.uri, hit.status)
    return b",".join([*map(quoted, fields), quoted(hit.user_agent), hit.request_id])


HEADER = b"when,who,method,url,status,agent,id"
DEFAULT_JSON = JSON.replace("ESCAPE", 'escape = "default"')
PLAIN_JSON = JSON.replace("ESCAPE", "")
WRITERS = {
    "nginx": (mapped(PX1), tsv),
    "nginx-main": (mapped(MAIN), main),
    "json": (mapped(PLAIN_JSON), json_line),
    "json-default": (mapped(DEFAULT_JSON), json_default_line),
    "tsv": (mapped(TABS), tsv),
    "regex": (mapped(REGEX), combined),
    "csv": (mapped(CSV, HEADER), csv),
}
ANY = pytest.mark.parametrize("kind", WRITERS)


@ANY
@settings(max_examples=20)
@given(drawn=st.data())
def test_a_line_is_read_the_same_alone_and_among_others(kind: str, drawn: st.DataObject) -> None:
    map_, write = WRITERS[kind]
    sound = st.builds(write, strategies.hits())
    line = st.one_of(sound, sound.flatmap(strategies.mutated), strategies.junk)
    lines = [each.replace(b"\n", b"") for each in drawn.draw(st.lists(line, max_size=4))]
    lines = [each for each in lines if each.strip(b"\r")]
    assert read(map_, *lines) == [read(map_, line)[0] for line in lines]


@pytest.mark.parametrize("kind", ["nginx", "json", "json-default", "tsv"])
@given(hit=strategies.hits())
def test_what_the_client_sent_comes_back(kind: str, hit: Hit) -> None:
    map_, write = WRITERS[kind]
    if kind == "json" and not _is_utf8(hit.user_agent, hit.referrer):
        return
    (row,) = read(map_, write(hit))
    assert map_.recognises(write(hit))
    path, question, query = hit.uri.partition(b"?")
    sent = {
        "method": hit.method, "host": hit.host, "path": path, "query": query if question else None,
        "status": hit.status, "ip": hit.ip, "forwarded_for": hit.forwarded_for,
        "user_agent": hit.user_agent, "referrer": hit.referrer, "cookie_pxid": hit.cookie_pxid,
        "request_id": hit.request_id,
    }  # fmt: skip
    assert isinstance(row, dict)
    assert row.pop("timestamp").timestamp() == hit.time_us / 1e6
    assert row == {name: value for name, value in sent.items() if value not in (None, b"-")}


def _is_utf8(*texts: bytes | None) -> bool:
    try:
        b"".join(text or b"" for text in texts).decode()
    except UnicodeDecodeError:
        return False
    return True


@given(hits=st.lists(strategies.hits(), max_size=5), agent=st.text(max_size=20))
def test_fields_in_quotes_come_back(hits: list[Hit], agent: str) -> None:
    sent = agent.encode("utf-8", "replace").translate(None, b"\r\n\0")
    map_, write = WRITERS["csv"]
    rows = read(map_, *(write(Hit(**{**vars(hit), "user_agent": sent})) for hit in hits))
    for row, hit in zip(rows, hits, strict=True):
        assert isinstance(row, dict)
        assert row.get("user_agent", b"-") == (sent or b"-")
        assert row["path"] + (b"?" + row["query"] if "query" in row else b"") == hit.uri
        assert (row["host"], row["request_id"]) == (b"px.example.org", hit.request_id)


@pytest.mark.parametrize(
    "line",
    [
        b"x", b'"', b'"1,2,3,4,5,6,7', b'1,2,3,4,5,6,"7', b'1,2,3,4,5,6,7"', b"1,2,3,4,5,6", b"1,2,3,4,5,6,7,8",
        b'1,"2"2,3,4,5,6,7', b'1,2" ,"3",4,5,6,7', b'1,2,3,4,5,6,"7\0"', b"1,2,3\r,4,5,6,7", b'"a"",b,c,d,e,f,g',
    ],
)  # fmt: skip
def test_lines_with_unsound_quotes_touch_no_other(line: bytes) -> None:
    map_, write = WRITERS["csv"]
    sound = write(Hit(user_agent=b'a "b", c'))
    (one,) = read(map_, sound)
    assert read(map_, sound, line, sound, line, sound) == [one, "malformed", one, "malformed", one]


def test_the_last_header_names_the_columns() -> None:
    map_, _ = WRITERS["csv"]
    rows = read(map_, HEADER, b"1763726400,192.0.2.1,GET,/a,200,x,1", b'id,"when",url,status,method', b"2,1763726400,//h/b?,200,GET", b"1763726400,192.0.2.1,GET,/a,200,x,1", b"x,when,url,status,method")  # fmt: skip
    assert rows[0] == rows[2] == "header"
    assert rows[1] == {"timestamp": NOON, "ip": b"192.0.2.1", "method": b"GET", "path": b"/a", "status": b"200", "user_agent": b"x", "request_id": b"1"}  # fmt: skip
    assert rows[3] == {"timestamp": NOON, "method": b"GET", "host": b"h", "path": b"/b", "query": b"", "status": b"200", "request_id": b"2"}  # fmt: skip
    assert rows[4:] == ["malformed", "header"]


def test_a_log_without_its_header_is_malformed_and_no_visitor_can_write_one() -> None:
    unbound = mapped(CSV)
    assert (unbound.needs_header, unbound.header) == (True, None)
    line = b"1763726400,192.0.2.1,GET,/a?when,200,x,1"
    assert read(unbound, line, line) == ["malformed", "malformed"]
    bound = unbound.bound([b"x", line, HEADER, line])
    assert bound.header == HEADER.decode()
    forged = b"1763726400,when,GET,url,200,when,url"
    assert isinstance(read(bound, forged)[0], dict)
    other = unbound.bound([b"method,when,url,agent,from,status"])
    assert isinstance(read(other, b"GET,1763726400,/a,when,url,200")[0], dict)


def test_comments_and_a_header_with_a_mark() -> None:
    text = """
name = "iis"
kind = "tsv"
delimiter = " "
header = "#Fields:"
comment = "#"
[fields]
date = "date"
time = "time"
method = "cs-method"
path = "cs-uri-stem"
query = "cs-uri-query"
status = "sc-status"
ip = "c-ip"
user_agent = { from = "cs(User-Agent)", unescape = "percent-plus" }
[time]
zone = "UTC"
"""
    fields = b"#Fields: date time cs-method cs-uri-stem cs-uri-query c-ip cs(User-Agent) sc-status"
    lines = (b"#Software: Microsoft Internet Information Services 10.0", fields, b"2025-11-21 12:00:00 GET /i.gif k=a 192.0.2.1 Mozilla/5.0+(X11)%2b 200", b"2025-11-21 12:00:00 GET /i.gif - 192.0.2.1 - 200")  # fmt: skip
    row = {"timestamp": NOON, "method": b"GET", "path": b"/i.gif", "status": b"200", "ip": b"192.0.2.1"}  # fmt: skip
    assert read(mapped(text, fields), *lines) == [
        "header",
        "header",
        row | {"query": b"k=a", "user_agent": b"Mozilla/5.0 (X11)+"},
        row,
    ]


@pytest.mark.parametrize(
    ("layout", "line", "told"),
    [
        ("$scheme://$host$request_uri $status", b"https://px.example.org/i.gif?k=//x 200", {"host": b"px.example.org", "path": b"/i.gif", "query": b"k=//x"}),
        ("$uri$is_args$args $status", b"/i.gif?k=a?b 200", {"path": b"/i.gif", "query": b"k=a?b"}),
        ("$uri$is_args$args $status", b"/i.gif 200", {"path": b"/i.gif"}),
        ("${request_uri}|$status|$http_cookie", b"/i.gif|200|a=1; _pxid=me; b=2", {"path": b"/i.gif", "cookie_pxid": b"me"}),
        ("$request_uri $status $http_user_agent $ssl_protocol", b"/i.gif 200 Mozilla/5.0 (X11; a) b TLSv1.3", {"path": b"/i.gif", "user_agent": b"Mozilla/5.0 (X11; a) b", "tls_version": b"TLSv1.3"}),
        ('"$http_user_agent" $status "$request_uri" "$http_user_agent"', rb'"a\x22b\\x41" 200 "/i.gif" "x"', {"path": b"/i.gif", "user_agent": rb'a"b\A'}),
        ("[$time_local] $request_uri $status", b"[x] /i.gif 200", None),
        ('$status "$request_uri"', b'200 "/i.gif" ', None),
        ('$status "$request_uri"', b'200 "/i"gif"', None),
    ],
)  # fmt: skip
def test_layouts_of_nginx(layout: str, line: bytes, told: dict[str, bytes] | None) -> None:
    text = f"name = 'x'\nkind = 'nginx'\nlog_format = '''$msec {layout}'''\nconstants = {{ method = 'GET' }}"
    row = {"timestamp": NOON, "method": b"GET", "status": b"200"}
    assert read(mapped(text), b"1763726400.000 " + line) == [(told and row | told) or "malformed"]


def test_nginx_escapings() -> None:
    hit = Hit(user_agent='é"\\\t\x01'.encode(), referrer=b"\xff")
    for escape, write in (("default", escape_default), ("json", escape_json)):
        text = f"""
name = "x"
kind = "nginx"
log_format = '''log_format a escape={escape} '$msec "$request_uri" $status "$http_user_agent" "$http_referer"';'''
constants = {{ method = "GET" }}
"""
        logged = (write(hit.user_agent), write(hit.referrer))
        (row,) = read(mapped(text), b'1763726400.000 "/i.gif" 200 "%s" "%s"' % logged)
        assert isinstance(row, dict)
        assert (row["user_agent"], row["referrer"]) == (hit.user_agent, hit.referrer)


@pytest.mark.parametrize(
    ("unescape", "logged", "sent"),
    [
        ("none", rb"a%20b+\x41", rb"a%20b+\x41"),
        ("percent", b"a%20b+%zz%2520%ff", b"a b+%zz%20\xff"),
        ("percent-plus", b"a+b%2B%2520", b"a b+%20"),
        ("nginx", rb"\x22\x5Cx41\n\u00e9", rb'"\x41\n\u00e9'),
        ("apache", rb"\"\\x41\x41\t\q", b'"\\x41A\tq'),
        ("json", rb"\"\u00e9\/\\n", b'"\xc3\xa9/\\n'),
        ("json", rb"\ud800 \q", rb"\ud800 \q"),
        ("json", b"\\\\\xff", b"\\\xff"),
    ],
)
def test_each_escaping_is_undone_once(unescape: str, logged: bytes, sent: bytes) -> None:
    text = f"""name = "x"\nkind = "tsv"\ncolumns = 3
    [fields]\ntimestamp = 1\nuri = 2\nuser_agent = {{ from = 3, unescape = "{unescape}" }}
    [constants]\nmethod = "GET"\nstatus = 200"""
    (row,) = read(mapped(text), b"1763726400\t/i.gif?%41\t" + logged)
    assert isinstance(row, dict)
    assert (row["query"], row["user_agent"]) == (b"%41", sent)


def test_the_first_of_several_sources_that_holds_something_counts() -> None:
    text = """
name = "x"
kind = "json"
any_case = true
absent = ["none", "-", ""]
[fields]
timestamp = ["t.0", "t"]
uri = ["req.uri", ["req", "the.uri"]]
url = "url"
method = "m"
status = "s"
cookie = "c"
cookie_pxid = "p"
[constants]
host = "px.example.org"
"""
    rows = read(
        mapped(text),
        b'{"T":[1763726400],"req":{"uri":"/a","the.uri":"/b"},"m":"GET","s":200,"c":"_pxid=1","p":"2"}',
        b'{"t":1763726400,"req":{"uri":"none","the.uri":"/b"},"m":"GET","s":200,"c":"x_pxid=1; _pxid=3"}',
        b'{"t":1763726400,"url":"http://[::1]:80/c?d","m":"GET","s":200,"c":"_pxid="}',
        b'{"t":1763726400,"url":"other.example/c","m":"GET","s":null}',
        b"[]",
    )
    row = {"timestamp": NOON, "method": b"GET", "status": b"200", "host": b"px.example.org"}
    assert rows[:3] == [row | {"path": b"/a", "cookie_pxid": b"2"}, row | {"path": b"/b", "cookie_pxid": b"3"}, row | {"host": b"[::1]", "path": b"/c", "query": b"d"}]  # fmt: skip
    assert rows[3:] == [
        {"timestamp": NOON, "method": b"GET", "host": b"other.example", "path": b"/c"},
        "malformed",
    ]


def test_what_the_edge_found_out_is_kept() -> None:
    names = ("country", "asn", "cache_status", "bot_score", "tls_version", "edge_location")
    columns = ["timestamp", "request", "status", *names]
    text = f"name = 'x'\nkind = 'csv'\ndelimiter = ';'\ncolumns = {columns}"
    (row,) = read(mapped(text), b'"1763726400";GET /i.gif HTTP/1.1;200;DE;AS64500;-;"1";;FRA')
    assert row == {
        "timestamp": NOON, "method": b"GET", "path": b"/i.gif", "status": b"200", "country": b"DE",
        "asn": b"AS64500", "bot_score": b"1", "edge_location": b"FRA",
    }  # fmt: skip


OTHER_JSON = """
name = "other"
kind = "json"
escape = "default"
[fields]
timestamp = "time"
request_id = "id"
ip = "client"
forwarded_for = "xff"
host = "host"
request = "request"
status = "status"
referrer = "referer"
user_agent = "agent"
cookie_pxid = "pxid"
"""


@pytest.mark.parametrize(
    ("folder", "map_", "unlike"),
    [
        ("nginx-tsv", mapped(PX1), {15: "its time is missing: a value that nginx never writes"}),
        ("nginx-json", mapped(DEFAULT_JSON), {}),
        ("nginx-json-default-escape", mapped(OTHER_JSON), {}),
        ("combined-main", mapped(MAIN), {16: "fields follow", 17: "a field is missing"}),
    ],
)
def test_a_map_reads_golden_logs_as_their_own_format_does(
    folder: str, map_: Mapped, unlike: dict[int, str]
) -> None:
    expected = [row for row in rows_in(GOLDEN / folder, "expected.jsonl") if row["line"] not in unlike]  # fmt: skip
    assert hits_in(map_, (GOLDEN / folder / "access.log").read_bytes()) == expected
