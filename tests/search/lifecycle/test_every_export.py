"""The winner of every task goes through a folder and predicts: boxes, masks, texts, pairs, tags, labels, numbers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from by_path import module_at
from PIL import Image

from search.api import load_model, load_study, open_study, run_study
from search.data.sample import Split
from search.errors import UserError
from search.lifecycle.export import Exported, export_study
from search.model import folder as model_folder
from search.model.formats import model_formats
from search.model.predict import items_in, outputs_of, predict
from search.training.calibration import fit_temperature

FORMATS = tuple(model_formats())
GRAPHS = tuple(name for name, known in model_formats().items() if known.holds == "graph")


def shared(name: str) -> Any:
    """Return another task's test module, for the data that it draws."""
    return module_at(f"search/tasks/{name}.py")


def ran(root: Path, study: str) -> Path:
    """Run the study in ``root`` and return that."""
    (root / "study.yaml").write_text(study)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("FTSEARCH_CACHE", str(root / "cache"))
        run_study("study.yaml", report=False, final=False)
    return root


BOXES = """\
name: boxes
task: detection
data: {{path: boxes.json, val_share: 0.5}}
backbone: squeezenet1_1
weights: none
input_size: 64
space: {{detector: {{kinds: [{kind}]}}, pyramid_width: {{widths: [64]}}, proposals: {{kept: [50]}},
  queries: {{numbers: [40]}}, decoder_layers: {{depths: [2]}}}}
training: {{epochs: 3, batch_size: 4, augmentation: none, precision: float32}}
search: {{trials: 1, seed: 3, pruner: none}}
detection: {{samples: 32, least_score: 0.02, shown_score: 0.1, resize: letterbox}}
"""
MASKS = """\
name: masks
task: segmentation
data: {path: data, val_share: 0.34, classes: [grey, red, green]}
backbone: squeezenet1_1
weights: none
input_size: [64, 96]
space: {decoder: {kinds: [unet], widths: [16]}}
training: {epochs: 2, batch_size: 4, augmentation: none, precision: float32}
search: {trials: 1, seed: 3, pruner: none}
"""
TEXTS = """\
name: texts
task: {task}
data: {data}
backbone: "transformers:{backbone}"
space: {{head: {{}}, length: {{tokens: [16]}}}}
training: {{epochs: 8, batch_size: 8, precision: float32, cache: false}}
search: {{trials: 1, seed: 3, pruner: none, parallel_heads: 1}}
{task}: {{max_length: 16}}
"""


def moved(done: Exported, root: Path, place: Path) -> Path:
    """Return the model in a place of its own, with what it was made from gone."""
    shutil.copytree(root / done.folder, place)
    return place


def texts_study(root: Path, task: str, data: str) -> Path:
    backbone = shared("test_text").saved(root / "network")
    return ran(root, TEXTS.format(task=task, data=data, backbone=backbone))


