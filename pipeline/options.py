"""What a run is told: one frozen object for the engine's rules, made once at launch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from pipeline.signing import KeyRing

AddressPolicy = Literal["mask", "keep", "drop"]
ADDRESS_POLICIES: tuple[AddressPolicy, ...] = get_args(AddressPolicy)
PIXEL_PATHS = ("/pixel.gif", "/i.gif", "/r.gif")


@dataclass(frozen=True)
class Rules:
    """The rules by which the engine judges requests.

    `paths` are the pixel's; `trusted_proxies` are networks (CIDR) whose X-Forwarded-For is
    believed; `addresses` says what is stored of a visitor's address; `allow` are globs of
    permitted destinations.
    """

    keys: KeyRing = field(default_factory=KeyRing)
    paths: tuple[str, ...] = PIXEL_PATHS
    trusted_proxies: tuple[str, ...] = ()
    addresses: AddressPolicy = "mask"
    allow: tuple[str, ...] = ("*",)
