from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn import metrics

from search.data.images import FileImage
from search.data.sample import Dataset, Sample, Split
from search.errors import SpecError
from search.records.study import EpochRecord, Evaluation, Verdict
from search.runtime.study_record import study_record
from search.runtime.study_runtime import open_runtime
from search.spec.load import from_data, parse_spec
from search.tasks.multilabel import Multilabel, MultilabelEvaluator, Options, task
from search.training.fit import fit
from spaces.backbones._base import Pretrained

NAMES = ("left", "right", "top")


def draw(folder: Path, count: int = 24) -> Path:
    """Write pictures with a bright stripe for each label they have, and their table."""
    lines = ["path,labels"]
    for number in range(count):
        random = np.random.default_rng(number)
        pixels = random.integers(0, 60, (32, 32, 3), dtype=np.uint8)
        shown = [name for place, name in enumerate(NAMES) if number >> place & 1]
        for name, stripe in zip(NAMES, (np.s_[:, :8], np.s_[:, 24:], np.s_[:8]), strict=True):
            if name in shown:
                pixels[stripe] = 255
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{';'.join(shown)}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder / "labels.csv"


STUDY = """\
name: stripes
task: multilabel
data: {{path: {path}, val_share: 0.3}}
backbone: squeezenet1_1
weights: none
input_size: 32
space: {{head: {{hidden: 0}}}}
training: {{epochs: 40, batch_size: 8, augmentation: none}}
search: {{trials: 1, seed: 3, pruner: none}}
{more}
"""


def test_it_learns_which_stripes_are_there(tmp_path: Path) -> None:
    spec = parse_spec(STUDY.format(path=draw(tmp_path), more="multilabel: {balance: true}"), base=tmp_path)
    runtime = open_runtime(spec, "cpu")
    assert spec.data_format == "csv_labels"
    assert study_record(runtime).dataset.samples() == {"train": 17, "val": 7}
    assert study_record(runtime).dataset.counts["train"].keys() == set(NAMES)
    candidate = runtime.space.baseline()
    choices = {**candidate.recipe.choices}
    choices["optimizer"] = {**choices["optimizer"], "name": "adamw", "lr_head": 3e-3, "lr_backbone": 1e-3}
    candidate = replace(candidate, recipe=replace(candidate.recipe, choices=choices))
    network = runtime.build(candidate, 0)
    plan = runtime.plan(candidate, 0, until_known, lambda: False, None, network)
    outcome = fit(network, replace(plan, val=plan.train))
    assert known(outcome.epochs[-1])


def known(record: EpochRecord) -> bool:
    return record.metrics["map"] > 0.999 and record.metrics["subset_accuracy"] == 1.0


def until_known(record: EpochRecord) -> Verdict:
    """End a training that has learnt its images by heart."""
    return Verdict.PRUNE if known(record) else Verdict.CONTINUE


