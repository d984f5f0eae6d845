from __future__ import annotations

from dataclasses import replace

from search.records.study import Objective, StudyRecord
from search.report import front


def weighed(study: StudyRecord) -> StudyRecord:
    """The study with a latency that grows with the trial's number as second objective."""
    objectives = [{"name": study.metric, "direction": "maximize"}, {"name": "latency", "direction": "minimize"}]
    trials = tuple(
        replace(trial, objectives={study.metric: trial.value, "latency": 1.0 + trial.number}) for trial in study.trials
    )
    return replace(study, trials=trials, spec={"study": {"objectives": objectives}})


def test_a_study_of_one_objective_has_no_front_to_show(study: StudyRecord) -> None:
    assert front.columns(study) == ()
    assert front.rows(study) == []


def test_the_front_begins_with_the_best_and_ends_with_the_cheapest(study: StudyRecord) -> None:
    own = weighed(study)
    assert front.columns(own) == ("trial", "accuracy", "latency", "candidate")
    lines = front.rows(own)
    assert lines[0][0] == str(own.best.number if own.best else "")
    assert lines[-1][0] == str(min(trial.number for trial in own.ranking))
    assert lines[-1][2].endswith(" ms")
    values = [float(line[1]) for line in lines]
    assert values == sorted(values, reverse=True)
    assert front.sentence(own).startswith(f"{len(lines)} of {len(own.ranking)} complete trials")


def test_a_trial_that_breaks_a_constraint_is_not_on_the_front(study: StudyRecord) -> None:
    own = weighed(study)
    best = own.front[0].number
    broken = tuple(
        replace(trial, constraints={"latency < 1ms": 0.5}) if trial.number == best else trial for trial in own.trials
    )
    assert best not in {int(line[0]) for line in front.rows(replace(own, trials=broken))}


def test_costs_are_shown_in_their_units() -> None:
    cells = [("parameters", 2.5e6), ("latency", 3.14159), ("train_seconds", 200), ("checkpoint_bytes", 9.9e6)]
    assert [front.cell(*one) for one in cells] == ["2.5 M", "3.14 ms", "3 min 20 s", "9.9 MB"]
    assert front.cell("accuracy", 0.5) == "0.5000"
    assert front.name(Objective("checkpoint_bytes", maximize=False), "accuracy") == "checkpoint"


def test_a_trials_further_objectives_are_reported_once(study: StudyRecord) -> None:
    own = weighed(study)
    trial = own.front[0]
    assert front.further(own, trial) == [(front.cell("latency", trial.objectives["latency"]), "latency")]
    assert front.further(study, trial) == []
    assert front.further(own, replace(trial, objectives={})) == []


def test_what_is_measured_in_integers_is_called_by_the_metric() -> None:
    assert front.name(Objective("quantised", maximize=True), "balanced_accuracy") == "int8 balanced accuracy"
    assert front.cell("quantised", 0.9876) == "0.9876"
