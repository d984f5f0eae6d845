"""Every loop on a GPU: trainings of every task, without waiting between their steps, and a whole search."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from by_path import module_at
from device_trials import Watched, candidate_of, losses, opened, trained

from search import api
from search.records.study import TrialState, Verdict
from search.runtime.study_runtime import open_runtime
from search.spec.load import load_spec
from search.training.fit import fit

pytestmark = pytest.mark.gpu
TASKS = module_at("gpu/test_every_task_on_a_device.py")
OWN_NOISE = {"detection", "text", "tokens", "text_multilabel", "text_regression"}
"""Tasks whose networks draw random numbers on the device, which differ from the CPU's."""


def task_losses(path: Path, device: str) -> list[float]:
    runtime = open_runtime(load_spec(path), device)
    result = trained(runtime, runtime.space.baseline())
    assert {value.device.type for value in result.weights.values()} == {"cpu"}
    return losses(result)


@pytest.mark.parametrize("task", TASKS.WAYS.WAYS)
def test_a_task_trains_as_on_the_cpu(task: str, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = TASKS.study(task, tmp_path, augmentation="none", precision="float32")
    found = task_losses(path, device)
    assert all(map(math.isfinite, found))
    assert found == pytest.approx(task_losses(path, "cpu"), rel=0.5 if task in OWN_NOISE else 0.05)


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression", "segmentation", "text", "tokens"])
def test_no_step_waits_for_the_device(task: str, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runtime = open_runtime(load_spec(TASKS.study(task, tmp_path, augmentation="medium", precision="auto")), device)
    result = trained(
        runtime, runtime.space.baseline(), lambda plan: replace(plan, train=Watched(plan.train), val=Watched(plan.val))
    )
    assert len(result.epochs) == 2


@pytest.mark.parametrize("wait", ["item", "a mask"])
def test_a_step_that_waits_is_found(wait: str, device: str, study_file: Path) -> None:
    if device == "cpu":
        pytest.skip("nothing waits for a CPU")
    runtime = opened(study_file, device)
    candidate = candidate_of(runtime)
    network = runtime.build(candidate, 0)
    looks = {"item": lambda output: output.sum().item(), "a mask": lambda output: output[output > 0]}

    def look(_: object, __: object, output: torch.Tensor) -> None:
        looks[wait](output)

    network.register_forward_hook(look)

    plan = runtime.plan(candidate, 0, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    with pytest.raises(RuntimeError, match="synchronizing"):
        fit(network, replace(plan, train=Watched(plan.train)))


def test_memory_of_a_trial_is_given_back(device: str, only_cuda: None, study_file: Path) -> None:
    from search.training.out_of_memory import free

    runtime = opened(study_file, device)
    trained(runtime, candidate_of(runtime))
    free()
    before = torch.cuda.memory_allocated()
    for _ in range(3):
        trained(runtime, candidate_of(runtime))
    free()
    assert torch.cuda.memory_allocated() <= before + (1 << 20)


def test_a_search_runs_on_it(device: str, study_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study_file.parent)
    study = api.run_study(study_file, report=False, device=device, workers=1).study
    assert {trial.state for trial in study.trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert len(study.trials) == 2
