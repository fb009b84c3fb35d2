"""The rules that a command judges lines by: options, and what they mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.cli.ring import KeySource, key_ring_of, keys_option
from pipeline.cli.text import printable
from pipeline.errors import SetupError

if TYPE_CHECKING:
    from pipeline.formats import Format
    from pipeline.options import AddressPolicy, Rules

AUTO = "auto"
_MAP = ".toml"
_Command = TypeVar("_Command", bound=Callable[..., Any])


def rule_options(command: _Command) -> _Command:
    """Adds `--format`, the keys, and the rules to a command."""
    for option in reversed(
        (
            click.option("--format", "log_format", default=AUTO, show_default=True, metavar="NAME|MAP", help="The log format (see `pixelship formats`), or a map, as in FILE.toml; told from the content by default."),
            keys_option,
            click.option("--path", "paths", multiple=True, metavar="PATH", help="A path that is a pixel's; repeatable. By default /pixel.gif, /i.gif and /r.gif."),
            click.option("--trusted-proxy", "proxies", multiple=True, metavar="CIDR", help="A network whose X-Forwarded-For is believed; repeatable."),
            click.option("--addresses", default="mask", show_default=True, type=click.Choice(("mask", "keep", "drop")), help="What is stored of visitors' addresses: /24 and /48, all, or nothing."),
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


def rules_of(
    key_file: KeySource,
    paths: tuple[str, ...],
    proxies: tuple[str, ...],
    addresses: AddressPolicy,
    allow: tuple[str, ...],
) -> Rules:
    """The engine's rules; lists that were not given keep their defaults. Raises SetupError."""
    import ipaddress

    from pipeline.options import PIXEL_PATHS, Rules

    for path in paths:
        if not path.startswith("/"):
            raise SetupError(f"--path {path!r} is no path: write it as /pixel.gif.")
    for network in proxies:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise SetupError(
                f"--trusted-proxy {network!r} is no network: write it as 10.0.0.0/8."
            ) from None
    return Rules(key_ring_of(key_file), paths or PIXEL_PATHS, proxies, addresses, allow or ("*",))


def take_rules(options: dict[str, Any]) -> dict[str, Any]:
    """Takes what `rules_of` wants, but the keys, out of a command's options."""
    return {name: options.pop(name) for name in ("paths", "proxies", "addresses", "allow")}
