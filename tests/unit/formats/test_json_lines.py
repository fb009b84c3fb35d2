from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats.json_lines import PLAIN, Dialect, Path, read_json_lines, read_object, value_at
from tests.logs import lines_of, log
from tests.properties.strategies import TOKENS

NGINX = Dialect(nginx=True)
DIALECTS = (PLAIN, NGINX, Dialect(any_case=True))
PATHS: tuple[Path, ...] = (
    ("a",), ("b",), ("A",), ("a", "b"), ("a", "b", "a"), ("b", 0), ("b", 1, "a"), ("c", 0, 0), ("é",), ("a\"\\",),
)  # fmt: skip
WANTED = {**{str(path): [path] for path in PATHS}, "first": [("b",), ("a", "b"), ("a",)]}
TEXTS = (
    "", "-", "plain", '"', "\\", '\\"', "\\\\", "&<>='", "/", "\b\f\n\r\t", "\0", "\x01", "\x7f", "é", "\u20ac",
    "\U0001f4e8", "\\u0026", "\\x41", "null", "200", "{", "}", "[", '":"', ",", "\udc80\udcff",
)  # fmt: skip


def seen(lines: list[bytes], dialect: Dialect = PLAIN) -> list[dict[str, bytes | None] | None]:
    """What each line holds of `WANTED`; None for a malformed one."""
    records = read_json_lines(lines_of(log(*lines)), WANTED, dialect)
    found: dict[int, Any] = dict.fromkeys(records.malformed.tolist())
    columns = {name: column.to_pylist() for name, column in records.values.items()}
    assert all(len(column) == len(records.rows) for column in columns.values())
    for place, row in enumerate(records.rows.tolist()):
        assert row not in found
        found[row] = {name: column[place] for name, column in columns.items()}
    return [found[row] for row in range(len(lines))]


def by_json(line: bytes) -> dict[str, bytes | None] | None:
    """The same by `json.loads` alone."""
    if b"\0" in line or b"\r" in line or line.startswith(b"\xef\xbb\xbf"):
        return None
    try:
        text = line.decode("utf-8", "surrogateescape")
        loaded = json.loads(text, parse_int=str, parse_float=str, parse_constant=int, strict=False)
        pairs = json.loads(line.decode("latin-1"), object_pairs_hook=list, strict=False)
        json.dumps(pairs, ensure_ascii=False).encode()  # half of a surrogate pair fails
    except (ValueError, RecursionError):
        return None
    if not isinstance(loaded, dict):
        return None

    def at(path: Path) -> bytes | None:
        value: Any = loaded
        for step in path:
            try:
                value = value[step] if isinstance(value, (dict, list)) else None
            except (KeyError, IndexError, TypeError):
                return None
        if isinstance(value, bool):
            return str(value).lower().encode()
        is_text = isinstance(value, str) and value not in ("", "-")
        return value.encode("utf-8", "surrogateescape") if is_text else None

    each = {str(path): at(path) for path in PATHS}
    firsts = [each[str(path)] for path in WANTED["first"]]
    return {**each, "first": next((value for value in firsts if value is not None), None)}


@st.composite
def encoded(draw: st.DrawFn, text: str) -> str:
    """A text as some writer of JSON puts it."""

    def letter(char: str) -> str:
        raw, short = char, json.dumps(char, ensure_ascii=False)[1:-1]
        long = "".join(
            f"\\u{int.from_bytes(pair, 'big'):04x}" for pair in _pairs(char)
        ) if not 0xDC80 <= ord(char) < 0xDD00 else char  # fmt: skip
        ways = [short, long, long.upper().replace("\\U", "\\u")]
        if char == "/":
            ways.append("\\/")
        return draw(st.sampled_from([*ways, raw] if char not in '"\\\n\r\0' else ways))

    return '"' + "".join(map(letter, text)) + '"'


def _pairs(char: str) -> list[bytes]:
    data = char.encode("utf-16-be", "surrogatepass")
    return [data[at : at + 2] for at in range(0, len(data), 2)]


