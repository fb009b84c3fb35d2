"""`pixelship email`: e-mails that are sent with a pixel, and who opened them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from pipeline.cli.filters import time_of
from pipeline.cli.ring import KeySource, keys_option, signer_of
from pipeline.cli.rules import DEFAULT_CONFIG_FILE, ConfigSource, config_of, config_option
from pipeline.cli.sign import Maker, View
from pipeline.cli.text import image_tag
from pipeline.cli.warehouse import (
    loaded_warehouse_of,
    table_options,
    warehouse_of,
    warehouse_options,
)
from pipeline.errors import SetupError

if TYPE_CHECKING:
    from pipeline.cli.lists import CsvList
    from pipeline.config import Config
    from pipeline.options import UnsignedDialect
    from pipeline.sends import Mailing, Send
    from pipeline.warehouses.views import Question, Readable

_DIALECT = "email"
_MARK = "sh"
_ADDED = ("send_id", "tag")
_MOST_SENDS = 1_000_000
_CAMPAIGN = ("campaign", "campaign_hash", "sends", "opens", "unique_opens", "open_percent", "first_open", "last_open")  # fmt: skip
_SEND = (
    "send_id", "created_at", "job_number", "client_id", "recipient", "recipient_key_id",
    "opens", "first_open", "last_open",
)  # fmt: skip
_ONLY_JSON = ("campaign_hash", "client_id", "created_at", "recipient", "recipient_key_id")
"""What tables leave to `--json`."""

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else.")


@click.group()
def email() -> None:
    """Send e-mails with a pixel, and see who opened them."""


@email.command("new")
@click.option("--job-number", required=True, help="The mailing that the e-mails are part of.")
@click.option("--client-id", required=True, help="Whom the mailing is for.")
@click.option("--campaign", required=True, metavar="NAME", help="The campaign.")
@click.option("--count", type=click.IntRange(1, _MOST_SENDS), metavar="N", help="How many e-mails, where no list of recipients is given; 1 by default.")  # fmt: skip
@click.option("--recipient-file", metavar="CSV", type=click.Path(path_type=Path), help="A list of recipients: an e-mail for each, and the list is printed with the columns send_id and tag.")  # fmt: skip
@click.option("--recipient-column", default="email", show_default=True, metavar="NAME", help="The column of the list that tells recipients.")  # fmt: skip
@click.option("--store-recipients", type=click.Choice(("hash", "plain")), default="hash", show_default=True, help="What is stored of recipients: a keyed hash, or the text itself.")  # fmt: skip
@click.option("--base", default="https://px.example.org", show_default=True, envvar="PIXELSHIP_BASE", show_envvar=True, metavar="URL", help="Where the pixel is served; its path is that of the configuration where it names none.")  # fmt: skip
@click.option("--canonical", metavar="URL", help="The mailing's page: has the tags signed, with the campaign as their key.")  # fmt: skip
@click.option("--html", is_flag=True, help="Print <img> tags.")
@_json_option
@keys_option
@config_option
@warehouse_options
@table_options
def new(
    job_number: str,
    client_id: str,
    campaign: str,
    count: int | None,
    recipient_file: Path | None,
    recipient_column: str,
    store_recipients: str,
    base: str,
    canonical: str | None,
    html: bool,
    as_json: bool,
    key_file: KeySource,
    config_file: ConfigSource,
    warehouse: str,
    **others: Any,
) -> None:
    """Make ids for e-mails, note them in pixelship.sends, and print them.

    All are noted, or none, before any is printed. The opens go to the table that the configuration
    names under [email].
    """
    from pipeline.cli.lists import read_list, with_columns
    from pipeline.sends import Mailing, Send, new_ids

    if not (job_number.strip() and client_id.strip() and campaign.strip()):
        raise SetupError("--job-number, --client-id and --campaign may not be empty.")
    if "?" in base or "#" in base:
        raise SetupError(f"--base {base!r} may have no query: the id is put after it.")
    if recipient_file and (count or html):
        raise SetupError("A list of recipients tells how many, and is printed with tags: leave --count and --html out.")  # fmt: skip
    config = config_of(config_file)
    dialect = _dialect(config)
    given = read_list(recipient_file) if recipient_file else None
    for name in ("url", *_ADDED) if as_json else _ADDED:
        if given and given.has(name):
            raise SetupError(f"{given.file} has a column {name} already: rename it.")
    ids = new_ids(len(given.rows) if given else count or 1)
    stored: list[tuple[str | None, str | None]] = [(None, None)] * len(ids)
    if given:
        stored = _stored(given, recipient_column, key_file, is_plain=store_recipients == "plain")
    mailing, now = Mailing(job_number, client_id, campaign), datetime.now(timezone.utc)
    sends = [Send(id_, now, mailing, *who) for id_, who in zip(ids, stored, strict=True)]
    pixel = _with_path(base, dialect)
    if canonical is None:
        urls = [f"{pixel}?{_MARK}={id_}" for id_ in ids]
    else:
        _check_signed(pixel, config.rules.paths)
        view = View(campaign, canonical, dialect.destinations[""], {})
        urls = _signed(pixel, view, ids, key_file)
    with warehouse_of(warehouse, **others) as opened:
        _write(sends, dialect, opened)
    if as_json:
        click.echo(json.dumps(_to_json(mailing, ids, urls, given), ensure_ascii=False))
    elif given:
        added = dict(zip(_ADDED, (ids, list(map(image_tag, urls))), strict=True))
        click.echo(with_columns(given, added), nl=False)
    else:
        click.echo("\n".join(map(image_tag, urls) if html else ids))


@email.command("import")
@click.argument("file", metavar="CSV", type=click.Path(path_type=Path))
@_json_option
@config_option
@warehouse_options
@table_options
def bring_in(
    file: Path, as_json: bool, config_file: ConfigSource, warehouse: str, **others: Any
) -> None:
    """Note ids that another system made and that are in e-mails already.

    CSV is a list with the columns send_id, job_number, client_id, campaign and, where it is known,
    created_at. All are noted or none; those that are there already are left as they are.
    """
    from pipeline.cli.lists import read_list

    dialect = _dialect(config_of(config_file))
    sends = _sends_of(read_list(file))
    with warehouse_of(warehouse, **others) as opened:
        known = opened.known_sends([send.id for send in sends])
        fresh = [send for send in sends if send.id not in known]
        if fresh:
            _write(fresh, dialect, opened)
    if as_json:
        click.echo(json.dumps({"noted": len(fresh), "known": len(known)}))
        return
    click.echo(f"{_so_many(len(fresh))} noted; {len(known):,} {'was' if len(known) == 1 else 'were'} there already.")  # fmt: skip


@email.command("campaigns")
@_json_option
@warehouse_options
def campaigns(as_json: bool, warehouse: str, **others: Any) -> None:
    """Show each campaign's sends and opens.

    They are what the view pixelship.campaigns holds. open_percent is the share of sends that were
    opened at least once.
    """
    from pipeline.warehouses.views import CAMPAIGNS, Question

    question = Question(f"SELECT {', '.join(_CAMPAIGN)} FROM {{}} ORDER BY campaign", (CAMPAIGNS,))
    _show(_CAMPAIGN, _ask(question, warehouse, others), as_json=as_json)


@email.command("sends")
@click.argument("campaign")
@_json_option
@warehouse_options
def sends(campaign: str, as_json: bool, warehouse: str, **others: Any) -> None:
    """Show the sends of a campaign, and which were opened.

    They are what the view pixelship.campaign_sends holds. CAMPAIGN is the campaign's name or its
    hash.
    """
    from pipeline.warehouses.views import CAMPAIGN_SENDS, Question

    question = Question(
        f"SELECT {', '.join(_SEND)} FROM {{}} "
        "WHERE campaign = @named OR campaign_hash = @named ORDER BY created_at, send_id",
        (CAMPAIGN_SENDS,),
        {"named": campaign},
    )
    found = _ask(question, warehouse, others)
    if not found:
        raise SetupError(f"No send is of a campaign {campaign!r}: see `pixelship email campaigns`.")
    _show(_SEND, found, as_json=as_json)


def _dialect(found: Config) -> UnsignedDialect:
    """What the configuration says of e-mails; raises SetupError."""
    if dialect := found.rules.dialect(_DIALECT):
        return dialect
    file = found.file or DEFAULT_CONFIG_FILE
    raise SetupError(
        f'Nothing says where opens go: write `[email]` and below it `destination = "mail.opens"` into {file}.'
    )


def _stored(
    given: CsvList, column: str, key_file: KeySource, *, is_plain: bool
) -> list[tuple[str | None, str | None]]:
    """What is stored of recipients, each with the key's id; raises SetupError."""
    from pipeline.sends import recipient_hash

    recipients = given.column(column, "name the one that tells recipients with --recipient-column")
    if is_plain:
        return [(recipient, None) for recipient in recipients]
    key = signer_of(key_file)
    return [(recipient_hash(recipient, key), key.id) for recipient in recipients]


