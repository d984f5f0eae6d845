"""A head starts with the weights that scikit-learn finds on the features of the start, and trains on from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from search.data.sample import Split
from search.records.study import EpochRecord, Verdict
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import load_spec
from search.training import head_start as starts
from search.training.fit import TrainingPlan, TrainingResult, fit
from search.training.heads import fit_heads
from search.training.stacking import StackedHead
from spaces.candidate import Candidate
from spaces.networks.build import Network

HEAD = {"pooling": "avg", "widths": [], "norm": False, "activation": "relu", "dropout": 0.0}


@pytest.fixture
def runtime(study_file: Path) -> StudyRuntime:
    text = study_file.read_text().replace("augmentation: none", "augmentation: light, precision: float32")
    study_file.write_text(text.replace("epochs: 2", "epochs: 4"))
    return open_runtime(load_spec(study_file), "cpu")


def candidate_of(runtime: StudyRuntime, structure: Mapping[str, Any], **recipe: Any) -> Candidate:
    plain = runtime.space.baseline().to_json()
    plain["structure"]["choices"] |= structure
    plain["recipe"]["choices"] |= recipe
    return Candidate.from_json(plain)


def prepared(
    runtime: StudyRuntime, candidate: Candidate, seed: int = 3, **changes: Any
) -> tuple[Network, TrainingPlan]:
    network = runtime.build(candidate, seed)
    plan = runtime.plan(candidate, seed, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    return network, replace(plan, **changes)


def last(network: Network) -> nn.Linear:
    found = network.head[-1]
    assert isinstance(found, nn.Linear)
    return found


@torch.no_grad()
def features_of(runtime: StudyRuntime, network: Network, candidate: Candidate) -> tuple[Tensor, Tensor]:
    """Return the inputs of the last layer for the training images, seen as in validation, computed the plain way."""
    images = replace(runtime, decoded={}).batches(Split.TRAIN, candidate=candidate)
    images.shuffle, images.augmentation = False, replace(images.augmentation, scale=None, flip=0.0)
    network.eval()
    rows, labels = [], []
    for batch, targets in images.epoch(1):
        features = batch
        for unit in network.units:
            features = unit(features)
        rows.append(network.head[:-1](features))
        labels.append(targets)
    return torch.cat(rows), torch.cat(labels)


@pytest.mark.parametrize("structure", [{}, {"freeze": 3}, {"head": {**HEAD, "widths": [8], "dropout": 0.4}}])
def test_the_last_layer_is_scikit_learns_on_the_features_of_the_start(
    runtime: StudyRuntime, structure: dict[str, Any]
) -> None:
    candidate = candidate_of(runtime, structure)
    network, plan = prepared(runtime, candidate)
    rows, labels = features_of(runtime, network, candidate)
    assert plan.start is not None
    told = plan.start(network)["head_start"]
    centred = (rows - rows.mean(dim=0)).double()
    strength = told["strength"] / float(centred.square().sum(dim=1).mean())
    reference = LogisticRegression(C=strength, max_iter=5000, tol=1e-8).fit(rows.double().numpy(), labels.numpy())
    expected = reference.decision_function(rows.double().numpy())
    found = last(network)(rows).detach().numpy()
    # Logits of all classes may be shifted alike.
    np.testing.assert_allclose(
        found - found.mean(axis=1, keepdims=True), expected - expected.mean(axis=1, keepdims=True), rtol=0.02, atol=0.02
    )
    assert told["samples"] == 27


def test_a_random_start_is_still_to_be_had(runtime: StudyRuntime) -> None:
    candidate = candidate_of(runtime, {"freeze": 3}, head_start="random")
    network, plan = prepared(runtime, candidate)
    before = last(network).weight.clone()
    assert plan.start is None
    outcome = fit(network, replace(plan, epochs=1, optimize=still))
    assert torch.equal(last(network).weight, before)
    assert "head_start" not in outcome.facts


def still(network: nn.Module, steps: int) -> Any:
    optimizer = torch.optim.SGD([parameter for parameter in network.parameters() if parameter.requires_grad], lr=0.0)
    return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)


def test_a_frozen_network_under_one_layer_is_solved_and_not_trained(runtime: StudyRuntime) -> None:
    units = len(runtime.pretrained.chain)
    candidate = candidate_of(runtime, {"freeze": units}, optimizer={**SGD, "lr_head": 50.0}, label_smoothing=0.1)
    network, plan = prepared(runtime, candidate)
    assert runtime.epochs(candidate) == 1
    assert plan.is_solved
    outcome = fit(network, plan)
    rows, labels = features_of(runtime, network, candidate)
    loss = nn.functional.cross_entropy(last(network)(rows), labels)
    assert [record.train_loss for record in outcome.epochs] == pytest.approx([loss.item()], rel=1e-4)
    again, start = prepared(runtime, candidate)
    assert start.start is not None
    start.start(again)
    assert torch.equal(last(again).weight, outcome.weights["head.1.weight"])
    assert outcome.facts["prefix"]["train"]["reused"] == 27


SGD = {
    "name": "sgd", "lr_head": 1e-3, "lr_backbone": 1e-3, "momentum": 0.9, "layer_decay": 1.0, "schedule": "constant",
    "warmup": 0.0,
}  # fmt: skip


def curve(outcome: TrainingResult) -> list[float]:
    return [number for record in outcome.epochs for number in (record.train_loss, *record.metrics.values())]


def test_what_is_kept_of_earlier_trials_changes_nothing(runtime: StudyRuntime) -> None:
    candidate = candidate_of(runtime, {"freeze": 3})
    first = fit(*prepared(runtime, candidate))
    again = fit(*prepared(runtime, candidate))
    bare = replace(runtime, store=None, solved={})
    anew = fit(*prepared(bare, candidate))
    assert len(runtime.solved) == 1
    assert curve(again) == curve(first)
    assert curve(anew) == pytest.approx(curve(first), rel=1e-4)


def test_another_cut_of_the_data_is_solved_again(runtime: StudyRuntime) -> None:
    candidate = candidate_of(runtime, {"freeze": 3})
    network, plan = prepared(runtime, candidate)
    other = replace(runtime, dataset=replace(runtime.dataset, fingerprint="another"))
    behind, start = prepared(other, candidate)
    assert plan.start is not None
    assert start.start is not None
    plan.start(network)
    start.start(behind)
    assert len(runtime.solved) == 2


def test_units_that_have_learnt_are_not_taken_for_those_of_the_start(runtime: StudyRuntime) -> None:
    candidate = candidate_of(runtime, {})
    network, plan = prepared(runtime, candidate)
    assert plan.start is not None
    plan.start(network)
    with torch.no_grad():
        next(network.units[0].parameters()).mul_(3)
    plan.start(network)
    assert len(runtime.solved) == 2


def test_a_training_that_was_interrupted_goes_on_from_its_solved_head(
    runtime: StudyRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.training.fit.CHECKPOINT_EVERY_S", 0.0)
    candidate = candidate_of(runtime, {"freeze": 3})
    whole = fit(*prepared(runtime, candidate))

    def pause(record: EpochRecord) -> Verdict:
        return Verdict.PAUSE if record.epoch == 2 else Verdict.CONTINUE

    network, plan = prepared(runtime, candidate, folder=tmp_path, on_epoch=pause)
    assert fit(network, plan).verdict is Verdict.PAUSE
    network, plan = prepared(runtime, candidate, folder=tmp_path)
    resumed = fit(network, replace(plan, start=Forbidden()))
    assert curve(resumed) == curve(whole)
    assert resumed.facts["head_start"]["samples"] == whole.facts["head_start"]["samples"]


class Forbidden:
    def __call__(self, network: nn.Module) -> dict[str, Any]:
        raise AssertionError("a training that goes on must not start again")

    def weighing(self, weights: Tensor) -> Forbidden:
        return self


def test_heads_that_are_trained_at_once_start_solved(runtime: StudyRuntime) -> None:
    units = len(runtime.pretrained.chain)
    plain = candidate_of(runtime, {"freeze": units})
    hidden = candidate_of(runtime, {"freeze": units, "head": {**HEAD, "widths": [8]}})
    members = []
    for candidate in (hidden, plain):
        network, plan = prepared(runtime, candidate)
        recipe = runtime.optimizer(candidate)
        members.append(StackedHead(network, plan, recipe, runtime.space.values(candidate)["penalty"]))
    first = members[0].plan
    beside = fit_heads(members, first.train, first.val)
    alone = [fit(*prepared(runtime, hidden)), fit(*prepared(runtime, plain))]
    assert isinstance(beside[0], TrainingResult)
    assert isinstance(beside[1], TrainingResult)
    assert curve(beside[0]) == pytest.approx(curve(alone[0]), rel=1e-4)
    assert len(beside[1].epochs) == 1
    assert beside[1].epochs[0].metrics == pytest.approx(alone[1].epochs[0].metrics, rel=1e-4)


def test_of_many_samples_a_fixed_share_is_solved_on(runtime: StudyRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "MOST", 10)
    network, plan = prepared(runtime, candidate_of(runtime, {}))
    assert plan.start is not None
    assert plan.start(network)["head_start"]["samples"] == 10


def test_features_that_swamp_a_solved_layer_are_trained_on_from_a_random_head(
    runtime: StudyRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, plan = prepared(runtime, candidate_of(runtime, {}))
    before = last(network).weight.clone()
    assert plan.start is not None
    plan.start(network)
    ((solved, swing),) = runtime.solved.values()
    rows, _ = features_of(runtime, network, candidate_of(runtime, {}))
    length = rows.square().sum(dim=1).mean().sqrt()
    assert swing == pytest.approx(float(max(solved.weight.norm(dim=1)) * length), rel=1e-3)
    for limit, starts_solved in ((swing * 1.01, True), (swing * 0.99, False)):
        monkeypatch.setattr(starts, "_SWING", limit)
        with torch.no_grad():
            last(network).weight.copy_(before)
        assert bool(plan.start(network)) is starts_solved
        assert torch.equal(last(network).weight, before) is not starts_solved


def test_features_near_zero_are_trained_on_from_a_random_head(runtime: StudyRuntime) -> None:
    network, plan = prepared(runtime, candidate_of(runtime, {}))
    with torch.no_grad():
        for parameter in network.units[-1].parameters():
            parameter.mul_(1e-9)
    before = last(network).weight.clone()
    assert plan.start is not None
    assert plan.start(network) == {}
    assert torch.equal(last(network).weight, before)


def test_a_head_that_is_not_a_sequence_of_layers_is_left_alone(runtime: StudyRuntime) -> None:
    network, plan = prepared(runtime, candidate_of(runtime, {}))
    network.head = nn.ModuleDict({"out": network.head})
    assert plan.start is not None
    assert plan.start(network) == {}
