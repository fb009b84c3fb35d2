"""The rules that a command judges lines by: options, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from pipeline.cli.ring import KeySource, key_ring_of, keys_option
from pipeline.cli.text import printable
from pipeline.errors import SetupError
from pipeline.storage import CLOUD_STORAGE, open_file

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.formats import Format
    from pipeline.options import Rules

AUTO = "auto"
DEFAULT_CONFIG_FILE = "pixelship.toml"
ConfigSource: TypeAlias = "Path | str | None"
"""A configuration's file, or its gs:// address; null for the default."""
_MAP = ".toml"
_Command = TypeVar("_Command", bound=Callable[..., Any])


def config_source(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> ConfigSource:
    """Tells a file on this machine from an address, as a callback of click's."""
    return text if text is None or text.startswith(CLOUD_STORAGE) else Path(text)


def config_option(command: _Command) -> _Command:
    """Adds `--config` to a command."""
    return click.option(
        "--config",
        "config_file",
        callback=config_source,
        metavar="FILE",
        envvar="PIXELSHIP_CONFIG",
        show_envvar=True,
        help=f"Configuration file, here or in Cloud Storage (gs://BUCKET/…); {DEFAULT_CONFIG_FILE} where there is one. Options go before it.",
    )(command)


def rule_options(command: _Command) -> _Command:
    """Adds `--format`, the keys, and the rules to a command."""
    for option in reversed(
        (
            click.option("--format", "log_format", default=AUTO, show_default=True, metavar="NAME|MAP", help="The log format (see `pixelship formats`), or a map, as in FILE.toml; told from the content by default."),
            keys_option,
            config_option,
            click.option("--path", "paths", multiple=True, metavar="PATH", help="A path that is a signed pixel's; repeatable. By default /pixel.gif, /i.gif and /r.gif."),
            click.option("--trusted-proxy", "proxies", multiple=True, metavar="CIDR", help="A network whose X-Forwarded-For is believed; repeatable."),
            click.option("--addresses", type=click.Choice(("mask", "keep", "drop")), help="What is stored of visitors' addresses: /24 and /48 (mask, the default), all, or nothing."),
            click.option("--allow", multiple=True, metavar="GLOB", help="Destinations that may be loaded, such as 'news.*'; repeatable. All by default."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def format_of(name: str) -> Format | None:
    """The log format of a name, or of a map's file; None for "auto". Raises SetupError."""
    return None if name == AUTO else chosen_format(name)


def chosen_format(name: str) -> Format:
    """The log format of a name, or of a map: a file whose name ends in .toml. Raises SetupError."""
    from pipeline import formats

    if name.endswith(_MAP):
        return _map_in(name)
    if found := formats.named(name):
        return found
    known = ", ".join(each.name for each in formats.FORMATS)
    raise SetupError(
        f"--format {printable(name)} is not known: choose one of {known}, or name a map, as in FILE.toml."
    )


def map_files(name: str) -> tuple[Path, ...]:
    """The map's file on this machine, where the format is one: it is no log, wherever it lies."""
    return (Path(name),) if name.endswith(_MAP) and not name.startswith(CLOUD_STORAGE) else ()


def _map_in(place: str) -> Format:
    from pipeline.formats.maps import map_of

    return map_of(_read(place, "map"), place)


def config_of(source: ConfigSource) -> Config:
    """The configuration: the one named, else that of the present folder, else the defaults.

    Raises SetupError, ServiceError.
    """
    from pipeline.config import Config, read_config
    from pipeline.options import Rules

    if source is None:
        source = Path(DEFAULT_CONFIG_FILE)
        if not source.exists():
            return Config(Rules())
    return read_config(_read(str(source), "configuration"), str(source))


def _read(place: str, what: str) -> bytes:
    """A file's bytes, here or in Cloud Storage; `what` names it. Raises SetupError, ServiceError."""
    try:
        with open_file(place) as stream:
            return stream.read()
    except FileNotFoundError:
        raise SetupError(f"No {what} is at {place}: check the path.") from None
    except OSError as error:
        raise SetupError(f"The {what} {place} cannot be read: {error.strerror}.") from None


def configured_rules(source: ConfigSource, key_file: KeySource) -> Rules:
    """The configuration's rules with the keys, which unsigned dialects do without. Raises SetupError."""
    rules = config_of(source).rules
    return replace(rules, keys=key_ring_of(key_file, may_be_empty=bool(rules.unsigned)))


def rules_of(key_file: KeySource, given: Mapping[str, Any]) -> Rules:
    """The engine's rules: the configuration's, but for what options say. Raises SetupError."""
    import ipaddress

    for path in given["paths"]:
        if not path.startswith("/"):
            raise SetupError(f"--path {path!r} is no path: write it as /pixel.gif.")
    for network in given["proxies"]:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise SetupError(
                f"--trusted-proxy {network!r} is no network: write it as 10.0.0.0/8."
            ) from None
    rules = configured_rules(given["config"], key_file)
    return replace(
        rules,
        paths=given["paths"] or rules.paths,
        trusted_proxies=given["proxies"] or rules.trusted_proxies,
        addresses=given["addresses"] or rules.addresses,
        allow=given["allow"] or rules.allow,
    )


def take_rules(options: dict[str, Any]) -> dict[str, Any]:
    """Takes what `rules_of` wants, but the keys, out of a command's options.

    `config_file` is the configuration named, where it is a file on this machine.
    """
    names = ("paths", "proxies", "addresses", "allow")
    config = options.pop("config_file")
    file = config if isinstance(config, Path) else None
    return {name: options.pop(name) for name in names} | {"config": config, "config_file": file}
