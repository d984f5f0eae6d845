from __future__ import annotations

from dataclasses import replace

from search.records.study import StudyRecord, TrialState
from search.report import shown_trials


def many(study: StudyRecord, count: int) -> StudyRecord:
    return replace(
        study,
        trials=tuple(replace(study.trials[1], number=number, value=number / count) for number in range(count)),
    )


def test_best_plain_and_running_trials_always_have_their_curves(study: StudyRecord) -> None:
    large = many(study, 5000)
    running = replace(large.trials[4321], state=TrialState.RUNNING, value=None)
    plain = replace(large.trials[17], is_baseline=True)
    trials = tuple({4321: running, 17: plain}.get(trial.number, trial) for trial in large.trials)
    found = shown_trials.for_curves(replace(large, trials=trials))
    assert {4999, 4998, 4321, 17} <= set(found)
    assert len(found) < 400


def test_details_are_of_the_best(study: StudyRecord) -> None:
    assert shown_trials.for_details(many(study, 5000)) == list(range(4940, 5000))


def test_a_sample_is_drawn_without_favour_and_the_same_each_time(study: StudyRecord) -> None:
    large = many(study, 5000)
    found = [trial.value or 0 for trial in shown_trials.with_values(large, 1000)]
    assert len(found) == 1000
    assert abs(sum(found) / 1000 - 0.5) < 0.05
    assert found == [trial.value for trial in shown_trials.with_values(large, 1000)]


def test_epochs_are_counted_whether_they_were_read_or_not(study: StudyRecord) -> None:
    assert shown_trials.epochs_run(study.trials[0]) == 5
    assert shown_trials.epochs_run(replace(study.trials[0], epochs=(), extras={"epochs_run": 3})) == 3


def test_ranges_come_from_any_trial_that_has_them(study: StudyRecord) -> None:
    assert set(shown_trials.spaces_of(study.trials)) == {"freeze", "tail", "optimizer.name"}


def test_scales_are_as_they_were_drawn(study: StudyRecord) -> None:
    uniform = '{"name": "FloatDistribution", "attributes": {"log": false, "low": 0.0, "high": 1.0, "step": null}}'
    trials = tuple(
        replace(trial, params={"share": 10.0**-place}, distributions={"share": uniform})
        for place, trial in enumerate(study.trials[:5])
    )
    assert not shown_trials.is_log("share", trials)
    assert shown_trials.is_log("share", [replace(trial, distributions={}) for trial in trials])
    assert not shown_trials.is_log("freeze", study.trials)
