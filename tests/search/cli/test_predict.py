from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from search.api import export_study
from search.model import folder, predict
from search.model.inputs import Images, TextInputs
from search.model.predict import Model, task_of


@pytest.fixture(scope="module")
def exported(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the finished study's winner."""
    place = tmp_path_factory.mktemp("exported") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(finished)
        patch.setenv("FTSEARCH_CACHE", str(finished / "cache"))
        return export_study("colours", output=place).folder


@pytest.fixture
def model(here: Path, exported: Path) -> Path:
    return Path(shutil.copytree(exported, here / "model"))


def test_one_image(model: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("predict", model, "data/red/0.png", "--top", 2)
    assert done.code == 0
    assert done.out.startswith("data/red/0.png: ")
    assert done.out.count("%") == 2


def test_a_folder_as_csv_and_json(model: Path, ftsearch: Callable[..., Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(ftsearch("predict", model, "data", "--csv").out)))
    assert len(rows) == 36 * 3
    assert sum(float(row["probability"]) for row in rows[:3]) == pytest.approx(1, abs=1e-4)
    found = ftsearch("predict", model, "data", "--json", "--top", 1).data
    assert [one["file"] for one in found] == [row["file"] for row in rows[::3]]
    assert ftsearch("predict", model, "data", "--json", "--csv").code == 2


def test_broken_images_of_a_folder_are_skipped_and_counted(model: Path, ftsearch: Callable[..., Any]) -> None:
    Path("data/red/broken.png").write_bytes(Path("data/red/0.png").read_bytes()[:60])
    Path("data/red/text.jpg").write_text("no picture")
    done = ftsearch("predict", model, "data/red")
    assert done.code == 0
    assert done.out.count("\n") == 12
    assert "2 of 14 images could not be read and were skipped" in done.err
    assert "skipped data/red/text.jpg: not an image, or of an unknown format" in done.err


def test_wrong_input_is_one_line_and_exit_2(model: Path, ftsearch: Callable[..., Any]) -> None:
    Path("broken.jpg").write_text("no picture")
    (model.parent / "other").mkdir()
    wrong = (
        (("predict", model, "broken.jpg"), "cannot read the image broken.jpg: not an image"),
        (("predict", model, "nowhere"), "no image and no folder at nowhere"),
        (("predict", "other", "data"), "other is not a model: it holds no model.json"),
        (("predict", model, "data", "--format", "onnx"), "not exported as 'onnx'"),
    )
    for arguments, message in wrong:
        done = ftsearch(*arguments)
        assert (done.code, done.err.count("\n")) == (2, 1), done
        assert message in done.err
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    done = ftsearch("predict", model, "data")
    assert done.code == 2
    assert "model.safetensors is damaged or was changed" in done.err


def test_options_that_do_not_apply_to_the_model_are_refused(model: Path, ftsearch: Callable[..., Any]) -> None:
    wrong = (
        (("--masks", "out"), "--masks is for models that predict the class of every pixel; this model's task is"),
        (("--pictures", "out"), "--pictures is for models that predict boxes or masks"),
        (("--text-column", "text"), "columns are of tables of texts, but this model reads images"),
    )
    for options, message in wrong:
        done = ftsearch("predict", model, "data", *options)
        assert (done.code, done.err.count("\n")) == (2, 1), done
        assert message in done.err
        assert not Path("out").exists()
    Path("t.csv").write_text("text\nwords\n")
    assert "t.csv is a file of texts, but this model reads images" in ftsearch("predict", model, "t.csv").err


def test_a_threshold_leaves_out_what_is_unsure(model: Path, ftsearch: Callable[..., Any]) -> None:
    found = ftsearch("predict", model, "data", "--json", "--threshold", 0.5).data
    assert all(answer["score"] >= 0.5 for one in found for answer in one["answers"])


class Stated(nn.Module):
    """A network in place of a trained one that says always the same."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.task = task

    def forward(self, inputs: torch.Tensor) -> Any:
        count = len(inputs)
        if self.task == "segmentation":
            logits = torch.zeros(count, 2, 8, 8)
            logits[:, 1, :, 4:] = 1.0
            return logits
        if self.task == "detection":
            boxes = torch.tensor([[0.5, 0.25, 1.0, 0.75], [0.0, 0.0, 0.2, 0.2]]).repeat(count, 1, 1)
            return boxes, torch.tensor([[0.9, 0.3]]).repeat(count, 1), torch.tensor([[1, 0]]).repeat(count, 1)
        return torch.tensor([[[9.0, 0, 0], [0, 9.0, 0], [0, 0, 9.0], [9.0, 0, 0]]]).repeat(count, 1, 1)


class Tokenizer:
    """Words are tokens; a sentence has four at most."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.padding = 0

    def numbered(self, texts: Any, most: int) -> Any:
        rows = [[1] * min(len(text.words), 4) for text in texts]
        return [row + [0] * (4 - len(row)) for row in rows], [list(range(len(row))) for row in rows], 0


def opened(task: str) -> Model:
    """Return a model of two or three classes that says always the same."""
    frame = folder.ImagePreprocessing(
        size=(8, 8), resize=(8, 8), mean=(0, 0, 0), std=(1, 1, 1), interpolation="bilinear", fit="stretch"
    )
    texts = folder.TextPreprocessing(length=4, folder="tokenizer", words=True)
    facts: Any = SimpleNamespace(
        task=task,
        outputs="classes",
        temperature=1.0,
        frame=frame,
        texts=None,
        classes=("O", "B-X", "I-X") if task == "tokens" else ("sky", "road"),
    )
    made = task_of(task, {}, {"input_size": [8, 8], "tokenizer": "t", "padding": 0, "segments": 0})
    inputs: Any = Images(frame)
    if task == "tokens":
        facts.texts, inputs = texts, TextInputs(Tokenizer(), texts)  # type: ignore[arg-type]
    return Model(Stated(task), None, facts, "pt2", made, inputs)


@pytest.fixture
def stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A working directory with two images and a file of sentences, and a model of the task that is asked for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "deep").mkdir(parents=True)
    Image.new("RGB", (100, 40), (9, 9, 9)).save(tmp_path / "in" / "a.png")
    Image.new("RGB", (20, 60), (9, 9, 9)).save(tmp_path / "in" / "deep" / "b.jpg")
    (tmp_path / "t.txt").write_text("one Two Three four five\nalone\n")
    return lambda task: monkeypatch.setattr(predict, "load_model", lambda *_, **__: opened(task))


def test_boxes_are_printed_and_drawn_in_pixels_of_the_original(stated: Any, ftsearch: Callable[..., Any]) -> None:
    stated("detection")
    done = ftsearch("predict", "m", "in", "--pictures", "out")
    assert done.code == 0, done.err
    assert done.out == "in/a.png: road 90.0 % at 50,10-100,30\nin/deep/b.jpg: road 90.0 % at 10,15-20,45\n"
    assert {str(path) for path in Path("out").rglob("*.jpg")} == {"out/a.jpg", "out/deep/b.jpg"}
    rows = list(csv.DictReader(io.StringIO(ftsearch("predict", "m", "in", "--csv", "--threshold", 0.2).out)))
    assert len(rows) == 4
    assert rows[0] == {
        "file": "in/a.png",
        "class": "road",
        "score": "0.900000",
        "left": "50.0",
        "top": "10.0",
        "right": "100.0",
        "bottom": "30.0",
    }
    (one, _) = ftsearch("predict", "m", "in", "--json", "--threshold", 0.2, "--top", 1).data
    assert [box["label"] for box in one["boxes"]] == ["road"]
    assert ftsearch("predict", "m", "in/a.png", "--threshold", 0.95).out == "in/a.png: no box\n"
    low = ftsearch("predict", "m", "in", "--threshold", 0.01)
    assert (low.code, low.err) == (
        2,
        "Error: --threshold: this model returns nothing below 0.05 (`least_score`), got 0.01\n",
    )


def test_masks_are_written_in_the_size_of_the_original(stated: Any, ftsearch: Callable[..., Any]) -> None:
    stated("segmentation")
    done = ftsearch("predict", "m", "in", "--masks", "masks", "--pictures", "pictures")
    assert done.code == 0, done.err
    assert done.out.startswith("in/a.png: road 56.0 %, sky 44.0 %")
    with Image.open("masks/a.png") as mask, Image.open("pictures/a.jpg") as picture:
        assert mask.size == picture.size == (100, 40)
        assert mask.mode == "P"
        assert set(np.unique(np.asarray(mask))) == {0, 1}
        assert np.asarray(mask)[20, 90] == 1
    rows = list(csv.DictReader(io.StringIO(ftsearch("predict", "m", "in/a.png", "--csv").out)))
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1, abs=1e-5)
    refused = ftsearch("predict", "m", "in", "--masks", "in")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "in/a.png is an image that is read; name another folder" in refused.err
    assert "--threshold applies to scores" in ftsearch("predict", "m", "in", "--threshold", 0.5).err


