"""What a run tells machines: one JSON object a line, for Cloud Logging and its like.

Keys: `severity` (INFO, WARNING, ERROR), `event`, `message`, and what the event is about: `batch`, `object`,
`reason`, `destination`, and counts under the balance sheet's names. The text of a record is the JSON
itself, because Beam's workers hand on no more of a record than its text.
"""

from __future__ import annotations

import json
import logging
from typing import Any, TextIO

_LOGGER = logging.getLogger("pixelship")


def write_to(stream: TextIO | None) -> None:
    """Has this process write what is told to a stream; None: nowhere."""
    _LOGGER.handlers = [logging.StreamHandler(stream) if stream else logging.NullHandler()]
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False


def tell(event: str, message: str, severity: int = logging.INFO, **about: Any) -> None:
    """Tells of an event; `message` is a sentence for people. Secrets must not be among it."""
    if _LOGGER.isEnabledFor(severity):
        entry = {"severity": logging.getLevelName(severity), "event": event, "message": message}
        _LOGGER.log(severity, "%s", json.dumps(entry | about, ensure_ascii=False))
