from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from search.api import open_study, run_study
from search.data.loader import Loader
from search.errors import DataError, UserError
from search.records.study import Verdict
from search.runtime import few_labels
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import load_spec
from search.training.fit import TrainingPlan, fit
from search.training.pseudo import PseudoLabelled
from spaces.candidate import Candidate
from spaces.networks.build import Network


@pytest.fixture
def uneven(folder: Path, study_file: Path) -> Path:
    """The study with a third of one class's images, and a folder of images without labels."""
    for number in range(4, 12):
        (folder / "red" / f"{number:02d}.png").unlink()
    loose = folder.parent / "loose"
    for place in range(15):
        pixels = np.random.default_rng(place).integers(0, 80, (16, 20, 3), dtype=np.uint8)
        pixels[..., place % 3] += 150
        (loose / str(place % 2)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(loose / str(place % 2) / f"{place}.png")
    return study_file


def balanced(path: Path, how: str) -> StudyRuntime:
    spec = load_spec(path)
    return open_runtime(replace(spec, training=replace(spec.training, balance=how)), "cpu")  # type: ignore[arg-type]


def plan_of(runtime: StudyRuntime, candidate: Candidate) -> tuple[Network, TrainingPlan]:
    network = runtime.build(candidate, 1)
    plan = runtime.plan(candidate, 1, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    return network, few_labels.adapted(runtime, plan, candidate, network)


def test_sampling_draws_every_class_as_often(uneven: Path) -> None:
    runtime = balanced(uneven, "sampling")
    _, plan = plan_of(runtime, runtime.space.baseline())
    seen: Counter[int] = Counter()
    for number in range(1, 61):
        for _, targets in plan.train.epoch(number):
            seen.update(targets.tolist())
    shares = [seen[label] / sum(seen.values()) for label in range(3)]
    assert shares == pytest.approx([1 / 3] * 3, abs=0.04)
    assert sum(seen.values()) == 60 * 21
    first, again = (torch.cat([targets for _, targets in plan.train.epoch(5)]) for _ in range(2))
    assert torch.equal(first, again)


def test_the_loss_weighs_small_classes_more_and_trains(uneven: Path) -> None:
    runtime = balanced(uneven, "loss")
    network, plan = plan_of(runtime, runtime.space.baseline())
    assert plan.class_weights is not None
    assert plan.class_weights.tolist() == pytest.approx([21 / 27, 21 / 27, 21 / 9])
    logits = torch.zeros(2, 3)
    assert plan.loss(logits, torch.tensor([2, 2])) == pytest.approx(3 * float(plan.loss(logits, torch.tensor([0, 0]))))
    assert fit(network, replace(plan, epochs=1)).best_epoch == 1


@pytest.mark.parametrize("how", ["loss", "sampling"])
def test_a_head_is_solved_for_classes_that_count_the_same(uneven: Path, how: str) -> None:
    runtime, plain = balanced(uneven, how), balanced(uneven, "off")
    shares = []
    for one in (runtime, plain):
        network, plan = plan_of(one, one.space.baseline())
        assert plan.start is not None
        plan.start(network)
        images, _ = next(iter(plan.val.epoch(1)))
        with torch.no_grad():
            shares.append(network(images).softmax(dim=1)[:, 2].mean().item())
    assert shares[0] > shares[1]  # red has a third of the images that the others have


def test_without_the_option_nothing_changes(uneven: Path) -> None:
    runtime = balanced(uneven, "off")
    candidate = runtime.space.baseline()
    network = runtime.build(candidate, 1)
    plan = runtime.plan(candidate, 1, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    assert few_labels.adapted(runtime, plan, candidate, network) is plan


def with_pseudo(path: Path, *, unlabelled: str = "loose") -> Path:
    text = path.read_text().replace("val_share: 0.25", f"val_share: 0.25, unlabelled: {unlabelled}")
    path.write_text(text.replace("  optimizer: {}", "  optimizer: {}\n  pseudo: {threshold: [0.001, 0.5]}"))
    return path


def test_a_candidate_with_pseudo_labels_learns_from_unlabelled_images(uneven: Path) -> None:
    runtime = open_runtime(load_spec(with_pseudo(uneven)), "cpu")
    few_labels.check(runtime)
    plain = runtime.space.baseline()
    choices = {**plain.recipe.choices, "pseudo": {"threshold": 0.01, "weight": 0.5}}
    for depth in (0, 4):
        structure = replace(plain.structure, choices={**plain.structure.choices, "freeze": depth})
        candidate = replace(plain, structure=structure, recipe=replace(plain.recipe, choices=choices))
        assert runtime.space.params(candidate) is not None
        network, plan = plan_of(runtime, candidate)
        assert isinstance(plan.train, PseudoLabelled)
        assert isinstance(plan.val, Loader)  # images, as the whole network takes them
        assert plan.plain is not None
        assert isinstance(plan.plain(), Loader)
        outcome = fit(network, plan)
        assert outcome.facts["pseudo"] == {"unlabelled": 15, "used": [0, 15]}
        again, plan = plan_of(runtime, candidate)
        assert fit(again, plan).epochs[-1].metrics == outcome.epochs[-1].metrics


def test_a_study_may_search_whether_they_help(uneven: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run_study(with_pseudo(uneven), storage=f"sqlite:///{tmp_path}/s.db", report=False, trials=6)
    assert not [trial.failure for trial in result.study.trials if trial.failure]
    used = ["pseudo" in trial.extras for trial in result.study.trials]
    assert used == [trial.params.get("pseudo.labels") == "on" for trial in result.study.trials]
    assert set(used) == {True, False}
    assert "calibration_error" in result.study.trials[0].epochs[0].metrics


def test_what_is_missing_is_reported_before_any_training(uneven: Path) -> None:
    text = uneven.read_text()
    for unlabelled, message in (
        ("nowhere", "data.unlabelled: there is no folder .*nowhere"),
        ("empty", "data.unlabelled: there is no image in"),
        ("broken", "data.unlabelled: cannot read the image .*one.png"),
    ):
        place = uneven.parent / unlabelled
        if unlabelled != "nowhere":
            place.mkdir()
        if unlabelled == "broken":
            (place / "one.png").write_bytes(b"no image")
        uneven.write_text(text)
        with pytest.raises(DataError, match=message):
            open_study(with_pseudo(uneven, unlabelled=unlabelled))
    uneven.write_text(text.replace("  optimizer: {}", "  optimizer: {}\n  pseudo: {}"))
    with pytest.raises(
        UserError, match=r"space.pseudo: there are no images to label; name their folder with data.unlabelled"
    ):
        open_study(uneven)


def test_a_task_without_classes_takes_neither(uneven: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = balanced(uneven, "loss")
    monkeypatch.setattr(type(runtime.task), "mixes", False)
    with pytest.raises(UserError, match=r"training.balance: samples of the task classification do not have one class"):
        few_labels.check(runtime)
