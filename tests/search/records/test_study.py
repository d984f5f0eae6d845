from __future__ import annotations

import random
from dataclasses import replace

from search.records.study import OPEN, DatasetRecord, Size, StudyRecord, TrialRecord, TrialState, of_target


def study(maximize: bool) -> StudyRecord:
    values = ((0, 0.5), (1, 0.9), (2, 0.9), (3, 0.1))
    trials = tuple(TrialRecord(number, TrialState.COMPLETE, value, is_baseline=number == 0) for number, value in values)
    pruned = TrialRecord(4, TrialState.PRUNED, 2.0)
    return StudyRecord("s", "t", "m", maximize, "b", "w", DatasetRecord("d", (), {}, ""), 5, trials=(*trials, pruned))


def test_an_open_study_names_no_number_that_it_will_reach() -> None:
    assert of_target(12, 30) == "12 of 30"
    assert of_target(12, OPEN) == "12"


def test_the_best_complete_trial_wins_and_ties_go_to_the_earlier() -> None:
    assert [trial.number for trial in study(True).ranking] == [1, 2, 0, 3]
    assert [trial.number for trial in study(False).ranking] == [3, 0, 1, 2]


def complete(number: int, value: float, parameters: int, flops: int, latency: float | None = None) -> TrialRecord:
    objectives = {"parameters": float(parameters), "flops": float(flops)}
    objectives |= {} if latency is None else {"latency": latency}
    size = Size(parameters, parameters, flops)
    return TrialRecord(number, TrialState.COMPLETE, value, size=size, objectives=objectives)


def test_of_equally_good_trials_the_smaller_wins_and_the_others_are_called_tied() -> None:
    trials = (
        complete(0, 0.9, 10, 10),
        complete(3, 0.9861, 450, 7690),
        complete(10, 0.9861, 149, 5390),
        complete(14, 0.9861, 149, 5000),
    )
    found = replace(study(True), trials=trials)
    assert [trial.number for trial in found.ranking] == [14, 10, 3, 0]
    assert found.best is trials[3]
    assert [trial.number for trial in found.tied] == [3, 10]
    assert replace(found, trials=()).tied == ()


def test_of_equally_good_trials_the_further_objectives_decide_before_the_size() -> None:
    stated = [{"name": name, "direction": way} for name, way in (("m", "maximize"), ("latency", "minimize"))]
    trials = (complete(0, 0.9, 10, 10, latency=3.0), complete(1, 0.9, 99, 99, latency=2.0), complete(2, 0.9, 1, 1))
    found = replace(study(True), trials=trials, spec={"study": {"objectives": stated}})
    assert [trial.number for trial in found.ranking] == [1, 0, 2]
    assert found.best in found.front


def test_the_winner_of_drawn_trials_is_on_every_front() -> None:
    names = ("m", "parameters", "flops", "latency")
    stated = [{"name": name, "direction": "maximize" if name == "m" else "minimize"} for name in names]
    for seed in range(50):
        rng = random.Random(seed)
        drawn = []
        for number in range(30):
            value, parameters, flops = rng.randrange(4) / 4, rng.randrange(1, 9), rng.randrange(1, 9)
            drawn.append(complete(number, value, parameters, flops, rng.uniform(1, 2)))
        found = replace(study(True), trials=tuple(drawn), spec={"study": {"objectives": stated}})
        assert found.best in found.front


def test_the_baseline_is_found() -> None:
    found = study(True).baseline
    assert found is not None
    assert found.number == 0


def test_states_know_whether_they_are_final() -> None:
    assert [state for state in TrialState if state.is_finished] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAILED,
    ]
