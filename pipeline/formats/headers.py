"""Formats whose columns are named by a line of the log: found by name, never by place."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.blocks import Lines
from pipeline.columns import Mask, Rows
from pipeline.formats.contract import NO_ROWS, Format, Parsed, join, requests


@dataclass(frozen=True)
class Layout:
    """How many fields a line has, and the place of each that is wanted, by our own names."""

    width: int
    places: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, fields: Sequence[str], columns: Mapping[str, str]) -> Layout:
        """From the log's names of its fields; `columns` gives our name for each."""
        places = {columns[name]: fields.index(name) for name in fields if name in columns}
        return cls(len(fields), tuple(places.items()))


class HeaderFormat(Format):
    """A format with headers. One that is not bound knows its logs by their headers alone.

    A header within a block changes the columns of the lines after it.
    """

    needs_header = True

    def __init__(self, header: bytes | None = None) -> None:
        self._header = header
        self._layout = None if header is None else self.layout_of(header)

    @property
    def header(self) -> str | None:
        """The line that names the columns."""
        return None if self._header is None else self._header.decode("utf-8", "replace")

    def bound(self, lines: Sequence[bytes]) -> HeaderFormat:
        """With the first header among the lines that names the fields of requests."""
        return next((type(self)(line) for line in lines if self.layout_of(line)), self)

    def after(self, headers: Sequence[bytes]) -> HeaderFormat:
        """With the last of the headers that says what the columns are."""
        last = next((line for line in reversed(headers) if self.names_fields(line)), self._header)
        return self if last == self._header else type(self)(last)

    def recognises(self, line: bytes) -> bool:
        """A header, and where the columns are known a line that has them."""
        if self.layout_of(line):
            return True
        return self._layout is not None and self.is_record(line, self._layout)

    def parse(self, lines: Lines) -> Parsed:
        """Each line by the header before it, by the format's own where none is."""
        is_header = self.are_headers(lines)
        if not is_header.any():
            return self._read(lines, np.arange(len(lines)), self._layout)
        headers = np.flatnonzero(is_header)
        layouts, layout = [self._layout], self._layout
        for line in lines.raw(headers).to_pylist():
            layout = self.layout_of(line) if self.names_fields(line) else layout
            layouts.append(layout)
        number = {layout: place for place, layout in enumerate(dict.fromkeys(layouts))}
        layout_at = np.array([number[layout] for layout in layouts])[np.cumsum(is_header)]
        layout_at[is_header] = -1
        parts = [
            self._read(lines, np.flatnonzero(layout_at == place), layout)
            for layout, place in number.items()
            if (layout_at == place).any()
        ]
        found = join(parts) if parts else Parsed(requests(NO_ROWS, {}), NO_ROWS)
        return replace(found, header=headers)

    def _read(self, lines: Lines, rows: Rows, layout: Layout | None) -> Parsed:
        """Some of the lines, which have the same columns; malformed where these are unknown."""
        if layout is None or not len(rows):
            return Parsed(requests(NO_ROWS, {}), rows)
        if len(rows) == len(lines):
            return self.read(lines, rows, layout)
        return self.read(lines.take(rows), rows, layout)

    @abstractmethod
    def layout_of(self, line: bytes) -> Layout | None:
        """The columns that a header names; None for other lines, and where no request has them."""

    @abstractmethod
    def are_headers(self, lines: Lines) -> Mask:
        """Which lines speak of the file."""

    def names_fields(self, line: bytes) -> bool:  # noqa: ARG002 - a header mostly does
        """Whether a line that speaks of the file says what the columns are."""
        return True

    @abstractmethod
    def is_record(self, line: bytes, layout: Layout) -> bool:
        """Whether a line has these columns."""

    @abstractmethod
    def read(self, lines: Lines, rows: Rows, layout: Layout) -> Parsed:
        """Lines with these columns; `rows` are their numbers in the block."""
