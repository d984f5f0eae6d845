from __future__ import annotations

from dataclasses import replace

import pytest

from search.errors import NotFoundError, UserError
from search.records.named_trial import chosen_model, is_name, named_trial, with_candidate, with_weights
from search.records.study import DatasetRecord, Refit, StudyRecord, TrialRecord, TrialState

TRIALS = (
    TrialRecord(0, TrialState.COMPLETE, 0.5, is_baseline=True, candidate={"a": 0}, checkpoint="trial-00000"),
    TrialRecord(1, TrialState.COMPLETE, 0.9, candidate={"a": 1}, words="the best"),
    TrialRecord(2, TrialState.FAILED),
)
STUDY = StudyRecord("flowers", "t", "m", True, "b", "w", DatasetRecord("d", (), {}, ""), 3, trials=TRIALS)


def refit(number: int, trial: int | None, checkpoint: str | None) -> Refit:
    return Refit(
        number=number,
        trial=trial,
        words="refitted",
        candidate={"a": 9},
        data="train",
        epochs=1,
        ema=False,
        tta=False,
        state=TrialState.COMPLETE,
        checkpoint=checkpoint,
    )


@pytest.mark.parametrize(("text", "number"), [("best", 1), ("baseline", 0), ("2", 2)])
def test_trials_go_by_name_and_number(text: str, number: int) -> None:
    assert named_trial(STUDY, text) == (TRIALS[number], None)


def test_refit_means_the_newest_finished_one_with_its_own_weights() -> None:
    study = replace(STUDY, refits=(refit(0, 0, "old"), refit(1, 1, "new"), refit(2, 0, None)))
    trial, found = named_trial(study, "refit")
    assert (trial.number, trial.candidate, trial.checkpoint, trial.words) == (1, {"a": 9}, "new", "refitted")
    assert found is study.refits[1]
    from_a_file = replace(STUDY, refits=(refit(0, None, "file"),))
    assert named_trial(from_a_file, "refit")[0].number == -1


def test_the_best_model_is_the_final_one_of_the_winner() -> None:
    study = replace(STUDY, finals=(refit(0, 1, "final-00000"), refit(1, 0, "final-00001")))
    trial, found = chosen_model(study, "best")
    assert (trial.number, trial.checkpoint, found) == (1, "final-00000", study.finals[0])
    assert chosen_model(study, "1") == (TRIALS[1], None)
    assert chosen_model(STUDY, "best") == (TRIALS[0], None)  # the winner keeps no weights
    kept = replace(STUDY, trials=(TRIALS[0], replace(TRIALS[1], checkpoint="trial-00001")))
    assert chosen_model(kept, "best") == (kept.trials[1], None)
    none = replace(STUDY, trials=TRIALS[1:])
    assert chosen_model(none, "best") == (TRIALS[1], None)


@pytest.mark.parametrize(
    ("study", "text", "message"),
    [
        (STUDY, "77", "the study 'flowers' has no trial 77; it has 3, numbered from 0"),
        (replace(STUDY, trials=()), "0", "has no trial 0; it has none yet"),
        (replace(STUDY, trials=()), "best", "has no complete trial yet; `ftsearch status flowers`"),
        (replace(STUDY, trials=TRIALS[1:]), "baseline", "has no trial of the plain recipe"),
        (STUDY, "refit", "no finished refit; make one with `ftsearch refit flowers`"),
    ],
)
def test_what_is_missing_is_reported_in_one_wording(study: StudyRecord, text: str, message: str) -> None:
    assert is_name(text)
    with pytest.raises(NotFoundError, match=message):
        named_trial(study, text)


def test_other_words_are_refused_with_all_that_is_taken() -> None:
    assert not is_name("worst")
    with pytest.raises(UserError, match="expected best, baseline, refit, a file or the number of a trial of 'flowers'"):
        named_trial(STUDY, "worst", expected=("a file",))


def test_weights_and_candidates_may_be_missing() -> None:
    assert with_weights(STUDY, TRIALS[0]) is with_candidate(STUDY, TRIALS[0]) is TRIALS[0]
    with pytest.raises(UserError, match=r"trial 1 .* has no weights.*trials with weights: 0"):
        with_weights(STUDY, TRIALS[1])
    with pytest.raises(UserError, match=r"trial 2 of 'flowers' \(failed\) has no candidate"):
        with_candidate(STUDY, TRIALS[2])
