from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from search.records import choice
from search.records.study import DatasetRecord, EpochRecord, Size, StudyRecord, TrialRecord, TrialState
from search.spec.final_options import FinalOptions
from search.trials import time_reserve
from search.trials.time_reserve import (
    EXPORT_S,
    Reserve,
    choosing_seconds,
    epochs_between,
    final_seconds,
    reserve_of,
    soup_of,
    soup_seconds,
)


def trial(number: int, value: float, epochs: int = 4, seconds: float = 10.0) -> TrialRecord:
    curve = tuple(EpochRecord(epoch, 0.1, {"accuracy": value}, seconds=2.0) for epoch in range(1, epochs + 1))
    return TrialRecord(
        number, TrialState.COMPLETE, value, epochs=curve, best_epoch=1, seconds=seconds, size=Size(1, 1, 1)
    )


def study(*trials: TrialRecord) -> StudyRecord:
    data = DatasetRecord(
        "d", (), {}, "", sizes={"train": 100, "val": 100}
    )  # all of them together: 1.5 times the passes
    return StudyRecord("s", "t", "accuracy", True, "b", "w", data, 9, trials=trials)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a reserve of 100 s for a study with these trials, by a clock that stands still until it is moved."""
    clock = {"now": 1000.0}
    monkeypatch.setattr(time_reserve.time, "monotonic", lambda: clock["now"])

    def make(*trials: TrialRecord, share: float = 0.2) -> Reserve:
        monkeypatch.setattr(time_reserve.reading, "load_study", lambda *_: study(*trials))
        return Reserve(None, "s", FinalOptions(share=share), 100.0, _asked=clock["now"])  # type: ignore[arg-type]

    make.clock = clock  # type: ignore[attr-defined]
    return make


def test_the_end_takes_as_long_as_the_winner_took_on_all_that_is_not_test() -> None:
    winner = trial(0, 0.9)
    assert epochs_between(study(winner), winner) == (3, 4)
    long = trial(0, 0.9, epochs=30)
    assert epochs_between(study(long), long) == (5, 30)
    # Two seconds beside its epochs, and two epochs of two seconds on half as many images again.
    assert final_seconds(study(winner), winner, 2) == pytest.approx(2 + 1.5 * 2 * 2 + EXPORT_S)
    assert choice.growth(study(winner)) == 1.5


def test_no_trial_starts_that_could_not_end_in_time(held: Any) -> None:
    assert not held().is_reached(EXPORT_S + 0.1)
    assert held().is_reached(EXPORT_S)
    quick = held(trial(0, 0.9), trial(1, 0.5, seconds=3.0))
    needed = final_seconds(study(trial(0, 0.9)), trial(0, 0.9), 4)
    assert not quick.is_reached(needed + 0.8)  # a quarter of the quickest training
    assert held(trial(0, 0.9), trial(1, 0.5, seconds=3.0)).is_reached(needed + 0.75)
    assert held(trial(0, 0.9), trial(1, 0.5, epochs=1, seconds=0.1)).is_reached(needed + 2.5)  # a linear probe


def test_at_most_a_share_is_reserved_for_a_soup_and_for_the_choice(held: Any) -> None:
    solved = replace(trial(0, 0.9), extras={"head_start": {"strength": 1.0}})
    assert soup_of(FinalOptions(soup=2), solved) == 2
    assert soup_of(FinalOptions(soup=2), trial(0, 0.9)) == 1
    assert soup_of(FinalOptions(), replace(solved, epochs=solved.epochs[:1])) == 1  # a linear probe: always the same
    alone, two = (final_seconds(study(solved), solved, 4, count) for count in (1, 2))
    assert two - alone == pytest.approx(1.5 * 4 * 2)  # its epochs: nothing is computed or built again
    assert soup_seconds(study(solved), solved, FinalOptions()) == pytest.approx(alone + 3 * 1.5 * 4 * 2)
    assert held(solved, share=0.9)._kept_s(99.0) == pytest.approx(alone + 3 * 1.5 * 4 * 2)
    assert held(solved, share=0.3)._kept_s(99.0) == pytest.approx(30.0)
    assert held(solved, share=0.1)._kept_s(99.0) == pytest.approx(alone)
    rival = replace(trial(1, 0.9), candidate={"another": 1})
    both = study(trial(0, 0.9), rival)
    assert choosing_seconds(both, choice.may_be_best(both, 3)) == pytest.approx(2 * (2 + 4 * 2))
    assert choosing_seconds(both, choice.may_be_best(both, 1)) == 0
    # The choice is left out where not all of it fits into the share.
    assert held(trial(0, 0.9), rival, share=0.39)._kept_s(99.0) == pytest.approx(18 + 20)
    assert held(trial(0, 0.9), rival, share=0.37)._kept_s(99.0) == pytest.approx(18)


def test_more_than_the_share_is_reserved_if_the_winner_needs_it(held: Any) -> None:
    slow = trial(0, 0.9, epochs=20, seconds=42.0)
    assert epochs_between(study(slow), slow) == (4, 20)
    needed = final_seconds(study(slow), slow, 20)
    assert needed == pytest.approx(2 + 1.5 * 40 + EXPORT_S)
    assert held(slow, share=0.1).is_reached(needed + 10.5)
    assert not held(slow, share=0.1).is_reached(needed + 10.6)
    # Where it can only be shortened, nothing else is begun; where it cannot be had at all, the next may need less.
    shortest = final_seconds(study(slow), slow, 4)
    assert held(slow, share=0.1).is_reached(needed - 0.1)
    assert held(slow, share=0.1).is_reached(shortest)
    assert not held(slow, share=0.1).is_reached(shortest - 0.1)
    assert held(slow, share=0.1).is_reached(EXPORT_S)


def test_a_running_trial_gives_way_while_the_final_model_still_has_time(held: Any) -> None:
    winner = trial(0, 0.9)
    needed = final_seconds(study(winner), winner, 4)
    running = held(winner)
    held.clock["now"] += 5  # an epoch of five seconds
    assert not running.is_pressing(needed + 6.1)
    held.clock["now"] += 5
    assert running.is_pressing(needed + 1)
    assert running.is_reached(80.0)  # and nothing is started afterwards
    late = held(winner)
    held.clock["now"] += 5
    assert late.is_pressing(
        time_reserve.EXPORT_S + 5
    )  # too late for the final training: the running trial still ends in time
    first = held()
    held.clock["now"] += 50
    assert not first.is_pressing(1.0)  # before there is a winner, there is nothing to make room for


def test_without_a_time_limit_or_a_final_model_nothing_is_reserved() -> None:
    class Spec:
        name = "s"

        class search:  # noqa: N801  # as the attribute is called
            final: Any = FinalOptions()

    assert isinstance(reserve_of(None, Spec(), 60.0), Reserve)  # type: ignore[arg-type]
    assert reserve_of(None, Spec(), None) is None  # type: ignore[arg-type]
    Spec.search.final = "off"
    assert reserve_of(None, Spec(), 60.0) is None  # type: ignore[arg-type]
    assert replace(FinalOptions(), share=0.5).top == 3


def test_a_trial_fits_where_it_and_what_it_would_need_as_the_winner_end_in_time(held: Any) -> None:
    # The winner needs 18 s; a trial of 30 s would need 1.5 * 30 s and the export if it won.
    assert held(trial(0, 0.9)).fits(2.0, 20.0)
    assert not held(trial(0, 0.9)).fits(2.1, 20.0)
    needed = 30 + 1.5 * 30 + EXPORT_S
    assert held(trial(0, 0.9)).fits(30.0, needed + 0.1)
    assert not held(trial(0, 0.9)).fits(30.0, needed - 0.1)


def test_a_winner_that_found_its_features_in_the_cache_has_time_for_those_of_new_samples(held: Any) -> None:
    first = replace(trial(0, 0.9), extras={"prefix": {"train": {"seconds": 5.0}, "val": {"seconds": 1.0}}})
    needed = 20 + 1.5 * 20 + choice.fresh(study(first)) * 6 + EXPORT_S
    assert held(first).fits(20, needed)
    assert not held(first).fits(20, needed - 0.1)
