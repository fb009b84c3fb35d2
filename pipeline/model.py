"""The words and shapes that every stage shares: reasons, requests, tallies, log objects.

Nothing here computes. The stage names (`Stage`) are the words of the README's picture, of the
metrics and of the `stage` column in `pixelship.rejects`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

import pyarrow as pa


class Stage(str, Enum):
    """The steps on the way from a log's bytes to a row."""

    BLOCKS = "blocks"
    FORMAT = "format"
    DECODE = "decode"
    VERIFY = "verify"
    CLASSIFY = "classify"
    ENRICH = "enrich"
    ROUTE = "route"


class Reason(IntEnum):
    """Why a line does not become a row, in the order in which the reasons are tried.

    The first that applies is the one reported. `label` is the public reason: several codes may
    share one, told apart by `stage` and `meaning`. Code 0 is "nothing is wrong".
    """

    label: str
    stage: Stage
    meaning: str
    remedy: str

    def __new__(cls, code: int, label: str, stage: Stage, meaning: str, remedy: str) -> Reason:
        """Makes one member; the enum's value is its place in the order."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.label = label
        member.stage = stage
        member.meaning = meaning
        member.remedy = remedy
        return member

    TOO_LONG = (
        1, "too-long", Stage.BLOCKS,
        "the line is longer than 64 KiB",
        "No browser sends such a request; look at what writes the log.",
    )  # fmt: skip
    MALFORMED_LINE = (
        2, "malformed", Stage.FORMAT,
        "the line is not in its log's format",
        "Look for a cut, merged or binary line; check the log_format against nginx/log-format.conf.",
    )  # fmt: skip
    BAD_TIME = (
        3, "bad-time", Stage.FORMAT,
        "the log's time cannot be read, or lies outside the years 2000 to 2099",
        "Check the server's clock and the time field of the log format.",
    )  # fmt: skip
    TOO_MANY_PARAMETERS = (
        4, "malformed", Stage.DECODE,
        "the URL carries more than 200 parameters",
        "Take the surplus parameters off the URL.",
    )  # fmt: skip
    NUL_BYTE = (
        5, "malformed", Stage.DECODE,
        "the URL carries a NUL byte (%00)",
        "Take %00 off the URL.",
    )  # fmt: skip
    NOT_UTF8 = (
        6, "malformed", Stage.DECODE,
        "a parameter of the URL is not valid UTF-8",
        "Percent-encode parameters as UTF-8.",
    )  # fmt: skip
    DUPLICATE_PARAMETER = (
        7, "malformed", Stage.DECODE,
        "a signed parameter stands in the URL twice",
        "Give each parameter once.",
    )  # fmt: skip
    BAD_DATA = (
        8, "malformed", Stage.DECODE,
        "the URL's data is no base64 of a JSON event, or of an array of them",
        "Send the event as JSON, in base64, in the parameter data.",
    )  # fmt: skip
    UNSIGNED = (
        9, "unsigned", Stage.VERIFY,
        "the URL carries no signature, and its destination takes no view without",
        "Make the URL with `pixelship sign`; for another dialect's pixels see `signed_only` in pixelship.toml.",
    )  # fmt: skip
    UNFILLED_TAG = (
        10, "unfilled-tag", Stage.VERIFY,
        "the URL holds a merge tag, such as {{id}} or [CACHEBUSTER], that nothing filled in",
        "Fill the tag in before signing, or sign with the tag as it stands and never fill it in.",
    )  # fmt: skip
    TRUNCATED_AT_255 = (
        11, "truncated", Stage.VERIFY,
        "the URL was cut off at 255 bytes",
        "Make the database column or form field that holds the URL longer.",
    )  # fmt: skip
    TRUNCATED_AT_512 = (
        12, "truncated", Stage.VERIFY,
        "the URL was cut off at 512 bytes",
        "Make the field of the mailer or ad server that holds the URL longer, or shorten the URL.",
    )  # fmt: skip
    TRUNCATED_AT_1024 = (
        13, "truncated", Stage.VERIFY,
        "the URL was cut off at 1,024 bytes",
        "Make the field of the mailer or ad server that holds the URL longer, or shorten the URL.",
    )  # fmt: skip
    TRUNCATED_AT_2000 = (
        14, "truncated", Stage.VERIFY,
        "the URL was cut off at 2,000 bytes",
        "Shorten the URL: old programs, and many that follow their rule of thumb, take no more.",
    )  # fmt: skip
    TRUNCATED_AT_2048 = (
        15, "truncated", Stage.VERIFY,
        "the URL was cut off at 2,048 bytes",
        "Shorten the URL, or raise the limit of the proxy or the log: IIS takes no longer query.",
    )  # fmt: skip
    TRUNCATED_AT_2083 = (
        16, "truncated", Stage.VERIFY,
        "the URL was cut off at 2,083 bytes",
        "Shorten the URL: Internet Explorer and old versions of Outlook take no more.",
    )  # fmt: skip
    TRUNCATED_AT_4096 = (
        17, "truncated", Stage.VERIFY,
        "the URL was cut off at 4,096 bytes",
        "Shorten the URL, or raise the limit of the proxy or of what writes the log.",
    )  # fmt: skip
    TRUNCATED_AT_8192 = (
        18, "truncated", Stage.VERIFY,
        "the URL was cut off at 8,192 bytes",
        "Shorten the URL: CloudFront and most web servers take no more.",
    )  # fmt: skip
    TRUNCATED = (
        19, "truncated", Stage.VERIFY,
        "the URL was cut off: its signature or its last escape is incomplete",
        "Shorten the URL, or find what cuts it off.",
    )  # fmt: skip
    MALFORMED_SIGNATURE = (
        20, "malformed", Stage.VERIFY,
        "the signature (s) starts with 2. and is not in the form of version 2",
        "Sign the URL again; see docs/signatures.md for the form, and the order of its names.",
    )  # fmt: skip
    UNKNOWN_KEY = (
        21, "unknown-key", Stage.VERIFY,
        "the key that the signature names is not in the key ring",
        "Name the key ring that holds the key with --keys, then run `pixelship replay`.",
    )  # fmt: skip
    TAMPERED = (
        22, "tampered", Stage.VERIFY,
        "the signature does not fit the URL: it was changed after signing, or signed with another key",
        "Sign the URL again just as it is to be used, with a key of this key ring.",
    )  # fmt: skip
    RETIRED_KEY = (
        23, "retired-key", Stage.VERIFY,
        "the key that signed the URL was retired, or revoked from a time, before the view",
        "Sign the URL again with a present key.",
    )  # fmt: skip
    BAD_BOUNDS = (
        24, "bad-bounds", Stage.VERIFY,
        "a signed time (exp or nbf) is no number of seconds since 1970",
        "Sign the URL again with --expires and --not-before.",
    )  # fmt: skip
    NOT_YET = (
        25, "not-yet", Stage.VERIFY,
        "the view came before the time (nbf) from which the URL counts",
        "Nothing to mend, unless the time was signed wrongly or the log's clock is wrong.",
    )  # fmt: skip
    EXPIRED = (
        26, "expired", Stage.VERIFY,
        "the view came at or after the time (exp) at which the URL expired",
        "Sign the URL again with a later --expires, or with none.",
    )  # fmt: skip
    NO_DATA = (
        27, "no-data", Stage.VERIFY,
        "the URL names no event, or lacks its key (k), its canonical URL (c) or its destination (d), or does not sign it",
        "Sign a URL that has all three; of another dialect's pixels give the event or the key.",
    )  # fmt: skip
    NO_AGENT = (
        28, "no-agent", Stage.CLASSIFY,
        "the request names no user agent",
        "Nothing to mend: browsers and mail programs always send one.",
    )  # fmt: skip
    NO_IP = (
        29, "no-ip", Stage.ENRICH,
        "the log holds no address for the request",
        "Log the client's address, and name trusted proxies with --trusted-proxy.",
    )  # fmt: skip
    UNKNOWN_TOKEN = (
        30, "unknown-token", Stage.ROUTE,
        "the URL names a token or write key that has no destination",
        "Give the token a destination in pixelship.toml, and replay.",
    )  # fmt: skip
    BAD_DESTINATION = (
        31, "bad-destination", Stage.ROUTE,
        "the destination (d) is no permitted DATASET.TABLE",
        "Use DATASET.TABLE of letters, digits and _; check the key's scope and --allow.",
    )  # fmt: skip


TIMESTAMP = pa.timestamp("us", tz="UTC")
ABSENT = -1
"""The code of a missing value wherever a column is held as codes into distinct values."""

_CODED = pa.dictionary(pa.int32(), pa.binary())

EDGE_TEXTS = ("country", "cache_status", "tls_version", "edge_location")
EDGE_NUMBERS = ("asn", "bot_score")
"""What an edge finds out about a request by itself, where its log tells."""

REQUEST_SCHEMA = pa.schema(
    [
        pa.field("line", pa.int32(), nullable=False),
        pa.field("timestamp", TIMESTAMP),
        pa.field("method", _CODED),
        pa.field("host", _CODED),
        pa.field("path", _CODED),
        pa.field("query", _CODED),
        pa.field("status", _CODED),
        pa.field("ip", pa.binary()),
        pa.field("forwarded_for", _CODED),
        pa.field("user_agent", _CODED),
        pa.field("referrer", _CODED),
        pa.field("cookie_pxid", pa.binary()),
        pa.field("request_id", pa.binary()),
        *(pa.field(name, _CODED) for name in (*EDGE_TEXTS, *EDGE_NUMBERS)),
    ]
)
"""What every log format gives: one row a request, bytes as the client sent them (the log's own
escaping undone, percent-escapes left alone), null where the log has none. `line` is the row's
place in its block; `timestamp` is null where it could not be read. Those of
`EDGE_TEXTS` and `EDGE_NUMBERS` are in the edge's own words."""


