"""Colours, fonts, axes and menus of all figures.

Green is the winner and orange the plain recipe in every figure; nothing else has these two colours except classes
drawn over photographs. The qualitative colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which
people with any common colour blindness can tell apart; the scale for numbers is Cividis, made for the same purpose.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import unescape
from typing import Any, TypeVar

import plotly.graph_objects as go

T = TypeVar("T")

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#666c74",
)
SCALE = "Cividis"
STATES = {"complete": BLUE, "pruned": GREY, "failed": RED, "running": PURPLE, "waiting": YELLOW}
UNITS = {
    "frozen": SKY,
    "trained": BLUE,
    "edited": PURPLE,
    "adapted": YELLOW,
    "skipped": "#9c8c7c",
    "dropped": "rgba(125,133,144,0.4)",
    "pretrained": GREY,
}
SERIES = (BLUE, RED, PURPLE, SKY, YELLOW, GREY)
_CLASSES = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, GREY)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MOST_POINTS = 800
"""Most points of one trace: more would only cover each other, and a browser draws two thousand at once."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_SENTENCE = 38
"""Characters in a line of a sentence, as fit on a phone's screen."""
INK = "#7d8590"
"""Readable on white and on near-black, so figures need no second drawing for dark pages."""
_GRID = "rgba(125,133,144,0.25)"


def styled(figure: go.Figure, *, height: int = 380, x: str = "", y: str = "") -> go.Figure:
    """Return ``figure`` in the common style; ``x`` and ``y`` name its axes."""
    axis = {"gridcolor": _GRID, "zerolinecolor": _GRID, "linecolor": _GRID, "automargin": True}
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 56, "r": 16, "t": 24, "b": 48},
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        colorway=list(SERIES),
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        hoverlabel={"font": {"family": FONT}},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": _GRID, "activecolor": INK},
    )
    figure.update_xaxes(title_text=x, **axis)
    figure.update_yaxes(title={"text": y, "standoff": 12}, **axis)  # without it, long labels run into the title
    return figure


def sentence(text: str) -> go.Figure:
    """Return a figure that only holds a sentence, for a drawing without data."""
    figure = go.Figure()
    figure.add_annotation(
        text=wrapped(text, _SENTENCE), showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", font={"size": 15}
    )
    figure = styled(figure, height=110)
    figure.update_layout(margin={"t": 8, "b": 8})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


def said(figure: go.Figure) -> str:
    """Return the sentence that ``figure`` only holds; empty for a drawing of anything."""
    if figure.data or len(figure.layout.annotations) != 1:
        return ""
    return unescape(figure.layout.annotations[0].text.replace("<br>", " "))


def series(place: int) -> dict[str, str]:
    """Return colour and dash of the ``place``-th line: after six colours the dash changes too."""
    return {"color": SERIES[place % len(SERIES)], "dash": DASHES[place // len(SERIES) % len(DASHES)]}


def menu(figure: go.Figure, choices: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]]) -> go.Figure:
    """Give ``figure`` views to choose from: a label, changes to its traces, changes to its layout.

    The first is shown; pages replace the menu by a control of their own (``without_menu``).
    """
    buttons = [
        {"label": label, "method": "update", "args": [dict(data), dict(layout)]} for label, data, layout in choices
    ]
    figure.update_layout(updatemenus=[{"buttons": buttons, "x": 1, "xanchor": "right", "y": 1.15, "yanchor": "bottom"}])
    return figure


def without_menu(figure: go.Figure, chosen: int = 0) -> list[tuple[str, list[Any]]]:
    """Remove the menu of ``figure``, leaving it in its ``chosen`` view; return the views: labels and changes.

    A page's own control can be used by keyboard and read by screen readers; Plotly's menu cannot.
    """
    menus = figure.layout.updatemenus
    if not menus:
        return []
    views = [(str(button.label), list(button.args)) for button in menus[0].buttons]
    figure.layout.updatemenus = ()
    if 0 < chosen < len(views):
        data, layout = views[chosen][1]
        for key, values in data.items():
            for index, trace in enumerate(figure.data):
                trace[key] = values[index]
        figure.update_layout({key.replace(".", "_"): value for key, value in layout.items()})
    return views


