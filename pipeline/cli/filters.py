"""What a command is asked about, as people write it: times, days, batches, reasons, log objects."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

from pipeline.errors import SetupError
from pipeline.model import Reason

_ID_DIGITS = 8


def time_of(option: str, text: str | None) -> datetime | None:
    """A time in ISO 8601, UTC where it names no zone; raises SetupError."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00").replace("z", "+00:00"))
        return time.astimezone(timezone.utc) if time.tzinfo else time.replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError):
        raise SetupError(f"{option} {text!r} is no time: write it as 2026-11-21T12:00.") from None


def days_of(texts: Iterable[str]) -> tuple[date, ...]:
    """Days as 2026-11-21; raises SetupError."""
    days = []
    for text in texts:
        try:
            days.append(date.fromisoformat(text))
            days[-1] + timedelta(days=1)
        except (ValueError, OverflowError):
            raise SetupError(f"--day {text!r} is no day: write it as 2026-11-21.") from None
    return tuple(days)


def batches_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Ids of batches, their leading zeros given or not; raises SetupError."""
    ids = []
    for text in texts:
        if not (text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS):
            raise SetupError(f"--batch {text!r} is no batch: write its number, such as 00000042.")
        ids.append(text.zfill(_ID_DIGITS))
    return tuple(ids)


def reasons_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Reasons for which lines may be judged again; raises SetupError."""
    labels = dict.fromkeys(reason.label for reason in Reason)
    for text in texts:
        if text not in labels:
            raise SetupError(f"There is no reason {text!r}: choose of {', '.join(labels)}.")
        if text == Reason.TOO_LONG.label:
            raise SetupError("Of lines that are too-long only a part was kept: they cannot be judged again.")  # fmt: skip
    return tuple(texts)


def names_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Names of log objects as the ledger has them: those of files are whole paths."""
    return tuple(text if "://" in text or Path(text).is_absolute() else str(Path(text).resolve()) for text in texts)  # fmt: skip
