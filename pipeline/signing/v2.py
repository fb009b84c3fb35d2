"""Version 2: the signature names its key and the parameters that it covers.

    s=2.<key id>.<names joined with ~>.<HMAC-SHA256, base64url without padding>

What is signed is `pixelship-2.<key id>.` and, for each name in ascending order, the netstrings of
the decoded name and value, a `,` behind each. `docs/signatures.md` is the specification.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Mask, encode
from pipeline.errors import SetupError
from pipeline.model import ABSENT, Reason
from pipeline.query import Parameters, parse_leniently
from pipeline.signing.keys import SIGNATURE_CHARS, Key
from pipeline.signing.v1 import SIGNATURE

EXPIRES, NOT_BEFORE = "exp", "nbf"
MOST_NAMES = 32
MOST_NAME_CHARS = 64
NEVER_US, ALWAYS_US = np.iinfo(np.int64).max, np.iinfo(np.int64).min

_PREFIX = "2."
_CONTEXT = "pixelship-"
_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{MOST_NAME_CHARS}}}")
_FORM = rf"^2\.[0-9a-f]{{8}}\.[A-Za-z0-9_~-]+\.[A-Za-z0-9_-]{{{SIGNATURE_CHARS}}}$"
_START_OF_FORM = (
    r"^2\.(?:[0-9a-f]{0,8}|[0-9a-f]{8}\.[A-Za-z0-9_~-]*"
    rf"(?:\.[A-Za-z0-9_-]{{0,{SIGNATURE_CHARS - 1}}})?)$"
)
_ID = slice(len(_PREFIX), len(_PREFIX) + 8)
_HEAD_CHARS = _ID.stop + 1
_TAIL_CHARS = SIGNATURE_CHARS + 1
_SECONDS = r"^[0-9]{1,12}$"
_SECOND_US = 1_000_000

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lists:
    """The lists of signed names of some query strings.

    `text` is each query string's `s`, `number` the number of its list, `ABSENT` where `s` is not in
    the form of version 2. `owner` and `name` are the entries of all lists: its number, and a code
    into `names`; `length` counts those of each list.
    """

    text: pa.StringArray
    number: Int64s
    owner: Int64s
    name: Int64s
    names: pa.StringArray
    length: Int64s

    @property
    def is_sound(self) -> Mask:
        """Which query strings have a signature in the form of version 2."""
        return self.number != ABSENT

    @property
    def key_id(self) -> pa.StringArray:
        """The id of the key that each query string names; null where it is not in the form."""
        ids = pc.binary_slice(self.text.cast(pa.binary()), _ID.start, _ID.stop).cast(pa.string())
        return pc.if_else(pa.array(self.is_sound), ids, pa.scalar(None, pa.string()))

    @property
    def signature(self) -> pa.StringArray:
        """The signature proper of each query string; null where it is not in the form."""
        tails = pc.binary_slice(self.text.cast(pa.binary()), -SIGNATURE_CHARS)
        none = pa.scalar(None, pa.string())
        return pc.if_else(pa.array(self.is_sound), tails, none.cast(pa.binary())).cast(pa.string())

    def signed(self, parameters: Parameters) -> Mask:
        """Which entries stand under a name that their query string's list holds."""
        number = self.number[parameters.row]
        code = pc.index_in(parameters.name, value_set=self.names).fill_null(ABSENT)
        name = code.to_numpy(zero_copy_only=False).astype(np.int64)
        is_signed = (number != ABSENT) & (name != ABSENT)
        wide = max(len(self.names), 1)
        wanted = number[is_signed] * wide + name[is_signed]
        is_signed[is_signed] = np.isin(wanted, self.owner * wide + self.name)
        return is_signed

    def lacking(self, parameters: Parameters, is_signed: Mask) -> Mask:
        """Which query strings lack a parameter that their list names."""
        is_first = is_signed & (parameters.flaw != Reason.DUPLICATE_PARAMETER)
        found = np.bincount(parameters.row[is_first], minlength=parameters.count)
        return self.is_sound & (found != np.append(self.length, 0)[self.number])


def is_v2(signatures: pa.StringArray) -> Mask:
    """Which values of `s` say that they are of version 2."""
    return pc.starts_with(signatures, _PREFIX).fill_null(False).to_numpy(zero_copy_only=False)


def is_start(signatures: pa.StringArray) -> Mask:
    """Which values of `s` are the start of one in the form of version 2, and no whole one."""
    hit = pc.match_substring_regex(signatures, _START_OF_FORM).fill_null(False)
    return hit.to_numpy(zero_copy_only=False)


