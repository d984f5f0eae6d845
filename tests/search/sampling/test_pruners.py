from __future__ import annotations

import math

import pytest

from search.records.study import Objective, PastTrial, TrialState, Verdict
from search.sampling.pruners import Curves, Halving, Hyperband, Median, Off, is_off_front

OTHERS = {place: [value / 2, value] for place, value in enumerate((0.5, 0.6, 0.7, 0.8), 1)}
OWN = 99


def curves(own: list[float], others: dict[int, list[float]] = OTHERS, maximize: bool = True, epochs: int = 9) -> Curves:
    return Curves(maximize=maximize, epochs=epochs, curves={**others, OWN: own})


def test_without_pruning_everything_goes_on() -> None:
    assert Off().verdict(OWN, curves([0.0]))[0] is Verdict.CONTINUE


def test_below_the_median_is_pruned_with_the_reason() -> None:
    verdict, reason = Median(warmup=1).verdict(OWN, curves([0.1, 0.6]))
    assert verdict is Verdict.PRUNE
    assert reason == "best 0.6, the median of 4 trials is 0.65"
    assert Median(warmup=1).verdict(OWN, curves([0.1, 0.7]))[0] is Verdict.CONTINUE


def test_for_a_loss_above_the_median_is_pruned() -> None:
    assert Median(warmup=0).verdict(OWN, curves([0.9, 0.9], maximize=False))[0] is Verdict.PRUNE
    assert Median(warmup=0).verdict(OWN, curves([0.1, 0.1], maximize=False))[0] is Verdict.CONTINUE


def test_warm_up_and_start_up_are_respected() -> None:
    assert Median(warmup=2).verdict(OWN, curves([0.0, 0.0]))[0] is Verdict.CONTINUE
    assert Median(warmup=0, startup=5).verdict(OWN, curves([0.0, 0.0]))[0] is Verdict.CONTINUE


def test_trials_that_did_not_get_so_far_are_not_compared() -> None:
    assert Median(warmup=0, startup=1).verdict(OWN, curves([0.0] * 3))[0] is Verdict.CONTINUE


def test_no_number_is_the_worst_value() -> None:
    assert Median(warmup=0).verdict(OWN, curves([math.nan, math.nan]))[0] is Verdict.PRUNE
    assert curves([0.5, math.nan]).best(OWN) == 0.5


def test_one_of_three_passes_a_rung() -> None:
    others = {place: [value] for place, value in enumerate((0.1, 0.2, 0.3, 0.4, 0.5))}
    halving = Halving(first=1, factor=3)
    assert halving.verdict(OWN, curves([0.45], others))[0] is Verdict.CONTINUE
    verdict, reason = halving.verdict(OWN, curves([0.35], others))
    assert verdict is Verdict.PRUNE
    assert "rank 3 of 6 at the rung of epoch 1, 2 pass" in reason
    assert halving.verdict(OWN, curves([0.0, 0.0], {}))[0] is Verdict.CONTINUE


def test_the_first_at_a_rung_passes() -> None:
    assert Halving().verdict(OWN, curves([0.1], {}))[0] is Verdict.CONTINUE


def test_a_curve_that_has_grown_replaces_the_shorter_one() -> None:
    found = curves([0.3, 0.1])
    found.put(1, [0.9, 0.2, 0.1])
    assert found.reached(3, without=OWN) == (0.9,)
    assert found.length(1) == 3


def test_brackets_have_the_sizes_of_the_paper() -> None:
    # Table 1 of https://jmlr.org/papers/v18/16-558.html: 81 epochs, factor 3.
    cycle = Hyperband(first=1, factor=3).cycle(81)
    assert [cycle.count(bracket) for bracket in range(5)] == [81, 34, 15, 8, 5]


def test_the_last_bracket_runs_its_trials_whole() -> None:
    own = Hyperband(first=1, factor=3)
    cycle = own.cycle(9)
    slow = cycle.index(max(cycle))
    fast = cycle.index(0)
    rivals = {number + len(cycle): [0.9] * 9 for number in (slow, fast)}
    for length in range(1, 9):
        found = Curves(maximize=True, epochs=9, curves={**rivals, slow: [0.0] * length, fast: [0.0] * length})
        assert own.verdict(slow, found)[0] is Verdict.CONTINUE
        assert (own.verdict(fast, found)[0] is Verdict.PRUNE) is (length in (1, 3))


def test_trials_are_compared_within_their_bracket() -> None:
    own = Hyperband(first=1, factor=3)
    cycle = own.cycle(9)
    fast, other = cycle.index(0), cycle.index(1)
    found = Curves(maximize=True, epochs=9, curves={other: [0.9], fast: [0.1]})
    assert own.verdict(fast, found)[0] is Verdict.CONTINUE
    found.put(fast + len(cycle), [0.9])
    verdict, reason = own.verdict(fast, found)
    assert verdict is Verdict.PRUNE
    assert "in bracket 0" in reason


def test_hyperband_with_few_epochs_is_one_bracket() -> None:
    assert Hyperband(first=4, factor=3).cycle(5) == (0,)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Median(warmup=-1),
        lambda: Median(startup=0),
        lambda: Halving(first=0),
        lambda: Halving(factor=1),
        lambda: Hyperband(first=0),
        lambda: Hyperband(factor=1),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        make()  # type: ignore[operator]


COSTS = [Objective("accuracy", maximize=True), Objective("parameters", maximize=False)]


def ended(number: int, value: float, parameters: float, **changes: object) -> PastTrial:
    objectives = {"accuracy": value, "parameters": parameters}
    return PastTrial(number, TrialState.COMPLETE, value, objectives=objectives, **changes)  # type: ignore[arg-type]


def test_a_trial_is_off_the_front_once_one_beats_it_in_all_that_is_known() -> None:
    others = [ended(0, 0.9, 100), ended(1, 0.6, 40)]
    assert is_off_front({"parameters": 50}, 0.5, others, COSTS)
    assert is_off_front({"parameters": 40}, 0.5, others, COSTS)
    assert not is_off_front({"parameters": 40}, 0.6, others, COSTS)
    assert not is_off_front({"parameters": 50}, 0.7, others, COSTS)


def test_the_cheapest_trial_is_never_off_the_front() -> None:
    others = [ended(number, 0.9, 100 + number) for number in range(20)]
    assert not is_off_front({"parameters": 99}, 0.0, others, COSTS)
    assert is_off_front({"parameters": 101}, 0.0, others, COSTS)


def test_trials_that_break_a_constraint_or_did_not_end_put_nobody_off_the_front() -> None:
    others = [
        ended(0, 0.9, 10, constraints={"latency < 1ms": 0.5}),
        PastTrial(1, TrialState.PRUNED, 0.9),
        PastTrial(2, TrialState.RUNNING, None),
    ]
    assert not is_off_front({"parameters": 50}, 0.1, others, COSTS)


def test_of_one_objective_only_what_has_been_reached_so_far_counts() -> None:
    others = [PastTrial(0, TrialState.COMPLETE, 0.9)]
    assert is_off_front({}, 0.5, others, COSTS[:1])
    assert not is_off_front({}, 0.95, others, COSTS[:1])


def test_a_latency_that_is_shorter_by_chance_does_not_save_a_trial() -> None:
    wanted = [COSTS[0], Objective("latency", maximize=False)]
    others = [PastTrial(0, TrialState.COMPLETE, 0.9, objectives={"accuracy": 0.9, "latency": 2.0})]
    assert is_off_front({"latency": 1.95}, 0.5, others, wanted)
    assert not is_off_front({"latency": 1.7}, 0.5, others, wanted)
