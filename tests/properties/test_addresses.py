"""Addresses against the standard library's reading of them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.transforms.addresses import client_addresses, mask_addresses

V6_GROUPS = st.lists(st.sampled_from((0, 0, 1, 0xFF, 0xABC, 0xFFFF)), min_size=8, max_size=8)
V6 = st.one_of(
    st.ip_addresses(v=6),
    V6_GROUPS.map(
        lambda groups: IPv6Address(b"".join(group.to_bytes(2, "big") for group in groups))
    ),
    st.ip_addresses(v=4).map(lambda address: IPv6Address(f"::ffff:{address}")),
    st.ip_addresses(v=4).map(lambda address: IPv6Address(f"::{address}")),
)
ADDRESSES = st.one_of(st.ip_addresses(v=4), V6)
JUNK = st.one_of(
    st.text("0123456789abcdefABCDEF.:[]% -x", max_size=20).map(str.encode),
    st.binary(max_size=12),
    st.sampled_from((b"1.2.3", b"1.2.3.4.5", b"256.1.1.1", b"01.2.3.4", b"1.2.3.4 ", b"unix:", b"unknown",
                     b"1:2:3:4:5:6:7", b"1:2:3:4:5:6:7:8:9", b"1:2:3:4:5:6:7:12345", b"::1%eth0", b"1..2.3"))
)  # fmt: skip


def plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """IPv4 written as IPv6 is IPv4."""
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def clients(texts: list[bytes | None]) -> list[str | None]:
    peer = pa.array(texts, pa.binary())
    return client_addresses(peer, pa.nulls(len(texts), pa.binary()), ()).plain().to_pylist()


@given(st.lists(ADDRESSES, max_size=6), st.sampled_from((str, "exploded", "upper", "port")))
def test_addresses_are_read_in_any_spelling(
    addresses: list[IPv4Address | IPv6Address], spelling: object
) -> None:
    texts = [str(address) for address in addresses]
    if spelling == "exploded":
        texts = [address.exploded for address in addresses]
    elif spelling == "upper":
        texts = [text.upper() for text in texts]
    elif spelling == "port":
        texts = [f"[{text}]:443" if ":" in text else f"{text}:443" for text in texts]
    found = clients([text.encode() for text in texts])
    assert all(text is not None for text in found)
    assert [ip_address(text or "") for text in found] == [plain(each) for each in addresses]
    assert found == clients([text and text.encode() for text in found])


@given(
    st.lists(st.one_of(st.none(), JUNK, ADDRESSES.map(lambda each: str(each).encode())), max_size=6)
)
def test_an_address_is_read_the_same_alone_and_among_others(texts: list[bytes | None]) -> None:
    assert clients(texts) == [clients([text])[0] for text in texts]


@given(JUNK)
def test_what_is_taken_for_an_address_is_one(text: bytes) -> None:
    (found,) = clients([text])
    if found is not None:
        assert found == clients([found.encode()])[0]
        assert plain(ip_address(found)) == ip_address(found)


@given(st.lists(ADDRESSES, max_size=6))
def test_masked_addresses_keep_their_network(addresses: list[IPv4Address | IPv6Address]) -> None:
    canonical = client_addresses(
        pa.array([str(address).encode() for address in addresses], pa.binary()),
        pa.nulls(len(addresses), pa.binary()),
        (),
    ).plain()
    found = mask_addresses(canonical, "mask").to_pylist()
    for text, address in zip(found, map(plain, addresses), strict=True):
        bits = 8 if isinstance(address, IPv4Address) else 80
        assert ip_address(text) == type(address)(int(address) >> bits << bits)
        assert text == clients([text.encode()])[0]
