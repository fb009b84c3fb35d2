"""The key ring as a file: JSON that only its owner may read.

A key's secret stands there itself (`secret`), or a reference to it (`secret_from`).
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType

from pipeline.errors import SetupError
from pipeline.secret_references import follow
from pipeline.signing import Key, KeyRing, key_ring

_SECRET_BYTES = 32
_NOTHING: Mapping[str, str] = MappingProxyType({})
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def read_key_file(path: Path, environment: Mapping[str, str] = _NOTHING) -> KeyRing:
    """The key ring in a file; raises SetupError where it is missing, open to others or no key ring.

    `environment` holds what `env:NAME` in it refers to.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SetupError(f"No key ring is at {path}: make one with `pixelship keys new`.") from None
    except (OSError, UnicodeDecodeError):
        raise SetupError(f"The key ring {path} cannot be read: check the file.") from None
    if stat.S_IMODE(mode) & 0o077:
        raise SetupError(f"Others may read the key ring {path}: run `chmod 600 {path}`.")
    return _read_ring(text, str(path), environment)


def read_key_reference(reference: str, environment: Mapping[str, str]) -> KeyRing:
    """The key ring that a reference leads to: one as in a file, or bare secrets, comma separated.

    Raises SetupError, ServiceError.
    """
    text = follow(reference, environment)
    if text.lstrip().startswith("{"):
        return _read_ring(text, reference, environment)
    secrets = [secret.strip() for secret in text.split(",") if secret.strip()]
    return KeyRing(tuple(replace(key, source=reference) for key in key_ring(secrets).keys))


def _read_ring(text: str, place: str, environment: Mapping[str, str]) -> KeyRing:
    try:
        return KeyRing(tuple(_from_json(entry, environment) for entry in json.loads(text)["keys"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SetupError(f"{place} is no key ring: make one with `pixelship keys new`.") from None


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


def with_new_key(ring: KeyRing, scopes: Sequence[str], key: Key | None = None) -> KeyRing:
    """The ring with a new key, which signs from now on: a random one, or the one given."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    key = key or Key(secrets.token_urlsafe(_SECRET_BYTES).encode())
    if key.id in {each.id for each in ring.keys}:
        raise SetupError(f"The key {key.id} is in the ring already: take another secret.")
    return KeyRing((replace(key, created_at=now, scopes=tuple(scopes) or ("*",)), *ring.keys))


def referred_key(reference: str, environment: Mapping[str, str]) -> Key:
    """A key whose secret stays where a reference leads to; raises SetupError, ServiceError."""
    return Key(follow(reference, environment).encode(), source=reference)


def with_key_retired(ring: KeyRing, key_id: str) -> KeyRing:
    """The ring with a key retired: it signs no more, and later views of its URLs do not count.

    Raises SetupError where there is no such key.
    """
    _check_known(ring, key_id)
    now_us = _since_epoch_us(datetime.now(timezone.utc))
    return KeyRing(
        tuple(
            replace(key, retired_at_us=now_us)
            if key.id == key_id and key.retired_at_us is None
            else key
            for key in ring.keys
        )
    )


def with_key_revoked(ring: KeyRing, key_id: str, since: datetime) -> KeyRing:
    """The ring with a key revoked: it signs no more, and views logged at `since` or later do not count.

    A time that was given before is replaced. Raises SetupError where there is no such key.
    """
    _check_known(ring, key_id)
    since_us = _since_epoch_us(since)
    return KeyRing(
        tuple(
            replace(key, revoked_at_us=since_us) if key.id == key_id else key for key in ring.keys
        )
    )


def _check_known(ring: KeyRing, key_id: str) -> None:
    if key_id not in {key.id for key in ring.keys}:
        raise SetupError(f"No key {key_id} is in the ring: see `pixelship keys list`.")


def _since_epoch_us(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _from_json(entry: dict[str, object], environment: Mapping[str, str]) -> Key:
    scopes, source = entry.get("scopes", ["*"]), entry.get("secret_from")
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise TypeError(scopes)
    if source is not None and not (isinstance(source, str) and "secret" not in entry):
        raise TypeError(source)
    secret = str(entry["secret"]) if source is None else follow(source, environment)
    if not secret:
        raise ValueError(secret)
    key = Key(
        secret.encode(),
        str(entry.get("created_at", "")),
        tuple(scopes),
        _time_us(entry.get("retired_at")),
        _time_us(entry.get("revoked_at")),
        source,
    )
    if source is not None and entry.get("id", key.id) != key.id:
        raise SetupError(f"The secret at {source} is not that of the key {entry['id']} any more: name the version that holds it, and add the new one with `pixelship keys new --secret-from`.")  # fmt: skip
    return key


def _time_us(text: object) -> int | None:
    return None if text is None else _since_epoch_us(datetime.fromisoformat(str(text)))


def _to_json(key: Key) -> dict[str, object]:
    entry: dict[str, object] = {
        "id": key.id,
        **({"secret_from": key.source} if key.source else {"secret": key.secret.decode()}),
        "created_at": key.created_at,
        "scopes": list(key.scopes),
        "retired_at": _time(key.retired_at_us),
    }
    return entry if key.revoked_at_us is None else {**entry, "revoked_at": _time(key.revoked_at_us)}


def _time(time_us: int | None) -> str | None:
    return None if time_us is None else (_EPOCH + timedelta(microseconds=time_us)).isoformat()
