"""Optimisers and penalties on a GPU: fused, and as on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from device_trials import candidate_of, curve, losses, opened, trained

from spaces.decisions.optimizer import Optimizer
from spaces.decisions.penalty import Penalty

pytestmark = pytest.mark.gpu
RECIPES = {
    "sgd": {"name": "sgd", "momentum": 0.9},
    "adamw": {"name": "adamw", "momentum": 0.9},
    "by layer": {"name": "adamw", "momentum": 0.9, "layer_decay": 0.7, "schedule": "cosine", "warmup": 0.3},
}
PENALTIES = {"none": 0.0, "l1": 1e-4, "l2": 1e-2, "l2_sp": 1e-2, "decay": 1e-2}


def recipe(name: str, penalty: str = "none") -> dict[str, Any]:
    rates = {"lr_head": 0.003, "lr_backbone": 0.001, "layer_decay": 1.0, "schedule": "constant", "warmup": 0.0}
    return {
        "optimizer": {**rates, **RECIPES[name]},
        "penalty": {"kind": penalty, "strength": PENALTIES[penalty], "everything": False},
    }


@pytest.mark.parametrize("name", RECIPES)
def test_an_optimiser_steps_as_on_the_cpu(name: str, device: str, study_file: Path) -> None:
    courses = []
    for place in ("cpu", device):
        runtime = opened(study_file, place)
        courses.append(losses(trained(runtime, candidate_of(runtime, recipe(name)))))
    assert courses[1] == pytest.approx(courses[0], rel=0.02)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_penalty_weighs_as_on_the_cpu(penalty: str, device: str, study_file: Path) -> None:
    courses = []
    for place in ("cpu", device):
        runtime = opened(study_file, place)
        result = trained(runtime, candidate_of(runtime, recipe("adamw", penalty)))
        courses.append([dict(record.loss_terms) for record in result.epochs])
    for ours, expected in zip(courses[1], courses[0], strict=True):
        assert ours == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_steps_are_fused(name: str, device: str, study_file: Path) -> None:
    from search.training.optimizers import optimize

    runtime = opened(study_file, device)
    network = runtime.build(candidate_of(runtime), 0)
    optimizer, _ = optimize(network, Optimizer(name, 0.1, 0.1), Penalty(), 10)
    assert optimizer.defaults["fused"]


def test_a_moving_average_is_that_of_the_cpu(device: str, study_file: Path) -> None:
    courses = []
    for place in ("cpu", device):
        runtime = opened(study_file, place)
        courses.append(trained(runtime, candidate_of(runtime, recipe("sgd") | {"weight_average": "moving"})))
    assert curve(courses[1]) == pytest.approx(curve(courses[0]), rel=0.05, abs=0.01)
    for name, value in courses[0].weights.items():
        assert (courses[1].weights[name] - value).abs().max() <= 0.02 * value.abs().max() + 1e-4
