"""The key ring as a file: JSON that only its owner may read."""

from __future__ import annotations

import json
import os
import secrets
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pipeline.errors import SetupError
from pipeline.signing import Key, KeyRing

_SECRET_BYTES = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def read_key_file(path: Path) -> KeyRing:
    """The key ring in a file; raises SetupError where it is missing, open to others or no key ring."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SetupError(f"No key ring is at {path}: make one with `pixelship keys new`.") from None
    except (OSError, UnicodeDecodeError):
        raise SetupError(f"The key ring {path} cannot be read: check the file.") from None
    if stat.S_IMODE(mode) & 0o077:
        raise SetupError(f"Others may read the key ring {path}: run `chmod 600 {path}`.")
    try:
        return KeyRing(tuple(_from_json(entry) for entry in json.loads(text)["keys"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SetupError(f"{path} is no key ring: make one with `pixelship keys new`.") from None


def write_key_file(path: Path, ring: KeyRing) -> None:
    """Replaces the file whole, readable by its owner alone; raises SetupError."""
    text = json.dumps({"keys": [_to_json(key) for key in ring.keys]}, indent=2) + "\n"
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise SetupError(f"The key ring {path} cannot be written: {error.strerror}.") from None


def with_new_key(ring: KeyRing, scopes: Sequence[str]) -> KeyRing:
    """The ring with a new random key, which signs from now on."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    key = Key(secrets.token_urlsafe(_SECRET_BYTES).encode(), now, tuple(scopes) or ("*",))
    return KeyRing((key, *ring.keys))


def with_key_retired(ring: KeyRing, key_id: str) -> KeyRing:
    """The ring with a key retired: it signs no more, and later views of its URLs do not count.

    Raises SetupError where there is no such key.
    """
    if key_id not in {key.id for key in ring.keys}:
        raise SetupError(f"No key {key_id} is in the ring: see `pixelship keys list`.")
    now_us = _since_epoch_us(datetime.now(timezone.utc))
    return KeyRing(
        tuple(
            replace(key, retired_at_us=now_us)
            if key.id == key_id and key.retired_at_us is None
            else key
            for key in ring.keys
        )
    )


def _since_epoch_us(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _from_json(entry: dict[str, object]) -> Key:
    scopes, retired = entry.get("scopes", ["*"]), entry.get("retired_at")
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise TypeError(scopes)
    retired_at_us = None
    if retired is not None:
        retired_at_us = _since_epoch_us(datetime.fromisoformat(str(retired)))
    secret = str(entry["secret"])
    if not secret:
        raise ValueError(secret)
    return Key(secret.encode(), str(entry.get("created_at", "")), tuple(scopes), retired_at_us)


def _to_json(key: Key) -> dict[str, object]:
    retired = None
    if key.retired_at_us is not None:
        retired = (_EPOCH + timedelta(microseconds=key.retired_at_us)).isoformat()
    return {
        "id": key.id,
        "secret": key.secret.decode(),
        "created_at": key.created_at,
        "scopes": list(key.scopes),
        "retired_at": retired,
    }
