"""What is known of a visitor and a page beside the URL: address, user id, referrer's host."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from hashlib import md5

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Coded, encode, map_values
from pipeline.options import AddressPolicy

_V4_IN_V6 = b"\0" * 10 + b"\xff\xff"
_KEPT_V4_BYTES, _KEPT_V6_BYTES = 3, 6
"""A masked address keeps its /24 or its /48."""


def client_addresses(peer: pa.Array, forwarded_for: pa.Array, trusted: Sequence[str]) -> Coded:
    """The client's address, in canonical text; null where the log holds none.

    X-Forwarded-For is believed where the peer is a trusted proxy: the last address in it that is
    no trusted proxy is the client's.
    """
    coded = encode(peer)
    peers = coded.with_values(map_values(coded.values, _canonical, pa.string()))
    if not trusted:
        return peers
    networks = [ipaddress.ip_network(network, strict=False) for network in trusted]

    def is_trusted(address: str) -> bool:
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in networks)

    def client_of(header: bytes) -> str | None:
        hops = [_canonical(hop.strip()) for hop in reversed(header.split(b","))]
        return next((hop for hop in hops if hop is None or not is_trusted(hop)), None)

    forwarded = encode(forwarded_for)
    clients = forwarded.with_values(map_values(forwarded.values, client_of, pa.string())).plain()
    believed = np.array([is_trusted(address) for address in peers.values.to_pylist()], np.bool_)
    is_proxied = pa.array(peers.look_up(believed, False).astype(np.bool_))
    own = peers.plain()
    return encode(pc.if_else(is_proxied, pc.coalesce(clients, own), own))


def mask_addresses(addresses: pa.StringArray, policy: AddressPolicy) -> pa.StringArray:
    """What is stored of distinct addresses: IPv4's /24 and IPv6's /48, all of it, or nothing."""
    if policy == "keep":
        return addresses
    if policy == "drop":
        return pa.nulls(len(addresses), pa.string())
    return map_values(addresses, _mask, pa.string())


def user_ids(cookie: pa.Array, agent: pa.Array, address: pa.Array, referrer: pa.Array) -> pa.Array:
    """The `_pxid` cookie, or as PRX has it the MD5 of `agent-address-referrer`."""
    if not cookie.null_count:
        return cookie
    lacks = pc.is_null(cookie)
    parts = [column.filter(lacks).fill_null("") for column in (agent, address, referrer)]
    visitor = encode(pc.binary_join_element_wise(*parts, "-"))
    hashes = map_values(visitor.values, _md5_hex, pa.string())
    return pc.replace_with_mask(cookie, lacks, visitor.with_values(hashes).plain())


def referrer_hosts(referrers: pa.StringArray) -> pa.StringArray:
    """The host of distinct referrers, lower case; null where there is none."""
    found = pc.extract_regex(referrers, r"^[A-Za-z][A-Za-z0-9+.\-]*://(?:[^/?#@]*@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^/?#:]+)")  # fmt: skip
    return pc.ascii_lower(pc.struct_field(found, "host"))


def _canonical(address: bytes) -> str | None:
    """An address as the system writes it, its port and brackets taken off; None if it is none."""
    for text in (address, _without_port(address)):
        try:
            packed = _packed(text.decode("ascii"))
        except (OSError, ValueError):
            continue
        return _text(packed)
    return None


def _without_port(address: bytes) -> bytes:
    if address.startswith(b"["):
        return address[1:].partition(b"]")[0]
    return address.rpartition(b":")[0] if address.count(b":") == 1 else b""


def _packed(address: str) -> bytes:
    if ":" not in address:
        return socket.inet_pton(socket.AF_INET, address)
    packed = socket.inet_pton(socket.AF_INET6, address)
    return packed[12:] if packed.startswith(_V4_IN_V6) else packed


def _text(packed: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _mask(address: str) -> str:
    packed = _packed(address)
    kept = _KEPT_V4_BYTES if len(packed) == 4 else _KEPT_V6_BYTES
    return _text(packed[:kept].ljust(len(packed), b"\0"))


def _md5_hex(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