@dataclass(frozen=True, slots=True)
class LogObject:
    """One closed log file or cloud object, pinned by size and content.

    `checksum` names its algorithm, as in "sha256:…", "md5:…", "crc32c:…". `start` is where reading
    begins: above 0 only for an object that grew since it was loaded. `generation` is that of a
    cloud object, 0 for a file.
    """

    name: str
    size: int
    checksum: str
    start: int = 0
    generation: int = 0

    @property
    def folder(self) -> str:
        """What stands before the last part of the name."""
        return self.name[: self.name.rfind("/") + 1]


@dataclass(frozen=True)
class Batch:
    """A fixed list of log objects, loaded whole or not at all. Its `id` is a number of eight digits."""

    id: str
    objects: tuple[LogObject, ...]


@dataclass(frozen=True)
class Quarantined:
    """A log object that is not loaded until a person has looked at it, and why."""

    name: str
    generation: int
    size: int
    why: str


@dataclass(frozen=True)
class Fault:
    """Damage to a log object; `position` counts stored (not inflated) bytes."""

    object: str
    position: int
    fault: str

    def to_json(self) -> dict[str, Any]:
        """The fault as it stands in the balance sheet."""
        return {"object": self.object, "position": self.position, "fault": self.fault}


FATES = ("header", "not_pixel", "accepted", "bot", "duplicate")
"""What becomes of lines and events that are not rejected."""
COUNTS = ("lines", "extra_events", *FATES)
"""The plain counts of a tally, as columns of `pixelship.objects` and keys of the balance sheet."""


