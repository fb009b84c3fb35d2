"""A log format made of a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.blocks import Block, Lines
from pipeline.formats.contract import Format, Parsed, Quirks, join
from pipeline.formats.maps.columns import Field, columns_of, requests_of, wanted
from pipeline.formats.maps.readers import Reader
from pipeline.formats.maps.times import Times

PREFIX = "map:"
"""What the name of every map's format begins with, wherever it is written down."""


@dataclass(frozen=True)
class Mapped(Format):
    """The format `map:NAME`: a reader, and what its columns are taken for.

    `constants` are the values of columns that the log lacks. Where the log names its columns, those
    that a header lacks are null.
    """

    map_name: str
    kind: str
    reader: Reader
    fields: Mapping[str, Field]
    constants: Mapping[str, bytes] = field(default_factory=dict)
    times: Times = field(default_factory=Times)

    quirks = Quirks(
        "a map of yours",
        lateness="as the log has it",
        order="as the log has it",
        delivery="as the log has it",
        lacks=("what the map does not name",),
    )

    @property
    def name(self) -> str:  # type: ignore[override] # as many names as there are maps
        """The name under which rejects are kept."""
        return PREFIX + self.map_name

    @property
    def needs_header(self) -> bool:  # type: ignore[override]
        """Whether the log names its columns."""
        return self.reader.needs_header

    @property
    def header(self) -> str | None:
        """The line that names the columns."""
        return self.reader.header

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a request that the map fills."""
        return columns_of((*self.fields, *self.constants))

    @property
    def sources(self) -> dict[str, str]:
        """For each column the map fills, what of the log it is taken from, for people."""
        return {
            column: ", ".join(
                [
                    *(
                        each.words
                        for target, each in self.fields.items()
                        if column in columns_of([target])
                    ),
                    *(
                        f'always "{text.decode()}"'
                        for name, text in self.constants.items()
                        if name == column
                    ),
                ]
            )
            for column in self.columns
        }

    def bound(self, lines: Sequence[bytes]) -> Mapped:
        """The format as a log's first lines have it."""
        return replace(self, reader=self.reader.bound(lines))

    def after(self, headers: Sequence[bytes]) -> Mapped:
        """The format behind lines that speak of the file."""
        return replace(self, reader=self.reader.after(headers))

    def recognises(self, line: bytes) -> bool:
        """Whether the line is a request; maps are chosen, never told from the content."""
        return not set(line) & set(b"\n\r") and self.parse(_only(line)).requests.num_rows == 1

    def parse(self, lines: Lines) -> Parsed:
        """The lines as the map reads them."""
        parts = self.reader.read(lines, wanted(self.fields))
        return join(
            [
                Parsed(
                    requests_of(part.rows, part.values, self.fields, self.constants, self.times),
                    part.malformed,
                    part.header,
                )
                for part in parts
            ]
        )


def _only(line: bytes) -> Lines:
    return Block(1, line + b"\n").lines()