def test_tags_are_printed_as_entities_and_word_by_word(stated: Any, ftsearch: Callable[..., Any]) -> None:
    stated("tokens")
    done = ftsearch("predict", "m", "t.txt")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].startswith("t.txt, line 1: one Two Three four five: Two Three X 100.0 %")
    assert done.out.splitlines()[1] == "t.txt, line 2: alone: nothing"
    assert "1 of 2 sentences are too long: their last words have no tag" in done.err
    rows = list(csv.DictReader(io.StringIO(ftsearch("predict", "m", "t.txt", "--csv").out)))
    assert [row["tag"] for row in rows] == ["O", "B-X", "I-X", "O", "", "O"]
    assert [row["number"] for row in rows] == ["1", "2", "3", "4", "5", "1"]
    first = ftsearch("predict", "m", "t.txt", "--json").data[0]
    assert first["words"][4] == "five"
    assert first["tags"][4] is None
    assert [(span["text"], span["first"], span["last"]) for span in first["spans"]] == [("Two Three", 1, 2)]
    for wrong, message in (("in", "in is a folder, but this model reads texts"), ("in/a.png", "in/a.png is an image")):
        done = ftsearch("predict", "m", wrong)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert message in done.err


def test_names_in_brackets_and_formulas_do_no_harm(model: Path, ftsearch: Callable[..., Any]) -> None:
    image = Path("data/red/0.png").read_bytes()
    Path("odd").mkdir()
    for name in ("[bold]a.png", "=1+1.png", "[/].png", os.fsdecode(b"caf\xe9.png")):
        Path("odd", name.replace("/", "")).write_bytes(image)
    shown = ftsearch("predict", model, "odd").out
    assert all(name in shown for name in ("odd/[bold]a.png: ", "odd/=1+1.png: ", "odd/[].png: "))
    Path("odd", "=1+1.png").rename("=1+1.png")
    rows = list(csv.reader(io.StringIO(ftsearch("predict", model, "=1+1.png", "--csv").out)))
    assert {row[0] for row in rows[1:]} == {"'=1+1.png"}
    assert ftsearch("predict", model, "=1+1.png", "--json").data[0]["file"] == "=1+1.png"