def read_lists(signatures: pa.StringArray) -> Lists:
    """Reads the lists in values of `s`; each distinct list once."""
    is_form = pc.match_substring_regex(signatures, _FORM).fill_null(False)
    texts = pc.if_else(is_form, signatures, pa.scalar(None, pa.string()))
    coded = encode(pc.binary_slice(texts.cast(pa.binary()), _HEAD_CHARS, -_TAIL_CHARS))
    lists = pc.split_pattern(coded.values.cast(pa.string()), "~")
    owner = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    names = encode(pc.list_flatten(lists))
    length = np.bincount(owner, minlength=len(lists))
    is_sound = ~_is_bad(owner, names.values, names.codes, length)
    number = np.where(np.append(is_sound, False)[coded.codes], coded.codes, ABSENT)
    return Lists(texts, number.astype(np.int64), owner, names.codes.astype(np.int64), names.values, length)  # fmt: skip


def _is_bad(
    owner: Int64s, names: pa.StringArray, codes: npt.NDArray[np.int32], length: Int64s
) -> Mask:
    """Which lists are too long, not in ascending order, or hold a name that none may have."""
    chars = pc.binary_length(names).to_numpy(zero_copy_only=False)
    is_wrong = (chars == 0) | (chars > MOST_NAME_CHARS)
    is_wrong |= pc.equal(names, SIGNATURE).to_numpy(zero_copy_only=False)
    rank = np.empty(len(names), np.int64)
    rank[pc.sort_indices(names).to_numpy()] = np.arange(len(names))
    at = rank[codes]
    falls = np.append(False, (owner[1:] == owner[:-1]) & (at[1:] <= at[:-1]))[: len(owner)]
    return (length > MOST_NAMES) | (np.bincount(owner[is_wrong[codes] | falls], minlength=len(length)) > 0)  # fmt: skip


def messages(parameters: Parameters, signatures: pa.StringArray) -> pa.StringArray:
    """What is signed of each query string, from its signed parameters and its `s`.

    `signatures` are in the form of version 2, or null; so is the message then.
    """
    names = encode(parameters.name)
    heads = names.with_values(_netstrings(names.values)).plain()
    pairs = pc.binary_join_element_wise(heads, _netstrings(parameters.value), "")
    offsets = np.searchsorted(parameters.row, np.arange(parameters.count + 1)).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pairs)
    start = pc.binary_slice(signatures.cast(pa.binary()), 0, _HEAD_CHARS).cast(pa.string())
    return pc.binary_join_element_wise(_CONTEXT, start, pc.binary_join(lists, ""), "")


def _netstrings(texts: pa.StringArray) -> pa.StringArray:
    """Each text led by its length in bytes, as in `5:hello,`."""
    length = pc.binary_length(texts).cast(pa.string())
    return pc.binary_join_element_wise(length, ":", texts, ",", "")


def times_us(seconds: pa.StringArray, none: int) -> tuple[Int64s, Mask]:
    """Seconds since 1970 as decimal digits in µs (`none` where null), and which are no such digits."""
    if seconds.null_count == len(seconds):
        return np.full(len(seconds), none, np.int64), np.zeros(len(seconds), np.bool_)
    is_number = pc.match_substring_regex(seconds, _SECONDS)
    numbers = pc.if_else(is_number, seconds, pa.scalar(None, pa.string())).cast(pa.int64())
    times = pc.multiply(numbers, _SECOND_US).fill_null(none)
    return np.array(times, np.int64), pc.invert(is_number).fill_null(False).to_numpy(
        zero_copy_only=False
    )


def is_name(name: str) -> bool:
    """Whether a parameter of the name may be signed."""
    return name != SIGNATURE and _NAME.fullmatch(name) is not None


def sign_query_v2(parameters: Mapping[str, str], key: Key) -> str:
    """A query string with all its parameters signed, in the order given; raises SetupError."""
    return sign_queries_v2([parameters], key)[0]


def sign_queries_v2(views: Sequence[Mapping[str, str]], key: Key) -> list[str]:
    """The same for many at once."""
    for name in dict.fromkeys(name for view in views for name in view):
        if not is_name(name):
            raise SetupError(f"No parameter named {name!r} can be signed: use letters, digits, _ and -, {MOST_NAME_CHARS} at most, and not s.")  # fmt: skip
    if max(map(len, views), default=0) > MOST_NAMES:
        raise SetupError(f"Over {MOST_NAMES} parameters cannot be signed: give fewer.")
    heads = [f"{_PREFIX}{key.id}.{'~'.join(sorted(view))}." for view in views]
    queries = [urlencode(view, quote_via=quote, safe="") for view in views]
    parameters = parse_leniently(pa.array([query.encode() for query in queries], pa.binary()))
    signed = messages(parameters, pa.array(heads, pa.string())).to_pylist()
    signatures = map(key.signature, signed)
    return [
        f"{SIGNATURE}={head}{signature}&{query}"
        for head, signature, query in zip(heads, signatures, queries, strict=True)
    ]
