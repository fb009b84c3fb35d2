"""Where log objects are: finds them, pins them by content, opens them."""

from __future__ import annotations

from pipeline.sources.local import LocalFiles

__all__ = ["LocalFiles"]
