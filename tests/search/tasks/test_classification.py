from __future__ import annotations

import pytest
import torch
from sklearn import metrics
from torch.nn import functional as F

from search.data.texts import Text
from search.tasks._calibration import TEMPERATURES
from search.tasks.classification import task
from spaces.heads import Features, HeadChoice

CLASSES = tuple("abcde")


def filled(outputs: torch.Tensor, targets: torch.Tensor) -> object:
    evaluator = task.evaluator(CLASSES, torch.device("cpu"))
    for part in range(0, len(targets), 7):
        evaluator.update(outputs[part : part + 7], targets[part : part + 7])
    return evaluator


@pytest.mark.parametrize("seed", range(3))
def test_metrics_are_scikit_learns(seed: int) -> None:
    torch.manual_seed(seed)
    outputs, targets = torch.randn(60, 5), torch.randint(0, 5 - seed, (60,))
    found = filled(outputs, targets).compute()  # type: ignore[attr-defined]
    predicted = outputs.argmax(1)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(targets, predicted))
    assert found["balanced_accuracy"] == pytest.approx(
        metrics.recall_score(targets, predicted, average="macro", labels=targets.unique(), zero_division=0)
    )
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(targets, predicted, average="macro", zero_division=0))
    assert found["loss"] == pytest.approx(F.cross_entropy(outputs, targets).item())
    scaled = [metrics.log_loss(targets, (outputs.double() / one).softmax(1), labels=range(5)) for one in TEMPERATURES]
    assert found["calibrated_loss"] == pytest.approx(min(scaled), rel=1e-5)


def test_the_confusion_matrix_has_true_classes_in_rows() -> None:
    outputs = F.one_hot(torch.tensor([1, 1, 0]), 5).float()
    evaluation = filled(outputs, torch.tensor([0, 1, 0])).evaluation()  # type: ignore[attr-defined]
    assert evaluation.confusion[0][:2] == (1, 1)
    assert evaluation.confusion[1][:2] == (0, 1)
    first = evaluation.classes[0]
    assert (first.name, first.precision, first.recall, first.support) == ("a", 1.0, 0.5, 2)


def test_the_head_gives_a_logit_a_class() -> None:
    head = task.head(Features((6, 3, 3)), 5, HeadChoice(widths=(4,)))
    assert head(torch.randn(2, 6, 3, 3)).shape == (2, 5)


def test_soft_targets_are_taken() -> None:
    outputs = torch.randn(4, 5)
    hard = torch.tensor([0, 1, 2, 3])
    torch.testing.assert_close(task.loss(outputs, F.one_hot(hard, 5).float()), task.loss(outputs, hard))


def test_the_most_confident_mistakes_are_kept_with_their_places() -> None:
    evaluator = task.evaluator(("a", "b"), torch.device("cpu"))
    logits = torch.tensor([[5.0, 0.0], [0.0, 1.0], [9.0, 0.0]])
    evaluator.update(logits, torch.tensor([1, 1, 0]))
    evaluator.update(logits, torch.tensor([0, 0, 1]))
    mistakes = evaluator.evaluation().mistakes
    assert [(m.place, m.true, m.predicted) for m in mistakes] == [(5, "b", "a"), (0, "b", "a"), (4, "a", "b")]
    assert mistakes[0].confidence > 0.999
    inputs = [Text("words", f"s{index}") for index in range(6)]
    assert [m.sample for m in evaluator.evaluation().named(inputs).mistakes] == [inputs[i].name for i in (5, 0, 4)]
