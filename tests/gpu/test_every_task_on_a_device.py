"""Two epochs of every task on a stand-in of a GPU: no tensor stays on the host, and the host waits only at the ends.

Without a GPU this is as far as the CUDA path can be proven.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from by_path import module_at
from cuda_standin import StandIn, stand_in

from search.records.study import EpochRecord, Verdict
from search.runtime.study_runtime import open_runtime
from search.spec.load import load_spec
from search.training.fit import fit

WAYS = module_at("search/test_every_task_every_way.py")
ENDS = ("search/training/epoch.py", "search/data/transfer.py")
"""Where an epoch's losses, its measures and its best weights are fetched, each once."""
THEIRS = (
    *("models/detection/", "torchvision/ops/", "search/detection/targets.py"),
    *("models/rt_detr_v2/", "models/d_fine/", "transformers/loss/"),
)
"""Detectors of both libraries look at what they have found, image by image, and at how many boxes an image has."""


def study(task: str, root: Path, **training: object) -> Path:
    way, (backbone, _) = WAYS.WAYS[task], WAYS.backbones(task, root)
    weights = "\nweights: none" if way.reads == "images" else ""
    text = WAYS.STUDY.format(
        name="s", task=task, data=way.draw(root), backbone=f"backbone: {backbone}{weights}", more=way.more, trials=1
    )
    given = {"epochs": 2, "batch_size": 4, "augmentation": "medium", "precision": "bf16"} | training
    lines = [line for line in text.splitlines() if not line.startswith("training:")]
    settings = ", ".join(f"{name}: {value}" for name, value in given.items())
    (root / "study.yaml").write_text("\n".join([*lines, f"training: {{{settings}}}\n"]))
    return root / "study.yaml"


def waits_of_an_epoch(device: StandIn, path: Path) -> list[tuple[str, str]]:
    """Return what the host waited for in the second epoch of the plain recipe."""
    runtime = open_runtime(load_spec(path), "cuda")
    candidate = runtime.space.baseline()
    network = runtime.build(candidate, 0)
    ends: list[int] = []

    def ended(record: EpochRecord) -> Verdict:
        ends.append(len(device.waits))
        return Verdict.CONTINUE

    result = fit(network, runtime.plan(candidate, 0, ended, lambda: False, None, network))
    assert {value.device.type for value in result.weights.values()} == {"cpu"}
    assert {value.device.type for value in network.state_dict().values()} == {"cuda"}
    return device.waits[ends[0] : ends[1]]


@pytest.mark.parametrize("task", WAYS.WAYS)
def test_an_epoch_leaves_nothing_on_the_host_and_waits_at_its_ends_alone(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = study(task, tmp_path)
    with stand_in() as device:
        waits = waits_of_an_epoch(device, path)
    if task == "detection":
        waits = [(why, where) for why, where in waits if not where.startswith(THEIRS)]
    assert [wait for wait in waits if not wait[1].startswith(ENDS)] == []
    assert 2 <= len(waits) <= 4  # the losses; the measures, of words and of entities; the weights if they are the best


@pytest.mark.parametrize("augmentation", ["none", "strong", "randaugment"])
def test_our_augmentation_never_makes_the_host_wait(
    augmentation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = study("classification", tmp_path, augmentation=augmentation, precision="float32")
    with stand_in() as device:
        waits = waits_of_an_epoch(device, path)
    # torchvision itself sends the matrix of a rotation and the size of a histogram.
    own = [wait for wait in waits if not wait[1].startswith("v2/functional/")]
    assert [wait for wait in own if not wait[1].startswith(ENDS)] == []


def test_a_wait_in_the_loop_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from search.tasks.classification import Classification

    plain: Any = Classification.loss

    def looking(self: Any, outputs: Any, targets: Any, label_smoothing: float = 0.0) -> Any:
        found = plain(self, outputs, targets, label_smoothing)
        assert found.item() > 0
        return found

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Classification, "loss", looking)
    path = study("classification", tmp_path)
    with stand_in() as device:
        waits = waits_of_an_epoch(device, path)
    assert [why for why, where in waits if not where.startswith(ENDS)] == ["_local_scalar_dense"] * 2
