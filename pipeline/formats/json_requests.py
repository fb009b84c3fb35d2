"""From the values of JSON records to requests: what the formats of vendors' JSON logs share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.blocks import Lines
from pipeline.columns import Coded, Mask, encode, holding, offsets_and_bytes
from pipeline.formats.contract import Parsed, requests, uri_columns
from pipeline.formats.json_lines import PLAIN, Dialect, Path, read_json_lines, value_at

Wanted = Mapping[str, Sequence[Path]]
"""For each name the paths to its value, the best first."""
Values = Mapping[str, pa.Array]
"""A binary column, plain or dictionary, for each name that a format wants of its records."""
Kinds = tuple[Mask, Mask]
"""Which records are a client's requests, and which are sound records of something else."""

_ORIGIN = r"^[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*"
_HOST = r"^[A-Za-z][A-Za-z0-9+.\-]*://(?:[^/?#]*@)?(?P<host>\[[^\]/?#]*\]|[^/?#:]+)"
_HOST_AND_PORT = r"^(\[[^\]]*\]|[^:\[\]]*):[0-9]*$"
_ADDRESS = r"^(?:\[([0-9A-Fa-f:.]+)\]|([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+))(?::[0-9]*)?$"


def parse_requests(
    lines: Lines,
    wanted: Wanted,
    kinds: Callable[[Values], Kinds],
    columns: Callable[[Values], Values],
    dialect: Dialect = PLAIN,
) -> Parsed:
    """Lines as requests, with the `columns` made of the values of those records that are requests.

    Records that are of neither of the `kinds` are malformed, as lines that are no JSON are.
    """
    records = read_json_lines(lines, wanted, dialect)
    is_request, is_other = kinds(records.values)
    is_other = is_other & ~is_request
    values = records.values
    if not is_request.all():
        values = {name: array.filter(pa.array(is_request)) for name, array in values.items()}
    unknown = records.rows[~is_request & ~is_other]
    return Parsed(
        requests(records.rows[is_request], columns(values)),
        np.concatenate([records.malformed, unknown]),
        other=records.rows[is_other],
    )


def holds(record: Mapping[str, Any] | None, *paths: Path) -> bool:
    """Whether what `read_object` gave has values at some paths."""
    return record is not None and all(value_at(record, path) is not None for path in paths)


def is_there(*columns: pa.Array) -> Mask:
    """Which rows hold a value in any of the columns."""
    held = [column.is_valid().to_numpy(zero_copy_only=False) for column in columns]
    found: Mask = np.any(held, axis=0)
    return found


def is_any(column: pa.Array, wanted: Sequence[bytes]) -> Mask:
    """Which rows hold one of some values."""
    return encode(column).is_in(wanted)


def plain(column: pa.Array) -> pa.Array:
    """A column as a plain binary one."""
    return encode(column).plain() if pa.types.is_dictionary(column.type) else column


def url_columns(urls: Coded) -> dict[str, pa.Array]:
    """Full URLs such as `https://px.example.org:443/i.gif?k=a` as `host`, `path` and `query`.

    The host is that of the URL without its port, an IPv6 address in its brackets; null where there
    is none.
    """
    local = pc.replace_substring_regex(urls.values, _ORIGIN, "")
    origin = encode(_heads(urls.values, local))
    host = pc.struct_field(pc.extract_regex(origin.values, _HOST), "host")
    hosts = urls.with_values(origin.with_values(host).plain())
    return {"host": hosts.dictionary(), **uri_columns(urls.with_values(local))}


def _heads(texts: pa.BinaryArray, tails: pa.BinaryArray) -> pa.BinaryArray:
    """What stands in each text before its tail."""
    offsets, data = offsets_and_bytes(texts)
    starts, ends = offsets[:-1], offsets[1:] - np.diff(offsets_and_bytes(tails)[0])
    edges = np.append(np.stack([starts, ends], axis=1).ravel(), offsets[-1:]).astype(np.int32)
    buffers = [None, pa.py_buffer(edges), pa.py_buffer(data)]
    pieces = pa.Array.from_buffers(pa.binary(), len(edges) - 1, buffers)
    return pieces.take(pa.array(np.arange(0, len(pieces), 2)))


def bare_hosts(hosts: pa.Array) -> pa.DictionaryArray:
    """Host headers without their ports."""
    coded = encode(hosts)
    bare = pc.replace_substring_regex(coded.values, _HOST_AND_PORT, r"\1")
    return coded.with_values(bare).dictionary()


def bare_addresses(addresses: pa.Array) -> pa.Array:
    """Addresses as a plain column, without port and without IPv6's brackets."""
    column = plain(addresses)
    is_marked = holding(column, lambda data: (data == ord(":")) | (data == ord("[")))
    if not is_marked.any():
        return column
    marked = pa.array(is_marked)
    bare = pc.replace_substring_regex(column.filter(marked), _ADDRESS, r"\1\2")
    return pc.replace_with_mask(column, marked, bare)


def joined(separator: bytes, *columns: pa.Array) -> pa.Array:
    """Several columns as one, such as the parts of an id; null where one of them is."""
    return pc.binary_join_element_wise(*map(plain, columns), separator)
