"""Where a command's keys come from: the one place that reads `SIGNER_SECRET`, and what `env:` names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from pipeline.errors import SetupError

if TYPE_CHECKING:
    from pipeline.signing import Key, KeyRing

DEFAULT_KEY_FILE = "pixelship-keys.json"
KeySource: TypeAlias = "Path | str | None"
"""A key ring's file, or a reference to a key ring; null for the default."""
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _source(_context: click.Context, _option: click.Parameter, text: str | None) -> KeySource:
    from pipeline.secret_references import is_reference

    return text if text is None or is_reference(text) else Path(text)


def keys_option(command: _Command) -> _Command:
    """Adds `--keys` to a command."""
    return click.option(
        "--keys",
        "key_file",
        callback=_source,
        metavar="PATH",
        envvar="PIXELSHIP_KEYS",
        show_envvar=True,
        help=f"Key ring file, or a reference to a key ring (file:/PATH, env:NAME, sm://…); {DEFAULT_KEY_FILE} where there is one.",
    )(command)


def key_file_of(source: KeySource) -> Path:
    """The key ring's file, to change it; raises SetupError where it is kept elsewhere."""
    if isinstance(source, str):
        raise SetupError(f"The key ring at {source} cannot be changed from here: change it there, or name its file with --keys.")  # fmt: skip
    return source or Path(DEFAULT_KEY_FILE)


def key_files(source: KeySource) -> tuple[Path, ...]:
    """The files on this machine that hold the key ring, whether they are there or not."""
    from pipeline.secret_references import file_of

    path = file_of(source) if isinstance(source, str) else source or Path(DEFAULT_KEY_FILE)
    return (path,) if path else ()


def _environment() -> Mapping[str, str]:
    return os.environ


def remote_reference(source: KeySource) -> str | None:
    """The reference to a key ring that other machines can follow as well, where it is one.

    Raises SetupError where there are keys beside it that they would not see.
    """
    if not isinstance(source, str) or not source.startswith("sm://"):
        return None
    if _environment().get("SIGNER_SECRET"):
        raise SetupError(f"SIGNER_SECRET is known to this machine alone: put its keys into the key ring at {source}, and unset it.")  # fmt: skip
    return source


def read_ring(path: Path) -> KeyRing:
    """The key ring in a file, references in it followed; raises SetupError, ServiceError."""
    from pipeline.keyfile import read_key_file

    return read_key_file(path, _environment())


def referred_key(reference: str) -> Key:
    """A key whose secret stays where a reference leads to; raises SetupError, ServiceError."""
    from pipeline.keyfile import referred_key

    return referred_key(reference, _environment())


def signer_of(source: KeySource) -> Key:
    """The key that signs; raises SetupError where there is none."""
    signer = key_ring_of(source).signer
    if signer is None:
        raise SetupError("All keys are retired: make one with `pixelship keys new`.")
    return signer


def key_ring_of(source: KeySource, *, may_be_empty: bool = False) -> KeyRing:
    """The keys of a file or reference, and of `SIGNER_SECRET` (comma separated: the first signs, all verify).

    The file's keys come first. References are followed here, once. Raises SetupError where there
    are no keys, unless `may_be_empty`, and ServiceError.
    """
    from pipeline.keyfile import read_key_reference
    from pipeline.signing import MOST_KEYS, KeyRing, key_ring

    if source is None and Path(DEFAULT_KEY_FILE).exists():
        source = Path(DEFAULT_KEY_FILE)
    if isinstance(source, str):
        keys = read_key_reference(source, _environment()).keys
    else:
        keys = read_ring(source).keys if source else ()
    listed = _environment().get("SIGNER_SECRET", "").split(",")
    secrets = [secret.strip() for secret in listed if secret.strip()]
    ring = KeyRing(keys + key_ring(secrets).keys)
    if not ring.keys and not may_be_empty:
        raise SetupError(
            "There is no signing key: make one with `pixelship keys new`, "
            "name a key ring with --keys, or set SIGNER_SECRET."
        )
    if len(ring.keys) > MOST_KEYS:
        raise SetupError(f"There are {len(ring.keys)} signing keys: {MOST_KEYS} are the most.")
    return ring
