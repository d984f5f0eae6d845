"""Numbers are computed again with numpy, from what the text of each function says."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from search.records import choice, uncertainty
from search.records.study import (
    DatasetRecord,
    EpochRecord,
    Evaluation,
    Refit,
    Repeat,
    Size,
    StudyRecord,
    TrialRecord,
    TrialState,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def trial(number: int, value: float, parameters: int = 10, **facts: object) -> TrialRecord:
    given = {"candidate": {"structure": number}, "size": Size(parameters, 1, 1), "finished_at": NOON, "seconds": 10.0}
    return TrialRecord(number, TrialState.COMPLETE, value, **(given | facts))  # type: ignore[arg-type]


def study(*trials: TrialRecord, metric: str = "accuracy", maximize: bool = True, **facts: object) -> StudyRecord:
    data = DatasetRecord("d", (), {}, "", sizes={"train": 200, "val": 100})
    return StudyRecord("s", "t", metric, maximize, "b", "w", data, 9, trials=trials, **facts)  # type: ignore[arg-type]


def curve(*values: float, metric: str = "accuracy", seconds: float = 2.0) -> tuple[EpochRecord, ...]:
    return tuple(EpochRecord(epoch, 0.1, {metric: value}, seconds=seconds) for epoch, value in enumerate(values, 1))


def test_those_that_validation_cannot_tell_from_the_best_may_be_the_best() -> None:
    # Two proportions of 100 images: 1.96 * sqrt(2 * 0.9 * 0.1 / 100) is 8.3 points at 0.9.
    limit = 1.96 * math.sqrt(0.9 * 0.1 / 100 + 0.8 * 0.2 / 100)
    assert 0.09 < limit < 0.1
    found = study(trial(0, 0.8), trial(1, 0.9), trial(2, 0.82), trial(3, 0.89, candidate={"structure": 1}))
    assert [one.number for one in choice.may_be_best(found, 3)] == [1, 2]
    assert [one.number for one in choice.may_be_best(found, 1)] == [1]
    assert [one.number for one in choice.may_be_best(replace(found, metric="macro_f1"), 3)] == [1, 2, 0]
    assert choice.may_be_best(study(), 3) == ()


def test_the_winner_so_far_may_be_the_best() -> None:
    losses = {"extras": {uncertainty.CALIBRATED: 0.5}}, {"extras": {uncertainty.CALIBRATED: 0.3}}
    found = study(*(trial(number, 0.9 - number / 100, **losses[number == 3]) for number in range(4)))
    assert found.best is found.trials[3]
    assert [one.number for one in choice.may_be_best(found, 3)] == [0, 1, 3]
    assert [one.number for one in choice.may_be_best(found, 4)] == [0, 1, 2, 3]
    assert [one.number for one in choice.may_be_best(found, 1)] == [0]


def test_bootstrap_samples_of_both_say_what_validation_can_tell() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(0.9, 0.05, 50)
    first, second = (
        trial(number, value, evaluation=Evaluation(resampled=tuple(found)))
        for number, value, found in ((0, 0.9, rows), (1, 0.88, rows - 0.02 + rng.normal(0, 0.001, 50)))
    )
    error = uncertainty.difference_error("macro_f1", first, second, 100)
    differences = np.subtract(first.evaluation.resampled, second.evaluation.resampled)  # type: ignore[union-attr]
    assert error == pytest.approx(math.sqrt(np.var(differences, ddof=1) + 1 / 100**2))
    assert uncertainty.difference_error("rmse", first, second, 100) == pytest.approx(np.std(differences, ddof=1))
    assert [one.number for one in choice.may_be_best(study(first, second, metric="rmse"), 3)] == [0]


def test_fresh_trainings_choose_and_ties_go_to_fewer_parameters() -> None:
    repeats = [Repeat(1, 1, value=0.8), Repeat(2, 1, value=0.86)]
    found = study(trial(0, 0.7), trial(1, 0.9, 30), trial(2, 0.88, 20), repeats=tuple(repeats))
    assert [(one.trial.number, one.trainings) for one in found.contenders] == [(2, 2), (1, 2)]
    assert [one.mean for one in found.contenders] == pytest.approx([np.mean([0.88, 0.86]), np.mean([0.9, 0.8])])
    assert found.best is found.trials[2]
    assert [one.number for one in found.ranking] == [1, 2, 0]
    same = replace(found, repeats=(Repeat(1, 1, value=0.84), repeats[1]))
    assert same.best is same.trials[2]
    assert replace(found, repeats=tuple(repeats[1:])).best is found.trials[1]
    newer = replace(found, trials=(*found.trials, trial(3, 0.95)))
    assert newer.best is newer.trials[3]


def test_the_final_model_is_the_winners_and_new_trials_open_the_question_again() -> None:
    def final(number: int, of: int, checkpoint: str | None = "c") -> Refit:
        late = NOON + timedelta(hours=1)
        return Refit(number, of, "", {}, "train+val", 2, False, False, TrialState.COMPLETE, checkpoint=checkpoint,
                     finished_at=late, is_final=True)  # fmt: skip

    found = study(trial(0, 0.8), trial(1, 0.9), finals=(final(0, 0), final(1, 1), final(2, 1, None)))
    model = choice.final_model(found)
    assert model is not None
    assert model.number == 1
    assert choice.is_settled(found)
    assert not choice.is_settled(replace(found, finals=found.finals[:1]))
    assert not choice.is_settled(
        study(*found.trials, trial(2, 0.5, finished_at=NOON + timedelta(hours=2)), finals=found.finals)
    )


def test_a_curve_lasts_as_long_as_it_is_no_worse_than_validation_can_tell() -> None:
    # One standard error of 0.9 among 100 images is 3 points.
    risen = trial(0, 0.9, epochs=curve(0.5, 0.9, 0.86, 0.875, 0.86), best_epoch=2)
    assert choice.lasting_epochs(study(risen), risen) == 4
    assert choice.lasting_epochs(study(risen, metric="macro_f1"), risen) == 2
    shortened = replace(risen, extras={"origin": {"whole_epochs": 12}})
    assert choice.lasting_epochs(study(shortened), shortened) == 12
    assert choice.lasting_epochs(study(shortened, metric="macro_f1"), shortened) == 12
    rows = tuple(np.random.default_rng(0).normal(0.3, 0.05, 100))
    loss = trial(0, 0.3, epochs=curve(0.9, 0.3, 0.34, 0.4, metric="loss"), best_epoch=2,
                 evaluation=Evaluation(resampled=rows))  # fmt: skip
    assert 0.04 < np.std(rows, ddof=1) < 0.1
    assert choice.lasting_epochs(study(loss, metric="loss", maximize=False), loss) == 3


def test_seconds_are_those_that_were_measured_on_more_samples() -> None:
    found = study(trial(0, 0.5))
    assert choice.growth(found) == pytest.approx(3 * 300 / (3 * 200 + 100))
    plain = trial(0, 0.9, seconds=11.0, epochs=curve(0.5, 0.6, 0.9))
    assert choice.training_seconds([plain], plain, 3) == pytest.approx(11)
    assert choice.training_seconds([plain], plain, 2, 1.5) == pytest.approx(5 + 1.5 * 2 * 2)
    # Two of its views came from another trial, which took 7 seconds for 350 images: the final training needs them all.
    prefix = {"train": {"views": 2, "reused": 600, "computed": 0, "seconds": 0.0}}
    seven = {"train": {"computed": 250, "seconds": 6.0}, "val": {"computed": 100, "seconds": 1.0}}
    other = trial(1, 0.8, extras={"prefix": seven})
    frozen = replace(plain, extras={"prefix": prefix})
    assert choice.training_seconds([frozen, other], frozen, 3, 1.5) == pytest.approx(5 + 1.5 * (400 * 7 / 350 + 3 * 2))
    # Half of the epochs see half of the views, and twice as many twice as many.
    assert choice.training_seconds([frozen, other], frozen, 1, 1.5) == pytest.approx(5 + 1.5 * (200 * 7 / 350 + 2))
    assert choice.training_seconds([frozen, other], frozen, 6, 1.5) == pytest.approx(5 + 1.5 * (800 * 7 / 350 + 6 * 2))
    # It computed half of them itself, faster, from the outputs of fewer units: the final training cannot.
    half = {"train": {"views": 2, "reused": 300, "computed": 300, "seconds": 3.0}}
    own = replace(plain, extras={"prefix": half})
    assert choice.training_seconds([own, other], own, 3, 1.5) == pytest.approx(5 + 1.5 * (400 * 7 / 350 + 3 * 2))
    assert choice.training_seconds([own], own, 3, 1.5) == pytest.approx(5 + 1.5 * (400 * 3 / 300 + 3 * 2))
    # What a much larger network took says nothing.
    light, heavy = ({"cost": {"forward_flops": flops}} for flops in (1.0, 4.0))
    own, large = replace(frozen, extras=frozen.extras | light), replace(other, extras=other.extras | heavy)
    assert choice.training_seconds([own, large], own, 2, 1.5) == pytest.approx(5 + 1.5 * 2 * 2)
    assert choice.training_seconds([], trial(0, 0.9), 2, 1.5) == pytest.approx(15)
    # Another trial has solved its head, in 3 seconds, which are not among those of an epoch.
    begun, same = ({"head_start": {"seconds": seconds}} for seconds in (3.0, 0.5))
    solving, found_solved = replace(other, extras=begun), replace(plain, extras=same)
    assert choice.training_seconds([solving, found_solved], found_solved, 2, 1.5) == pytest.approx(
        4.5 + 1.5 * (3 + 2 * 2)
    )
    # Frozen units are run on new samples alone; the head is solved on all.
    kept = replace(plain, extras={"head_start": {"seconds": 0.5, "features_seconds": 0.4}})
    assert choice.training_seconds([kept], kept, 2, 1.5, 0.5) == pytest.approx(4.5 + 0.5 * 0.4 + 1.5 * (0.1 + 2 * 2))
    own = replace(plain, extras={"prefix": half})
    assert choice.training_seconds([own], own, 3, 1.5, 0.5) == pytest.approx(5 + 0.5 * 400 * 3 / 300 + 1.5 * 3 * 2)
    assert choice.fresh(study(own)) == 0.5
    solved = trial(2, 0.8, extras={"prefix": {"val": {"seconds": 1.0}}, "head_start": {"seconds": 3.0}})
    assert choice.features_seconds(solved) == 4.0
