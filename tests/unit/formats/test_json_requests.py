from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.columns import encode
from pipeline.formats.json_requests import bare_addresses, bare_hosts, joined, url_columns


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (b"https://px.example.org/i.gif", b"px.example.org"), (b"HTTPS://PX.Example.org:443/", b"PX.Example.org"),
        (b"https://u:p@px.example.org/", b"px.example.org"), (b"http://[2001:db8::5]:80/", b"[2001:db8::5]"),
        (b"https://px.example.org", b"px.example.org"), (b"https://px.example.org?a=://b/", b"px.example.org"),
        (b"https://px.example.org#a", b"px.example.org"), (b"https:///i.gif", None), (b"https://", None),
        (b"//px.example.org/", None), (b"/i.gif?u=https://e.org/", None), (b"*", None), (b"", None), (b"\xff", None),
        (b"https://e\xff.org/", b"e\xff.org"), (b"https://u@v@px.example.org/", b"px.example.org"),
    ],
)  # fmt: skip
def test_the_host_is_that_of_the_url(url: bytes, host: bytes | None) -> None:
    columns = url_columns(encode(pa.array([url, None], pa.binary())))
    assert [columns["host"].to_pylist(), columns["path"].to_pylist()[1]] == [[host, None], None]


def test_addresses_that_are_none_stay_as_they_are() -> None:
    odd = [b"unknown", b"1.2.3.4:x", b"[::1", b"[x]:1", b"a:1", b"2001:db8::1:443", b"\xff:1", b"1.2.3.4, 5.6.7.8:1"]  # fmt: skip
    assert bare_addresses(pa.array(odd)).to_pylist() == odd


def test_columns_may_be_coded_or_plain() -> None:
    plain = pa.array([b"1.2.3.4:5", None, b"[::1]:5"])
    for column in (plain, plain.dictionary_encode()):
        assert bare_addresses(column).to_pylist() == [b"1.2.3.4", None, b"::1"]
        assert bare_hosts(column).to_pylist() == [b"1.2.3.4", None, b"[::1]"]
        assert joined(b"/", column, plain).to_pylist() == [b"1.2.3.4:5/1.2.3.4:5", None, b"[::1]:5/[::1]:5"]  # fmt: skip
