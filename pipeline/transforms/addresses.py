"""Addresses: which is the client's, its canonical text, and what of it is stored.

Addresses written out in full (IPv4, and IPv6 without `::`) are read all at once, others one
distinct value at a time.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Coded, Mask, count_before, encode, map_values, offsets_and_bytes
from pipeline.options import AddressPolicy

_V4_IN_V6 = b"\0" * 10 + b"\xff\xff"
_KEPT_V6_BYTES = 6
"""A masked IPv6 address keeps its /48, a masked IPv4 address its /24."""


def client_addresses(peer: pa.Array, forwarded_for: pa.Array, trusted: Sequence[str]) -> Coded:
    """The client's address, in canonical text; null where the log holds none.

    X-Forwarded-For is believed where the peer is a trusted proxy: the last address in it that is
    no trusted proxy is the client's.
    """
    coded = encode(peer)
    peers = coded.with_values(canonical(coded.values)).compact()
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


def canonical(addresses: pa.BinaryArray) -> pa.StringArray:
    """Distinct addresses as the system writes them, less port and brackets; null for what is none."""
    is_plain = _groups(addresses, _V4).is_fit | _groups(addresses, _V6).is_fit
    return _where_not(is_plain, addresses, _canonical)


def mask_addresses(addresses: pa.StringArray, policy: AddressPolicy) -> pa.StringArray:
    """What is stored of distinct canonical addresses: IPv4's /24 and IPv6's /48, all, or nothing."""
    if policy == "keep":
        return addresses
    if policy == "drop":
        return pa.nulls(len(addresses), pa.string())
    offsets, data = offsets_and_bytes(addresses)
    masked = data.copy()
    is_done = np.zeros(len(addresses), np.bool_)
    edges = np.zeros(len(data) + 1, np.int8)  # 1 where what is cut off starts, -1 where it ends
    for form in (_V4, _V6):
        groups = _groups(addresses, form)
        starts, ends = groups.start[:, form.kept], offsets[1:][groups.is_fit]
        is_kept = np.ones(len(starts), np.bool_)
        if form is _V6:  # a zero before the cut would have to go into the `::`
            is_kept = data[groups.start[:, form.kept - 1]] != ord("0")
        starts, ends = starts[is_kept], ends[is_kept]
        masked[starts] = ord(form.tail)
        edges[starts + 1] += 1
        edges[ends] -= 1
        is_done[np.flatnonzero(groups.is_fit)[is_kept]] = True
    is_cut = np.cumsum(edges, dtype=np.int8)[:-1].astype(np.bool_)
    offsets -= count_before(is_cut, offsets)
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(masked[~is_cut])]
    short = pa.Array.from_buffers(pa.binary(), len(addresses), buffers)
    return _where_not(is_done, short, _mask_v6)


def _where_not(
    mask: Mask, values: pa.BinaryArray, function: Callable[[bytes], str | None]
) -> pa.StringArray:
    """The values as text where `mask` holds, elsewhere what a Python function makes of them."""
    if mask.all():
        return values.cast(pa.string())
    others = pa.array(~mask)
    made = map_values(values.filter(others), function, pa.string())
    blank = pc.if_else(others, pa.scalar(b"", pa.binary()), values)
    return pc.replace_with_mask(blank.cast(pa.string()), others, made)


@dataclass(frozen=True)
class _Form:
    """How an address is written out in full: `count` groups, of which a masked one keeps some.

    `tail` stands in the place of the first group that is cut off.
    """

    separator: str
    count: int
    longest: int
    kept: int
    tail: str


_V4 = _Form(".", 4, 3, 3, "0")
_V6 = _Form(":", 8, 4, 3, ":")


@dataclass(frozen=True)
class _Groups:
    """Which values are in a form, already as the system writes them; where their groups start."""

    is_fit: Mask
    start: npt.NDArray[np.int64]


def _groups(addresses: pa.Array, form: _Form) -> _Groups:
    """Reads addresses in full form; those with IPv6's `::` are left to others."""
    offsets, data = offsets_and_bytes(addresses)
    is_separator = data == ord(form.separator)
    separators = np.flatnonzero(is_separator)
    before = count_before(is_separator, offsets)
    is_fit = np.diff(before) == form.count - 1
    inner = separators[before[:-1][is_fit][:, None] + np.arange(form.count - 1)]
    start = np.column_stack((offsets[:-1][is_fit], inner + 1))
    length = np.column_stack((inner, offsets[1:][is_fit])) - start
    first = np.append(data, np.uint8(0))[start]
    fits = ((length >= 1) & (length <= form.longest)).all(axis=1)
    fits &= ((length == 1) | (first != ord("0"))).all(axis=1)
    is_digit = (data >= ord("0")) & (data <= ord("9"))
    if form is _V4:
        number = _decimal(data, start, length)
        fits &= (number <= 255).all(axis=1)
    else:
        is_digit |= (data >= ord("a")) & (data <= ord("f"))
        is_zero = (first == ord("0")) & (length == 1)
        fits &= ~(is_zero[:, 1:] & is_zero[:, :-1]).any(axis=1)
    fits &= np.diff(count_before(~(is_digit | is_separator), offsets))[is_fit] == 0
    is_fit[is_fit] = fits
    return _Groups(is_fit, start[fits])


def _decimal(
    data: npt.NDArray[np.uint8], start: npt.NDArray[np.int64], length: npt.NDArray[np.int64]
) -> npt.NDArray[np.int16]:
    """Groups of up to three decimal digits as numbers; longer ones and others as anything."""
    digits = np.append(data.astype(np.int16) - ord("0"), np.zeros(3, np.int16))
    number = digits[start]
    for place in (1, 2):
        number = np.where(length > place, number * 10 + digits[start + place], number)
    return number


def _canonical(address: bytes) -> str | None:
    """An address as the system writes it; None if it is none."""
    try:
        packed = socket.inet_pton(socket.AF_INET6, address.decode("ascii"))
    except (OSError, ValueError):
        return _canonical_other(address)
    if packed.startswith(_V4_IN_V6):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed)


def _canonical_other(address: bytes) -> str | None:
    """IPv4, and addresses in brackets or with a port."""
    try:
        text = address.decode("ascii")
        if text.startswith("["):
            inner, _, after = text[1:].partition("]")
            if after and not after.startswith(":"):
                return None
            return _canonical(inner.encode()) if ":" in inner else None
        return socket.inet_ntop(
            socket.AF_INET, socket.inet_pton(socket.AF_INET, text.partition(":")[0])
        )
    except (OSError, ValueError):
        return None


def _mask_v6(address: bytes) -> str:
    packed = socket.inet_pton(socket.AF_INET6, address.decode("ascii"))
    return socket.inet_ntop(socket.AF_INET6, packed[:_KEPT_V6_BYTES].ljust(16, b"\0"))
