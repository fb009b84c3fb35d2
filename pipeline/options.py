"""What a run is told: one frozen object for the engine's rules, made once at launch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.columns import Mask
from pipeline.signing import KeyRing

AddressPolicy = Literal["mask", "keep", "drop"]
ADDRESS_POLICIES: tuple[AddressPolicy, ...] = get_args(AddressPolicy)
PIXEL_PATHS = ("/pixel.gif", "/i.gif", "/r.gif")


@dataclass(frozen=True)
class UnsignedDialect:
    """A dialect whose URLs carry no signature: its name, its paths, and where its views go.

    `destinations` are by the token that a URL names, or, of a dialect without tokens, the one of "".
    """

    name: str
    paths: tuple[str, ...]
    destinations: Mapping[str, str]


@dataclass(frozen=True)
class Rules:
    """The rules by which the engine judges requests.

    `paths` are those of signed pixels, in which a `*` at the end stands for any rest;
    `trusted_proxies` are networks (CIDR) whose X-Forwarded-For is believed; `addresses` says what is
    stored of a visitor's address; `allow` are globs of permitted destinations, `signed_only` of those
    that take no unsigned views; `default_dataset` is that of bare table names; `unsigned` are the
    dialects without signatures that are spoken too.
    """

    keys: KeyRing = field(default_factory=KeyRing)
    paths: tuple[str, ...] = PIXEL_PATHS
    trusted_proxies: tuple[str, ...] = ()
    addresses: AddressPolicy = "mask"
    allow: tuple[str, ...] = ("*",)
    signed_only: tuple[str, ...] = ()
    default_dataset: str | None = None
    unsigned: tuple[UnsignedDialect, ...] = ()

    @property
    def all_paths(self) -> tuple[str, ...]:
        """The paths of all dialects."""
        return (*self.paths, *(path for dialect in self.unsigned for path in dialect.paths))

    def dialect(self, name: str) -> UnsignedDialect | None:
        """An unsigned dialect; None where it is not spoken."""
        return next((each for each in self.unsigned if each.name == name), None)

    def destination_of(self, name: str) -> str | None:
        """Where the views of a dialect without tokens go; None where it is not spoken."""
        found = self.dialect(name)
        return found.destinations[""] if found else None


def is_path(paths: pa.BinaryArray, wanted: Sequence[str]) -> Mask:
    """Which of some paths are wanted; a `*` at the end of a wanted one stands for any rest."""
    whole = [path.encode() for path in wanted if not path.endswith("*")]
    found = pc.is_in(paths, value_set=pa.array(whole, paths.type))
    for path in wanted:
        if path.endswith("*"):
            found = pc.or_(found, pc.starts_with(paths, path[:-1].encode()))
    mask: Mask = found.to_numpy(zero_copy_only=False).astype(np.bool_)
    return mask
