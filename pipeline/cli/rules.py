"""The rules that a command judges lines by: options, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.cli.ring import KeySource, key_ring_of, keys_option
from pipeline.cli.text import printable
from pipeline.errors import SetupError

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.formats import Format
    from pipeline.options import Rules

AUTO = "auto"
DEFAULT_CONFIG_FILE = "pixelship.toml"
_MAP = ".toml"
_Command = TypeVar("_Command", bound=Callable[..., Any])


def config_option(command: _Command) -> _Command:
    """Adds `--config` to a command."""
    return click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        envvar="PIXELSHIP_CONFIG",
        show_envvar=True,
        help=f"Configuration file; {DEFAULT_CONFIG_FILE} where there is one. Options go before it.",
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
        return _map_in(Path(name))
    if found := formats.named(name):
        return found
    known = ", ".join(each.name for each in formats.FORMATS)
    raise SetupError(
        f"--format {printable(name)} is not known: choose one of {known}, or name a map, as in FILE.toml."
    )


def map_files(name: str) -> tuple[Path, ...]:
    """The map's file, where the format is a map: it is no log, wherever it lies."""
    return (Path(name),) if name.endswith(_MAP) else ()


def _map_in(path: Path) -> Format:
    from pipeline.formats.maps import map_of

    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise SetupError(f"No map is at {path}: check the path.") from None
    except OSError as error:
        raise SetupError(f"The map {path} cannot be read: {error.strerror}.") from None
    return map_of(data, str(path))


def config_of(file: Path | None) -> Config:
    """The configuration: the file named, else that of the present folder, else the defaults.

    Raises SetupError.
    """
    from pipeline.config import Config, read_config
    from pipeline.options import Rules

    if file is None:
        file = Path(DEFAULT_CONFIG_FILE)
        if not file.exists():
            return Config(Rules())
    try:
        return read_config(file.read_bytes(), str(file))
    except FileNotFoundError:
        raise SetupError(f"No configuration is at {file}: check the path.") from None
    except OSError as error:
        raise SetupError(f"The configuration {file} cannot be read: {error.strerror}.") from None


def configured_rules(file: Path | None, key_file: KeySource) -> Rules:
    """The configuration's rules with the keys, which unsigned dialects do without. Raises SetupError."""
    rules = config_of(file).rules
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
    rules = configured_rules(given["config_file"], key_file)
    return replace(
        rules,
        paths=given["paths"] or rules.paths,
        trusted_proxies=given["proxies"] or rules.trusted_proxies,
        addresses=given["addresses"] or rules.addresses,
        allow=given["allow"] or rules.allow,
    )


def take_rules(options: dict[str, Any]) -> dict[str, Any]:
    """Takes what `rules_of` wants, but the keys, out of a command's options."""
    names = ("config_file", "paths", "proxies", "addresses", "allow")
    return {name: options.pop(name) for name in names}
