"""Where log objects are: lists them pinned by content, opens them."""

from __future__ import annotations

from pipeline.sources.anywhere import Anywhere
from pipeline.sources.contract import Listing, Search, Source
from pipeline.sources.local import LocalFiles

__all__ = ["Anywhere", "Listing", "LocalFiles", "Search", "Source"]
