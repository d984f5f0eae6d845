from __future__ import annotations

import itertools
import math
import operator
import re

import plotly.graph_objects as go
import pytest

from search.report import style_sheet, theme
from search.report.figures import learning_curves


def test_markup_in_hover_labels_is_escaped() -> None:
    assert theme.wrapped("a <b> & c") == "a &lt;b> &amp; c"


def test_thinning_keeps_the_ends() -> None:
    assert theme.thinned(list(range(100)), 3) == [0, 50, 99]
    assert theme.thinned([1, 2], 3) == [1, 2]


def test_spreading_keeps_ends_and_extremes() -> None:
    x = [float(place) for place in range(10_000)]
    y = [0.5 + (place % 10) / 100 for place in range(10_000)]
    y[4321], y[1234] = 9.0, -9.0
    kept = theme.spread(x, y, 400)
    assert len(kept) <= 400
    assert {0, 9999, 4321, 1234} <= set(kept)
    assert theme.spread([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], 10) == [0, 1, 2]


def test_a_menu_is_taken_off_and_its_view_shown() -> None:
    figure = go.Figure([go.Scatter(x=[1], y=[1]), go.Scatter(x=[2], y=[2], visible=False)])
    theme.menu(
        figure,
        [
            ("one", theme.visible_only([0, 1], 0), {"xaxis.title.text": "first"}),
            ("two", theme.visible_only([0, 1], 1), {"xaxis.title.text": "second"}),
        ],
    )
    views = theme.without_menu(figure, 1)
    assert [label for label, _ in views] == ["one", "two"]
    assert [trace.visible for trace in figure.data] == [False, True]
    assert figure.layout.xaxis.title.text == "second"
    assert theme.without_menu(figure) == []


def test_the_axis_of_a_single_value_stays_near_it() -> None:
    assert theme.around([0.2, math.nan, 0.2]) == pytest.approx([0.19, 0.21])
    assert theme.around([0.0]) == [-1.0, 1.0]
    assert theme.around([0.2, 0.3]) is None
    assert theme.around([math.inf]) is None


def test_lines_stay_apart_when_colours_run_out() -> None:
    assert len({tuple(theme.series(place).items()) for place in range(32)}) == 32


@pytest.mark.parametrize(("most", "step"), [(0, 1), (3, 1), (10, 1), (15, 2), (24, 5), (100, 10), (10_000, 1000)])
def test_axes_of_whole_numbers_have_whole_ticks(most: int, step: int) -> None:
    assert theme.whole_ticks([0, most]) == step


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1e-6, 1e3, [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000]),
        (1e5, 4e6, [1e5, 2e5, 5e5, 1e6, 2e6]),
        (5.4e5, 2.3e6, [7e5, 1e6, 1.5e6, 2e6]),
        (7.5e5, 1e6, [8e5, 9e5, 1e6]),
        (3.0, 4.0, [3, 3.5, 4]),
        (2.24e6, 2.247e6, [2.24e6, 2.247e6]),
        (2.24e6, 2.24e6, [2.24e6]),
    ],
)
def test_log_axes_have_ticks_at_round_numbers(low: float, high: float, ticks: list[float]) -> None:
    assert theme.log_ticks(low, high) == pytest.approx(ticks)


def test_green_and_orange_are_the_winner_and_the_plain_recipe_alone() -> None:
    own = {theme.GREEN, theme.ORANGE}
    assert not own & {*theme.SERIES, *theme.STATES.values(), *theme.UNITS.values()}


def drawn(colour: str, back: str, opacity: float = 1.0) -> str:
    """Return the colour that is seen where ``colour``, ``#rrggbb`` or ``rgba(...)``, lies on ``back``."""
    if colour.startswith("rgba"):
        *channels, share = (float(text) for text in colour[5:-1].split(","))
    else:
        channels, share = list(theme.rgb(colour)), 1.0
    mixed = (opacity * share * (a - b) + b for a, b in zip(channels, theme.rgb(back), strict=True))
    return "#" + "".join(f"{round(value):02x}" for value in mixed)


_SIGHT = {
    "full sight": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
"""What linear red, green and blue look like (Machado, Oliveira and Fernandes 2009, doi.org/10.1109/TVCG.2009.113)."""
_BACKS = sorted(set(re.findall(r"--(?:back|card):(#[0-9a-f]{6})", style_sheet.CSS)))
"""What figures and cards lie on, by day and by night."""
_TOLD_APART = {
    "states": list(theme.STATES.values()),
    "winner and plain recipe": [theme.GREEN, theme.ORANGE],
    "lines": list(theme.SERIES),
    **{f"units on {back}": [*(drawn(colour, back) for colour in theme.UNITS.values()), back] for back in _BACKS},
    # On a dark page the style sheet takes their opacity away.
    "curves": [drawn(colour, "#ffffff", share) for colour, _, share in learning_curves._LOOKS.values()],
    "curves by night": [colour for colour, _, _ in learning_curves._LOOKS.values()],
}


def seen(colour: str, sight: str) -> tuple[float, float, float]:
    """Return a colour in CIE L*a*b* as a person sees it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in theme.rgb(colour))]
    red, green, blue = (min(max(sum(map(operator.mul, row, linear)), 0), 1) for row in _SIGHT[sight])
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    root_x, root_y, root_z = (v ** (1 / 3) if v > 216 / 24389 else (24389 / 27 * v + 16) / 116 for v in (x, y, z))
    return 116 * root_y - 16, 500 * (root_x - root_y), 200 * (root_y - root_z)


@pytest.mark.parametrize("sight", _SIGHT)
@pytest.mark.parametrize("what", _TOLD_APART)
def test_colours_that_mean_different_things_look_different_to_the_colour_blind(what: str, sight: str) -> None:
    """A difference of 2.3 is just noticed side by side; these are far apart in a figure, so six times as much."""
    for one, other in itertools.combinations(_TOLD_APART[what], 2):
        assert math.dist(seen(one, sight), seen(other, sight)) > 14, (one, other)


@pytest.mark.parametrize("sight", _SIGHT)
def test_nothing_looks_like_the_winner_or_the_plain_recipe(sight: str) -> None:
    for own, other in itertools.product((theme.GREEN, theme.ORANGE), theme.SERIES):
        assert math.dist(seen(own, sight), seen(other, sight)) > 14, (own, other)
