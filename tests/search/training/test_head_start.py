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
from search.laboratory import Laboratory, open_laboratory
from search.records import EpochRecord, Verdict
from search.spec import load_spec
from search.training import head_start as starts
from search.training.fit import Course, Outcome, fit
from search.training.heads import fit_heads
from search.training.stacking import Member
from spaces.build import Network
from spaces.candidate import Candidate

HEAD = {"pooling": "avg", "widths": [], "norm": False, "activation": "relu", "dropout": 0.0}


@pytest.fixture
def laboratory(study_file: Path) -> Laboratory:
    text = study_file.read_text().replace("augmentation: none", "augmentation: light")
    study_file.write_text(text.replace("epochs: 2", "epochs: 4"))
    return open_laboratory(load_spec(study_file), "cpu")


def candidate_of(laboratory: Laboratory, structure: Mapping[str, Any], **recipe: Any) -> Candidate:
    plain = laboratory.space.baseline().to_json()
    plain["structure"]["choices"] |= structure
    plain["recipe"]["choices"] |= recipe
    return Candidate.from_json(plain)


def prepared(laboratory: Laboratory, candidate: Candidate, seed: int = 3, **changes: Any) -> tuple[Network, Course]:
    network = laboratory.build(candidate, seed)
    course = laboratory.course(candidate, seed, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    return network, replace(course, **changes)


def last(network: Network) -> nn.Linear:
    found = network.head[-1]
    assert isinstance(found, nn.Linear)
    return found


@torch.no_grad()
def features_of(laboratory: Laboratory, network: Network, candidate: Candidate) -> tuple[Tensor, Tensor]:
    """Return what stands in front of the last layer for the training images as validation shows them, the plain way."""
    images = replace(laboratory, decoded={}).batches(Split.TRAIN, candidate=candidate)
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
    laboratory: Laboratory, structure: dict[str, Any]
) -> None:
    candidate = candidate_of(laboratory, structure)
    network, course = prepared(laboratory, candidate)
    rows, labels = features_of(laboratory, network, candidate)
    assert course.start is not None
    told = course.start(network)["head_start"]
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


def test_a_random_start_is_still_to_be_had(laboratory: Laboratory) -> None:
    candidate = candidate_of(laboratory, {"freeze": 3}, head_start="random")
    network, course = prepared(laboratory, candidate)
    before = last(network).weight.clone()
    assert course.start is None
    outcome = fit(network, replace(course, epochs=1, optimize=still))
    assert torch.equal(last(network).weight, before)
    assert "head_start" not in outcome.facts


def still(network: nn.Module, steps: int) -> Any:
    optimizer = torch.optim.SGD([parameter for parameter in network.parameters() if parameter.requires_grad], lr=0.0)
    return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)


def test_a_frozen_network_under_one_layer_is_solved_and_not_trained(laboratory: Laboratory) -> None:
    units = len(laboratory.pretrained.chain)
    candidate = candidate_of(laboratory, {"freeze": units}, optimizer={**SGD, "lr_head": 50.0}, label_smoothing=0.1)
    network, course = prepared(laboratory, candidate)
    assert laboratory.epochs(candidate) == 1
    assert course.is_solved
    outcome = fit(network, course)
    rows, labels = features_of(laboratory, network, candidate)
    loss = nn.functional.cross_entropy(last(network)(rows), labels)
    assert [record.train_loss for record in outcome.epochs] == pytest.approx([loss.item()], rel=1e-4)
    again, start = prepared(laboratory, candidate)
    assert start.start is not None
    start.start(again)
    assert torch.equal(last(again).weight, outcome.weights["head.1.weight"])
    assert outcome.facts["prefix"]["train"]["reused"] == 27


SGD = {
    "name": "sgd", "lr_head": 1e-3, "lr_backbone": 1e-3, "momentum": 0.9, "layer_decay": 1.0, "schedule": "constant",
    "warmup": 0.0,
}  # fmt: skip


def curve(outcome: Outcome) -> list[float]:
    return [number for record in outcome.epochs for number in (record.train_loss, *record.metrics.values())]