def _sends_of(given: CsvList) -> list[Send]:
    """The sends in a list, each id once; raises SetupError."""
    from pipeline.sends import Mailing, Send

    now = datetime.now(timezone.utc)
    names = ("send_id", "job_number", "client_id", "campaign")
    columns = (*map(given.column, names), given.values("created_at"), given.lines)
    found: dict[str, Send] = {}
    for id_, job_number, client_id, campaign, created_at, line in zip(*columns, strict=True):
        try:
            time = time_of("created_at", created_at) if created_at else now
        except SetupError as error:
            raise SetupError(f"Line {line} of {given.file}: {error}") from None
        send = Send(str(id_), time or now, Mailing(job_number, client_id, campaign))
        if found.setdefault(send.id, send) != send:
            raise SetupError(f"Line {line} of {given.file} has an id that stands above with other values: keep one of the two.")  # fmt: skip
    return list(found.values())


def _write(sends: list[Send], dialect: UnsignedDialect, opened: Any) -> None:
    from pipeline.sends import rows_of

    opens = dialect.destinations[""]
    opened.add_sends(rows_of(sends, opens), opens)


def _path_of(url: str) -> str:
    """The path of a URL, whose scheme may be missing; raises ValueError."""
    return urlsplit(url if "//" in url else f"//{url}").path


