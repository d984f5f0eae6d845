"""Contenders are what they say: schedules, folding, budgets, and models that come back the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peers import _training, linear_probe
from peers._budget import Steps, Stretch, spent
from peers._images import batches, centred, decode, light, load
from peers._networks import blocks_of, build, freeze, outputs, restore, save
from peers._task import END_S, Task
from peers.fine_tune import one_cycle
from peers.train import PEERS
from PIL import Image
from torch import nn
from torchvision import models

SIZE = 32


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "squeezed.pth"
    torch.manual_seed(0)
    torch.save(models.mobilenet_v2(weights=None).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, random = tmp_path_factory.mktemp("set"), np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 6), ("test", 2)):
        for number, name in enumerate(("dark", "light", "red")):
            for image in range(count):
                pixels = random.integers(0, 60, (40, 50, 3)) + (0, 90, 180)[number] * np.array(
                    [1, number < 2, number < 2]
                )
                path = folder / split / name / f"{image}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(path)
    return folder


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "optuna-gp" else name for name in PEERS]
)  # the program of optuna-tpe with another sampler
def test_a_contender_keeps_to_its_budget_and_leaves_a_model(
    name: str, data: Path, weights: Path, tmp_path: Path
) -> None:
    begin = spent()
    task = Task(data, "mobilenet_v2", weights, SIZE, begin + END_S + 2, seed=0)
    network, design = PEERS[name](task)
    assert spent() - begin < 2 + END_S
    save(network, design, tmp_path / "model.pt")
    again, found = restore(tmp_path / "model.pt")
    images = load(data, "val", SIZE)
    assert found == design
    assert torch.allclose(outputs(again, images.pixels, SIZE), outputs(network, images.pixels, SIZE), atol=1e-5)


def test_rates_follow_fastais_cycle() -> None:
    parameter, steps = nn.Parameter(torch.zeros(1)), 21
    theirs = torch.optim.AdamW([parameter], lr=1.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        theirs, 2e-3, total_steps=steps, pct_start=0.3, div_factor=5, final_div_factor=1e5 / 5, base_momentum=0.85
    )
    ours = torch.optim.AdamW([{"params": [parameter], "part": "head"}], lr=1.0)
    schedule = one_cycle({"head": 2e-3}, pct_start=(0.3 * steps - 1) / (steps - 1), div=5)
    for step in range(steps):
        schedule(ours, step / (steps - 1))
        expected, found = theirs.param_groups[0], ours.param_groups[0]
        assert (found["lr"], found["betas"][0]) == pytest.approx((expected["lr"], expected["betas"][0]))
        theirs.step()
        if step < steps - 1:
            cycle.step()


@pytest.mark.parametrize("classes", [2, 4])
def test_a_folded_regression_says_what_sklearn_says(classes: int) -> None:
    random = np.random.default_rng(0)
    labels = np.arange(60) % classes
    features = (random.normal(size=(60, 8)) * 3 + 1 + labels[:, None] * random.normal(size=8)).astype(np.float32)
    fitted = linear_probe.pipeline(0.1).fit(features, labels)
    layer = linear_probe.folded(fitted, nn.Linear(8, 1000))
    found = layer(torch.from_numpy(features)).softmax(1).detach().numpy()
    assert np.allclose(found, fitted.predict_proba(features), atol=1e-5)


def test_a_stretch_ends_before_a_step_would_overrun(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 10.0, 14.0, 18.0])
    monkeypatch.setattr("peers._budget.spent", lambda: next(clock))
    stretch = Stretch(20.0)
    assert [stretch.progress() for _ in range(3)] == [0.0, pytest.approx(4 / 6), 1.0]


def test_steps_are_as_many_as_asked() -> None:
    steps = Steps(4)
    assert [steps.progress() for _ in range(5)] == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_the_cosine_begins_low_peaks_once_and_ends_at_nothing() -> None:
    rates = [_training.cosine(step / 100) for step in range(101)]
    assert rates[0] < 0.2
    assert rates.index(max(rates)) == 5
    assert rates[-1] == 0.0


def test_an_epoch_takes_every_image_once(data: Path) -> None:
    images = load(data, "train", SIZE)
    supply = batches(images, light(SIZE), 8)
    labels = torch.cat([next(supply)[1] for _ in range(3)])
    assert sorted(labels.tolist()) == sorted(images.labels.tolist())


def test_a_frozen_block_keeps_its_weights_and_statistics(data: Path, weights: Path) -> None:
    task = Task(data, "mobilenet_v2", weights, SIZE, 1000.0, seed=0)
    network = task.network()
    blocks = blocks_of(network, task.design())
    freeze(blocks, 5)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    groups: list[dict[str, Any]] = [{"params": [one for one in network.parameters() if one.requires_grad], "peak": 0.1}]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    schedule = _training.scaled_by(_training.cosine)
    _training.train(network, task.train, light(SIZE), optimizer, Steps(2), frozen=blocks[:5], schedule=schedule)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert len(blocks) == 19
    assert not [name for name in changed if int(name.split(".")[1]) < 5 and name.startswith("features")]
    assert {"features.5.conv.0.0.weight", "features.5.conv.0.1.running_mean", "classifier.1.weight"} <= changed


def test_images_are_seen_as_torchvision_sees_them(data: Path, weights: Path) -> None:
    path = next((data / "test/light").iterdir())
    own = centred([decode(path, 224)], 224)[0]
    with Image.open(path) as image:
        theirs = models.MobileNet_V2_Weights.IMAGENET1K_V1.transforms()(image.convert("RGB"))
    assert torch.allclose(own, theirs, atol=0.02)


def test_every_block_of_other_families_is_found() -> None:
    for name, count in (("resnet18", 10), ("efficientnet_b0", 9)):
        design = Task(Path(), name, Path(), SIZE, 0, 0)
        network = build(_design(name))
        assert len(blocks_of(network, _design(name))) == count, design


def _design(name: str) -> Any:
    from peers._networks import Design

    return Design(name, 3, SIZE)