def visible_only(sets: Sequence[int], chosen: int) -> dict[str, list[bool]]:
    """Return the trace change that shows only traces whose number in ``sets`` is ``chosen`` (or -1: always)."""
    return {"visible": [number in (chosen, -1) for number in sets]}


def wrapped(text: str, width: int = 60) -> str:
    """Return ``text`` with line breaks for a hover label."""
    lines: list[str] = [""]
    for word in text.split(" "):
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(line.replace("&", "&amp;").replace("<", "&lt;") for line in lines)


def whole_ticks(values: Sequence[float], most: int = 10) -> int:
    """Return Plotly's ``dtick`` of a whole-number axis: 1, 2 or 5 times a power of ten, at most ``most`` ticks."""
    span = max(values) - min(values) if values else 0.0
    step = 1
    while span / step > most:
        step = step * 5 // 2 if str(step).startswith("2") else step * 2
    return step


def around(values: Iterable[float]) -> list[float] | None:
    """Return the range of an axis on which all ``values`` are one: Plotly's would reach one beyond, accuracies or not.

    None where they differ, or none is finite.
    """
    known = {value for value in values if math.isfinite(value)}
    if len(known) != 1:
        return None
    value = known.pop()
    space = 0.05 * abs(value) or 1.0
    return [value - space, value + space]


def log_ticks(low: float, high: float) -> list[float]:
    """Return the ticks of a log axis from ``low`` to ``high``: 1, 2 and 5 of each decade.

    Over many decades, only 1; over less than one, round numbers that give at least three ticks; the ends if hardly any
    lies between them.
    """
    marks: list[float] = []
    for steps in (
        (1.0,),
        (1.0, 2.0, 5.0),
        (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
        tuple(map(float, range(1, 10))),
        tuple(tick / 10 for tick in range(10, 100, 5)),
    ):
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        marks = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(marks) >= 3:
            break
    return marks if len(marks) > 1 else sorted({low, high})


def thinned(values: Sequence[int], most: int) -> list[int]:
    """Return at most ``most`` of ``values``, evenly spaced, first and last included."""
    if len(values) <= most:
        return list(values)
    return [values[round(index * (len(values) - 1) / (most - 1))] for index in range(most)]


def spread(x: Sequence[float], y: Sequence[float], most: int = MOST_POINTS) -> list[int]:
    """Return the indices of at most ``most`` points that look like all of them: the extremes of each interval of ``x``.

    The range of ``x`` is cut into equal intervals; each keeps its first, last, lowest and highest point.
    """
    if len(x) <= most:
        return list(range(len(x)))
    low, high = min(x), max(x)
    stretches = max(most // 4, 1)
    scale = stretches / (high - low) if high > low else 0.0
    kept: dict[int, list[int]] = {}
    for index, value in enumerate(x):
        stretch = min(int((value - low) * scale), stretches - 1)
        extremes = kept.get(stretch)
        if extremes is None:
            kept[stretch] = [index] * 4
            continue
        extremes[1] = index
        if y[index] < y[extremes[2]]:
            extremes[2] = index
        if y[index] > y[extremes[3]]:
            extremes[3] = index
    return sorted({index for extremes in kept.values() for index in extremes})


def thinned_items(values: Sequence[T], most: int) -> list[T]:
    """Return at most ``most`` of ``values``, evenly spaced, first and last included."""
    return [values[index] for index in thinned(range(len(values)), most)]


def class_colour(place: int) -> str:
    """Return the colour of a class as ``#rrggbb``: eight that everyone can tell apart, then darker and lighter ones."""
    base = rgb(_CLASSES[place % len(_CLASSES)])
    turn = place // len(_CLASSES) % 3
    towards, amount = ((0, 0.0), (0, 0.45), (255, 0.5))[turn]
    red, green, blue = (round(value + (towards - value) * amount) for value in base)
    return f"#{red:02x}{green:02x}{blue:02x}"


def rgb(colour: str) -> tuple[int, int, int]:
    """Return the channels of ``#rrggbb``, 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
