"""Log objects here and in the cloud alike, told apart by their names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from typing import BinaryIO

from pipeline.model import LogObject
from pipeline.sources.contract import Listing, Search, Source
from pipeline.sources.local import LocalFiles

CLOUD_STORAGE = "gs://"


class Anywhere:
    """All sources behind one; each is set up when it is first asked for."""

    def of(self, name: str) -> Source:
        """The source that a pattern or an object's name belongs to."""
        return self._cloud if name.startswith(CLOUD_STORAGE) else self._local

    @cached_property
    def _local(self) -> Source:
        return LocalFiles()

    @cached_property
    def _cloud(self) -> Source:
        from pipeline.sources.cloud_storage import CloudStorage

        return CloudStorage()

    def list_objects(self, search: Search) -> Listing:
        """The log objects that patterns name; raises SetupError for a pattern that names nothing."""
        whole = Listing()
        for is_cloud in (False, True):
            patterns = [
                each for each in search.patterns if each.startswith(CLOUD_STORAGE) == is_cloud
            ]
            if patterns:
                found = self.of(patterns[0]).list_objects(replace(search, patterns=patterns))
                whole.add(found)
        return whole

    def would_list(self, search: Search, name: str) -> bool:
        """Whether a search finds an object of this name, if it is there."""
        return self.of(name).would_list(search, name)

    def fronts(self, item: LogObject, earlier: Iterable[LogObject]) -> list[LogObject]:
        """Which of some smaller objects, read earlier, are the first bytes of this one."""
        return self.of(item.name).fronts(item, earlier)

    def is_as_pinned(self, item: LogObject) -> bool:
        """Whether the pinned bytes are still there to be read."""
        return self.of(item.name).is_as_pinned(item)

    def open(self, item: LogObject) -> BinaryIO:
        """The object's stored bytes; raises OSError where they are gone."""
        return self.of(item.name).open(item)
