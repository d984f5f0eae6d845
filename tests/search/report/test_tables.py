from __future__ import annotations

from dataclasses import replace

import pytest

from search.records.study import Failure, Overlap, Repeat, StudyRecord, TrialState
from search.report import tables


def test_samples_are_called_what_they_are(study: StudyRecord) -> None:
    dataset = replace(study.dataset, inputs="tokens", noun="texts", skipped=("line 3: empty",))
    assert tables.warnings(replace(study, dataset=dataset)) == ["Left out because they are broken: 1 texts."]


def test_what_is_in_training_too_is_warned_of(study: StudyRecord) -> None:
    dataset = replace(study.dataset, overlaps=(Overlap("val", 3, 30, "a.png"),))
    assert tables.warnings(replace(study, dataset=dataset)) == [
        "3 of 30 validation images are in training too, so results on them are too optimistic; the first: a.png."
    ]


def test_states_cost_and_failures_are_counted(study: StudyRecord) -> None:
    assert tables.states(study).startswith("24 of 24 trials: 18 complete, 4 pruned, 2 failed")
    assert "epochs were saved" in tables.cost(study)
    assert [kind for kind, _, _ in tables.failures(study)] == ["nan", "nan"]


def test_differences_are_listed_and_described(study: StudyRecord) -> None:
    first, second = study.trials[0], replace(study.trials[1], params={"freeze": 3, "new": 0.123456})
    found = {row.what: row.values for row in tables.differences((first, second))}
    assert found["units frozen"] == ("0", "3")
    assert found["new"] == ("–", "0.123")
    assert found["units dropped at the end"] == ("0", "–")
    words = tables.difference_words(first, second)
    assert words.startswith("Trial 1 against trial 0: ")
    assert "units frozen 3 instead of 0" in words
    assert "new 0.123" in words
    assert "no units dropped at the end (0)" in words
    assert "the same parameters" in tables.difference_words(first, replace(first, number=9))


def test_results_show_objectives_that_no_other_row_has(study: StudyRecord) -> None:
    trials = [replace(trial, objectives={}) for trial in study.ranking[:2]]
    plain = tables.results(trials)
    values = [{study.metric: trial.value, "flops": 9.0, "latency": 2.0, "quantised": 0.5} for trial in trials]
    values[1].pop("quantised")
    own = tables.results([replace(trial, objectives=of) for trial, of in zip(trials, values, strict=True)])
    assert own[: len(plain)] == plain
    assert own[len(plain) :] == [("latency", ("2 ms", "2 ms")), ("int8 value", ("0.5000", "–"))]


def test_studies_have_a_line_each(study: StudyRecord) -> None:
    (line,) = tables.studies((study,))
    assert len(line) == len(tables.STUDIES)
    assert line[0] == "study"
    assert "points, may be chance" in line[6]


def test_the_most_frequent_kinds_of_failure_are_named_with_their_last_trial(study: StudyRecord) -> None:
    kinds = ["nan", "memory", "nan", "disk", "error", "error", "memory"]
    trials = tuple(
        replace(study.trials[1], number=number, state=TrialState.FAILED, failure=Failure(kind, f"{kind} {number}"))
        for number, kind in enumerate(kinds)
    )
    assert tables.failure_notes(replace(study, trials=trials)) == [
        ("2 of 7 trials failed (nan), the last with: nan 2", 2),
        ("2 of 7 trials failed (memory), the last with: memory 6", 6),
        ("2 of 7 trials failed (error), the last with: error 5", 5),
    ]
    assert tables.failure_notes(replace(study, trials=())) == []


def test_what_trainings_after_the_search_cost_is_said(study: StudyRecord) -> None:
    own = tables.facts(study)[-1]
    assert own[1].startswith("of training in trials; ")
    assert own[1].endswith(" epochs saved")
    fresh = tuple(Repeat(1, seed, state=TrialState.COMPLETE, value=0.5, seconds=30.0) for seed in (1, 2))
    assert tables.facts(replace(study, repeats=fresh))[-1] == (
        own[0],
        own[1].replace("in trials", "in trials, 1 min 00 s after them"),
    )


def test_a_page_begins_with_what_was_found(study: StudyRecord) -> None:
    labels = [label for _, label in tables.facts(study)]
    assert labels[0] == "best accuracy"
    assert "FLOPs of one forward pass" in labels
    assert tables.warnings(study) == []


def test_epochs_are_saved_by_ending_weak_trials_and_by_nothing_else(study: StudyRecord) -> None:
    pruned = [trial for trial in study.trials if trial.state is TrialState.PRUNED]
    ended = [trial for trial in study.trials if trial.state in (TrialState.PRUNED, TrialState.COMPLETE)]
    saved = sum(5 - len(trial.epochs) for trial in pruned)
    assert f"; {saved} of {5 * len(ended)} epochs were saved" in tables.cost(study)
    unpruned = tuple(trial for trial in study.trials if trial.state is not TrialState.PRUNED)
    assert any(trial.state is TrialState.FAILED for trial in unpruned)
    assert "saved" not in tables.cost(replace(study, trials=unpruned))


def test_a_trial_saves_of_its_own_epochs(study: StudyRecord) -> None:
    short = replace(study.trials[4], params={"epochs.share": 0.6}, extras={})
    assert tables.budget(study, short) == 3
    noted = replace(study.trials[4], extras={"cost": {"epochs": 7}})
    assert tables.budget(study, noted) == 7
    assert "; 1 of 3 epochs were saved" in tables.cost(replace(study, trials=(short,)))


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.WAITING, TrialState.FAILED])
def test_epochs_that_are_still_to_come_or_failed_are_not_saved(study: StudyRecord, state: TrialState) -> None:
    begun = replace(study.trials[1], state=state, value=None, epochs=study.trials[1].epochs[:1])
    assert "saved" not in tables.cost(replace(study, trials=(study.trials[0], begun)))


def test_a_complete_trial_that_no_longer_changed_was_not_ended_for_being_weak(study: StudyRecord) -> None:
    ended = replace(study.trials[1], epochs=study.trials[1].epochs[:2], ended="accuracy has been 0.5 for 2 epochs")
    assert "saved" not in tables.cost(replace(study, trials=(study.trials[0], ended)))
