from __future__ import annotations

import math

import plotly.graph_objects as go
import pytest

from search.report import theme


@pytest.mark.parametrize(("value", "text"), [(3_504_872, "3.5 M"), (999, "999"), (1.2e9, "1.2 G"), (4.1e12, "4.1 T")])
def test_counts_are_short(value: float, text: str) -> None:
    assert theme.count(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.44, "0.4 s"), (42, "42 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_times_are_for_people(seconds: float, text: str) -> None:
    assert theme.duration(seconds) == text


def test_missing_numbers_are_a_dash() -> None:
    assert theme.number(None) == theme.number(math.nan) == "–"
    assert theme.number(0.98765) == "0.9877"


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


def test_lines_stay_apart_when_colours_run_out() -> None:
    assert len({tuple(theme.series(place).items()) for place in range(32)}) == 32


def test_metrics_are_written_as_their_field_does() -> None:
    names = ("balanced_accuracy", "map", "map_50", "miou")
    assert [theme.metric_name(name) for name in names] == ["balanced accuracy", "mAP", "mAP50", "mIoU"]
