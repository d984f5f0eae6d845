from __future__ import annotations

import math

import pytest

from search.report import wording


@pytest.mark.parametrize(("value", "text"), [(3_504_872, "3.5 M"), (999, "999"), (1.2e9, "1.2 G"), (4.1e12, "4.1 T")])
def test_counts_are_short(value: float, text: str) -> None:
    assert wording.count(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.44, "0.4 s"), (42, "42 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (float("nan"), "–")]
)
def test_times_are_for_people(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


def test_missing_numbers_are_a_dash() -> None:
    assert wording.number(None) == wording.number(math.nan) == "–"
    assert wording.number(0.98765) == "0.9877"


def test_metrics_are_written_as_their_field_does() -> None:
    names = ("balanced_accuracy", "map", "map_50", "miou", "iou")
    assert [wording.metric_name(name) for name in names] == ["balanced accuracy", "mAP", "mAP50", "mIoU", "IoU"]


def test_what_rounds_to_nothing_has_no_direction() -> None:
    assert [wording.signed(value) for value in (-0.0, 0.00001, -0.00001)] == ["\u00b10.0000"] * 3
    assert [wording.signed(value) for value in (0.5, -0.5)] == ["+0.5000", "\u22120.5000"]


def test_changes_have_a_sign_and_points_where_a_metric_has_some() -> None:
    assert [wording.change(value, "accuracy") for value in (0.0139, -0.0139, 0.0, 0.0004)] == [
        "+1.4 points",
        "\u22121.4 points",
        "\u00b10.0 points",
        "+0.04 points",
    ]
    assert [wording.change(value, "rmse") for value in (0.08, -0.08)] == ["+0.0800", "\u22120.0800"]
    assert wording.listed(["1", "2", "3"], "trial") == "trials 1, 2 and 3"
