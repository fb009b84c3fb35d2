"""`pixelship sign`: makes a pixel's URL."""

from __future__ import annotations

from html import escape
from pathlib import Path

import click

from pipeline.cli.ring import key_ring_of, keys_option
from pipeline.errors import SetupError

_RESERVED = ("k", "c", "d", "s")
_DEFAULT_PATH = "/pixel.gif"


@click.command()
@click.option("--key", required=True, help="What is viewed, such as an article's id.")
@click.option("--canonical", required=True, metavar="URL", help="The page's canonical URL.")
@click.option("--to", "destination", required=True, metavar="DATASET.TABLE", help="The table for the views.")  # fmt: skip
@click.option(
    "--base",
    default="https://px.example.org",
    show_default=True,
    envvar="PIXELSHIP_BASE",
    show_envvar=True,
    metavar="URL",
    help=f"Where the pixel is served; {_DEFAULT_PATH} where it names no path.",
)
@click.option("--html", is_flag=True, help="Print an <img> tag.")
@click.option(
    "--param", "params", multiple=True, metavar="NAME=VALUE",
    help="A further signed parameter, stored in the column params. Repeatable.",
)  # fmt: skip
@keys_option
def sign(
    key: str,
    canonical: str,
    destination: str,
    base: str,
    html: bool,
    params: tuple[str, ...],
    key_file: Path | None,
) -> None:
    """Print the signed URL of a pixel.

    Nothing may be added to the URL or taken from it afterwards: that breaks the signature.
    """
    from pipeline.destinations import is_permitted
    from pipeline.signing import sign_query

    if not key or not canonical:
        raise SetupError("--key and --canonical may not be empty: such a view would not count.")
    if "?" in base or "#" in base:
        raise SetupError(f"--base {base!r} may have no query: the signed one is put after it.")
    signer = key_ring_of(key_file).signer
    if signer is None:
        raise SetupError("All keys are retired: make one with `pixelship keys new`.")
    if not is_permitted(destination) or not signer.may_name(destination):
        raise SetupError(f"{destination!r} is no permitted DATASET.TABLE: use letters, digits and _, and a destination in the key's scope.")  # fmt: skip
    query = sign_query({"k": key, "d": destination, **_read(params), "c": canonical}, signer)
    url = f"{_with_path(base)}?{query}"
    click.echo(f'<img src="{escape(url)}" alt="" width="1" height="1">' if html else url)


def _read(params: tuple[str, ...]) -> dict[str, str]:
    """`NAME=VALUE` as a mapping; raises a usage error for what is none, reserved or given twice."""
    read: dict[str, str] = {}
    for param in params:
        name, equals, value = param.partition("=")
        if not name or not equals or name in _RESERVED or name in read or "\0" in param:
            raise click.BadParameter(
                f"{param!r} must be NAME=VALUE, each name once, none of {', '.join(_RESERVED)}.",
                param_hint="--param",
            )
        read[name] = value
    return read


def _with_path(base: str) -> str:
    scheme, separator, rest = base.partition("://")
    if not separator:
        scheme, rest = "", base
    return (
        f"{scheme}{separator}{rest}"
        if rest.partition("/")[2]
        else f"{base.rstrip('/')}{_DEFAULT_PATH}"
    )
