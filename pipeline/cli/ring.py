"""Where a command's keys come from: the one place that reads `SIGNER_SECRET`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.errors import SetupError

if TYPE_CHECKING:
    from pipeline.signing import KeyRing

DEFAULT_KEY_FILE = "pixelship-keys.json"
_Command = TypeVar("_Command", bound=Callable[..., Any])


def keys_option(command: _Command) -> _Command:
    """Adds `--keys` to a command."""
    return click.option(
        "--keys",
        "key_file",
        type=click.Path(path_type=Path),
        envvar="PIXELSHIP_KEYS",
        show_envvar=True,
        help=f"Key ring file; {DEFAULT_KEY_FILE} where there is one.",
    )(command)


def key_ring_of(key_file: Path | None) -> KeyRing:
    """The keys of the file and of `SIGNER_SECRET` (comma separated: the first signs, all verify).

    The file's keys come first. Raises SetupError where there are none.
    """
    from pipeline.keyfile import read_key_file
    from pipeline.signing import MOST_KEYS, KeyRing, key_ring

    if key_file is None and Path(DEFAULT_KEY_FILE).exists():
        key_file = Path(DEFAULT_KEY_FILE)
    keys = read_key_file(key_file).keys if key_file else ()
    listed = os.environ.get("SIGNER_SECRET", "").split(",")
    secrets = [secret.strip() for secret in listed if secret.strip()]
    ring = KeyRing(keys + key_ring(secrets).keys)
    if not ring.keys:
        raise SetupError(
            "There is no signing key: make one with `pixelship keys new`, "
            "name a key ring with --keys, or set SIGNER_SECRET."
        )
    if len(ring.keys) > MOST_KEYS:
        raise SetupError(f"There are {len(ring.keys)} signing keys: {MOST_KEYS} are the most.")
    return ring
