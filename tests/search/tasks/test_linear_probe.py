"""Solved layers are those of scikit-learn on the same features."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge, RidgeCV
from torch import Tensor

from search.tasks import classification, multilabel, regression
from search.tasks._linear_probe import STRENGTHS, Solved, _folds, solve_classes, solve_labels, solve_numbers


def blobs(samples: int = 60, width: int = 90, classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """More features than samples, classes that overlap."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % classes
    centres = torch.randn(classes, width, generator=generator)
    return centres[labels] + 4 * torch.randn(samples, width, generator=generator) + 3, labels


def spread(features: Tensor) -> float:
    """Return the mean squared distance from the mean: what strengths are relative to."""
    return float((features - features.mean(dim=0)).double().square().sum(dim=1).mean())


def logits(found: Solved | None, features: Tensor) -> Tensor:
    assert found is not None
    return features @ found.weight.T + found.bias


def test_classes_are_reported_as_scikit_learn_does() -> None:
    features, labels = blobs()
    found = solve_classes(features, labels, 3)
    assert found is not None
    reference = LogisticRegression(C=found.strength / spread(features), max_iter=5000, tol=1e-8)
    reference.fit(features.double().numpy(), labels.numpy())
    np.testing.assert_allclose(found.weight.numpy(), reference.coef_, atol=2e-4)
    np.testing.assert_allclose(
        logits(found, features).softmax(1).numpy(), reference.predict_proba(features.double().numpy()), atol=2e-3
    )


def test_the_strength_is_the_one_that_cross_validation_finds() -> None:
    features, labels = blobs()
    found = solve_classes(features, labels, 3)
    assert found is not None
    scaled = [strength * 60 / 48 / spread(features) for strength in STRENGTHS]  # a fold learns from 48 of 60 samples
    folds = [(np.flatnonzero(part), np.flatnonzero(part == 0)) for part in _folds(labels.numpy(), 5)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = LogisticRegressionCV(Cs=scaled, cv=folds, scoring="neg_log_loss", max_iter=5000).fit(
            features.double().numpy(), labels.numpy()
        )
    assert found.strength == pytest.approx(float(np.ravel(reference.C_)[0]) * 48 / 60 * spread(features))


def test_two_classes_are_reported_as_scikit_learn_does() -> None:
    features, labels = blobs(classes=2)
    found = solve_classes(features, labels, 2)
    assert found is not None
    reference = LogisticRegression(C=found.strength / spread(features), max_iter=5000, tol=1e-8)
    reference.fit(features.double().numpy(), labels.numpy())
    expected = reference.predict_proba(features.double().numpy())
    np.testing.assert_allclose(logits(found, features).softmax(1).numpy(), expected, atol=2e-3)


def test_weighted_classes_count_as_scikit_learns_sample_weights() -> None:
    features, labels = blobs()
    weights = torch.tensor([1.0, 5.0, 0.5])
    found = solve_classes(features, labels, 3, weights)
    assert found is not None
    reference = LogisticRegression(C=found.strength / spread(features), max_iter=5000, tol=1e-8)
    reference.fit(features.double().numpy(), labels.numpy(), sample_weight=weights[labels].numpy())
    np.testing.assert_allclose(found.weight.numpy(), reference.coef_, atol=2e-4)


def test_a_class_without_samples_is_never_predicted() -> None:
    features, labels = blobs()
    found = logits(solve_classes(features, labels * 2, 5), features)
    assert set(found.argmax(dim=1).tolist()) <= {0, 2, 4}


def test_classes_of_a_sample_or_two_are_solved_and_one_class_alone_is_not() -> None:
    features, _ = blobs(samples=4)
    rare = solve_classes(features, torch.tensor([0, 0, 0, 1]), 2)
    assert torch.isfinite(logits(rare, features)).all()
    single = solve_classes(features, torch.tensor([0, 1, 2, 3]), 4)
    assert logits(single, features).argmax(dim=1).tolist() == [0, 1, 2, 3]
    assert solve_classes(features, torch.zeros(4, dtype=torch.int64), 2) is None


def test_features_that_are_all_alike_give_a_layer_that_says_how_frequent_classes_are() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 2] * 4)
    found = logits(solve_classes(torch.ones(24, 7), labels, 3), torch.ones(1, 7)).softmax(1)
    assert found.squeeze(0).tolist() == pytest.approx([1 / 2, 1 / 3, 1 / 6], abs=1e-3)


def test_many_samples_are_solved_as_well() -> None:
    features, labels = blobs(samples=1200, width=20)
    found = solve_classes(features, labels, 3)
    assert found is not None
    reference = LogisticRegression(C=found.strength / spread(features), max_iter=5000, tol=1e-8)
    reference.fit(features.double().numpy(), labels.numpy())
    np.testing.assert_allclose(found.weight.numpy(), reference.coef_, atol=1e-3)


def test_labels_are_reported_one_by_one_as_scikit_learn_does() -> None:
    features, labels = blobs(classes=4)
    there = torch.stack([labels % 2 == 0, labels > 2, labels < 9, labels > 9], dim=1).float()
    weights = torch.tensor([1.0, 3.0, 1.0, 1.0])
    found = solve_labels(features, there, weights)
    for label in (0, 1):
        reference = LogisticRegression(C=found.strength / spread(features), max_iter=5000, tol=1e-8)
        counted = torch.where(there[:, label] > 0, weights[label], 1.0)
        reference.fit(features.double().numpy(), there[:, label].numpy(), sample_weight=counted.numpy())
        np.testing.assert_allclose(found.weight[label].numpy(), reference.coef_[0], atol=2e-4)
    outputs = logits(found, features)
    assert (outputs[:, 2] > 2).all()  # all samples have it
    assert (outputs[:, 3] < -2).all()  # none has it


def test_numbers_are_reported_as_scikit_learn_does() -> None:
    features, labels = blobs()
    numbers = torch.stack([labels.float(), features[:, :5].sum(dim=1) / 10], dim=1)
    found = solve_numbers(features, numbers)
    alphas = [spread(features) / strength for strength in STRENGTHS]
    reference = RidgeCV(alphas=alphas).fit(features.double().numpy(), numbers.double().numpy())
    assert spread(features) / found.strength == pytest.approx(reference.alpha_)
    plain = Ridge(alpha=reference.alpha_).fit(features.double().numpy(), numbers.double().numpy())
    np.testing.assert_allclose(
        logits(found, features).numpy(), plain.predict(features.double().numpy()), atol=1e-3, rtol=1e-3
    )


def test_tasks_solve_for_what_their_loss_wants() -> None:
    features, labels = blobs()
    solved = classification.task.solve(features, labels, 3)
    assert solved is not None
    assert solved.weight.shape == (3, 90)
    hot = torch.nn.functional.one_hot(labels, 3).float()
    assert multilabel.task.solve(features, hot, 3) is not None
    task = regression.Regression()
    task.mean, task.deviation = torch.tensor([10.0]), torch.tensor([2.0])
    numbers = features[:, :1] * 2 + 10
    far = task.solve(features, numbers, 1)
    near = solve_numbers(features, features[:, :1])
    torch.testing.assert_close(logits(far, features), logits(near, features), rtol=1e-3, atol=1e-3)
