"""`pixelship keys`: makes, lists, retires and revokes signing keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipeline.cli.group import PixelshipGroup
from pipeline.cli.ring import KeySource, key_file_of, key_ring_of, keys_option, read_ring

if TYPE_CHECKING:
    from pipeline.signing import Key


@click.group(cls=PixelshipGroup)
def keys() -> None:
    """Make, list, retire and revoke signing keys.

    A key ring is a JSON file that only its owner may read (mode 600). The newest key signs, all
    keys verify: to rotate, make a new key, sign new URLs with it, and retire the old one when its
    URLs are no longer in use. A key that leaked is revoked.
    """


@keys.command("new")
@keys_option
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="GLOB",
    help="Destinations the key may name, such as 'news.*'. Repeatable; all by default.",
)
@click.option(
    "--secret-from", "reference", metavar="REFERENCE",
    help="Take the secret from file:/PATH, env:NAME or sm://projects/P/secrets/S/versions/V, and leave it there.",
)  # fmt: skip
def new(key_file: KeySource, scopes: tuple[str, ...], reference: str | None) -> None:
    """Add a random key to the key ring; it signs from now on.

    Makes the file where it is missing.
    """
    from pipeline.cli.ring import referred_key
    from pipeline.keyfile import with_new_key, write_key_file
    from pipeline.signing import KeyRing

    path = key_file_of(key_file)
    ring = read_ring(path) if path.exists() else KeyRing()
    ring = with_new_key(ring, scopes, referred_key(reference) if reference else None)
    write_key_file(path, ring)
    click.echo(f"Key {ring.keys[0].id} is in {path} and signs from now on.")


@keys.command("list")
@keys_option
def list_keys(key_file: KeySource) -> None:
    """List the keys: ids, dates, scopes; never the secrets."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    ring = key_ring_of(key_file)
    table = Table("key", "created", "scopes", "use")
    has_sources = any(key.source for key in ring.keys)
    if has_sources:
        table.add_column("secret from")
    for key in ring.keys:
        use = "signs and verifies" if key is ring.signer else _use_of(key)
        created = key.created_at or ("" if key.source else "SIGNER_SECRET")
        sources = [key.source or ""] if has_sources else []
        table.add_row(*map(Text, (key.id, created, " ".join(key.scopes), use, *sources)))
    Console().print(table)


def _use_of(key: Key) -> str:
    """What a key is good for that does not sign."""
    ends = {"retired": key.retired_at_us, "revoked from": key.revoked_at_us}
    told = [f"{word} {_shown(end)}" for word, end in ends.items() if end is not None]
    return ", ".join(told) or "verifies"


def _shown(time_us: int) -> str:
    from datetime import datetime, timezone

    return f"{datetime.fromtimestamp(time_us / 1e6, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


@keys.command("retire")
@click.argument("key_id", metavar="KEY_ID")
@keys_option
def retire(key_id: str, key_file: KeySource) -> None:
    """Retire a key: it signs no more, and views logged from now on with its URLs do not count.

    Views logged before keep counting, however late their log comes.
    """
    from pipeline.keyfile import with_key_retired, write_key_file

    path = key_file_of(key_file)
    write_key_file(path, with_key_retired(read_ring(path), key_id))
    click.echo(f"Key {key_id} is retired.")


@keys.command("revoke")
@click.argument("key_id", metavar="KEY_ID")
@click.option(
    "--from", "since", required=True, metavar="TIME",
    help="Views logged at this time or later do not count; ISO 8601, UTC where no zone is named.",
)  # fmt: skip
@keys_option
def revoke(key_id: str, since: str, key_file: KeySource) -> None:
    """Revoke a key that leaked: views logged from a time on, past or not, do not count.

    Rows that are loaded already stay: what to do about them is printed.
    """
    from pipeline.cli.filters import time_of
    from pipeline.keyfile import with_key_revoked, write_key_file

    path, time = key_file_of(key_file), time_of("--from", since)
    assert time is not None  # noqa: S101 - the option is required
    write_key_file(path, with_key_revoked(read_ring(path), key_id, time))
    shown = f"{time:%Y-%m-%d %H:%M:%S} UTC"
    click.echo(f"Key {key_id} is revoked from {shown} on: it signs no more, and later views of its URLs do not count.")  # fmt: skip
    click.echo(
        f"Rows that are loaded already stay. To count them, in each table:\n"
        f"  SELECT count(*) FROM DATASET.TABLE WHERE key_id = '{key_id}' AND timestamp >= '{time:%Y-%m-%d %H:%M:%S}+00'\n"
        f"To take them out, unload each day since then and load the logs again:\n"
        f"  pixelship unload --day {time:%Y-%m-%d}\n"
        f"  pixelship load LOG..."
    )
