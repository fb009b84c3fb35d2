"""Signed query strings of either version: what of them is signed, and by which key."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Mask, is_blank
from pipeline.model import Reason
from pipeline.query import Faults, Parameters, parse_leniently
from pipeline.signing import v1, v2
from pipeline.signing.keys import NO_KEY, SIGNATURE_CHARS, KeyNumbers, KeyRing
from pipeline.signing.v1 import SIGNATURE


@dataclass(frozen=True)
class Signed:
    """Query strings, and what of them is signed if their signatures fit.

    `is_signed` says it of each entry of `parameters`, `signature` is each query string's `s`. Of
    version 1, all that is not `s` is signed, and any flaw a fault; of version 2 (`lists`, null where
    there is none), the entries that the list names, and of these alone a flaw is a fault. `lacks`
    says which query strings of version 2 lack a parameter that their list names.
    """

    parameters: Parameters
    is_signed: Mask
    signature: pa.StringArray
    is_v2: Mask
    lists: v2.Lists | None
    lacks: Mask

    @cached_property
    def signed(self) -> Parameters:
        """The signed parameters."""
        return self.parameters.where(self.is_signed)

    @property
    def unsigned(self) -> Parameters:
        """The others, less `s`."""
        return self.parameters.where(~self.is_signed).without([SIGNATURE])

    @property
    def deciding(self) -> Parameters:
        """The signed parameters and `s`."""
        is_s = pc.equal(self.parameters.name, SIGNATURE).to_numpy(zero_copy_only=False)
        return self.parameters.where(self.is_signed | is_s)

    @property
    def is_whole(self) -> Mask:
        """Which query strings have a signature as long as it has to be."""
        is_long = pc.equal(pc.binary_length(self.signature), SIGNATURE_CHARS).fill_null(False)
        is_whole = is_long.to_numpy(zero_copy_only=False) & ~self.is_v2
        return is_whole | self.lists.is_sound if self.lists else is_whole

    @property
    def is_cut(self) -> Mask:
        """Which have one that is too short."""
        length = pc.binary_length(self.signature).fill_null(0).to_numpy(zero_copy_only=False)
        return np.where(self.is_v2, v2.is_start(self.signature), length < SIGNATURE_CHARS)


def read_signed(queries: pa.BinaryArray) -> Signed:
    """Reads query strings (binary, no nulls)."""
    parameters = parse_leniently(queries)
    signature = parameters.get(SIGNATURE)
    is_v2 = v2.is_v2(signature)
    is_s = pc.equal(parameters.name, SIGNATURE).to_numpy(zero_copy_only=False)
    is_signed, lists, lacks = ~is_s, None, np.zeros(parameters.count, np.bool_)
    if is_v2.any():
        lists = v2.read_lists(signature)
        is_listed = lists.signed(parameters)
        lacks = lists.lacking(parameters, is_listed)
        is_signed = np.where(is_v2[parameters.row], is_listed, is_signed)
    sound = parameters.refusing(is_signed | is_s)
    if sound is not parameters:
        is_signed = is_signed[sound.fault[parameters.row] == 0]
    return Signed(sound, is_signed, signature, is_v2, lists, lacks)


def verify(signed: Signed, ring: KeyRing) -> tuple[KeyNumbers, Faults]:
    """For each query string the number of the key that signed it, or `NO_KEY`; and the `Reason`, or 0.

    Version 1 names no key, so all are tried; of version 2 only those of its key's id, and none where
    a signed parameter is missing or flawed.
    """
    parameters, lists = signed.signed, signed.lists
    is_v2_entry = signed.is_v2[parameters.row]
    number = np.full(parameters.count, NO_KEY, np.int8)
    if not signed.is_v2.all():
        number = ring.verify(v1.messages(parameters.where(~is_v2_entry)), signed.signature)
    reason = parameters.fault.copy()
    _note(reason, Reason.UNSIGNED, is_blank(signed.signature))
    if lists:
        key_id, is_ready = lists.key_id, pa.array(~signed.lacks & (parameters.fault == 0))
        texts = v2.messages(parameters.where(is_v2_entry), lists.text)
        signature = pc.if_else(is_ready, lists.signature, pa.scalar(None, pa.string()))
        number = np.maximum(number, ring.verify_by_id(texts, signature, key_id))
        _note(reason, Reason.MALFORMED_SIGNATURE, signed.is_v2 & ~lists.is_sound)
        _note(reason, Reason.UNKNOWN_KEY, lists.is_sound & ~ring.knows(key_id))
    _note(reason, Reason.TAMPERED, number == NO_KEY)
    return number, reason


def bounds(signed: Signed) -> tuple[v2.Int64s, v2.Int64s, Mask]:
    """From when to before when each query string counts, in µs, and which of them say it wrongly.

    Only signatures of version 2 can set bounds.
    """
    none = pa.nulls(signed.parameters.count, pa.string())
    texts = [none, none]
    if signed.lists:
        texts = [
            pc.if_else(pa.array(signed.is_v2), signed.signed.get(name), none)
            for name in (v2.NOT_BEFORE, v2.EXPIRES)
        ]
    from_us, is_wrong = v2.times_us(texts[0], v2.ALWAYS_US)
    until_us, is_wrong_too = v2.times_us(texts[1], v2.NEVER_US)
    return from_us, until_us, is_wrong | is_wrong_too


def _note(reasons: Faults, reason: Reason, applies: Mask) -> None:
    reasons[applies & (reasons == 0)] = reason