def _is_path(path: str, wanted: tuple[str, ...]) -> bool:
    import pyarrow as pa

    from pipeline.options import is_path

    return bool(is_path(pa.array([path.encode()]), wanted)[0])


def _with_path(base: str, dialect: UnsignedDialect) -> str:
    """Where the pixel is; a path of the base's own goes before the configuration's.

    Raises SetupError where opens of it would not count.
    """
    try:
        path = _path_of(base)
    except ValueError:
        raise SetupError(
            f"--base {base!r} is no URL: write it as https://px.example.org."
        ) from None
    if path.strip("/"):
        if not _is_path(path, dialect.paths):
            raise SetupError(
                f"--base {base!r} names the path {path}, whose opens would not count: "
                f"name one of {', '.join(dialect.paths)}, or add it to paths under [email]."
            )
        return base
    usual = next((path for path in dialect.paths if not path.endswith("*")), None)
    if usual is None:
        raise SetupError(f"--base names no path, and [email] only {', '.join(dialect.paths)}: name one.")  # fmt: skip
    return f"{base.rstrip('/')}{usual}"


def _check_signed(pixel: str, paths: tuple[str, ...]) -> None:
    """Raises SetupError for a path other than those on which signatures are looked at."""
    if not _is_path(_path_of(pixel), paths):
        raise SetupError(f"Signed pixels count on {', '.join(paths)} alone: name one with --base, or add the path under [prx].")  # fmt: skip


def _signed(pixel: str, view: View, ids: list[str], key_file: KeySource) -> list[str]:
    """A signed URL of the view for each id; raises SetupError."""
    maker = Maker(signer_of(key_file), f"{pixel}?", False, {}, "", False)
    return maker.make([replace(view, params={_MARK: id_}) for id_ in ids])


def _to_json(
    mailing: Mailing, ids: list[str], urls: list[str], given: CsvList | None
) -> dict[str, Any]:
    """What `--json` prints: the mailing and its sends, with what the list says of each."""
    rows: list[dict[str, str]] = [{} for _ in ids]
    if given:
        rows = [dict(zip(given.columns, row, strict=True)) for row in given.rows]
    return {
        "job_number": mailing.job_number,
        "client_id": mailing.client_id,
        "campaign": mailing.campaign,
        "campaign_hash": mailing.campaign_hash,
        "open_hash": mailing.open_hash,
        "sends": [
            {**row, "send_id": id_, "url": url, "tag": image_tag(url)}
            for row, id_, url in zip(rows, ids, urls, strict=True)
        ],
    }


def _so_many(count: int) -> str:
    return "1 send is" if count == 1 else f"{count:,} sends are"


def _ask(question: Question, warehouse: str, others: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What a view says; raises SetupError where there are no sends."""
    found: Readable = loaded_warehouse_of(warehouse, **others)
    with found.reading() as reader:
        if not reader.has(question.tables[0]):
            raise SetupError(
                "No e-mails were sent yet: make some with `pixelship email new`, "
                "or bring ids in with `pixelship email import`."
            )
        return reader.ask(question)


def _show(names: tuple[str, ...], rows: list[tuple[Any, ...]], *, as_json: bool) -> None:
    """Prints what a view says; times in UTC."""
    if as_json:
        found = [dict(zip(names, map(_plain, row), strict=True)) for row in rows]
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pipeline.cli.text import printable

    table = Table()
    shown = [name for name in names if name not in _ONLY_JSON]
    for name in shown:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        told = dict(zip(names, map(_shown, row), strict=True))
        table.add_row(*(Text(printable(told[name])) for name in shown))
    Console().print(table)


def _plain(value: object) -> object:
    """A value for JSON: times as ISO 8601."""
    return value.isoformat() if isinstance(value, datetime) else value


def _shown(value: object) -> object:
    """A value for people: times to the minute, thousands apart."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return f"{value:,}" if isinstance(value, (int, float)) else value
