"""The cache of frozen units' outputs on a GPU: in its memory, in the host's, on disk; the same curve as without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from by_path import module_at
from device_trials import Watched, candidate_of, curve, opened, trained

from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import load_spec
from search.training.feature_store import FeatureStore, StoredFeatures
from search.training.fit import TrainingPlan
from search.training.memory_budget import Budgets

pytestmark = pytest.mark.gpu
AMPLE = 1 << 30
LAYERS = {"device": Budgets(AMPLE, AMPLE, 0), "host": Budgets(0, AMPLE, AMPLE), "disk": Budgets(0, 0, AMPLE)}


def frozen(path: Path, device: str, folder: Path, layer: str, **training: object) -> StudyRuntime:
    runtime = opened(path, device, **training)
    return replace(runtime, store=FeatureStore(runtime.precision.device, folder / layer, LAYERS[layer]))


def uncached(plan: TrainingPlan) -> TrainingPlan:
    """Train on the same views through the whole network."""
    whole = {"train": plan.train.batches, "val": plan.val.batches}  # type: ignore[attr-defined]
    return replace(plan, **whole, forward=lambda network, images: network(images))  # type: ignore[arg-type]


@pytest.mark.parametrize("layer", LAYERS)
def test_training_behind_a_cache_is_training_without(layer: str, device: str, study_file: Path, tmp_path: Path) -> None:
    runtime = frozen(study_file, device, tmp_path, layer, augmentation="light", views=2)
    candidate = candidate_of(runtime, freeze=5)
    cached = trained(runtime, candidate)
    assert cached.facts["prefix"]["train"]["source"] == "cached"
    assert curve(cached) == pytest.approx(curve(trained(runtime, candidate, uncached)), rel=1e-2, abs=1e-3)


@pytest.mark.parametrize("layer", LAYERS)
def test_cached_steps_do_not_wait(layer: str, device: str, study_file: Path, tmp_path: Path) -> None:
    runtime = frozen(study_file, device, tmp_path, layer)
    candidate = candidate_of(runtime, freeze=5)
    watched = trained(runtime, candidate, lambda plan: replace(plan, train=Watched(plan.train), val=Watched(plan.val)))
    assert len(watched.epochs) == 3


def test_half_precision_is_cached_as_it_is_computed(device: str, study_file: Path, tmp_path: Path) -> None:
    runtime = frozen(study_file, device, tmp_path, "device" if device == "cuda" else "host", precision="bf16")
    candidate = candidate_of(runtime, freeze=5)
    cached, plain = trained(runtime, candidate), trained(runtime, candidate, uncached)
    assert curve(cached) == pytest.approx(curve(plain), rel=0.1, abs=0.05)


def test_what_a_full_device_has_no_room_for_moves_to_pinned_memory(device: str, tmp_path: Path) -> None:
    if device == "cpu":
        pytest.skip("only a device has memory of its own")
    rows = torch.arange(4096.0).reshape(64, 64)
    store = FeatureStore(torch.device(device), None, Budgets(rows.nbytes, AMPLE, 0))

    def fill(features: StoredFeatures) -> None:
        features.put(slice(0, 64), rows.to(device))

    for key in ("first", "second"):
        store.make(key, 64, rows[:2].to(device), fill)
    first, second = store.find("first"), store.find("second")
    assert first is not None
    assert second is not None
    assert (first.rows.is_cuda, first.rows.is_pinned(), second.rows.is_cuda) == (False, True, True)
    chosen = torch.tensor([5, 3])
    for kept in (first, second):
        assert torch.equal(kept.take(chosen, torch.device(device)).cpu(), rows[chosen])


@pytest.mark.parametrize("task", ["text", "segmentation"])
def test_other_tasks_are_cached_too(task: str, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = module_at("gpu/test_every_task_on_a_device.py").study(
        task, tmp_path, augmentation="none", precision="float32"
    )
    runtime = open_runtime(load_spec(path), device)
    runtime = replace(runtime, store=FeatureStore(runtime.precision.device, None, LAYERS["device"]))
    candidate = candidate_of(runtime, freeze=2)
    cached = trained(runtime, candidate)
    assert cached.facts["prefix"]["train"]["source"] == "cached"
    rel = 0.5 if task == "text" else 1e-2  # BERT's dropout behind the prefix draws after other draws
    assert curve(cached)[0] == pytest.approx(curve(trained(runtime, candidate, uncached))[0], rel=rel)
