from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from search.api import load_model, load_study, open_artifacts, refit_study, run_study
from search.errors import NotFoundError, UserError
from search.lifecycle.export import export_study
from search.lifecycle.trained_candidate import labels_of, load_trained, look
from search.model.predict import predict
from search.records.named_trial import named_trial
from search.records.study import DatasetRecord, StudyRecord
from search.tasks._base import Task
from search.training.calibration import fit_temperature

STUDY = """\
name: {name}
task: {task}
data: {{path: {data}, val_share: 0.25}}
backbone: squeezenet1_1
weights: none
input_size: 32
space: {{tail: {{high: 3}}, head: {{}}}}
training: {{epochs: 1, batch_size: 8, augmentation: none, precision: float32}}
search: {{trials: 1, pruner: none}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    random = np.random.default_rng(0)
    for place in range(24):
        pixels = random.integers(0, 80, (18, 22, 3), dtype=np.uint8)
        pixels[..., place % 3] += 100
        Image.fromarray(pixels).save(tmp_path / f"{place}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ended(task: str, table: str) -> str:
    """Run a study of one trial on the table and return its name."""
    Path("table.csv").write_text(table)
    Path("study.yaml").write_text(STUDY.format(name=task, task=task, data="table.csv"))
    run_study("study.yaml", report=False, final=False)
    return task


def test_several_labels_are_exported_and_predicted(here: Path) -> None:
    labels = ["warm", "cold", "warm;dark", "cold;dark", "dark", "warm;cold"]
    table = "path,labels\n" + "".join(f"{place}.png,{labels[place % 6]}\n" for place in range(24))
    done = export_study(ended("multilabel", table), formats=("safetensors", "pt2"))
    assert done.facts.metrics["map"] == pytest.approx(done.facts.stored["map"], abs=1e-6)
    model = load_model(done.folder, format="pt2", trust=True)
    assert model.task.name == "multilabel"
    (said,) = predict(model, [here / "0.png"], 3)
    assert {answer.label for answer in said.answers} == {"cold", "dark", "warm"}
    assert all(0 < answer.score < 1 for answer in said.answers)
    with pytest.raises(UserError, match="a temperature is fitted to one class a sample"):
        export_study("multilabel", calibrate=lambda *_: 1.0)


def test_numbers_are_exported_and_predicted_in_their_unit(here: Path) -> None:
    table = "path,target\n" + "".join(f"{place}.png,{1000 + 10 * place}\n" for place in range(24))
    done = export_study(ended("regression", table))
    assert done.facts.outputs == "numbers"
    assert done.facts.metrics["rmse"] == pytest.approx(done.facts.stored["rmse"], rel=1e-5)
    (said,) = predict(load_model(done.folder), [here / "0.png"])
    ((name, value),) = said.answers
    assert name == "target"
    assert 500 < value < 2000


def test_the_winner_gives_what_validation_measured(here: Path) -> None:
    table = "path,label\n" + "".join(f"{place}.png,{'rgb'[place % 3]}\n" for place in range(24))
    record = load_study(ended("classification", table))
    trained = load_trained(
        record, named_trial(record, "best")[0], open_artifacts("classification"), None, lambda *_: None
    )
    told: list[tuple[int, int]] = []
    seen = look(trained, 3, lambda _, done, total: told.append((done, total)))
    assert told[-1] == (trained.loader.count, trained.loader.count)
    assert [len(inputs) for inputs in seen.compared] == [1, 2]
    assert seen.count == 3
    with torch.inference_mode():
        for inputs, expected in zip(seen.compared, seen.expected, strict=True):
            assert torch.allclose(trained.network(inputs), expected, atol=1e-5)
    assert seen.outputs is not None
    assert len(labels_of(trained, seen)) == len(seen.outputs) == trained.loader.count
    assert trained.frame is not None
    assert trained.frame.size == (32, 32)


def test_a_refit_is_exported_with_what_the_test_images_said(here: Path) -> None:
    kinds, splits = ("red", "green", "blue"), ("train", "train", "val", "test")
    rows = "".join(f"{place}.png,{kinds[place % 3]},{splits[place // 3 % 4]}\n" for place in range(24))
    Path("table.csv").write_text("path,label,split\n" + rows)
    Path("9.png").write_bytes(Path("0.png").read_bytes())  # a test image that is in training too
    Path("study.yaml").write_text(
        STUDY.format(name="refitted", task="classification", data="table.csv").replace(", val_share: 0.25", "")
    )
    run_study("study.yaml", report=False, final=False)
    with pytest.raises(NotFoundError, match="no finished refit; make one with `ftsearch refit refitted`"):
        export_study("refitted", candidate="refit")
    _, refit = refit_study("refitted", epochs=1)
    done = export_study("refitted", candidate="refit", output="model")
    assert done.facts.trial is None
    assert done.facts.metrics == dict(refit.test)
    assert done.facts.images == 6
    assert "test images" in (done.folder / "README.md").read_text()
    assert load_model(done.folder).facts.measured_on == (
        "test images, which no choice has seen; 1 of 6 test images are in training too"
    )
    with pytest.raises(UserError, match="refit with `--on train`"):
        export_study("refitted", candidate="refit", calibrate=fit_temperature)
    refit_study("refitted", on="train", epochs=1)
    honest = export_study("refitted", candidate="refit", output="honest", calibrate=fit_temperature)
    assert honest.facts.temperature != 1
    assert "look 2 at them" in honest.facts.measured_on


def test_a_task_that_does_not_say_how_its_outputs_are_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mute(Task):
        name = "mute"
        head = loss = evaluator = None  # type: ignore[assignment]

    record = StudyRecord("s", "mute", "x", True, "b", "w", DatasetRecord("d", ("a", "b"), {}, "f"), 1, {}, identity={})
    monkeypatch.setattr("search.lifecycle.export.load_study", lambda *_, **__: record)
    with pytest.raises(UserError, match="the task 'mute' is not installed here"):
        export_study("s")
    monkeypatch.setattr("search.lifecycle.export.tasks", lambda: {"mute": Mute()})
    with pytest.raises(UserError, match="models of the task mute cannot be exported: its file defines neither"):
        export_study("s")
