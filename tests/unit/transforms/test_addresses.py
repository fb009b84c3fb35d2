from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.options import ADDRESS_POLICIES, AddressPolicy
from pipeline.transforms.addresses import client_addresses, mask_addresses

TRUSTED = ("10.0.0.0/8", "2001:db8:ffff::/48")


def clients(
    peers: list[bytes | None], forwarded: list[bytes | None], trusted: tuple[str, ...] = TRUSTED
) -> list[str | None]:
    found = client_addresses(
        pa.array(peers, pa.binary()), pa.array(forwarded, pa.binary()), trusted
    )
    return found.plain().to_pylist()


def client(peer: bytes | None, forwarded: bytes | None = None) -> str | None:
    return clients([peer, b"192.0.2.1"], [forwarded, None])[0]


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (b"203.0.113.7", "203.0.113.7"),
        (b"0.0.0.0", "0.0.0.0"),  # noqa: S104 - an address as any other
        (b"2001:db8::1", "2001:db8::1"),
        (b"2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        (b"2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6"),
        (b"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        (b"::ffff:203.0.113.7", "203.0.113.7"),
        (b"0:0:0:0:0:ffff:cb00:7107", "203.0.113.7"),
        (b"203.0.113.7:4711", "203.0.113.7"),
        (b"[2001:db8::1]:4711", "2001:db8::1"),
        (b"[2001:db8::1]", "2001:db8::1"),
        (b"[2001:db8::1]x", None),
        (b"[203.0.113.7]", None),
        (b"203.0.113.256", None),
        (b"203.0.113", None),
        (b"203.0.113.07", None),
        (b"1.2.3.4.5", None),
        (b"2001:db8::1::2", None),
        (b"2001:db8:1:2:3:4:5", None),
        (b"g::1", None),
        (b"unix:", None),
        (b"host.example.org", None),
        (b"1.2.3.4\0", None),
        (b"\xff", None),
        (b"", None),
        (None, None),
    ],
)
def test_the_peer_in_canonical_text(peer: bytes | None, expected: str | None) -> None:
    assert client(peer) == expected
    assert clients([peer], [None], ()) == [expected]


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        (b"198.51.100.9", "198.51.100.9"),
        (b"198.51.100.9, 10.0.0.2", "198.51.100.9"),
        (b"6.6.6.6, 198.51.100.9 ,10.0.0.3,10.0.0.2", "198.51.100.9"),
        (b"198.51.100.9:1234, 10.0.0.2:80", "198.51.100.9"),
        (b"2001:db8:1::1, 2001:db8:ffff::2", "2001:db8:1::1"),
        (b"[2001:db8:1::1]:443", "2001:db8:1::1"),
        (b"::ffff:198.51.100.9", "198.51.100.9"),
        (b"198.51.100.9, unknown", "10.0.0.1"),
        (b"unknown, 198.51.100.9", "198.51.100.9"),
        (b"10.0.0.3, 10.0.0.2", "10.0.0.1"),
        (b"\xff", "10.0.0.1"),
        (b",,", "10.0.0.1"),
        (b"", "10.0.0.1"),
        (None, "10.0.0.1"),
    ],
)
def test_a_trusted_proxy_names_the_client(forwarded: bytes | None, expected: str) -> None:
    assert client(b"10.0.0.1", forwarded) == expected


def test_others_name_nobody() -> None:
    assert client(b"203.0.113.7", b"198.51.100.9") == "203.0.113.7"
    assert clients([b"10.0.0.1"], [b"198.51.100.9"], ()) == ["10.0.0.1"]
    assert client(None, b"198.51.100.9") is None
    assert client(b"unix:", b"198.51.100.9") is None


def test_columns_may_be_dictionaries_or_empty() -> None:
    peers = pa.array([b"10.0.0.1", b"10.0.0.1", None], pa.binary())
    forwarded = pa.array([b"198.51.100.9", None, None], pa.binary())
    found = client_addresses(peers.dictionary_encode(), forwarded.dictionary_encode(), TRUSTED)
    assert found.plain().to_pylist() == ["198.51.100.9", "10.0.0.1", None]
    nulls = pa.nulls(2, pa.dictionary(pa.int32(), pa.binary()))
    assert client_addresses(nulls, nulls, TRUSTED).plain().to_pylist() == [None, None]
    assert clients([], []) == []
    assert clients([], [], ()) == []


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("mask", ["203.0.113.0", "1.2.3.0", "2001:db8:1::", "2001:db8::", "::", "2001::", "64:ff9b::", "a:b:c::"]),
        (
            "keep",
            ["203.0.113.7", "1.2.3.0", "2001:db8:1:2:3:4:5:6", "2001:db8:0:2:3:4:5:6", "::1", "2001:0:0:1::2",
             "64:ff9b::1.2.3.4", "a:b:c::"],
        ),
        ("drop", [None] * 8),
    ],
)  # fmt: skip
def test_what_is_stored_of_an_address(policy: AddressPolicy, expected: list[str | None]) -> None:
    addresses = pa.array(
        ["203.0.113.7", "1.2.3.0", "2001:db8:1:2:3:4:5:6", "2001:db8:0:2:3:4:5:6", "::1", "2001:0:0:1::2",
         "64:ff9b::1.2.3.4", "a:b:c::"]
    )  # fmt: skip
    assert mask_addresses(addresses, policy).to_pylist() == expected


@pytest.mark.parametrize("policy", ADDRESS_POLICIES)
def test_of_no_address_nothing_is_stored(policy: AddressPolicy) -> None:
    assert mask_addresses(pa.array([], pa.string()), policy).to_pylist() == []
