"""References to secrets: `file:/PATH`, `env:NAME`, `sm://projects/P/secrets/S/versions/V`.

They are followed once, at launch; workers get values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import SetupError

_FILE, _ENVIRONMENT, _SECRET_MANAGER = "file:", "env:", "sm://"
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.:-]*"
_VERSION = re.compile(rf"projects/{_PART}/secrets/{_PART}/versions/{_PART}")


def is_reference(text: str) -> bool:
    """Whether a text is a reference, well written or not."""
    return text.startswith((_FILE, _ENVIRONMENT, _SECRET_MANAGER))


def file_of(reference: str) -> Path | None:
    """The file that a reference leads to, if to any."""
    return Path(reference.removeprefix(_FILE)) if reference.startswith(_FILE) else None


def follow(reference: str, environment: Mapping[str, str]) -> str:
    """What a reference leads to, without line ends behind it; raises SetupError, ServiceError."""
    if not is_reference(reference):  # it may be the secret itself, and so is not shown
        raise SetupError("A reference to a secret starts with file:, env: or sm://: correct the one that does not.")  # fmt: skip
    try:
        text = _read(reference, environment).decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SetupError(f"The secret at {reference} is not UTF-8: store it as text.") from None
    if not text:
        raise SetupError(f"The secret at {reference} is empty: store it there.")
    return text


def _read(reference: str, environment: Mapping[str, str]) -> bytes:
    if path := file_of(reference):
        try:
            return path.read_bytes()
        except OSError as error:
            raise SetupError(f"The secret file {path} cannot be read: {error.strerror}.") from None
    if reference.startswith(_ENVIRONMENT):
        name = reference.removeprefix(_ENVIRONMENT)
        if name not in environment:
            raise SetupError(f"The environment variable {name!r} is to hold a secret and is not set: set it.")  # fmt: skip
        return environment[name].encode("utf-8", "surrogateescape")
    name = reference.removeprefix(_SECRET_MANAGER)
    if not _VERSION.fullmatch(name):
        raise SetupError(f"{reference!r} names no secret: write it as sm://projects/P/secrets/S/versions/V, file:/PATH or env:NAME.")  # fmt: skip
    from pipeline.secret_manager import read_secret

    return read_secret(name)
