from __future__ import annotations

import math

import pytest

from search.pruning import Halving, Median, Off
from search.records import Verdict

OTHERS = {place: [value / 2, value] for place, value in enumerate((0.5, 0.6, 0.7, 0.8))}


def test_without_pruning_everything_goes_on() -> None:
    assert Off().verdict([0.0], OTHERS, True)[0] is Verdict.CONTINUE


def test_below_the_median_is_pruned_with_the_reason() -> None:
    verdict, reason = Median(warmup=1).verdict([0.1, 0.6], OTHERS, True)
    assert verdict is Verdict.PRUNE
    assert reason == "best 0.6, the median of 4 trials is 0.65"
    assert Median(warmup=1).verdict([0.1, 0.7], OTHERS, True)[0] is Verdict.CONTINUE


def test_for_a_loss_above_the_median_is_pruned() -> None:
    assert Median(warmup=0).verdict([0.9, 0.9], OTHERS, False)[0] is Verdict.PRUNE
    assert Median(warmup=0).verdict([0.1, 0.1], OTHERS, False)[0] is Verdict.CONTINUE


def test_warm_up_and_start_up_are_respected() -> None:
    assert Median(warmup=2).verdict([0.0, 0.0], OTHERS, True)[0] is Verdict.CONTINUE
    assert Median(warmup=0, startup=5).verdict([0.0, 0.0], OTHERS, True)[0] is Verdict.CONTINUE


def test_trials_that_did_not_get_so_far_are_not_compared() -> None:
    assert Median(warmup=0, startup=1).verdict([0.0] * 3, OTHERS, True)[0] is Verdict.CONTINUE


def test_no_number_is_the_worst_value() -> None:
    assert Median(warmup=0).verdict([math.nan, math.nan], OTHERS, True)[0] is Verdict.PRUNE


def test_one_of_three_passes_a_rung() -> None:
    others = {place: [value] for place, value in enumerate((0.1, 0.2, 0.3, 0.4, 0.5))}
    halving = Halving(first=1, factor=3)
    assert halving.verdict([0.45], others, True)[0] is Verdict.CONTINUE
    verdict, reason = halving.verdict([0.35], others, True)
    assert verdict is Verdict.PRUNE
    assert "rank 3 of 6 at the rung of epoch 1, 2 pass" in reason
    assert halving.verdict([0.0, 0.0], {}, True)[0] is Verdict.CONTINUE


def test_the_first_at_a_rung_passes() -> None:
    assert Halving().verdict([0.1], {}, True)[0] is Verdict.CONTINUE


@pytest.mark.parametrize(
    "make", [lambda: Median(warmup=-1), lambda: Median(startup=0), lambda: Halving(first=0), lambda: Halving(factor=1)]
)
def test_settings_that_make_no_sense_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        make()  # type: ignore[operator]
