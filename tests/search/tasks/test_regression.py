from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn import metrics

from search.data.sample import Dataset, Sample, Split
from search.errors import DataError, UserError
from search.records.study import EpochRecord, Verdict
from search.runtime.study_record import study_record
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import parse_spec
from search.tasks.regression import Options, Regression, RegressionEvaluator
from search.training.fit import fit
from spaces.backbones._base import Pretrained
from spaces.heads import Features, HeadChoice

STUDY = """\
name: brightness
task: regression
data: {{path: {path}, target_columns: [brightness, width], val_share: 0.25}}
backbone: squeezenet1_1
weights: none
input_size: 32
space: {{{space}}}
training: {{epochs: 60, batch_size: 8, augmentation: none}}
search: {{trials: 1, seed: 3, pruner: none}}
regression: {{loss: {loss}}}
"""


def draw(folder: Path, count: int = 24) -> Path:
    """Write pictures with a bar of some brightness and width, far from 0 and of small spread, and their table."""
    lines = ["path,brightness,width"]
    random = np.random.default_rng(0)
    for number in range(count):
        brightness, width = int(random.integers(60, 255)), int(random.integers(4, 32))
        pixels = np.zeros((32, 32, 3), dtype=np.uint8)
        pixels[:, :width] = brightness
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{1000 + brightness / 100},{width}")
    (folder / "numbers.csv").write_text("\n".join(lines) + "\n")
    return folder / "numbers.csv"


def runtime_of(folder: Path, loss: str = "mse", space: str = "head: {hidden: 0}") -> StudyRuntime:
    return open_runtime(parse_spec(STUDY.format(path=draw(folder), loss=loss, space=space), base=folder), "cpu")


def test_it_learns_numbers_in_their_own_unit(tmp_path: Path) -> None:
    runtime = runtime_of(tmp_path)
    candidate = runtime.space.baseline()
    choices = {**candidate.recipe.choices}
    choices["optimizer"] = {**choices["optimizer"], "name": "adamw", "lr_head": 3e-3, "lr_backbone": 1e-3}
    candidate = replace(candidate, recipe=replace(candidate.recipe, choices=choices))
    network = runtime.build(candidate, 0)
    plan = runtime.plan(candidate, 0, until_known, lambda: False, None, network)
    outcome = fit(network, replace(plan, val=plan.train))
    first, best = outcome.epochs[0].metrics, outcome.epochs[(outcome.best_epoch or 1) - 1].metrics
    assert best["rmse"] < 0.35 * first["rmse"]
    assert best["r2"] > 0.9
    kept = runtime.checkpoint(candidate, network, outcome)
    assert kept.facts["task_options"] == {"loss": "mse", "huber_delta": 1.0}
    assert kept.facts["task_facts"]["mean"][0] == pytest.approx(1001.5, abs=0.5)
    assert study_record(runtime).identity["regression"] == kept.facts["task_options"]


def until_known(record: EpochRecord) -> Verdict:
    """End a training that has learnt its images by heart."""
    return Verdict.PRUNE if record.metrics["r2"] > 0.95 else Verdict.CONTINUE


def bound(pretrained: Pretrained, rows: list[tuple[float, ...]], **options: object) -> Regression:
    samples = tuple(Sample(None, row, Split.TRAIN) for row in rows)  # type: ignore[arg-type]
    names = tuple("abc"[: len(rows[0])])
    return Regression().bind(Options(**options), Dataset("d", names, samples, ""), pretrained)  # type: ignore[arg-type]


def test_metrics_are_those_of_scikit_learn(tiny: Pretrained) -> None:
    random = torch.Generator().manual_seed(0)
    targets = torch.randn(50, 3, generator=random) * torch.tensor([1.0, 20.0, 0.0]) + 5
    outputs = targets + torch.randn(50, 3, generator=random)
    task = bound(tiny, [(0.0, 0.0, 0.0), (2.0, 6.0, 8.0)])
    evaluator = RegressionEvaluator(("a", "b", "c"), task)
    for part in (slice(0, 20), slice(20, 50)):
        evaluator.update(outputs[part], targets[part])
    found = evaluator.compute()
    true, predicted = targets.double().numpy(), outputs.double().numpy()
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(true, predicted))
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(true, predicted))
    assert found["r2"] == pytest.approx(metrics.r2_score(true, predicted))
    each = evaluator.evaluation().measured
    assert [one.values["r2"] for one in each] == pytest.approx(
        metrics.r2_score(true, predicted, multioutput="raw_values")
    )
    assert [one.name for one in each] == ["a", "b", "c"]
    # In deviations of the training targets, 1, 3 and 4.
    scaled = torch.tensor(true - predicted) / torch.tensor([1.0, 3.0, 4.0])
    assert found["loss"] == pytest.approx(float(scaled.square().mean()))


def test_losses_are_in_deviations_of_the_training_targets(tiny: Pretrained) -> None:
    outputs, targets = torch.tensor([[10.0], [0.0]]), torch.tensor([[8.0], [8.0]])
    rows = [(6.0,), (10.0,)]  # deviation 2: errors of 1 and -4
    assert bound(tiny, rows, loss="mse").loss(outputs, targets) == pytest.approx(17 / 2)
    assert bound(tiny, rows, loss="l1").loss(outputs, targets) == pytest.approx(5 / 2)
    assert bound(tiny, rows, loss="huber").loss(outputs, targets) == pytest.approx((0.5 + 3.5) / 2)


def test_a_head_begins_near_the_mean_and_says_so_in_its_state(tiny: Pretrained) -> None:
    task = bound(tiny, [(999.0, 1.0), (1001.0, 3.0)])
    head = task.head(Features((4, 2, 2)), 2, HeadChoice())
    assert (head(torch.randn(3, 4, 2, 2)) - torch.tensor([1000.0, 2.0])).abs().max() < 5
    assert {name for name in head.state_dict() if "mean" in name or "deviation" in name} == {"2.mean", "2.deviation"}


def test_a_number_that_never_changes_is_refused(tiny: Pretrained) -> None:
    with pytest.raises(DataError, match=r"d: 'b' is 0\.1 in all training samples: there is nothing to learn"):
        bound(tiny, [(1.0, 0.1), (2.0, 0.1), (3.0, 0.1)])


def test_what_makes_no_sense_for_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"space\.label_smoothing: numbers are not labels"):
        runtime_of(tmp_path, space="label_smoothing: {}")
    with pytest.raises(ValueError, match="huber_delta must be a finite number above 0"):
        Options(huber_delta=0)
