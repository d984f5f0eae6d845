"""Checkpoints of a GPU: an interrupted training goes on as if nothing had been, there or on a CPU.

Curves agree to a thousandth: some of CUDA's sums are in no fixed order.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from device_trials import candidate_of, curve, opened, trained

from search.records.study import Verdict
from search.training import fit as fitting

pytestmark = pytest.mark.gpu
RATES = {"lr_head": 0.003, "lr_backbone": 0.001, "momentum": 0.9, "layer_decay": 1.0, "warmup": 0.2}
RECIPES: dict[str, tuple[dict[str, Any], str]] = {
    "sgd": ({"optimizer": {"name": "sgd", "schedule": "constant", **RATES}}, "float32"),
    "adamw": ({"optimizer": {"name": "adamw", "schedule": "cosine", **RATES}}, "float32"),
    "average": ({"weight_average": "moving"}, "float32"),
    "bf16": ({}, "bf16"),
    "fp16": ({}, "fp16"),
}


def interrupted(path: Path, folder: Path, first: str, then: str, recipe: dict[str, Any], precision: str) -> Any:
    """Return the result of four epochs, the first two on one device, the others on another."""
    runtime = opened(path, first, epochs=4, precision=precision)
    candidate = candidate_of(runtime, recipe)
    seen: list[int] = []

    def pause(record: Any) -> Verdict:
        seen.append(record.epoch)
        return Verdict.PAUSE if record.epoch == 2 else Verdict.CONTINUE

    trained(runtime, candidate, lambda plan: replace(plan, folder=folder, on_epoch=pause))
    assert seen == [1, 2]
    runtime = opened(path, then, epochs=4, precision=precision)
    return trained(runtime, candidate, lambda plan: replace(plan, folder=folder))


@pytest.mark.parametrize("name", RECIPES)
def test_a_resumed_training_ends_as_an_undisturbed_one(
    name: str, device: str, study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "CHECKPOINT_EVERY_S", 0.0)
    recipe, precision = RECIPES[name]
    runtime = opened(study_file, device, epochs=4, precision=precision)
    undisturbed = trained(runtime, candidate_of(runtime, recipe))
    resumed = interrupted(study_file, tmp_path / "there", device, device, recipe, precision)
    assert curve(resumed) == pytest.approx(curve(undisturbed), rel=1e-3 if precision == "float32" else 0.05, abs=1e-3)


@pytest.mark.parametrize("back", [False, True])
def test_a_checkpoint_goes_on_another_device(back: bool, device: str, study_file: Path, tmp_path: Path) -> None:
    runtime = opened(study_file, device, epochs=4)
    undisturbed = trained(runtime, candidate_of(runtime, RECIPES["adamw"][0]))
    first, then = ("cpu", device) if back else (device, "cpu")
    moved = interrupted(study_file, tmp_path / "there", first, then, RECIPES["adamw"][0], "float32")
    assert curve(moved) == pytest.approx(curve(undisturbed), rel=0.05, abs=0.15)
