"""Views over time, as a bar chart in the terminal."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

import plotext
from rich.console import Console
from rich.text import Text

from demo.results import Views

PAINTS = (("█", 12), ("▒", 10), ("░", 9), ("#", 11), ("+", 13), (".", 14))
"""A symbol and one of the 256 colours for each destination, the largest first."""
ROWS = 18
MOST_COLUMNS = 110
MARGIN_COLUMNS = 8
TIME_FORMS = {"minute": "%H:%M", "second": "%H:%M:%S"}
TIME_STEPS = (1, 5, 10, 15, 30, 60)
HEIGHT_STEPS = [first * 10**power for power in range(18) for first in (1, 2, 5)]


def show_views(console: Console, views: Views) -> None:
    """Prints views over time as stacked bars, one colour and one symbol a destination."""
    counts = dict(sorted(views.counts.items(), key=lambda item: -sum(item[1])))
    paints = [PAINTS[at % len(PAINTS)] for at in range(len(counts))]
    room = min(shutil.get_terminal_size().columns, MOST_COLUMNS) - MARGIN_COLUMNS
    breadth = max(1, room // len(views.starts))
    picture = _draw(views, counts, paints, breadth if breadth > 2 else 1)
    console.print(Text.from_ansi(picture.string(colorless=not console.is_terminal)), no_wrap=True)
    legend = Text("   ")
    for (symbol, colour), name in zip(paints, counts, strict=True):
        legend.append(f" {symbol}", style=f"color({colour})").append(f" {name}  ")
    console.print(legend)


def _draw(
    views: Views,
    counts: Mapping[str, tuple[int, ...]],
    paints: list[tuple[str, int]],
    breadth: int,
) -> Any:
    """The picture, as plotext's matrix. Bars are `breadth` columns broad, one of them a gap.

    A whole number of columns each, or some would come out broader than others; a bar of a single
    column has no gap.
    """
    numbers = list(range(len(views.starts)))
    highest = max(map(sum, zip(*counts.values(), strict=True)))
    gaps = breadth > 1
    figure = plotext.figure
    figure.clear()
    figure.theme("simple")
    figure.plot_size(breadth * len(numbers) + len(str(highest)) + 2 + gaps, ROWS)
    figure.title(f"Views per {views.unit}")
    bars = figure.bar(
        numbers,
        list(counts.values()),
        stacked=True,
        width=1 - 1.01 / breadth if gaps else 1.0,
        lines=gaps,
        marker=[plotext.marker(symbol, colour) for symbol, colour in paints],
    )
    figure.draw(bars)
    _rule(figure, views, breadth, highest)
    return figure.build()


def _rule(figure: Any, views: Views, breadth: int, highest: int) -> None:
    """Times along the bottom, round numbers up the side."""
    times = [start.strftime(TIME_FORMS[views.unit]) for start in views.starts]
    step = next((step for step in TIME_STEPS if step * breadth > len(times[0])), TIME_STEPS[-1])
    across = figure.ruler("x")
    across.lim(-0.5, len(times) - 0.5)
    across.ticks(list(range(0, len(times), step)), times[::step])
    heights = range(0, highest + 1, next(step for step in HEIGHT_STEPS if step * 5 > highest))
    figure.ruler("y").ticks(list(heights), [str(height) for height in heights])
