"""Text from logs, tables and clouds, made fit for a terminal, and a pixel for a page."""

from __future__ import annotations

from html import escape


def printable(value: object) -> str:
    """A value as text that cannot move a terminal's cursor: control characters are escaped.

    Newlines stay; nothing stands for None.
    """
    text = "" if value is None else str(value)
    return "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text
    )


def printable_line(value: object) -> str:
    """The same on one line: newlines are escaped too."""
    return printable(value).replace("\n", "\\n")


def image_tag(url: str) -> str:
    """A pixel as HTML has it."""
    return f'<img src="{escape(url)}" alt="" width="1" height="1">'
