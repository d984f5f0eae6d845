"""Models that were trained on a GPU, in use: exported and compared on the CPU, and predicting on the GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from by_path import module_at

from search import api
from search.model.formats import model_formats
from search.model.predict import items_in, load_model, predict

pytestmark = pytest.mark.gpu
TASKS = module_at("gpu/test_every_task_on_a_device.py")


def exported(task: str, device: str, root: Path, formats: tuple[str, ...] = ("safetensors",)) -> Path:
    """Return the folder of the model of a study of ``task`` that was run on ``device``."""
    TASKS.study(task, root, augmentation="none", precision="auto")
    api.run_study("study.yaml", report=False, final=False, device=device, workers=1)
    done = api.export_study("s", formats=formats, output=root / "model", device=device)
    assert done.failed == {}
    return done.folder


def answers(folder: Path, items: Any, device: str, **options: Any) -> list[Any]:
    model = load_model(folder, device=device, **options)
    return [one.predicted for one in predict(model, items_in(model, items))]


@pytest.mark.parametrize("form", list(model_formats()))
def test_an_exported_file_answers_on_the_cpu_as_the_network_does_on_the_device(
    form: str, device: str, starts_processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if form == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    monkeypatch.chdir(tmp_path)
    folder = exported("classification", device, tmp_path, tuple(dict.fromkeys(("safetensors", form))))
    images = tmp_path / "drawn" / "images"
    there = answers(folder, images, device, format="safetensors")
    for ours, expected in zip(answers(folder, images, "cpu", format=form, trust=True), there, strict=True):
        found = {answer.label: answer.score for answer in ours.answers}
        assert found == pytest.approx({answer.label: answer.score for answer in expected.answers}, abs=0.02)


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_boxes_and_masks_are_predicted_on_the_device(
    task: str, device: str, starts_processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = exported(task, device, tmp_path)
    images = sorted(path.parent for path in tmp_path.rglob("*.png") if "model" not in path.parts)[0]
    ours, expected = answers(folder, images, device), answers(folder, images, "cpu")
    assert len(ours) == len(expected) > 0
    if task == "segmentation":
        same = [
            float((torch.as_tensor(one.mask) == torch.as_tensor(other.mask)).float().mean())
            for one, other in zip(ours, expected, strict=True)
        ]
        assert min(same) > 0.98


def test_texts_are_predicted_on_the_device(
    device: str, starts_processes: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = exported("text", device, tmp_path)
    (tmp_path / "new.txt").write_text("a good film\nthe worst film\n")
    pairs = zip(*(answers(folder, tmp_path / "new.txt", place) for place in (device, "cpu")), strict=True)
    for ours, expected in pairs:
        assert [one.score for one in ours.answers] == pytest.approx([one.score for one in expected.answers], abs=0.02)
