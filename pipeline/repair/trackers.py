"""Parameters that mailers, ad servers and social networks append to any URL, by their names.

A name in the list costs nothing where an author signed it: the URL then verifies as it is, and no
repair is tried. Names are told without regard to case.

Source: the parameters' own makers, as gathered by the lists of browsers and blockers that take
them off (as known in November 2026, not each looked up again).
"""

from __future__ import annotations

import json
import re
from urllib.parse import unquote_to_bytes

import pyarrow as pa
import pyarrow.compute as pc

PREFIXES = (
    "utm_", "mtm_", "matomo_", "pk_", "piwik_", "hsa_", "__hs", "_hs", "oly_", "vero_", "bsft_",
)  # fmt: skip
"""Google Analytics, Matomo (four), HubSpot (three), Omeda, Vero, Blueshift."""

CLICKS_AND_MAILS = (
    "fbclid", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "srsltid", "_ga", "_gl",
    "msclkid", "igshid", "igsh", "twclid", "ttclid", "yclid", "_openstat", "li_fat_id", "epik",
    "rdt_cid", "sccid", "irclickid", "dicbo", "tblci", "s_cid", "s_kwcid", "ef_id", "wickedid",
    "mc_cid", "mc_eid", "ct_params", "mkt_tok", "ml_subscriber", "ml_subscriber_hash", "_kx", "_ke",
    "ck_subscriber_id", "vgo_ee", "_bta_tid", "_bta_c", "dm_i", "elqtrackid", "elqtrack", "elqaid",
    "elqat", "nr_email_referer", "ss_email_id", "_branch_match_id",
)  # fmt: skip
"""Click ids of advertisers and networks, recipients' ids of mailers."""

CACHE_BUSTERS = (
    "cb", "cachebuster", "cache_buster", "cachebust", "nocache", "no_cache", "rand", "random",
    "rnd", "ord", "correlator", "timestamp", "ts", "_ts", "t", "_t", "_", "_dc",
)  # fmt: skip
"""Numbers that make each request another one."""

_NAMES = frozenset(name.encode() for name in (*CLICKS_AND_MAILS, *CACHE_BUSTERS))
_PREFIXES = tuple(prefix.encode() for prefix in PREFIXES)
_PATTERN = "|".join(
    [
        *(f"{prefix}[^=&?%]{{0,40}}" for prefix in PREFIXES),
        *sorted((*CLICKS_AND_MAILS, *CACHE_BUSTERS), key=len, reverse=True),
    ]
).replace("_", "(?:_|%5F)")
TRACES = f"(?:^|[&?]|%3F)(?:{_PATTERN})(?:=|&|$)"
_SECOND_QUESTION_MARK = re.compile(rb"(?i)(?:\?|%%3F)(?=(?:%b)=)" % _PATTERN.encode())
_SIGNED = (b"s=", b"k=", b"c=", b"d=")


def drop_around(query: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """The query string less the trackers before and after `s`, `k`, `c` and `d`; and these."""
    pieces = _pieces(query)
    first, last = _signed_span(pieces)
    return _drop(query, pieces, [*range(first), *range(last + 1, len(pieces))])


def drop_all(query: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """The query string less all trackers, and these; as it is where none stands among the signed."""
    pieces = _pieces(query)
    first, last = _signed_span(pieces)
    if not any(map(_is_tracker, pieces[first:last])):
        return query, ()
    return _drop(query, pieces, list(range(len(pieces))))


def _pieces(query: bytes) -> list[bytes]:
    """What stands between the separators, a second question mark before a tracker among them."""
    if b"?" in query or b"%3" in query:
        query = _SECOND_QUESTION_MARK.sub(b"&", query)
    return query.split(b"&")


def _signed_span(pieces: list[bytes]) -> tuple[int, int]:
    """The first and the last place of `s`, `k`, `c` and `d`; all places where there is none."""
    places = [at for at, piece in enumerate(pieces) if piece[:2] in _SIGNED]
    return (places[0], places[-1]) if places else (0, len(pieces))


def _is_tracker(piece: bytes) -> bool:
    name = piece.partition(b"=")[0].lower()
    if b"%" in name:
        name = unquote_to_bytes(name).lower()
    return name in _NAMES or name.startswith(_PREFIXES)


def _drop(query: bytes, pieces: list[bytes], places: list[int]) -> tuple[bytes, tuple[bytes, ...]]:
    dropped = [at for at in places if _is_tracker(pieces[at])]
    if not dropped:
        return query, ()
    gone = set(dropped)
    kept = [piece for at, piece in enumerate(pieces) if at not in gone]
    return b"&".join(kept), tuple(pieces[at] for at in dropped)


def extras_json(pieces: tuple[bytes, ...]) -> str | None:
    """Dropped pieces as a JSON object, names sorted as in `params`; null where there are none.

    Of a name that stands there twice the first counts; what is not UTF-8, and NUL, is U+FFFD.
    """
    found: dict[str, str] = {}
    for piece in pieces:
        name, _, value = piece.partition(b"=")
        found.setdefault(_text(name), _text(value))
    return _as_json(found)


def merged_extras(own: pa.StringArray, dropped: pa.StringArray) -> pa.StringArray:
    """The unsigned parameters that a form still has, and those left out to make it, as JSON."""
    both = pc.and_(own.is_valid(), dropped.is_valid())
    if not pc.any(both, min_count=0).as_py():
        return pc.coalesce(own, dropped)
    return pa.array(list(map(_merged, own.to_pylist(), dropped.to_pylist())), pa.string())


def _merged(own: str | None, dropped: str | None) -> str | None:
    return _as_json({**json.loads(dropped or "{}"), **json.loads(own or "{}")})


def _as_json(found: dict[str, str]) -> str | None:
    names = sorted(found, key=lambda name: name.encode("utf-16-be"))
    ordered = {name: found[name] for name in names}
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")) if ordered else None


def _text(escaped: bytes) -> str:
    decoded = unquote_to_bytes(escaped.replace(b"+", b" "))
    return decoded.decode("utf-8", "replace").replace("\0", "\ufffd")
