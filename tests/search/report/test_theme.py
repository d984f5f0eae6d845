from __future__ import annotations

import math

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
