"""`pixelship keys`: makes, lists and retires signing keys."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.group import PixelshipGroup
from pipeline.cli.ring import DEFAULT_KEY_FILE, key_ring_of, keys_option


@click.group(cls=PixelshipGroup)
def keys() -> None:
    """Make, list and retire signing keys.

    A key ring is a JSON file that only its owner may read (mode 600). The newest key signs, all
    keys verify: to rotate, make a new key, sign new URLs with it, and retire the old one when its
    URLs are no longer in use.
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
def new(key_file: Path | None, scopes: tuple[str, ...]) -> None:
    """Add a random key to the key ring; it signs from now on.

    Makes the file where it is missing.
    """
    from pipeline.keyfile import read_key_file, with_new_key, write_key_file
    from pipeline.signing import KeyRing

    path = key_file or Path(DEFAULT_KEY_FILE)
    ring = with_new_key(read_key_file(path) if path.exists() else KeyRing(), scopes)
    write_key_file(path, ring)
    click.echo(f"Key {ring.keys[0].id} is in {path} and signs from now on.")


@keys.command("list")
@keys_option
def list_keys(key_file: Path | None) -> None:
    """List the keys: ids, dates, scopes; never the secrets."""
    from datetime import datetime, timezone

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    ring = key_ring_of(key_file)
    table = Table("key", "created", "scopes", "use")
    for key in ring.keys:
        use = "signs and verifies" if key is ring.signer else "verifies"
        if key.retired_at_us is not None:
            retired = datetime.fromtimestamp(key.retired_at_us / 1e6, timezone.utc)
            use = f"retired {retired:%Y-%m-%d %H:%M:%S} UTC"
        texts = (key.id, key.created_at or "SIGNER_SECRET", " ".join(key.scopes), use)
        table.add_row(*map(Text, texts))
    Console().print(table)


@keys.command("retire")
@click.argument("key_id", metavar="KEY_ID")
@keys_option
def retire(key_id: str, key_file: Path | None) -> None:
    """Retire a key: it signs no more, and views logged from now on with its URLs do not count.

    Views logged before keep counting, however late their log comes.
    """
    from pipeline.keyfile import read_key_file, with_key_retired, write_key_file

    path = key_file or Path(DEFAULT_KEY_FILE)
    write_key_file(path, with_key_retired(read_key_file(path), key_id))
    click.echo(f"Key {key_id} is retired.")