SPACES = st.sampled_from(("", "", "", " ", "\t "))
STRINGS = st.sampled_from(TEXTS).flatmap(encoded)
BARE = st.sampled_from(
    ("0", "-0", "12", "1.50", "1e5", "-2E+3", "1" * 400, "true", "false", "null",
     "NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "-", "", "tru", "nul", "x")
)  # fmt: skip
GOOD_BARE = st.sampled_from(("0", "-0", "12", "1.50", "1e5", "1" * 400, "true", "false", "null"))
KEYS = st.sampled_from(("a", "b", "c", "A", "é", 'a"\\', "other")).flatmap(encoded)


def containers(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    spaced = st.tuples(SPACES, values, SPACES).map("".join)
    members = st.tuples(SPACES, KEYS, SPACES, st.just(":"), spaced).map("".join)
    return st.one_of(
        st.lists(members, max_size=4).map(lambda parts: "{" + ",".join(parts) + "}"),
        st.lists(members, max_size=4).map(lambda parts: "{" + ",".join(parts) + "}"),
        st.lists(spaced, max_size=3).map(lambda parts: "[" + ",".join(parts) + "]"),
    )


VALUES = st.recursive(st.one_of(STRINGS, STRINGS, GOOD_BARE, BARE), containers, max_leaves=8)
OBJECTS = st.lists(
    st.tuples(SPACES, KEYS, SPACES, st.just(":"), SPACES, VALUES, SPACES).map("".join), max_size=5
).map(lambda parts: "{" + ",".join(parts) + "}")


def as_line(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape").replace(b"\n", b" ")


@st.composite
def spoilt(draw: st.DrawFn, line: bytes) -> bytes:
    """The line with a piece of it replaced."""
    start = draw(st.integers(0, len(line)))
    end = start + draw(st.sampled_from((0, 0, 1, 2, 7)))
    return line[:start] + draw(st.sampled_from((b"", *TOKENS, b"\\ud800", b"\\"))) + line[end:]


LINES = (
    OBJECTS.map(as_line)
    .flatmap(lambda line: st.one_of(st.just(line), st.just(line), spoilt(line)))
    .map(lambda line: line.rstrip(b"\r") or b"x")
)


@given(line=LINES, others=st.lists(LINES, max_size=4))
def test_every_way_reads_what_json_reads(line: bytes, others: list[bytes]) -> None:
    assert seen([line]) == [by_json(line)]
    among = [line, line, *others, line, *others]
    assert seen(among) == [by_json(each) for each in among]


@given(line=LINES, other=LINES, dialect=st.sampled_from(DIALECTS))
def test_a_line_is_read_the_same_alone_and_among_others(
    line: bytes, other: bytes, dialect: Dialect
) -> None:
    (alone,) = seen([line], dialect)
    assert seen([line, line], dialect) == [alone] * 2
    assert seen([other, other, line, other], dialect)[2] == alone


@given(
    line=LINES,
    start=st.integers(0, 80),
    piece=st.sampled_from((b"", b"x", b"1", *TOKENS)),
    dialect=st.sampled_from(DIALECTS),
)
def test_a_line_near_others_is_read_as_alone(
    line: bytes, start: int, piece: bytes, dialect: Dialect
) -> None:
    near = (line[:start] + piece + line[start + 1 :]).rstrip(b"\r") or b"x"
    (alone,) = seen([near], dialect)
    assert seen([line, line, near], dialect)[2] == alone


def value(line: bytes, *path: str | int, dialect: Dialect = PLAIN) -> bytes | None:
    """The value in a sound line, the same however the line is read."""
    wanted = {"value": [tuple(path)]}
    single = read_object(line, dialect)
    assert single is not None
    expected = value_at(single, dialect.path(tuple(path)))
    noise = b'{"z":1}'
    for among in ([line], [line, line, line], [noise, line, noise]):
        records = read_json_lines(lines_of(log(*among)), wanted, dialect)
        assert records.malformed.tolist() == []
        at = records.rows.tolist().index(len(among) // 2)
        assert records.values["value"][at].as_py() == expected
    return expected


def is_malformed(line: bytes, dialect: Dialect = PLAIN) -> bool:
    """Whether the line is no object, the same however it is read."""
    verdicts = {read_object(line, dialect) is None}
    for among in ([line], [line, line], [b'{"z":1}', line]):
        verdicts.add(None in seen(among, dialect))
    assert len(verdicts) == 1
    return verdicts.pop()


def test_numbers_keep_their_text_and_words_are_words() -> None:
    line = b'{"a":1.50,"b":-0,"c":1e5,"d":true,"e":false,"f":%s}' % (b"9" * 400)
    values = [value(line, key) for key in "abcdef"]
    assert values == [b"1.50", b"-0", b"1e5", b"true", b"false", b"9" * 400]


def test_what_is_nothing_is_null() -> None:
    line = b'{"a":null,"b":"","c":"-","d":{},"e":[1],"f":"\\u002d","g":[],"h":"null"}'
    assert [value(line, key) for key in "abcdefgx"] == [None] * 8
    assert value(line, "h") == b"null"


def test_paths_lead_through_objects_and_arrays() -> None:
    line = b'{"a":{"b":[{"c":"x"},5,["y","z"],"w"]},"0":"k"}'
    assert value(line, "a", "b", 0, "c") == b"x"
    assert value(line, "a", "b", 1) == b"5"
    assert value(line, "a", "b", 2, 1) == b"z"
    assert value(line, "a", "b", 3) == b"w"
    assert value(line, "0") == b"k"
    for path in (("a", "b", 4), ("a", 0), (0,), ("a", "b", "c"), ("a", "b", 1, "c"), ("b",)):
        assert value(line, *path) is None


def test_of_two_values_for_a_key_the_last_counts() -> None:
    assert value(b'{"a":1,"a":"2"}', "a") == b"2"
    assert value(b'{"a":1,"\\u0061":"2"}', "a") == b"2"
    assert value(b'{"a":{"b":1},"a":{}}', "a", "b") is None
    assert value(b'{"a":{"b":1},"a":{"b":[2]}}', "a", "b", 0) == b"2"
    assert value(b'{"a":"1","A":"2"}', "a", dialect=Dialect(any_case=True)) == b"2"


def test_keys_are_matched_without_case_if_so_wished() -> None:
    line = b'{"CS(User-Agent)":{"\xc3\x89":"x"}}'
    assert value(line, "cs(user-AGENT)", "\u00e9", dialect=Dialect(any_case=True)) == b"x"
    assert value(line, "cs(user-AGENT)", "\u00e9") is None


@pytest.mark.parametrize(
    ("escaped", "bytes_"),
    [
        (rb"\u0026\u003c\u003E\/\"\\", b'&<>/"\\'), (rb"\b\f\n\r\t", b"\b\f\n\r\t"), (rb"\u0000", b"\0"),
        (rb"\u007f\u0080\u07ff\u0800\uffff", "\x7f\x80\u07ff\u0800\uffff".encode()),
        (rb"\ud83d\udce8", "\U0001f4e8".encode()), (rb"\\u0026", rb"\u0026"), (b"\xff\xc3", b"\xff\xc3"),
        (b"\t\x01\x7f", b"\t\x01\x7f"), (b"\xed\xa0\xbd", b"\xed\xa0\xbd"),
    ],
)  # fmt: skip
def test_escapes_are_undone_once(escaped: bytes, bytes_: bytes) -> None:
    assert value(b'{"a":"%s"}' % escaped, "a") == bytes_
    assert value(b'{"a":"x%sy","b":"-"}' % escaped, "a") == b"x" + bytes_ + b"y"


@pytest.mark.parametrize(
    "string",
    [rb"\x41", rb"\u12", rb"\u12g4", rb"\ud800", rb"\udc00", rb"\ud800\ud800", rb"\udc00\ud800", rb"\ud800x\udc00",
     rb"\q", b"\\", b"\0", b"\r", b'"'],
)  # fmt: skip
def test_an_unsound_string_anywhere_makes_a_line_malformed(string: bytes) -> None:
    assert is_malformed(b'{"a":"%s"}' % string)
    assert is_malformed(b'{"x":["%s"],"a":1}' % string)
    assert is_malformed(b'{"%s":1}' % string)


def test_nesting_is_bounded() -> None:
    assert value(b'{"a":"x","b":%s}' % (b"[" * 99 + b"]" * 99), "a") == b"x"
    assert is_malformed(b'{"a":"x","b":%s}' % (b"[" * 100 + b"]" * 100))
    assert is_malformed(b'{"a":' * 101 + b"1" + b"}" * 101)
    assert is_malformed(b'{"b":' + b"[" * 30_000 + b"]" * 30_000 + b"}")
    assert value(b'{"a":"%s"}' % (b"[{" * 200), "a") == b"[{" * 200


@pytest.mark.parametrize(
    "line",
    [b"[]", b'"a"', b"1", b"null", b"{}{}", b'{"a":1}]', b'{"a":1}x', b'x{"a":1}', b'{"a":1,}', b'{,"a":1}',
     b'{"a" 1}', b'{"a":}', b'{"a"}', b'{"a":[}', b'{"a":[1}]', b'{"a":{]}', b'{"a":[1}}', b'{"a":{"b":1]}', b'{"a":1 2}', b'{"a":"b""c"}', b'{1:2}',
     b'{"a":[1,]}', b'{"a":[,1]}', b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":01}', b'{"a":tru}', b'{"a":1:2}',
     b'{"a":1};', b'{"a":"b}', b"\xef\xbb\xbf{}", b'{"a":1}\x0b', b'{"a":\xa01}'],
)  # fmt: skip
def test_other_lines_are_malformed(line: bytes) -> None:
    assert is_malformed(line)


@pytest.mark.parametrize(
    "bare", [b"NaN", b"01", b"", b"-", b"tru", b"1.", b"1 2", b"1,2", b"[1", b"1]", b"x", b"1e", b"\xff"]
)  # fmt: skip
def test_a_number_that_is_none_is_found_among_its_likes(bare: bytes) -> None:
    good = b'{"a":{"b":1},"c":"x","b":[1],"d":["y",1,"z"]}'
    for place in (b'{"b":1}', b'"b":[1]', b'"y",1,"z"'):
        bad = good.replace(place, place.replace(b"1", bare))
        alone = by_json(bad)
        assert seen([good, good, bad, good])[2] == alone


@pytest.mark.parametrize(
    "other", [b'{"b":"x","c":1}', b'{"a":"x","c" :1}', b'["a":"x","c":1}', b'{"a":"x","c":1]']
)
def test_a_line_of_as_many_quotes_need_not_be_of_the_same_shape(other: bytes) -> None:
    good = b'{"a":"x","c":1}'
    assert seen([good, good, other, good])[2] == by_json(other)


def test_lines_of_many_shapes_are_read_side_by_side() -> None:
    orders = list(itertools.permutations((b'"a":"x"', b'"b":[1,2]', b'"c":{"a":null}', b'"d":2.5')))
    lines = [b"{%s}" % b",".join(order) for order in orders for _ in range(3)]
    records = read_json_lines(lines_of(log(*lines)), {"a": [("a",)], "b": [("b", 1)]})
    assert sorted(records.rows.tolist()) == list(range(len(lines)))
    assert set(records.values["a"].to_pylist()) == {b"x"}
    assert set(records.values["b"].to_pylist()) == {b"2"}


@pytest.mark.parametrize("piece_bytes", [1, 30, 100, 1000])
def test_pieces_of_any_size_give_the_same(
    piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = (
        b'{"a":"x%d","c":1}', b'{"a":"\\u00e9%d","c":1}', b'{"b":[%d,"y"]}', b'{"a":"%d","c" :1}', b'{"a":"%d}',
        b'{"c":%d}', b'{"a":{"b":-%d}}', b"%d", b'{"a":"\\ud83d\\udce8%d"}', b'{"a":"\0%d"}',
    )  # fmt: skip
    lines = [shape % place for place in range(9) for shape in (*shapes, *shapes[:2] * 3)]
    lines[5:5] = [b"{}", b" { } ", b"{ x}"]
    expected = [by_json(line) for line in lines]
    assert seen(lines) == expected
    for name in ("_PIECE_BYTES", "_TOKENS_BYTES"):
        monkeypatch.setattr(f"pipeline.formats.json_lines.{name}", piece_bytes)
    assert seen(lines) == expected
    assert seen(lines[::-1]) == expected[::-1]


def test_nginx_takes_the_first_path_that_is_there() -> None:
    wanted = {"first": [("a",), ("b",)]}
    lines = lines_of(log(b'{"a":"-","b":"x"}', b'{"a":"-","b":"x"}', b'{"a":{},"b":"x","c":[]}'))
    assert read_json_lines(lines, wanted).values["first"].to_pylist() == [b"x"] * 3
    assert read_json_lines(lines, wanted, NGINX).values["first"].to_pylist() == [None] * 3


def test_no_lines_at_all() -> None:
    records = read_json_lines(lines_of(b""), WANTED)
    assert (len(records.rows), len(records.malformed)) == (0, 0)
    assert {len(column) for column in records.values.values()} == {0}
