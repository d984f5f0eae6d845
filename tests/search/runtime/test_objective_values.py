from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from search.errors import TrialError
from search.records.objectives import COSTS, Goals, LatencyOptions, read_constraints
from search.records.study import EpochRecord, Objective
from search.runtime import objective_values
from search.runtime.int8_accuracy import Quantised
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import load_spec
from spaces.networks.space import Random

ACCURACY = Objective("accuracy", maximize=True)


def down(*names: str) -> tuple[Objective, ...]:
    return ACCURACY, *(Objective(name, maximize=False) for name in names)


def bounded(*objectives: str, **bounds: str) -> Goals:
    return Goals(down(*objectives), read_constraints(bounds or None, (*COSTS, "accuracy", "quantised")))


@pytest.fixture
def runtime(study_file: Path) -> StudyRuntime:
    return open_runtime(load_spec(study_file), "cpu")


def weighing(runtime: StudyRuntime, wanted: Goals) -> StudyRuntime:
    return replace(runtime, spec=replace(runtime.spec, wanted=wanted))


@pytest.mark.parametrize("seed", range(4))
def test_what_is_counted_without_building_is_what_the_built_network_has(runtime: StudyRuntime, seed: int) -> None:
    candidate = runtime.space.sample(Random(seed))
    size = runtime.size(runtime.build(candidate, 0))
    assert objective_values.counted(runtime, candidate) == {"parameters": size.parameters, "flops": size.flops}


def test_nothing_is_found_out_that_nobody_weighs(runtime: StudyRuntime) -> None:
    assert objective_values.known(runtime, runtime.space.baseline()) == {}


def test_bytes_and_latency_are_those_of_the_built_network(runtime: StudyRuntime) -> None:
    wanted = replace(bounded("checkpoint_bytes", "latency"), latency=LatencyOptions(batch=2, warmup=0, runs=1))
    found = objective_values.known(weighing(runtime, wanted), runtime.space.baseline())
    assert set(found) == {"parameters", "flops", "checkpoint_bytes", "latency", "latency_lower", "latency_upper"}
    assert found["checkpoint_bytes"] >= 4 * found["parameters"]
    assert found["latency"] > 0


def test_a_network_that_is_too_large_is_not_built(runtime: StudyRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    own = weighing(runtime, bounded("latency", parameters="< 10"))
    own = weighing(own, replace(own.spec.goals, latency=LatencyOptions(warmup=0, runs=1)))
    baseline = own.space.baseline()
    assert "latency" in objective_values.known(own, baseline, whole=True)
    monkeypatch.setattr(StudyRuntime, "build", lambda *_: pytest.fail("it was built"))
    assert set(objective_values.known(own, baseline)) == {"parameters", "flops"}


EPOCHS = [EpochRecord(1, 0.5, {"accuracy": 0.6, "loss": 1.0}, seconds=2.0),
          EpochRecord(2, 0.4, {"accuracy": 0.8, "loss": 0.7}, seconds=3.0)]  # fmt: skip


def test_a_complete_trial_has_a_value_for_every_objective() -> None:
    goals = bounded("loss", "parameters", "train_seconds", parameters="< 5", accuracy="at least 0.9")
    found = objective_values.of_trial(goals, {"parameters": 4.0}, EPOCHS, EPOCHS[1], pruned=False)
    assert found.objectives == {"accuracy": 0.8, "loss": 0.7, "parameters": 4.0, "train_seconds": 5.0}
    assert found.constraints["parameters < 5"] < 0 < found.constraints["accuracy at least 0.9"]
    assert not found.is_feasible


def test_a_pruned_trial_is_held_to_what_was_known_before() -> None:
    goals = bounded("train_seconds", parameters="< 5", accuracy="at least 0.9", train_seconds="< 1s")
    found = objective_values.of_trial(goals, {"parameters": 4.0}, EPOCHS, EPOCHS[1], pruned=True)
    assert (found.objectives, set(found.constraints)) == ({}, {"parameters < 5"})
    assert found.is_feasible


def test_a_single_objective_needs_no_values_beside_it() -> None:
    assert (
        objective_values.of_trial(bounded(), {}, EPOCHS, EPOCHS[1], pruned=False) == objective_values.ObjectiveValues()
    )


def test_a_network_that_cannot_be_quantised_breaks_a_constraint_and_keeps_its_other_values() -> None:
    goals = bounded("quantised", "parameters", quantised="at least 0.7")
    good = Quantised(0.75, "", 1.0, 8, 1000)
    found = objective_values.of_trial(goals, {"parameters": 4.0}, EPOCHS, EPOCHS[1], pruned=False, quantised=good)
    assert found.objectives == {"accuracy": 0.8, "quantised": 0.75, "parameters": 4.0}
    assert found.is_feasible
    none = Quantised(None, "no layer fits", 1.0, 8)
    found = objective_values.of_trial(goals, {"parameters": 4.0}, EPOCHS, EPOCHS[1], pruned=False, quantised=none)
    assert found.objectives == {"accuracy": 0.8, "parameters": 4.0}
    assert found.constraints == {"int8 quantisation": 1.0}
    assert not found.is_feasible


def test_an_objective_that_is_not_a_number_fails_the_trial_by_name() -> None:
    broken = EpochRecord(1, 0.5, {"accuracy": 0.6, "loss": math.nan})
    with pytest.raises(TrialError, match="loss is nan at the best epoch 1"):
        objective_values.of_trial(bounded("loss"), {}, [broken], broken, pruned=False)
