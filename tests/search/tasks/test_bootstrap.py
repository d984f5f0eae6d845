"""What a meter says of resampled data is what it says of data in which those samples really come so often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics
from torch import Tensor

from search.data.masks import Masks
from search.detection.detectors import Detections
from search.detection.targets import BoxRows
from search.tasks import (
    _bootstrap,
    classification,
    detection,
    multilabel,
    regression,
    segmentation,
    text,
    tokens,
)
from search.tasks._base import Evaluator

CPU = torch.device("cpu")
N, CLASSES = 23, ("a", "b", "c", "d")
TAGS = ("O", "B-x", "I-x", "B-y")
Feed = Callable[[list[int]], Evaluator]


def random() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def labels() -> tuple[Tensor, Tensor]:
    drawn = random()
    return torch.randn(N, 4, generator=drawn), torch.randint(0, 3, (N,), generator=drawn)


def feed(task: Any, outputs: Any, targets: Any, classes: tuple[str, ...] = CLASSES) -> Feed:
    def filled(places: list[int]) -> Evaluator:
        meter: Evaluator = task.evaluator(classes, CPU)
        for part in (places[:9], places[9:]):
            if part:
                meter.update(outputs(part), targets(part))
        return meter

    return filled


def plain(task: Any, outputs: Tensor, targets: Any, classes: tuple[str, ...] = CLASSES) -> Feed:
    return feed(task, lambda places: outputs[places], lambda places: targets[places], classes)


def boxes() -> Feed:
    drawn = random()
    corners = torch.rand(N, 3, 2, generator=drawn) * 0.5
    true = torch.cat([corners, corners + 0.2 + 0.2 * torch.rand(N, 3, 2, generator=drawn)], dim=2)
    kinds = torch.randint(-1, 3, (N, 3), generator=drawn)
    crowd = torch.rand(N, 3, generator=drawn) < 0.15
    moved = true.repeat(1, 2, 1) + 0.04 * torch.randn(N, 6, 4, generator=drawn)
    scores = torch.rand(N, 6, generator=drawn)
    shown = torch.tensor([0.0, -0.2, 1.0, 1.2]).expand(N, 4)

    def outputs(places: list[int]) -> Detections:
        said = kinds.repeat(1, 2).clamp(min=0)
        return Detections(tuple({"boxes": moved[n], "scores": scores[n], "labels": said[n]} for n in places))

    return feed(detection.task, outputs, lambda n: BoxRows(true[n], kinds[n], crowd[n], shown[n]))


def feeds() -> dict[str, Feed]:
    outputs, targets = labels()
    drawn = random()
    own = regression.Regression()
    own.mean, own.deviation = torch.zeros(2), torch.tensor([1.0, 2.0])
    numbers = torch.randn(N, 2, generator=drawn)
    hot = (torch.rand(N, 4, generator=drawn) < 0.4).float()
    rounded = torch.randn(N, 4, generator=drawn).mul(2).round() / 2  # many ties
    masks = torch.randint(0, 3, (N, 6, 5), generator=drawn).to(torch.uint8)
    masks[:, 0] = 255
    tags = torch.randint(0, 4, (N, 7), generator=drawn)
    tags[:, 5:] = -100
    return {
        "classification": plain(classification.task, outputs, targets),
        "text": plain(text.task, outputs, targets),
        "regression": plain(own, numbers + torch.randn(N, 2, generator=drawn), numbers, ("x", "y")),
        "multilabel": plain(multilabel.task, rounded, hot),
        "segmentation": feed(
            segmentation.task, lambda n: torch.randn(N, 4, 6, 5, generator=random())[n], lambda n: Masks(masks[n])
        ),
        "tokens": plain(tokens.task, torch.randn(N, 7, 4, generator=drawn), tags, TAGS),
        "detection": boxes(),
    }


CASES = [
    *[(name, metric) for name in ("classification",) for metric in classification.task.directions],
    *[("text", metric) for metric in ("matthews", "macro_f1")],
    *[("regression", metric) for metric in regression.task.directions],
    *[("multilabel", metric) for metric in multilabel.task.directions],
    *[("segmentation", metric) for metric in segmentation.task.directions],
    *[("tokens", metric) for metric in tokens.task.directions],
    *[("detection", metric) for metric in detection.task.directions],
]


@pytest.mark.parametrize(("name", "metric"), CASES)
def test_a_resampled_metric_is_that_of_the_samples_repeated(name: str, metric: str) -> None:
    filled = feeds()[name]
    meter = filled(list(range(N)))
    assert meter.samples == N
    weights = torch.cat([torch.ones(1, N).double(), *_bootstrap.weights(N, 6)])
    found = meter.resampled(metric, weights).tolist()
    for value, row in zip(found, weights.long().tolist(), strict=True):
        repeated = [place for place, count in enumerate(row) for _ in range(count)]
        assert value == pytest.approx(filled(repeated).compute()[metric], abs=2e-6), row


def test_a_metric_without_samples_is_resampled_by_nobody() -> None:
    assert feeds()["classification"]([]).judged("accuracy").resampled == ()


def test_every_trial_draws_the_same_samples_as_often_as_chance_has_it() -> None:
    (first,), (again,) = list(_bootstrap.weights(50)), list(_bootstrap.weights(50))
    assert torch.equal(first, again)
    assert first.shape == (_bootstrap.REPLICATES, 50)
    assert first.sum(dim=1).unique().tolist() == [50]
    assert float(first.var(dim=0).mean()) == pytest.approx(1 - 1 / 50, abs=0.1)  # of a multinomial count
    small = torch.cat(list(_bootstrap.weights(_bootstrap._AT_ONCE // 3, 4)))
    assert small.shape[0] == 4


def test_the_spread_of_replicates_is_the_standard_error_of_an_accuracy() -> None:
    drawn = np.random.default_rng(0)
    targets = torch.from_numpy(drawn.integers(0, 2, 400))
    logits = torch.nn.functional.one_hot(torch.where(torch.rand(400, generator=random()) < 0.8, targets, 1 - targets))
    found = plain(classification.task, logits.float(), targets, ("a", "b"))(list(range(400))).judged("accuracy")
    share = float((logits.argmax(1) == targets).double().mean())
    assert np.std(found.resampled) == pytest.approx(np.sqrt(share * (1 - share) / 400), rel=0.15)
    assert np.mean(found.resampled) == pytest.approx(share, abs=0.01)


def test_weighted_average_precision_is_scikit_learn_s() -> None:
    drawn = np.random.default_rng(1)
    scores, there = np.round(drawn.random(60), 1), drawn.integers(0, 2, 60)
    weights = drawn.integers(0, 4, (5, 60)).astype(float)
    found = _bootstrap.average_precision(torch.tensor(scores), torch.tensor(there), torch.tensor(weights))
    right = [metrics.average_precision_score(there, scores, sample_weight=row) for row in weights]
    assert found.tolist() == pytest.approx(right)
    assert _bootstrap.average_precision(torch.tensor(scores), torch.zeros(60), torch.ones(1, 60).double()).isnan().all()