@pytest.mark.parametrize(
    ("kind", "formats"),
    [
        ("faster_rcnn", ("safetensors",)),
        ("retinanet", ("safetensors",)),
        ("rtdetr", ("safetensors",)),
        pytest.param("dfine", ("safetensors",), marks=pytest.mark.slow),
        # A quarter and half a minute of tracing; graphs of detectors are compared in test_exportable.
        pytest.param("retinanet", ("safetensors", "pt2"), marks=pytest.mark.slow),
        pytest.param("retinanet", ("safetensors", "onnx"), marks=pytest.mark.slow),
        pytest.param("rtdetr", ("safetensors", "pt2", "onnx"), marks=pytest.mark.slow),
    ],
)
def test_boxes(kind: str, formats: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = shared("test_detection")
    drawing.draw(tmp_path, 8)
    ran(tmp_path, BOXES.format(kind=kind))
    monkeypatch.chdir(tmp_path)
    done = export_study("boxes", formats=formats, output="model")
    best = load_study("boxes").best
    assert best is not None
    assert done.facts.metrics["map"] == pytest.approx(best.value, abs=1e-5)
    assert done.facts.frame is not None
    assert done.facts.frame.fit == "letterbox"
    Image.open("0.png").resize((150, 100)).save("wide.png")
    told = {}
    for name in done.facts.files:
        model = load_model("model", format=name, trust=True)
        (predicted,) = predict(model, [Path("wide.png")], threshold=0.02)
        assert predicted.predicted.boxes, name
        assert all(
            0 <= box.left < box.right <= 150 and 0 <= box.top < box.bottom <= 100 for box in predicted.predicted.boxes
        )
        scores = [box.score for box in predicted.predicted.boxes]
        assert scores == sorted(scores, reverse=True)
        told[name] = predicted.predicted.boxes
    for boxes in told.values():
        assert boxes[0].label == told["safetensors"][0].label
        assert boxes[0][1:] == pytest.approx(told["safetensors"][0][1:], rel=1e-3, abs=1e-2)
    model = load_model("model")
    image = Image.open("wide.png").convert("RGB")
    outputs = outputs_of(model.network, model.transform(image)[None])
    (again,) = model.predicted(outputs, [image], threshold=0.02)
    assert again.boxes[0][1:] == pytest.approx(told["safetensors"][0][1:], rel=1e-4)
    (few,) = model.predicted(outputs, [image], most=2, threshold=0.02)
    assert few.boxes == again.boxes[:2]


def test_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared("test_segmentation").draw(tmp_path / "data")
    ran(tmp_path, MASKS)
    monkeypatch.chdir(tmp_path)
    done = export_study("masks", formats=FORMATS, output="model")
    best = load_study("masks").best
    assert best is not None
    assert done.facts.metrics["miou"] == pytest.approx(best.value, abs=1e-5)
    assert {check.format for check in done.facts.checks} == set(FORMATS)
    Image.open("data/images/00.png").resize((200, 133)).save("large.png")
    model = load_model("model")
    (predicted,) = predict(model, [Path("large.png")])
    mask = predicted.predicted.mask
    assert mask is not None
    assert mask.shape == (133, 200)
    assert mask.dtype == torch.uint8
    assert sum(answer.score for answer in predicted.answers) == pytest.approx(1)
    for answer in predicted.answers:
        assert answer.score == pytest.approx(float((mask == model.facts.classes.index(answer.label)).float().mean()))
    for name in GRAPHS:
        (other,) = predict(load_model("model", format=name, trust=True), [Path("large.png")])
        assert other.predicted.mask is not None
        assert float((other.predicted.mask != mask).float().mean()) < 0.01


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("reviews")
    return texts_study(root, "text", shared("test_text").reviews(root))


@pytest.mark.parametrize("formats", [("safetensors", "onnx"), pytest.param(FORMATS, marks=pytest.mark.slow)])
def test_texts(formats: tuple[str, ...], reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(reviews)
    done = export_study("texts", formats=formats, output="model", calibrate=fit_temperature)
    best = load_study("texts").best
    assert best is not None
    assert done.facts.metrics["accuracy"] == pytest.approx(best.value, abs=1e-6)
    assert "validation texts" in done.facts.measured_on
    samples = open_study("study.yaml").dataset.of(Split.VAL)
    hits = {}
    (reviews / "network").rename(reviews / "away")  # the model needs its folder alone
    try:
        place = moved(done, reviews, tmp_path / "elsewhere")
        for name in formats:
            model = load_model(place, format=name, trust=True)
            predicted = list(predict(model, [sample.input for sample in samples], 1))
            told = [model.facts.classes.index(one.answers[0].label) for one in predicted]
            hits[name] = np.mean([one == sample.target for one, sample in zip(told, samples, strict=True)])
        assert list(hits.values()) == pytest.approx([best.value] * len(formats), abs=1e-6)
        model = load_model(place)
        rows = [model.transform(text) for text in ("good film", "a bad film is not good a b c")]
        assert [row.dtype for row in rows] == [torch.int64] * 2
        alone = model.network(rows[0][None])
        assert model.inputs is not None
        together = model.network(model.inputs.batch(rows))
        assert torch.allclose(alone[0], together[0], atol=1e-5)
        (one,) = model.predicted(alone, ["good film"])
        assert {answer.label for answer in one.answers} == {"pos", "neg"}
        alone.sum().backward()  # a plain module that can be trained on
        assert all(parameter.grad is not None for parameter in model.network.parameters())
    finally:
        (reviews / "away").rename(reviews / "network")


def test_a_missing_or_damaged_file_of_the_tokenizer_is_named(reviews: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(reviews)
    folder = export_study("texts", output="broken").folder
    file = folder / "tokenizer" / "tokenizer.json"
    content = file.read_text()
    file.write_text(content.replace("good", "gxxd"))
    with pytest.raises(UserError, match=r"tokenizer\.json is damaged or was changed"):
        load_model(folder)
    file.unlink()
    with pytest.raises(UserError, match=r"tokenizer\.json cannot be read: No such file"):
        load_model(folder)
    shutil.rmtree(folder / "tokenizer")
    model_folder.seal(folder)
    with pytest.raises(UserError, match=r"broken/tokenizer is missing or lacks config\.json; export the model again"):
        load_model(folder)


def test_folders_of_this_machine_stay_out_of_the_card_and_the_tokenizer(
    reviews: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(reviews)
    folder = export_study("texts", output="shown").folder
    card = (folder / "README.md").read_text()
    assert "at most 16 tokens" in card
    assert "FILE_OF_TEXTS" in card
    for path in (folder / "README.md", *(folder / "tokenizer").iterdir()):
        assert str(reviews) not in path.read_text(), path


@pytest.mark.parametrize("name", ["safetensors", pytest.param("onnx", marks=pytest.mark.slow)])
def test_pairs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"{'abcdefgh'[n % 8]} is good,{'good' if n % 2 else 'bad'} film,{n % 2}\n" for n in range(16))
    (tmp_path / "t.csv").write_text("premise,hypothesis,label\n" + rows)
    texts_study(tmp_path, "text", "{path: t.csv, val_share: 0.25}")
    monkeypatch.chdir(tmp_path)
    done = export_study("texts", formats=("safetensors", name), output="model")
    assert done.facts.texts is not None
    assert done.facts.texts.pairs
    model = load_model("model", format=name)
    (tmp_path / "new.tsv").write_text("hypothesis\tpremise\ngood film\ta is good\nbad film\tb is good\n")
    first, second = predict(model, items_in(model, tmp_path / "new.tsv"), 1)
    plain = load_model("model")
    (right,) = plain.predicted(
        plain.network(plain.transform(("a is good", "good film"))[None]), [("a is good", "good film")]
    )
    assert first.answers[0].label == right.answers[0].label
    assert first.answers[0].score == pytest.approx(right.answers[0].score, abs=1e-4)
    assert second.name.endswith("new.tsv, line 3")


@pytest.mark.parametrize(
    "formats", [("safetensors",), pytest.param(("safetensors", "pt2", "onnx"), marks=pytest.mark.slow)]
)
def test_tags(formats: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts_study(tmp_path, "tokens", shared("test_tokens").sentences(tmp_path))
    monkeypatch.chdir(tmp_path)
    done = export_study("texts", formats=formats, output="model")
    best = load_study("texts").best
    assert best is not None
    assert done.facts.metrics["entity_f1"] == pytest.approx(best.value, abs=1e-6)
    for name in formats:
        model = load_model("model", format=name, trust=True)
        (tmp_path / "new.txt").write_text(f"a good film is bad\n{'a ' * 40}\n")
        short, long = predict(model, items_in(model, tmp_path / "new.txt"))
        assert [tag is not None for tag in short.predicted.tags] == [True] * 5
        assert len(long.predicted.tags) == 40
        assert long.predicted.tags[-1] is None
        assert all(0 < tag.score <= 1 for tag in short.predicted.tags if tag is not None)
        for span in short.predicted.spans:
            assert span.text.split() == ["a", "good", "film", "is", "bad"][span.first : span.last + 1]


@pytest.mark.parametrize(("task", "name"), [("text_multilabel", "pt2"), ("text_regression", "safetensors")])
def test_labels_and_numbers_of_texts(task: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("good", "bad", "fine", "poor")
    values = ("warm;new", "cold", "warm", "new") if task == "text_multilabel" else (100, 200, 300, 400)
    lines = [f"{'abcdefgh'[n % 8]} is {words[n % 4]},{values[n % 4]}\n" for n in range(24)]
    (tmp_path / "t.csv").write_text(f"text,{'labels' if task == 'text_multilabel' else 'score'}\n" + "".join(lines))
    texts_study(tmp_path, task, "{path: t.csv, val_share: 0.25}")
    monkeypatch.chdir(tmp_path)
    done = export_study("texts", formats=("safetensors", name), output="model")
    best = load_study("texts").best
    assert best is not None
    metric = next(iter(done.facts.metrics))
    assert done.facts.metrics[metric] == pytest.approx(done.facts.stored[metric], rel=1e-4)
    model = load_model("model", format=name, trust=True)
    (predicted,) = predict(model, items_in(model, Path("t.csv"))[:1])
    if task == "text_regression":
        assert -500 < predicted.answers[0].score < 1000
        assert "Outputs are numbers, in the data's unit" in (Path("model") / "README.md").read_text()
    else:
        assert {answer.label for answer in predicted.answers} == {"cold", "new", "warm"}
