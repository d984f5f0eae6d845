from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from search.records.study import Refit, Repeat, Size, StudyRecord, TrialState
from search.report.final import choice_sentence, model_sentence

NOON = datetime(2026, 1, 1, tzinfo=UTC)


def sized(study: StudyRecord) -> StudyRecord:
    """Return ``study`` with two trials of which the second is the smaller."""
    first, second = study.trials[0], study.trials[1]
    trials = (
        replace(first, value=0.5, state=TrialState.COMPLETE, size=Size(20, 1, 1)),
        replace(second, value=0.75, state=TrialState.COMPLETE, size=Size(10, 1, 1)),
    )
    return replace(study, trials=trials)


def test_the_choice_is_reported_with_every_mean(study: StudyRecord) -> None:
    found = sized(study)
    assert choice_sentence(found) == ""
    chosen = replace(found, repeats=(Repeat(0, 1, value=0.85), Repeat(1, 1, value=0.5)))
    assert choice_sentence(chosen) == (
        "the plain recipe has the best mean over 2 trainings, the search's own and fresh ones: accuracy 0.6750 against "
        "0.6250 of trial 1."
    )
    tied = replace(found, repeats=(Repeat(0, 1, value=0.75), Repeat(1, 1, value=0.5)))
    assert choice_sentence(tied).startswith("trial 1 has the best mean and the fewest parameters over 2 trainings")


def test_the_number_of_a_final_model_is_what_validation_gave_before(study: StudyRecord) -> None:
    found = sized(study)
    assert (
        model_sentence(found) == f"none: no weights of trial 1 are kept; `ftsearch refit {study.name}` trains it again."
    )
    other = replace(found, trials=(replace(found.trials[0], checkpoint="w"), found.trials[1]))
    assert model_sentence(other) == (
        "the plain recipe as the search trained it, on the training images alone; accuracy 0.5000 on the validation "
        f"images. No weights of trial 1 are kept; `ftsearch refit {study.name}` trains it again."
    )
    found = replace(found, trials=(found.trials[0], replace(found.trials[1], checkpoint="w")))
    assert model_sentence(found) == (
        "trial 1 as the search trained it, on the training images alone; accuracy 0.7500 on the validation images."
    )
    final = Refit(0, 1, "", {}, "train+val", 4, False, False, TrialState.COMPLETE, images=30, checkpoint="c",
                  finished_at=NOON, is_final=True)  # fmt: skip
    assert model_sentence(replace(found, finals=(final,))) == (
        "trial 1 trained on train and validation data, 30 images, for 4 epochs; no images are left to score it on. "
        "Before, it had accuracy 0.7500 on the validation images."
    )
    assert model_sentence(replace(found, trials=())) == ""


@pytest.mark.parametrize(
    ("trainings", "branches", "has_start", "is_mirrored", "expected"),
    [
        (1, 1, False, False, ""),
        (4, 1, False, False, ", the mean of 4 trainings"),
        (4, 4, False, False, ", 4 trainings side by side behind the same frozen units (1.5 times the FLOPs of one)"),
        (6, 3, False, False, ", 6 trainings in 3 branches behind the same frozen units (1.5 times the FLOPs of one)"),
        (1, 2, True, False, ", beside it the network before training (1.5 times the FLOPs of one)"),
        (
            3,
            2,
            True,
            False,
            ", the mean of 3 trainings, beside it the network before training (1.5 times the FLOPs of one)",
        ),
        (
            3,
            4,
            True,
            False,
            ", 3 trainings side by side behind the same frozen units, beside them the network before training "
            "(1.5 times the FLOPs of one)",
        ),
        (
            1,
            1,
            False,
            True,
            ", outputs for an image and its mirror image averaged (1.5 times the FLOPs of one)",
        ),
    ],
)
def test_how_several_trainings_became_one_model(
    study: StudyRecord, trainings: int, branches: int, has_start: bool, is_mirrored: bool, expected: str
) -> None:
    found = sized(study)
    trials = (found.trials[0], replace(found.trials[1], checkpoint="w", size=Size(10, 1, 10)))
    final = Refit(0, 1, "", {}, "train+val", 4, False, False, TrialState.COMPLETE, images=30, checkpoint="c",
                  finished_at=NOON, is_final=True, trainings=trainings, branches=branches, has_start=has_start,
                  is_mirrored=is_mirrored, flops=15)  # fmt: skip
    sentence = model_sentence(replace(found, trials=trials, finals=(final,)))
    assert f"for 4 epochs{expected}; no images are left" in sentence
