"""Sample logs for the emulated object store: the recorded traffic of the demonstration, re-signed.

The recorded log (`demo/recorded`) came from a real nginx. Its rightly signed URLs are signed anew with
a key of ours, whatever else it holds (bots, tampered and truncated URLs, broken clients) stays as it
is, and so does the tally of it. It is cut by the clock, as a log that is rotated is.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from demo.performance import RECORDED, RECORDED_SECRET
from pipeline.signing import SIGNATURE, SIGNATURE_CHARS, Key, sign_query

PART_S = 1200
_QUERY = re.compile(rb"(?<=\?)[^\t]+")
_HEAD_CHARS = len(SIGNATURE) + 1


@dataclass(frozen=True)
class Sample:
    """Log objects by name, stored compressed, and what is in them all together.

    `tally` is in the balance sheet's words, as `demo.traffic.Tally` writes it.
    """

    logs: dict[str, bytes]
    tally: dict[str, Any]


def make_sample(key: Key, part_s: int = PART_S) -> Sample:
    """The recorded traffic with its URLs signed by `key`, an object for each `part_s` seconds."""
    sign_anew = _signer(Key(RECORDED_SECRET.encode()), key)
    parts: dict[int, list[bytes]] = defaultdict(list)
    for line in gzip.decompress((RECORDED / "access.log.gz").read_bytes()).splitlines(True):
        seconds = int(float(line.split(b"\t", 2)[1]))
        parts[seconds // part_s].append(_QUERY.sub(lambda match: sign_anew(match[0]), line))
    logs = {
        f"pixel-{number:02d}.log.gz": gzip.compress(b"".join(parts[part]), mtime=0)
        for number, part in enumerate(sorted(parts), start=1)
    }
    return Sample(logs, json.loads((RECORDED / "tally.json").read_text()))


def _signer(old: Key, new: Key) -> Callable[[bytes], bytes]:
    """Replaces the signature of a query string if it is the old key's."""

    @cache
    def sign_anew(query: bytes) -> bytes:
        parameters = dict(parse_qsl(query.decode(errors="replace"), keep_blank_values=True))
        signature = parameters.pop(SIGNATURE, "")
        if _signature(parameters, old) != signature:
            return query
        return query.replace(signature.encode(), _signature(parameters, new).encode())

    return sign_anew


def _signature(parameters: dict[str, str], key: Key) -> str:
    return sign_query(parameters, key)[_HEAD_CHARS:][:SIGNATURE_CHARS]
