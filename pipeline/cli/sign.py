"""`pixelship sign`: makes pixels' URLs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from pipeline.cli.ring import KeySource, keys_option, signer_of
from pipeline.cli.text import image_tag
from pipeline.errors import SetupError

if TYPE_CHECKING:
    from pipeline.signing import Key

_RESERVED = ("k", "c", "d", "s")
_DEFAULT_PATH = "/pixel.gif"
_NAME_VALUE = "NAME=VALUE"
_DURATION = re.compile(r"(\d{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@click.command()
@click.option("--key", help="What is viewed, such as an article's id.")
@click.option("--canonical", metavar="URL", help="The page's canonical URL.")
@click.option("--to", "destination", metavar="DATASET.TABLE", help="The table for the views.")
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
    "--param", "params", multiple=True, metavar=_NAME_VALUE,
    help="A further signed parameter, stored in the column params. Repeatable.",
)  # fmt: skip
@click.option(
    "--unsigned", multiple=True, metavar=_NAME_VALUE,
    help="A parameter that is not signed, such as a cache buster, stored in the column extras; merge tags stay as they are. Repeatable.",
)  # fmt: skip
@click.option("--not-before", metavar="TIME", help="Views logged before do not count: ISO 8601, or from now, as in 2h.")  # fmt: skip
@click.option("--expires", metavar="TIME", help="Views logged then or later do not count: ISO 8601, or from now, as in 30d.")  # fmt: skip
@click.option(
    "--csv", "table", type=click.Path(path_type=Path), metavar="FILE",
    help="Sign each row of a CSV file: its columns key, canonical, to, and others as --param. Prints it with a column url.",
)  # fmt: skip
@click.option("--v1", "is_v1", is_flag=True, help="Make a URL in the form of PRX's pixel tracker.")
@keys_option
def sign(
    base: str, html: bool, table: Path | None, is_v1: bool, key_file: KeySource, **given: Any
) -> None:
    """Print the signed URL of a pixel.

    What is signed may not be changed or taken from the URL; other parameters may be added to it. With
    --v1, nothing may be added either.
    """
    if "?" in base or "#" in base:
        raise SetupError(f"--base {base!r} may have no query: the signed one is put after it.")
    if is_v1 and (given["unsigned"] or given["expires"] or given["not_before"]):
        raise SetupError("Version 1 signs every parameter and knows no times: leave out --v1, or --unsigned, --expires and --not-before.")  # fmt: skip
    signer = signer_of(key_file)
    bounds = _bounds(given["not_before"], given["expires"])
    reserved = _RESERVED if is_v1 else (*_RESERVED, "exp", "nbf")
    params = read_pairs(given["params"], "--param", reserved)
    unsigned = read_pairs(given["unsigned"], "--unsigned", (*_RESERVED, *params, *bounds))
    maker = Maker(signer, f"{_with_path(base)}?", is_v1, bounds, _unsigned_query(unsigned), html)
    view = View(given["key"], given["canonical"], given["destination"], params)
    if table:
        from pipeline.cli.sign_csv import sign_csv

        sign_csv(table, view, (*reserved, *unsigned), maker)
    else:
        click.echo(maker.make([view])[0])


@dataclass(frozen=True)
class View:
    """What a pixel's URL is to say; null where nothing was said."""

    key: str | None
    canonical: str | None
    destination: str | None
    params: dict[str, str]


@dataclass(frozen=True)
class Maker:
    """Makes URLs, or tags, of views: all with the same key, bounds and unsigned parameters."""

    signer: Key
    head: str
    is_v1: bool
    bounds: dict[str, str]
    unsigned: str
    is_html: bool

    def make(self, views: Sequence[View]) -> list[str]:
        """A URL for each view; raises SetupError for one that would not count."""
        from pipeline.signing import sign_queries_v2, sign_query

        every = [self._parameters(view) for view in views]
        if self.is_v1:
            queries = [sign_query(parameters, self.signer) for parameters in every]
        else:
            queries = sign_queries_v2(every, self.signer)
        urls = [f"{self.head}{query}{self.unsigned}" for query in queries]
        return [image_tag(url) for url in urls] if self.is_html else urls

    def _parameters(self, view: View) -> dict[str, str]:
        """In the order of the URL: the longest last, so that a cut URL keeps the rest."""
        from pipeline.destinations import is_permitted

        if view.key is None or view.canonical is None or view.destination is None:
            raise SetupError("--key, --canonical and --to are needed: each in its option, or in a column of --csv.")  # fmt: skip
        if not view.key or not view.canonical:
            raise SetupError("--key and --canonical may not be empty: such a view would not count.")
        if "\0" in view.key + view.canonical + "".join(view.params.values()):
            raise SetupError("A NUL cannot be signed: take it out.")
        if not is_permitted(view.destination) or not self.signer.may_name(view.destination):
            raise SetupError(f"{view.destination!r} is no permitted DATASET.TABLE: use letters, digits and _, and a destination in the key's scope.")  # fmt: skip
        return {"k": view.key, "d": view.destination, **view.params, **self.bounds, "c": view.canonical}  # fmt: skip


def read_pairs(pairs: tuple[str, ...], option: str, taken: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` as a mapping; raises a usage error for what is none, reserved or given twice."""
    read: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals or name in taken or name in read or "\0" in pair:
            raise click.BadParameter(
                f"{pair!r} must be NAME=VALUE, each name once, none of {', '.join(taken)}.",
                param_hint=option,
            )
        read[name] = value
    return read


def _unsigned_query(unsigned: dict[str, str]) -> str:
    """What is put behind a signed query string: values escaped, but for merge tags in them."""
    from pipeline.repair.tags import TAGS

    tag = re.compile(f"({'|'.join(TAGS)})")
    escaped = {
        name: "".join(
            part if at % 2 else quote(part, safe="") for at, part in enumerate(tag.split(value))
        )
        for name, value in unsigned.items()
    }
    return "".join(f"&{quote(name, safe='')}={value}" for name, value in escaped.items())


def _bounds(not_before: str | None, expires: str | None) -> dict[str, str]:
    """The signed bounds, seconds since 1970; raises SetupError."""
    texts = {"nbf": ("--not-before", not_before), "exp": ("--expires", expires)}
    seconds = {name: _time_s(*text) for name, text in texts.items() if text[1] is not None}
    if seconds.get("nbf", -1) >= seconds.get("exp", 1 << 62):
        raise SetupError("--not-before must be earlier than --expires: no view would count.")
    return {name: str(time_s) for name, time_s in seconds.items()}


def _time_s(option: str, text: str | None) -> int:
    import time

    from pipeline.cli.filters import time_of

    if given := _DURATION.fullmatch(text or ""):
        return int(time.time()) + int(given[1]) * _SECONDS[given[2]]
    moment = time_of(option, text)
    if moment is None or moment.timestamp() < 0:
        raise SetupError(f"{option} {text!r} is before 1970: give a later time.")
    return int(moment.timestamp())


def _with_path(base: str) -> str:
    scheme, separator, rest = base.partition("://")
    if not separator:
        scheme, rest = "", base
    return (
        f"{scheme}{separator}{rest}"
        if rest.partition("/")[2]
        else f"{base.rstrip('/')}{_DEFAULT_PATH}"
    )
