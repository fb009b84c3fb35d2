"""The configuration: `pixelship.toml` as one checked object, from which a run's rules are made."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.destinations import is_permitted, matches
from pipeline.dialects import UNSIGNED
from pipeline.options import ADDRESS_POLICIES, PIXEL_PATHS, Rules, UnsignedDialect
from pipeline.toml_table import Table, parse_toml

PRX = "prx"
TOP_KEYS = ("addresses", "trusted_proxies", "allow", "signed_only")
TOKENS = {"mixpanel": "tokens", "segment": "write_keys"}
"""What a dialect calls the names by which its URLs name a destination."""
_DATASET_OF_ALL = ".any_table"


@dataclass(frozen=True)
class Config:
    """What the file says, or the defaults. `file` is None where there is none."""

    rules: Rules
    file: str | None = None


def keys_of(section: str) -> tuple[str, ...]:
    """The keys of a section: those of the top for "", else those of a dialect."""
    if section == "":
        return TOP_KEYS
    if section == PRX:
        return ("paths", "default_dataset")
    return ("paths", TOKENS.get(section, "destination"))


def read_config(data: bytes, file: str) -> Config:
    """The configuration in a file's bytes; `file` names it in messages. Raises SetupError."""
    table = parse_toml(data, file)
    table.check_keys((*TOP_KEYS, PRX, *UNSIGNED))
    prx = table.table(PRX)
    prx.check_keys(keys_of(PRX))
    rules = Rules(
        paths=_paths(prx, PIXEL_PATHS),
        trusted_proxies=_networks(table),
        addresses=table.one_of("addresses", ADDRESS_POLICIES, "mask"),  # type: ignore[arg-type]
        allow=table.texts("allow", ("*",)),
        signed_only=table.texts("signed_only"),
        default_dataset=_default_dataset(prx),
    )
    unsigned = [
        _unsigned(table.table(name), name, rules) for name in UNSIGNED if name in table.entries
    ]
    _check_cases(table, unsigned)
    return Config(replace(rules, unsigned=tuple(unsigned)), file)


def _unsigned(table: Table, name: str, rules: Rules) -> UnsignedDialect:
    table.check_keys(keys_of(name))
    paths = _paths(table, UNSIGNED[name].paths)
    if UNSIGNED[name].by_token:
        key = TOKENS[name]
        destinations = _by_token(table, key)
    else:
        key = "destination"
        destinations = {"": table.text(key, f'say where its views go, as in {key} = "web.views"')}
    for destination in destinations.values():
        if not is_permitted(destination, rules.allow):
            told = (
                "is no DATASET.TABLE" if not is_permitted(destination) else "is not among `allow`"
            )
            table.fail(f'{key} names {destination!r}, which {told}: write it as "web.views"')
        if matches(destination, rules.signed_only):
            table.fail(
                f"{key} names {destination!r}, which is among `signed_only`: {name}'s views carry no signature"
            )
    return UnsignedDialect(name, paths, destinations)


def _by_token(table: Table, key: str) -> Mapping[str, str]:
    found = table.subtable(key)
    if not found:
        table.fail(f'{key} is missing: write {key} = {{ "TOKEN" = "DATASET.TABLE" }}')
    for token, destination in found.items():
        if not isinstance(destination, str) or not token:
            table.fail(f'{key} is a table of texts: write {key} = {{ "TOKEN" = "DATASET.TABLE" }}')
    return found


def _paths(table: Table, usual: Sequence[str]) -> tuple[str, ...]:
    paths = table.texts("paths", usual)
    if not paths:
        table.fail("paths is empty: name a path, or leave it out")
    for path in paths:
        if not path.startswith("/") or "*" in path[:-1] or "?" in path:
            table.fail(f"paths has {path!r}, which is no path: write it as /pixel.gif, or /v1/*")
    return paths


def _networks(table: Table) -> tuple[str, ...]:
    networks = table.texts("trusted_proxies")
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            table.fail(
                f"trusted_proxies has {network!r}, which is no network: write it as 10.0.0.0/8"
            )
    return networks


def _default_dataset(table: Table) -> str | None:
    if "default_dataset" not in table.entries:
        return None
    dataset = table.text("default_dataset")
    if not is_permitted(dataset + _DATASET_OF_ALL):
        table.fail(f"default_dataset {dataset!r} is no dataset: use letters, digits and _")
    return dataset


def _check_cases(table: Table, unsigned: Sequence[UnsignedDialect]) -> None:
    """Names that differ in case alone are one table in DuckDB, and two in BigQuery."""
    known: dict[str, str] = {}
    for dialect in unsigned:
        for destination in dialect.destinations.values():
            other = known.setdefault(destination.lower(), destination)
            if other != destination:
                table.fail(f"{other!r} and {destination!r} differ in case alone: write one of them")