@dataclass
class Tally:
    """The balance sheet of a log object, or of many: lines + extra events = the sum of all fates.

    A line may hold several events: `extra_events` are those beyond the first of each.
    """

    lines: int = 0
    extra_events: int = 0
    header: int = 0
    not_pixel: int = 0
    accepted: int = 0
    bot: int = 0
    duplicate: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Adds the other's counts to this tally."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.rejected.update(other.rejected)

    @property
    def adds_up(self) -> bool:
        """Whether every line, and every event beyond a line's first, has exactly one fate."""
        fates = sum(getattr(self, name) for name in FATES)
        return self.lines + self.extra_events == fates + sum(self.rejected.values())

    def to_json(self) -> dict[str, Any]:
        """The counts under the balance sheet's names, reasons sorted."""
        return {name: getattr(self, name) for name in COUNTS} | {
            "rejected": dict(sorted(self.rejected.items()))
        }

    @classmethod
    def of(cls, counts: Iterable[int | None], rejected: Mapping[str, int]) -> Tally:
        """A tally from a row of a ledger: its columns `COUNTS`, null for what older rows lack."""
        plain = {name: count or 0 for name, count in zip(COUNTS, counts, strict=True)}
        return cls(**plain, rejected=Counter(rejected))

    @classmethod
    def from_json(cls, counts: dict[str, Any]) -> Tally:
        """The tally that `to_json` wrote."""
        plain = {name: counts[name] for name in ("lines", *FATES)}
        plain["extra_events"] = counts.get("extra_events", 0)  # older logs of batches lack it
        return cls(**plain, rejected=Counter(counts["rejected"]))
