"""A map that is wrong is told in one sentence: the file, the key, what to write."""

from __future__ import annotations

import pickle

import pytest

from pipeline.errors import SetupError
from pipeline.formats.maps import map_of

TSV = """
name = "edge"
kind = "tsv"
columns = ["when", "ip", "method", "uri", "status", "agent"]

[fields]
timestamp = "when"
user_agent = "agent"
"""
JSON = """
name = "edge"
kind = "json"
fields = { timestamp = "ts", uri = "req.uri", method = "req.method", status = "status" }
"""
NGINX = """
name = "edge"
kind = "nginx"
log_format = '$msec "$request" $status'
"""
REGEX = r"""
name = "edge"
kind = "regex"
pattern = '(?P<timestamp>\S+) (?P<request>.*) (?P<status>\d+)'
"""
HEADER = (
    TSV.replace("columns = [", "header = true # [")
    + """
method = "verb"
status = "code"
url = "url"
"""
)


def swapped(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


WRONG = [
    ("name = ", "is no TOML: Invalid value (at end of document)."),
    ("", "kind is missing: write one of nginx, json, tsv, csv, regex."),
    (swapped(TSV, '"tsv"', '"tvs"'), "kind 'tvs' is not known: write one of nginx, json, tsv, csv, regex."),
    (swapped(TSV, 'name = "edge"', ""), 'name is missing: give the map a name, as in name = "edge".'),
    (swapped(TSV, '"edge"', '"an edge"'), "name 'an edge' is no name: use up to 40 letters, digits, dots, - and _."),
    (swapped(TSV, '"edge"', "7"), 'name is no text: give the map a name, as in name = "edge".'),
    (swapped(TSV, "columns", "column"), "column is no key of a map: perhaps columns is meant."),
    ("colour = 1\n" + TSV, "colour is no key of a map: perhaps columns is meant."),
    ("wholly = 1\n" + TSV, "wholly is no key of a map: choose of name, kind, absent, unescape, fields, time, constants, log_format, escape, any_case, columns, header, delimiter, comment, pattern."),
    ("pattern = 'x'" + TSV, "pattern is for the kinds regex, and this map is of kind tsv: leave it out."),
    (swapped(HEADER, "header = true", "comment = '#'"), "give either columns (a list of names, or how many there are) or header = true."),
    ("header = true" + TSV, "give either columns (a list of names, or how many there are) or header = true."),
    (swapped(HEADER, "true", "1"), 'header is true, or what the header line starts with, as in header = "#Fields:".'),
    (swapped(TSV, '"agent"]', '"agent", "ip"]'), "columns has 'ip' twice: give each its own name."),
    (swapped(TSV, 'columns = ["when"', "columns = [7"), "columns is a list of 1 to 500 names in the log's order, or how many there are."),
    ("delimiter = '||'" + TSV, "delimiter '||' is none: write one ASCII character, such as \"|\"."),
    ("delimiter = '\"'" + TSV, "delimiter '\"' is none: write one ASCII character, such as \"|\"."),
    ("delimiter = '·'" + TSV, "delimiter '·' is none: write one ASCII character, such as \"|\"."),
    ("absent = '-'" + TSV, 'absent is a list of the log\'s words for nothing, as in ["-", ""].'),
    ("unescape = 'url'" + TSV, "unescape 'url' is not known: write one of none, percent, percent-plus, nginx, apache, json."),
    (TSV + "usr_agent = 'ip'", "fields.usr_agent is no column of ours: perhaps user_agent is meant."),
    (TSV + "host = 'agnet'", "fields.host: the log has no column 'agnet': perhaps agent is meant."),
    (TSV + "host = 7", "fields.host: there is no column 7: they count from 1 to 6."),
    (TSV + "host = 0", "fields.host: there is no column 0: they count from 1 to 6."),
    (TSV + "host = true", 'fields.host: name a column of the log, as in fields.host = "name".'),
    (TSV + "host = []", "fields.host is empty: name a column of the log, or leave it out."),
    (TSV + "host = { form = 'ip' }", "fields.host.form is not known: perhaps from is meant."),
    (TSV + "host = { from = 'ip', unescape = 'x' }", "fields.host.unescape 'x' is not known: write one of none, percent, percent-plus, nginx, apache, json."),
    (TSV + "host = { from = 'ip', absent = [1] }", 'fields.host.absent is a list of the log\'s words for nothing, as in ["-", ""].'),
    (swapped(TSV, 'timestamp = "when"', ""), 'fields must name the time: timestamp = "…", or date = "…" and time = "…".'),
    (TSV + "date = 'ip'", 'fields must name the time: timestamp = "…", or date = "…" and time = "…".'),
    (TSV + "date = 'ip'\ntime = 'agent'", 'fields must name the time: timestamp = "…", or date = "…" and time = "…".'),
    (swapped(TSV, '"uri"', '"address"'), "fields must name the address asked for: uri, url, request, or path and query."),
    (swapped(TSV, '"method"', '"verb"'), 'fields must name the method; if the log has none, write [constants] method = "GET".'),
    (swapped(TSV, '"status"', '"code"'), 'fields must name the status; if the log has none, write [constants] status = "200".'),
    (swapped(TSV, "[fields]", "fields = 1\n[field]"), "field is no key of a map: perhaps fields is meant."),
    (swapped(NGINX, "log_format", "time = 1\nlog_format"), "time is a table: write [time] on a line of its own, its keys below."),
    (TSV + "[time]\nformat = 'epoch'", "time.format 'epoch' is not known: write auto, epoch_s, epoch_ms, epoch_us, epoch_ns, iso8601, clf or a pattern such as \"%Y-%m-%d %H:%M:%S\"."),
    (TSV + "[time]\nformat = '%Y-%m-%d'", "time.format '%Y-%m-%d' cannot be used: it must have one hour: %H or %I."),
    (TSV + "[time]\nfromat = 'clf'", "time.fromat is not known: perhaps format is meant."),
    (TSV + "[time]\nzone = 'CEST'", 'time.zone \'CEST\' is no zone: write "UTC", "Europe/Berlin" or "+02:00".'),
    (TSV + "[time]\nzone = 2", 'time.zone 2 is no zone: write "UTC", "Europe/Berlin" or "+02:00".'),
    (TSV + "[constants]\nip = '1.2.3.4'", "constants.ip cannot be one: choose of method, status, host, path."),
    (TSV + "[constants]\nstatus = ''", 'constants.status is no text: write it as status = "…".'),
    (TSV + "status = 'status'\n[constants]\nstatus = 200", "constants.status is given, and a column of the log too: leave one out."),
    (JSON + "escape = 'none'", "escape 'none' is not known: write one of json, default."),
    (JSON + "any_case = 'yes'", "any_case is true or false."),
    (swapped(JSON, '"ts"', "7"), 'fields.timestamp: write a path as "request.headers.Host", or as [["key.with.dots", "inner"]].'),
    (swapped(JSON, '"ts"', "[[]]"), 'fields.timestamp: write a path as "request.headers.Host", or as [["key.with.dots", "inner"]].'),
    (swapped(NGINX, "log_format = '$msec \"$request\" $status'", ""), "log_format is missing: paste the log_format directive of nginx.conf, in '''…'''."),
    (swapped(NGINX, '$msec "$request" $status', "plain text"), "log_format cannot be read: it names no $variable."),
    (swapped(NGINX, '"$request"', "$request_uri$request"), "log_format cannot be read: nothing tells where $request_uri ends and $request begins: put a mark between."),
    (NGINX + "escape = 'tsv'", "log_format cannot be read: nginx knows no escape=tsv: it is default, json or none."),
    (swapped(NGINX, "'$msec", '"""log_format x \'$msec').replace("status'", 'status;"""'), "log_format cannot be read: a quote is not closed: '\\'$msec \"$request\" $s'."),
    (swapped(NGINX, "'$msec", '"""$msec\n').replace("status'", 'status"""').replace('"$request"', "$request"), "log_format cannot be read: it has several lines: paste it with its quotes, as it stands in nginx.conf."),
    (NGINX + "fields = { ip = '$remote_adr' }", "fields.ip: the log has no column 'remote_adr': choose of msec, request, status."),
    (swapped(REGEX, "(?P<status>", "("), "pattern is no regular expression: it has a group without a name: write (?:…) or (?P<name>…)."),
    (swapped(REGEX, "(?P<status>", "(?=x)(?P<status>"), "pattern is no regular expression: invalid perl operator: (?= (of RE2's syntax: no look-around, no back-references)."),
    (swapped(REGEX, "+)'", "+'"), "pattern is no regular expression: missing ): (?P<timestamp>\\S+) (?P<request>.*) (?P<status>\\d+."),
    (swapped(REGEX, "status", "request"), "pattern has 'request' twice: give each its own name."),
    ("name = 'x'\nkind = 'regex'\npattern = '.*'", "pattern names no group: write (?P<uri>…) around what is wanted."),
    (REGEX + "fields = { ip = 1 }", "fields.ip: name the column; places are for kinds tsv and csv without a header."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_mistake_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(SetupError) as raised:
        map_of(text.encode(), "edge.toml")
    told = str(raised.value)
    assert "\n" not in told
    assert told.removeprefix("edge.toml").removeprefix(":").strip() == said


@pytest.mark.parametrize("text", [TSV, JSON, NGINX, REGEX, HEADER])
def test_a_map_travels_to_workers_as_it_is(text: str) -> None:
    made = map_of(text.encode(), "edge.toml")
    assert made.name == "map:edge"
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301 - our own
    assert map_of(b"\xef\xbb\xbf" + text.encode(), "other.toml") == made


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(SetupError, match=r"edge\.toml is not UTF-8: save it as UTF-8"):
        map_of(b"name = '\xff'", "edge.toml")
