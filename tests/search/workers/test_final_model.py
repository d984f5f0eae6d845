from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from search.errors import RunError
from search.records.study import DatasetRecord, EpochRecord, Repeat, Size, StudyRecord, TrialRecord, TrialState
from search.spec.final_options import FinalOptions
from search.spec.search_options import SearchOptions
from search.store.repeats import RetrainingRequest
from search.trials.time_reserve import EXPORT_S
from search.workers import final_model
from search.workers.final_model import MOST_SEEDS, Ending


def trial(number: int, value: float) -> TrialRecord:
    epochs = tuple(EpochRecord(epoch, 0.1, {"accuracy": value}, seconds=1.0) for epoch in range(1, 5))
    return TrialRecord(number, TrialState.COMPLETE, value, epochs=epochs, best_epoch=4, seconds=5.0,
                       candidate={"structure": number}, size=Size(1, 1, 1))  # fmt: skip


def study(target: int, *trials: TrialRecord, **facts: Any) -> StudyRecord:
    data = DatasetRecord("d", (), {}, "", sizes={"train": 100, "val": 300})
    return StudyRecord("s", "t", "accuracy", True, "b", "w", data, target, trials=trials, **facts)


def ending(left: float = math.inf) -> Ending:
    spec = SimpleNamespace(name="s", search=SearchOptions())
    return Ending(None, spec, FinalOptions(), lambda: left, lambda *_: None)  # type: ignore[arg-type]


def test_as_many_are_trained_again_as_a_share_of_the_trials() -> None:
    few = (trial(0, 0.9), trial(1, 0.9), trial(2, 0.9))
    assert ending()._seeds(study(10, *few), few) == (1, "")
    assert ending()._seeds(study(30, *few), few) == (2, "")
    assert ending()._seeds(study(1000, *few), few) == (MOST_SEEDS, "")
    assert ending()._seeds(study(5, *few), few) == (0, "50 % of 5 trials are fewer than 3 trainings")


def test_the_choice_takes_only_the_time_that_the_final_training_leaves() -> None:
    few = (trial(0, 0.9), trial(1, 0.9))
    record = study(1000, *few)
    # Four epochs of twice as many passes, a second beside them, and the export; then 5 s for each of the two.
    needed = ending()._needed_s(record)
    assert needed == pytest.approx(1 + 4 * 2 + EXPORT_S)
    assert ending(needed + 10.1)._seeds(record, few) == (1, "")
    assert ending(needed + 20.1)._seeds(record, few) == (2, "")
    count, why = ending(needed + 9)._seeds(record, few)
    assert (count, why) == (0, "they take about 10 s, and 9 s of the budget are left for that")


def test_where_the_time_is_too_short_for_all_of_the_best_few_some_of_them_are_trained_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = tuple(replace(trial(number, 0.9), candidate={"structure": number}) for number in range(3))
    record, asked = study(1000, *few), []

    def requests(_: int, among: Sequence[TrialRecord], seeds: int) -> list[RetrainingRequest]:
        asked.append((len(among), seeds))
        return []

    monkeypatch.setattr(final_model.confirmation, "requests", requests)
    monkeypatch.setattr(final_model.repeats, "add", lambda *_: None)
    monkeypatch.setattr(final_model.repeats, "withdraw", lambda *_: None)
    needed = ending()._needed_s(record)
    assert ending(needed + 14.9)._choose(record) == ""
    assert asked == [(2, 1)]
    assert "9 s of the budget are left" in ending(needed + 9)._choose(record)


def test_a_study_that_goes_on_keeps_to_the_seeds_that_are_there() -> None:
    few = (trial(0, 0.9), trial(1, 0.9), trial(2, 0.9))
    there = (Repeat(0, 2, value=0.8), Repeat(1, 2, value=0.8))
    assert ending()._seeds(study(15, *few, repeats=there), few) == (2, "")


def test_a_choice_that_fails_is_reported_and_the_winner_is_trained_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = study(100, trial(0, 0.9), trial(1, 0.9))
    monkeypatch.setattr(final_model.reading, "load_study", lambda *_: record)

    def fail(*_: object) -> str:
        raise RunError("the device is lost")

    monkeypatch.setattr(Ending, "_choose", fail)
    monkeypatch.setattr(Ending, "_finish", lambda *_: "")
    assert ending().conclude() == ("the best candidates were not trained again: the device is lost",)


@pytest.mark.parametrize(
    ("left", "spent", "planned"),
    [
        (math.inf, 200.0, (4, 4)),
        (math.inf, 75.0, (2, 4)),
        (math.inf, 5.0, (1, 4)),
        (900.0, 5.0, (8, 4)),
        (29.0, 5.0, (5, 4)),
        (21.0, 5.0, (4, 4)),
        (20.9, 5.0, (3, 4)),
        (13.0, 5.0, (3, 4)),
        (12.9, 5.0, (1, 3)),
        (12.0, 5.0, (1, 3)),
        (10.0, 5.0, (1, 0)),
    ],
)
def test_a_soup_takes_what_is_left_or_a_quarter_of_what_the_trials_took(
    left: float, spent: float, planned: tuple[int, int]
) -> None:
    winner = replace(trial(0, 0.9), extras={"head_start": {"strength": 1.0}})
    record = study(30, winner, replace(trial(1, 0.5), seconds=spent - 5))
    # Four epochs of twice as many passes, 8 s each, a second beside the first one, and the export; two more may begin.
    assert ending()._planned(record, winner, left) == planned