def stored(count: int = 200, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    targets = (torch.rand(count, classes, generator=random) < torch.tensor([0.5, 0.3, 0.1, 0.02, 0.0])).float()
    outputs = torch.randn(count, classes, generator=random) + targets
    return outputs.mul(8).round() / 8, targets  # ties among the scores


@pytest.mark.parametrize("threshold", [0.5, 0.8])
def test_metrics_are_those_of_scikit_learn(threshold: float) -> None:
    outputs, targets = stored()
    evaluator = MultilabelEvaluator(tuple("abcde"), threshold, None)
    for part in (slice(0, 77), slice(77, 200)):
        evaluator.update(outputs[part], targets[part])
    found = evaluator.compute()
    scores, there = outputs.sigmoid().numpy(), targets.numpy().astype(int)
    predicted = (scores >= threshold).astype(int)
    used = [place for place in range(5) if there[:, place].any()]
    assert used == [0, 1, 2, 3]
    wanted = metrics.average_precision_score(there[:, used], scores[:, used], average="macro")
    assert found["map"] == pytest.approx(wanted, abs=1e-6)
    seen = [place for place in range(5) if there[:, place].any() or predicted[:, place].any()]
    macro = metrics.f1_score(there[:, seen], predicted[:, seen], average="macro", zero_division=0)
    assert found["macro_f1"] == pytest.approx(macro)
    assert found["micro_f1"] == pytest.approx(metrics.f1_score(there, predicted, average="micro"))
    assert found["subset_accuracy"] == pytest.approx(metrics.accuracy_score(there, predicted))
    wanted_loss = torch.nn.functional.binary_cross_entropy_with_logits(outputs, targets)
    assert found["loss"] == pytest.approx(float(wanted_loss), rel=1e-6)
    results = evaluator.evaluation().classes
    precision, recall, f1, support = metrics.precision_recall_fscore_support(there, predicted, zero_division=0)
    assert [result.recall for result in results] == pytest.approx(recall.tolist())
    assert [result.precision for result in results] == pytest.approx(precision.tolist())
    assert [result.f1 for result in results] == pytest.approx(f1.tolist())
    assert [result.support for result in results] == support.tolist()


def test_the_evaluation_names_what_went_wrong_and_survives_json() -> None:
    evaluator = MultilabelEvaluator(("cat", "dog"), 0.5, None)
    evaluator.update(torch.tensor([[4.0, 4.0], [-3.0, 3.0], [9.0, -9.0]]), torch.tensor([[1.0, 0.0], [0, 1], [0, 0]]))
    found = evaluator.evaluation()
    assert [picture.caption for picture in found.pictures] == [
        "true: nothing; predicted: cat",
        "true: cat; predicted: cat, dog",
    ]
    assert found.confusion == ()
    assert found.named([FileImage(Path(f"{name}.png")) for name in "abc"]).pictures[0].sample == "c.png"
    from dataclasses import asdict

    assert Evaluation.from_json(asdict(found)) == found


def test_a_label_nobody_has_counts_for_nothing() -> None:
    evaluator = MultilabelEvaluator(("a", "b"), 0.5, None)
    evaluator.update(torch.tensor([[2.0, -2.0], [-2.0, -2.0]]), torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert evaluator.compute()["map"] == 1.0
    assert evaluator.compute()["macro_f1"] == 1.0
    assert evaluator.evaluation().measured[1].values == {}


def test_smoothed_and_balanced_losses(tiny: Pretrained) -> None:
    outputs, targets = torch.tensor([[0.3, -1.0]]), torch.tensor([[1.0, 0.0]])
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(outputs, torch.tensor([[0.95, 0.05]]))
    torch.testing.assert_close(task.loss(outputs, targets, 0.1), wanted)
    samples = tuple(Sample(None, target, Split.TRAIN) for target in ((0,), (0,), (0,), (0, 1)))  # type: ignore[arg-type]
    bound = Multilabel().bind(Options(balance=True), Dataset("d", ("a", "b"), samples, ""), tiny)
    torch.testing.assert_close(bound._weight, torch.tensor([0.01, 3.0]))
    assert task._weight is None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("multilabel: {threshold: 2}", r"multilabel: threshold must be above 0 and below 1, got 2"),
        ("multilabel: {treshold: 0.4}", r"multilabel.treshold: unknown key; did you mean 'threshold'"),
        ("regression: {}", r"regression: these are options of the task regression, this study's is multilabel"),
        ("objective: accuracy", r"objective: expected one of map, macro_f1, micro_f1, subset_accuracy, loss"),
    ],
)
def test_invalid_options_are_refused_in_one_line(more: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_spec(STUDY.format(path="x.csv", more=more))


def test_options_travel_with_the_study() -> None:
    spec = parse_spec(STUDY.format(path="x.csv", more="multilabel: {threshold: 0.4}"))
    assert spec.to_json()["multilabel"] == {"threshold": 0.4, "balance": False}
    assert from_data(spec.to_json()).task_options == Options(threshold=0.4)