def test_what_is_kept_of_earlier_trials_changes_nothing(laboratory: Laboratory) -> None:
    candidate = candidate_of(laboratory, {"freeze": 3})
    first = fit(*prepared(laboratory, candidate))
    again = fit(*prepared(laboratory, candidate))
    bare = replace(laboratory, store=None, solved={})
    anew = fit(*prepared(bare, candidate))
    assert len(laboratory.solved) == 1
    assert curve(again) == curve(first)
    assert curve(anew) == pytest.approx(curve(first), rel=1e-4)


def test_another_cut_of_the_data_is_solved_anew(laboratory: Laboratory) -> None:
    candidate = candidate_of(laboratory, {"freeze": 3})
    network, course = prepared(laboratory, candidate)
    other = replace(laboratory, dataset=replace(laboratory.dataset, fingerprint="another"))
    behind, start = prepared(other, candidate)
    assert course.start is not None
    assert start.start is not None
    course.start(network)
    start.start(behind)
    assert len(laboratory.solved) == 2


def test_units_that_have_learnt_are_not_taken_for_those_of_the_start(laboratory: Laboratory) -> None:
    candidate = candidate_of(laboratory, {})
    network, course = prepared(laboratory, candidate)
    assert course.start is not None
    course.start(network)
    with torch.no_grad():
        next(network.units[0].parameters()).mul_(3)
    course.start(network)
    assert len(laboratory.solved) == 2


def test_a_training_that_was_interrupted_goes_on_from_its_solved_head(
    laboratory: Laboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.training.fit.CHECKPOINT_EVERY_S", 0.0)
    candidate = candidate_of(laboratory, {"freeze": 3})
    whole = fit(*prepared(laboratory, candidate))

    def pause(record: EpochRecord) -> Verdict:
        return Verdict.PAUSE if record.epoch == 2 else Verdict.CONTINUE

    network, course = prepared(laboratory, candidate, folder=tmp_path, on_epoch=pause)
    assert fit(network, course).verdict is Verdict.PAUSE
    network, course = prepared(laboratory, candidate, folder=tmp_path)
    resumed = fit(network, replace(course, start=Forbidden()))
    assert curve(resumed) == curve(whole)
    assert resumed.facts["head_start"]["samples"] == whole.facts["head_start"]["samples"]


class Forbidden:
    def __call__(self, network: nn.Module) -> dict[str, Any]:
        raise AssertionError("a training that goes on must not start again")

    def weighing(self, weights: Tensor) -> Forbidden:
        return self


def test_heads_that_are_trained_at_once_start_solved(laboratory: Laboratory) -> None:
    units = len(laboratory.pretrained.chain)
    plain = candidate_of(laboratory, {"freeze": units})
    hidden = candidate_of(laboratory, {"freeze": units, "head": {**HEAD, "widths": [8]}})
    members = []
    for candidate in (hidden, plain):
        network, course = prepared(laboratory, candidate)
        recipe = laboratory.optimizer(candidate)
        members.append(Member(network, course, recipe, laboratory.space.values(candidate)["penalty"]))
    first = members[0].course
    beside = fit_heads(members, first.train, first.val)
    alone = [fit(*prepared(laboratory, hidden)), fit(*prepared(laboratory, plain))]
    assert isinstance(beside[0], Outcome)
    assert isinstance(beside[1], Outcome)
    assert curve(beside[0]) == pytest.approx(curve(alone[0]), rel=1e-4)
    assert len(beside[1].epochs) == 1
    assert beside[1].epochs[0].metrics == pytest.approx(alone[1].epochs[0].metrics, rel=1e-4)


def test_of_many_samples_a_fixed_share_is_solved_on(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "MOST", 10)
    network, course = prepared(laboratory, candidate_of(laboratory, {}))
    assert course.start is not None
    assert course.start(network)["head_start"]["samples"] == 10


def test_features_that_hardly_differ_are_trained_on_from_a_random_head(laboratory: Laboratory) -> None:
    network, course = prepared(laboratory, candidate_of(laboratory, {}))
    with torch.no_grad():
        for parameter in network.units[-1].parameters():
            parameter.mul_(1e-9)
    before = last(network).weight.clone()
    assert course.start is not None
    assert course.start(network) == {}
    assert torch.equal(last(network).weight, before)


def test_a_head_that_is_no_sequence_of_layers_is_left_alone(laboratory: Laboratory) -> None:
    network, course = prepared(laboratory, candidate_of(laboratory, {}))
    network.head = nn.ModuleDict({"out": network.head})
    assert course.start is not None
    assert course.start(network) == {}
